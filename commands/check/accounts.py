"""The accounts: whether each key works, and whether this machine's clock agrees with the servers'.

One HTTP request each, none of which costs anything. Both answer with a `Date`, which is their clock.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Mapping
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import attrs
import trio
from livekit import api

from actors.api.token import token_url
from actors.room.actor import AGENT_IDENTITY, mint_agent_token, mint_client_token
from channels.errors import VoiceAgentError
from channels.net.dialling import obstacle_to, open_stream
from channels.net.http import LARGEST_ANSWER
from channels.net.http import ask as request
from channels.secret import Secret
from channels.settings import ApiAccount, LiveKitAccount
from commands.check.finding import Colour, Finding

__all__ = [
    "NoAnswer",
    "TimedAnswer",
    "ask",
    "ask_livekit",
    "check_api_key",
    "check_clock",
    "check_grants",
    "check_livekit_key",
]

ANSWERS_WITHIN_S = 10.0
SKEW_TO_WARN_S = 5.0
SKEW_TOO_LARGE_S = 60.0
"""LiveKit takes tokens whose `nbf` is up to a minute in the future."""
_TOKEN_LIFE = timedelta(minutes=1)


class NoAnswer(VoiceAgentError):
    """A server does not answer; an empty `fix` means: check the address."""


@attrs.frozen
class TimedAnswer:
    """What a server answered."""

    status: int
    body: bytes = attrs.field(repr=False)
    skew_s: float | None
    """By how much this machine's clock is ahead; None: it did not say."""
    took_s: float


async def ask(
    url: str, bearer: Secret, *, body: bytes | None = None, largest: int = LARGEST_ANSWER
) -> TimedAnswer:
    """Sends one request over a call's own route; with a body it is a POST of JSON. Follows no redirects.

    Raises:
        NoAnswer: nothing answers, or not in HTTP.
    """
    headers = {"Authorization": f"Bearer {bearer.reveal()}", "Content-Type": "application/json"}
    began, clock = trio.current_time(), time.time()
    with trio.move_on_after(ANSWERS_WITHIN_S):
        try:
            stream = await open_stream(url)
        except (OSError, UnicodeError) as error:
            obstacle = obstacle_to(url, error)
            raise NoAnswer(f"does not answer: it {obstacle.what}", obstacle.fix or "") from None
        try:
            answer = await request(stream, url, headers, body, largest=largest)
        except OSError as error:
            raise NoAnswer(f"does not answer ({error})", "") from None
        took = trio.current_time() - began
        return TimedAnswer(
            answer.status, answer.body, _skew(answer.headers.get("date", ""), clock, took), took
        )
    raise NoAnswer(f"does not answer within {ANSWERS_WITHIN_S:.0f} s", obstacle_to(url, None).fix or "")


def _skew(date: str, clock: float, took: float) -> float | None:
    # Ignore anything that is not a date.
    with contextlib.suppress(ValueError, TypeError, OverflowError, OSError):
        # The server's clock is cut to whole seconds, and was read somewhere in the middle.
        return clock + took / 2 - (parsedate_to_datetime(date[:100]).timestamp() + 0.5)
    return None


async def ask_livekit(
    account: LiveKitAccount,
    method: str,
    grants: api.VideoGrants,
    content: Mapping[str, Any],
    *,
    service: str = "RoomService",
    largest: int = LARGEST_ANSWER,
) -> TimedAnswer:
    """One request to one of LiveKit's services, with a token that has these grants.

    Args:
        account: which LiveKit, and the key.
        method: what is asked for.
        grants: of the token.
        content: of the request.
        service: that has the method.
        largest: bytes that the answer may have.

    Raises:
        NoAnswer: nothing answers, or not in HTTP.
    """
    token = api.AccessToken(account.api_key, account.api_secret.reveal()).with_ttl(_TOKEN_LIFE)
    parts = urlsplit(account.url)
    path = f"{parts.path.rstrip('/')}/twirp/livekit.{service}/{method}"
    scheme = {"ws": "http", "wss": "https"}.get(parts.scheme, parts.scheme)
    url = parts._replace(scheme=scheme, path=path, query="").geturl()
    return await ask(
        url, Secret(token.with_grants(grants).to_jwt()), body=json.dumps(content).encode(), largest=largest
    )


async def check_livekit_key(account: LiveKitAccount, room_name: str) -> tuple[Finding, TimedAnswer | None]:
    """Whether LiveKit accepts the key and the secret: asks for the rooms with our room's name."""
    try:
        grants = api.VideoGrants(room_list=True)
        answer = await ask_livekit(account, "ListRooms", grants, {"names": [room_name]})
    except VoiceAgentError as error:
        fix = error.fix or "check LIVEKIT_URL, and that the server is running"
        return Finding("LiveKit", Colour.RED, f"{account.url} {error.what}", fix), None
    measured = {"answer_ms": round(answer.took_s * 1000, 1)}
    if 300 <= answer.status < 400:
        return _redirected("LiveKit", account.url, answer, "LIVEKIT_URL", measured), answer
    if answer.status == 200:
        said = f"{account.url} accepts the key"
        return Finding("LiveKit", Colour.GREEN, said, measured=measured), answer
    if answer.status in (401, 403):
        return Finding(
            "LiveKit",
            Colour.RED,
            f"{account.url} refuses the key {account.api_key} with this secret ({answer.status})",
            "check LIVEKIT_API_KEY and LIVEKIT_API_SECRET: both must be of one project, and of this server",
            measured,
        ), answer
    return Finding(
        "LiveKit",
        Colour.RED,
        f"{account.url} answers {answer.status}",
        "check that LIVEKIT_URL is the address of a LiveKit server",
        measured,
    ), answer


async def check_api_key(account: ApiAccount) -> tuple[Finding, TimedAnswer | None]:
    """Whether the Voice Agent API accepts the key: asks for a temporary token, and throws it away."""
    url = token_url(account.url)
    try:
        answer = await ask(url, account.api_key)
    except VoiceAgentError as error:
        fix = error.fix or "check the network, and VOICE_AGENT_URL if it is set"
        return Finding("Voice Agent API", Colour.RED, f"{account.url} {error.what}", fix), None
    measured = {"answer_ms": round(answer.took_s * 1000, 1)}
    if 300 <= answer.status < 400:
        return _redirected("Voice Agent API", account.url, answer, "VOICE_AGENT_URL", measured), answer
    if answer.status == 200:
        return Finding("Voice Agent API", Colour.GREEN, "accepts the key", measured=measured), answer
    # The documentation says 401; the live service was seen to answer 404.
    if answer.status in (401, 403, 404):
        return Finding(
            "Voice Agent API",
            Colour.RED,
            f"refuses the key ({answer.status})",
            "check ASSEMBLYAI_API_KEY: it must be from the dashboard, and for this region",
            measured,
        ), answer
    return Finding(
        "Voice Agent API",
        Colour.YELLOW,
        f"answers {answer.status} to a request for a token",
        "try again; if it persists, see the service's status page",
        measured,
    ), answer


def _redirected(
    check: str, url: str, answer: TimedAnswer, variable: str, measured: Mapping[str, float]
) -> Finding:
    said = f"{url} redirects elsewhere ({answer.status}), and the key is not sent there"
    return Finding(check, Colour.RED, said, f"set {variable} to the final address", measured)


def check_clock(answers: list[TimedAnswer]) -> Finding:
    """Whether this machine's clock agrees with the servers'; a token is only valid in its time."""
    skews = [answer.skew_s for answer in answers if answer.skew_s is not None]
    if not skews:
        return Finding(
            "clock", Colour.YELLOW, "no server sent its time", "make sure this machine's clock is right"
        )
    worst = max(skews, key=abs)
    said = f"{abs(worst):.0f} s {'ahead of' if worst > 0 else 'behind'} the servers"
    measured = {"skew_s": round(worst, 1)}
    fix = "set this machine's clock (NTP)"
    if abs(worst) > SKEW_TOO_LARGE_S:
        return Finding("clock", Colour.RED, said, fix, measured)
    if abs(worst) > SKEW_TO_WARN_S:
        return Finding("clock", Colour.YELLOW, said, fix, measured)
    return Finding("clock", Colour.GREEN, "agrees with the servers", measured=measured)


def check_grants(account: LiveKitAccount, room_name: str) -> Finding:
    """Whether the tokens that we make let the agent speak and a client listen."""
    verifier = api.TokenVerifier(account.api_key, account.api_secret.reveal(), leeway=timedelta(minutes=2))
    agent = verifier.verify(mint_agent_token(account, room_name).reveal())
    client = verifier.verify(mint_client_token(account, room_name, "check", _TOKEN_LIFE).reveal())
    lacks = [
        what
        for what, granted in (
            ("the agent may not join", agent.video and agent.video.room_join),
            ("the agent may not publish", agent.video and agent.video.can_publish),
            ("the agent's token is not of kind agent", agent.kind == "agent"),
            ("the client may not join", client.video and client.video.room_join),
            ("the client may not subscribe", client.video and client.video.can_subscribe),
            ("the client may not publish", client.video and client.video.can_publish),
            ("the client has the agent's identity", client.identity != AGENT_IDENTITY),
        )
        if not granted
    ]
    if lacks:
        return Finding(
            "token grants", Colour.RED, ", ".join(lacks), "this is a bug in the agent: please report it"
        )
    return Finding(
        "token grants", Colour.GREEN, f"agent publishes, client speaks and listens, in {room_name!r}"
    )
