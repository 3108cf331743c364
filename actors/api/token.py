"""Temporary tokens: what opens one socket in place of the key, for a browser or for a careful agent.

`mint_token` asks the service for one, over the same byte streams as the socket. A token is a secret as the
key is, and is meant for one socket: the documentation says so, recordings say otherwise.
"""

from __future__ import annotations

import json
from urllib.parse import urlencode, urlsplit

import h11
import trio

from actors.api.dialling import Dialer, host_header, unreachable
from channels.secret import Secret
from channels.wire.failures import FAULT_MEND, KEY_MEND, KeyRefused, ServiceBusy, ServiceError, ServiceFault

__all__ = ["mint_token", "token_path"]

_LARGEST_ANSWER = 64 * 2**10
"""Bytes. A token has about 2,500 characters."""


async def mint_token(
    url: str,
    api_key: Secret,
    dialer: Dialer,
    *,
    expires_in_s: int = 60,
    longest_session_s: int | None = None,
) -> Secret:
    """Gets a temporary token.

    Args:
        url: of the websocket; the token comes from beside it.
        api_key: for which it stands.
        dialer: opens the byte stream.
        expires_in_s: how long it may open a socket, 1 to 600; that does not bound the session.
        longest_session_s: after which the session ends, 60 to 10,800; None: the service's own limit.

    Raises:
        ServiceUnreachable: nobody answers.
        KeyRefused: the service does not know the key.
        ServiceBusy: too many tokens were asked for.
        ServiceFault: what answers does not give tokens.
    """
    query = {"expires_in_seconds": expires_in_s}
    if longest_session_s is not None:
        query["max_session_duration_seconds"] = longest_session_s
    try:
        stream = await dialer(url)
    except (OSError, UnicodeError, trio.BrokenResourceError) as error:
        raise unreachable(url) from error
    async with stream:
        try:
            status, body = await _get(stream, url, f"{token_path(url)}?{urlencode(query)}", api_key)
        except (h11.ProtocolError, trio.BrokenResourceError):
            raise ServiceFault(f"{urlsplit(url).hostname} gave no token: it hung up", FAULT_MEND) from None
    if status != 200:
        raise _refusal(url, status)
    try:
        token = json.loads(body)["token"]
        if not isinstance(token, str) or not token.isascii() or not token.isprintable() or not token:
            raise TypeError
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ServiceFault(f"{urlsplit(url).hostname} gave no token in its answer", FAULT_MEND) from None
    return Secret(token)


def token_path(url: str) -> str:
    """Where the service gives tokens: beside its websocket, which may be below the path of a gateway."""
    path = urlsplit(url).path.rstrip("/")
    return f"{path.removesuffix('/ws')}/token" if path.endswith("/ws") else f"{path}/v1/token"


async def _get(stream: trio.abc.Stream, url: str, target: str, api_key: Secret) -> tuple[int, bytes]:
    http = h11.Connection(h11.CLIENT)
    headers = [
        ("Host", host_header(url)),
        ("Authorization", f"Bearer {api_key.reveal()}"),
        ("Connection", "close"),
    ]
    request = h11.Request(method="GET", target=target, headers=headers)
    await stream.send_all((http.send(request) or b"") + (http.send(h11.EndOfMessage()) or b""))
    status, body = 0, bytearray()
    while True:
        event = http.next_event()
        match event:
            case h11.NEED_DATA:
                http.receive_data(bytes(await stream.receive_some(16 * 2**10)))
            case h11.Response(status_code=code):
                status = code
            case h11.Data(data=data):
                body += data
                if len(body) > _LARGEST_ANSWER:
                    raise h11.RemoteProtocolError("an answer without end")
            case h11.EndOfMessage():
                return status, bytes(body)
            case _:
                pass


def _refusal(url: str, status: int) -> ServiceError:
    # The answer's own words are left out: they may repeat what was sent.
    said = f"{urlsplit(url).hostname} answered HTTP {status} when asked for a temporary token"
    if status in (401, 403, 404):  # live, a bad key is "not found"
        return KeyRefused(said, KEY_MEND)
    if status == 429:
        return ServiceBusy(said, "ask for fewer tokens, or use the key itself")
    return ServiceFault(said, FAULT_MEND)
