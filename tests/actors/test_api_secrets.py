"""However a session goes wrong, neither the key nor the resume token is to be read anywhere."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator, Sequence
from io import StringIO
from typing import Any

import pytest
import structlog
import trio
from trio.testing import MockClock

from actors.log import EventLog
from channels.happenings import Happening
from channels.secret import Secret
from channels.taps import Taps
from channels.wire.events import SessionFailed, SpeechStarted
from playground.voice_agent_api import Close, Drop, Expect, Script, Send, SendRaw, ServerOptions, Wait
from tests.actors.test_api_support import KEY, RESUME, RESUME_TOKEN, START, URL, Conversation, conversation

SECRETS = (KEY, RESUME_TOKEN)


def all_behind(error: BaseException | None, seen: set[int] | None = None) -> Iterator[BaseException]:
    """An error with its causes, contexts and parts."""
    seen = set() if seen is None else seen
    if error is None or id(error) in seen:
        return
    seen.add(id(error))
    yield error
    for other in (error.__cause__, error.__context__):
        yield from all_behind(other, seen)
    if isinstance(error, BaseExceptionGroup):
        for part in error.exceptions:
            yield from all_behind(part, seen)


def texts_of(error: BaseException | None) -> Iterator[str]:
    """Everything that an error can be made to print."""
    for one in all_behind(error):
        yield from (str(one), repr(one), repr(one.args), repr(vars(one)))
        yield "".join(traceback.format_exception(one))


def texts_of_log(records: Sequence[logging.LogRecord]) -> Iterator[str]:
    for record in records:
        yield record.getMessage()
        yield repr(vars(record))


async def texts_of_event_log(happenings: Sequence[Happening]) -> list[str]:
    """What a person reads, and what a machine reads."""
    written = []
    for renderer in (structlog.dev.ConsoleRenderer(), structlog.processors.JSONRenderer()):
        out = StringIO()
        taps = Taps()
        log: Any = structlog.wrap_logger(structlog.PrintLogger(out), processors=[renderer])
        event_log = EventLog(taps.tap("log", capacity=10_000), log)
        for happening in happenings:
            taps.publish(happening)
        taps.close()
        await event_log.run()
        written.append(out.getvalue())
    return written


def assert_no_secret_in(texts: Sequence[str], *, found_something: bool = True) -> None:
    assert bool("".join(texts)) is found_something
    for text in texts:
        for secret in SECRETS:
            assert secret not in text
            assert secret[:20] not in text


async def all_texts(talk: Conversation, records: Sequence[logging.LogRecord]) -> list[str]:
    return [
        *texts_of(talk.failure),
        *texts_of_log(records),
        *await texts_of_event_log(talk.happenings),
        *(repr(happening) for happening in talk.happenings),
        *(repr(event) for event in talk.events),
        repr(talk.events),
    ]


ECHO = f"Invalid API key {KEY}"

WAYS: dict[str, list[list[Any]]] = {
    "all is well": [[*START, Wait(3), Send(SpeechStarted())]],
    "the service is not ready": [[Wait(100)]] * 20,
    "the key is refused": [
        [Expect("session.update"), Send(SessionFailed("unauthorized", "No")), Close(1008)]
    ],
    "the service repeats the key": [
        [Expect("session.update"), Send(SessionFailed("unauthorized", ECHO)), Close(1008)]
    ],
    "the service repeats the key and goes on": [[*START, Send(SessionFailed("invalid_format", ECHO))]],
    "the configuration is refused": [
        [Expect("session.update"), Send(SessionFailed("invalid_value", "No", "output.voice")), Close(1008)]
    ],
    "drops and resumes": [[*START, Wait(21), Drop()], [*RESUME, Wait(21), Drop()], list(RESUME)],
    "a refused resume": [
        [*START, Wait(21), Drop()],
        [Expect("session.resume"), Send(SessionFailed("session_forbidden", "No")), Close(1008)],
        [*START],
    ],
    "flaps": [[*START, Drop()]] * 100,
    "garbage": [
        [SendRaw("{"), SendRaw('{"type":"session.ready","resume_token":"' + RESUME_TOKEN + '"}'), Wait(20)]
    ]
    * 20,
    "an ill-typed ready": [
        [SendRaw('{"type":"session.ready","session_id":5,"resume_token":"' + RESUME_TOKEN + '"}'), Wait(20)]
    ]
    * 20,
}


@pytest.mark.parametrize("way", WAYS)
async def test_whatever_the_service_does_no_secret_is_to_be_read_anywhere(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture, way: str
) -> None:
    caplog.set_level(logging.DEBUG)
    async with conversation(*WAYS[way]) as talk:
        await trio.sleep(100)
        await talk.stop()
        assert_no_secret_in(await all_texts(talk, caplog.records))


@pytest.mark.parametrize("status", [200, 301, 401, 403, 404, 500])
async def test_a_gateway_that_repeats_the_request_brings_no_secret_to_light(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    caplog.set_level(logging.DEBUG)

    async def gateway(stream: trio.abc.Stream) -> None:
        asked = bytes(await stream.receive_some())
        await stream.send_all(b"HTTP/1.1 %d No\r\nContent-Length: %d\r\n\r\n" % (status, len(asked)) + asked)

    async with conversation(answer=gateway) as talk:
        await talk.over()
        assert_no_secret_in(await all_texts(talk, caplog.records))


async def test_a_network_that_is_down_brings_no_secret_to_light(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with conversation(down=True) as talk:
        await talk.over()
        assert_no_secret_in(await all_texts(talk, caplog.records))


@pytest.mark.parametrize("key", [f"{KEY}\n", f" {KEY}", f"{KEY}\0", f"{KEY}é", f"{KEY}\r\nX-Other: 1"])
async def test_a_malformed_key_is_not_to_be_read_either(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture, key: str
) -> None:
    caplog.set_level(logging.DEBUG)
    async with conversation(START, key=key) as talk:
        await talk.over()
        assert_no_secret_in(await all_texts(talk, caplog.records))


async def test_a_wrong_key_is_not_to_be_read_either(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    options = ServerOptions(script=Script([START]), keys=(Secret("another-key"),))
    async with conversation(options=options) as talk:
        await talk.over()
        assert_no_secret_in(await all_texts(talk, caplog.records))


async def test_the_key_is_sent_to_the_service_and_in_a_header_not_in_the_address(
    autojump_clock: MockClock,
) -> None:
    asked = b""

    async def gateway(stream: trio.abc.Stream) -> None:
        nonlocal asked
        asked = bytes(await stream.receive_some())
        await stream.aclose()

    async with conversation(answer=gateway) as talk:
        await talk.over()
        first, *headers = asked.decode("ascii").split("\r\n")
        assert first == "GET /v1/ws HTTP/1.1"
        assert f"Authorization: Bearer {KEY}" in headers
        assert "Host: 127.0.0.1:4711" in headers
        assert set(talk.network.dialled) == {URL}
