"""Temporary tokens: minted for each socket, used once, never to be read anywhere."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeAlias

import pytest
import trio
from trio.testing import MockClock, memory_stream_pair

from actors.api.connection import Dialer
from actors.api.token import fetch_temporary_token
from channels.happenings import SessionStarted
from channels.secret import Secret
from channels.settings import SessionSettings
from channels.wire.failures import KeyRefused, ServiceBusy, ServiceError, ServiceFault, ServiceUnreachable
from playground.voice_agent_api import ServerOptions, ToneSpeech, VoiceAgentServer
from tests.actors.test_api_secrets import texts_of
from tests.actors.test_api_support import KEY, URL, conversation

DOCS = ServerOptions(
    personality="docs",
    speech=ToneSpeech,
    keys=(Secret(KEY),),
    ping_s=None,
    record=100_000,
)


Answer: TypeAlias = Callable[[trio.abc.Stream], Awaitable[None]]


def dialling(nursery: trio.Nursery, answer: Answer) -> Dialer:
    async def dial(url: str) -> trio.abc.Stream:
        near, far = memory_stream_pair()
        nursery.start_soon(answer, far)
        return near

    return dial


async def minted(answer: Answer, key: str = KEY, **asked: int) -> Secret | ServiceError:
    """The token, or why there is none."""
    result: Secret | ServiceError | None = None
    async with trio.open_nursery() as nursery:
        try:
            result = await fetch_temporary_token(URL, Secret(key), dialling(nursery, answer), **asked)
        except ServiceError as failure:
            result = failure
        nursery.cancel_scope.cancel()
    assert result is not None
    return result


async def test_each_connection_is_opened_by_a_token_of_its_own_where_one_is_good_for_one_socket(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    config = SessionSettings(greeting=None)
    async with conversation(options=DOCS, config=config, temporary_token=True) as talk:
        await talk.until(SessionStarted)
        await talk.server.drop_connections()
        resumed = await talk.until(SessionStarted, 2)
        assert resumed.resumed
        assert len(talk.network.dialled) == 4  # for a token and for a socket, twice
        await talk.stop()
        for record in caplog.records:
            assert "playground-token" not in f"{record.getMessage()} {vars(record)}"
        assert "playground-token" not in repr(talk.happenings)


async def test_a_key_that_gives_no_token_ends_it_with_one_line(autojump_clock: MockClock) -> None:
    async with conversation(options=DOCS, key="wrong-key-0123456789", temporary_token=True) as talk:
        failure = await talk.over()
        assert isinstance(failure, KeyRefused)
        assert "wrong-key" not in "".join(texts_of(failure))


@pytest.mark.parametrize("personality", ["live", "docs"])
async def test_a_token_comes_from_the_host_of_the_socket(autojump_clock: MockClock, personality: str) -> None:
    server = VoiceAgentServer(ServerOptions(personality=personality, keys=(Secret(KEY),)))
    token = await minted(server.serve_stream, expires_in_s=600, longest_session_s=60)
    assert isinstance(token, Secret)
    assert token.reveal().startswith("playground-token-")
    assert len(token.reveal()) > 2000
    for window_s, longest_s in ((0, 60), (601, 60), (60, 1)):
        refused = await minted(server.serve_stream, expires_in_s=window_s, longest_session_s=longest_s)
        assert isinstance(refused, ServiceFault)
        assert "HTTP 4" in str(refused)
    assert isinstance(await minted(server.serve_stream, "not-the-key"), KeyRefused)


def http(status: str, body: bytes) -> bytes:
    return b"HTTP/1.1 " + status.encode() + b"\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def answers() -> Iterator[tuple[bytes, type[ServiceError]]]:
    for status in ("401 No", "403 No", "404 No"):
        yield http(status, b"{}"), KeyRefused
    yield http("429 Slower", b"{}"), ServiceBusy
    for status in ("400 No", "422 No", "500 Oops", "204 None"):
        yield http(status, b""), ServiceFault
    bodies = (
        b"",
        b"no JSON",
        b"[]",
        b"{}",
        b'{"token":5}',
        b'{"token":""}',
        b'{"token":"a\\nb"}',
        b"[" * 9999,
    )
    for body in bodies:
        yield http("200 OK", body), ServiceFault
    yield http("200 OK", b"x" * 2**20), ServiceFault
    yield b"", ServiceFault
    yield b"\x00\xff nonsense\r\n\r\n", ServiceFault
    yield b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", ServiceFault


@pytest.mark.parametrize(("answer", "kind"), list(answers()))
async def test_whatever_is_answered_in_place_of_a_token_is_one_typed_error_without_the_key(
    autojump_clock: MockClock, answer: bytes, kind: type[ServiceError]
) -> None:
    async def serve(stream: trio.abc.Stream) -> None:
        async with stream:
            await stream.receive_some()
            await stream.send_all(answer)

    failure = await minted(serve)
    assert isinstance(failure, ServiceError)
    assert type(failure) is kind
    assert KEY not in "".join(texts_of(failure))


async def test_nobody_there_to_give_a_token() -> None:
    async def nowhere(url: str) -> trio.abc.Stream:
        raise OSError("connection refused")

    with pytest.raises(ServiceUnreachable):
        await fetch_temporary_token(URL, Secret(KEY), nowhere)
