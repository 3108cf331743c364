"""The Voice Agent API: a session from its first message to its end, with the configuration in force."""

from __future__ import annotations

import trio

from actors.api.connection import Dialer, dial, open_connection
from channels.program import COMMAND
from channels.settings import ApiAccount, ApiSettings, SessionSettings
from channels.wire.events import SessionEnded, SessionFailed, SessionReady
from channels.wire.failures import ServiceError
from channels.wire.messages import SessionEnd, SessionUpdate
from commands.check.finding import Colour, Finding

__all__ = ["check_session", "check_turn_detection"]

READY_WITHIN_S = 10.0
SANE_SILENCE_MS = (300, 2500)
"""As the article advises: below, the agent cuts people off; above, it seems asleep."""


async def check_session(account: ApiAccount, settings: ApiSettings, dialer: Dialer = dial) -> Finding:
    """Opens a session and ends it at once; it is billed by the second, so some seconds at most."""
    began = trio.current_time()
    ready_s, ended, said = None, False, ""
    try:
        async with trio.open_nursery() as nursery:
            failure: ServiceError | None = None
            with trio.move_on_after(READY_WITHIN_S):
                try:
                    async with open_connection(
                        account, dialer, nursery, temporary_token=settings.temporary_token
                    ) as connection:
                        await connection.send(SessionUpdate(settings.session.as_wire(account.webhook)))
                        while not ended:
                            match await connection.receive():
                                case SessionReady():
                                    ready_s = trio.current_time() - began
                                    await connection.send(SessionEnd())
                                case SessionFailed(message=message):
                                    said = message
                                case SessionEnded():
                                    ended = True
                except ServiceError as error:
                    failure = error
            nursery.cancel_scope.cancel()
        if failure is not None and ready_s is None:
            return Finding("session", Colour.RED, failure.what, failure.fix)
    except ServiceError as error:
        return Finding("session", Colour.RED, error.what, error.fix)
    if ready_s is None:
        return Finding(
            "session",
            Colour.RED,
            f"no session.ready within {READY_WITHIN_S:.0f} s" + (f" ({said})" if said else ""),
            f"check the session's configuration with `{COMMAND} config`",
        )
    measured = {"ready_ms": round(ready_s * 1000, 1)}
    if not ended:
        return Finding(
            "session",
            Colour.YELLOW,
            f"ready after {ready_s * 1000:.0f} ms, but session.end was not answered",
            "the service keeps such a session for 30 s, and bills you for them",
            measured,
        )
    return Finding(
        "session", Colour.GREEN, f"ready after {ready_s * 1000:.0f} ms, and ended", measured=measured
    )


def check_turn_detection(session: SessionSettings) -> Finding:
    """Whether explicit turn detection is within what people can talk with."""
    detection = session.input.turn_detection
    low, high = SANE_SILENCE_MS
    outside = [
        f"{name} is {value} ms"
        for name in ("min_silence", "max_silence")
        if (value := getattr(detection, name, None)) is not None and not low <= value <= high
    ]
    if outside:
        return Finding(
            "turn detection",
            Colour.YELLOW,
            " and ".join(outside),
            f"from {low} to {high} ms, nobody is cut off or left waiting; "
            "the adaptive profile leaves it to the service",
        )
    explicit = [name for name in ("min_silence", "max_silence") if getattr(detection, name, None) is not None]
    said = (
        "set explicitly, so the service does not adapt" if explicit else "left to the service, which adapts"
    )
    return Finding("turn detection", Colour.GREEN, said)
