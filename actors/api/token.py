"""Temporary tokens: each opens one socket in place of the key, for a browser or for a careful agent.

`fetch_temporary_token` asks the service for one, over the same byte streams as the socket. A token is as
secret as the key. It is meant for one socket: the documentation says so, although recordings say otherwise.
"""

from __future__ import annotations

import json
from urllib.parse import urlencode, urlsplit

import trio

from actors.api.dialling import Dialer, unreachable
from channels.net.http import ask
from channels.secret import Secret
from channels.wire.failures import FAULT_FIX, KEY_FIX, KeyRefused, ServiceBusy, ServiceError, ServiceFault

__all__ = ["fetch_temporary_token", "token_url"]

_LARGEST_ANSWER = 64 * 2**10
"""Bytes. A token has about 2,500 characters."""


async def fetch_temporary_token(
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
        NoWayToService: as when a socket is opened.
        KeyRefused: the service does not know the key.
        ServiceBusy: too many tokens were asked for.
        ServiceFault: what answers does not give tokens.
    """
    try:
        stream = await dialer(url)
    except (OSError, UnicodeError, trio.BrokenResourceError) as error:
        raise unreachable(url, error) from error
    asked = token_url(url, expires_in_s, longest_session_s)
    bearer = {"Authorization": f"Bearer {api_key.reveal()}"}
    try:
        answer = await ask(stream, asked, bearer, largest=_LARGEST_ANSWER)
    except OSError as error:
        raise ServiceFault(f"{urlsplit(url).hostname} gave no token ({error})", FAULT_FIX) from None
    if answer.status != 200:
        raise _refusal(url, answer.status)
    try:
        token = json.loads(answer.body)["token"]
        if not isinstance(token, str) or not token.isascii() or not token.isprintable() or not token:
            raise TypeError
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ServiceFault(f"{urlsplit(url).hostname} gave no token in its answer", FAULT_FIX) from None
    return Secret(token)


def token_url(url: str, expires_in_s: int = 60, longest_session_s: int | None = None) -> str:
    """Where the service gives tokens: next to its websocket, which may be below a gateway's path.

    Args:
        url: of the websocket.
        expires_in_s: as in `fetch_temporary_token`.
        longest_session_s: as in `fetch_temporary_token`.
    """
    parts = urlsplit(url)
    path = parts.path.rstrip("/")
    path = f"{path.removesuffix('/ws')}/token" if path.endswith("/ws") else f"{path}/v1/token"
    query = {"expires_in_seconds": expires_in_s}
    if longest_session_s is not None:
        query["max_session_duration_seconds"] = longest_session_s
    scheme = {"ws": "http", "wss": "https"}.get(parts.scheme, parts.scheme)
    return parts._replace(scheme=scheme, path=path, query=urlencode(query)).geturl()


def _refusal(url: str, status: int) -> ServiceError:
    # The answer's own words are left out: they may repeat what was sent.
    said = f"{urlsplit(url).hostname} answered HTTP {status} when asked for a temporary token"
    if status in (401, 403, 404):  # live, a bad key is "not found"
        return KeyRefused(said, KEY_FIX)
    if status == 429:
        return ServiceBusy(said, "ask for fewer tokens, or use the key itself")
    return ServiceFault(said, FAULT_FIX)
