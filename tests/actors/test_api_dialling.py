"""Where a session was begun, it is taken up: a name may lead to another region in the meantime."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio

from actors.api import ApiSession
from actors.api.dialling import dial_again, peer_of
from channels.bounded import Channel, Full
from channels.happenings import SessionStarted
from channels.messages import ApiEvent, BeginSession, MicrophoneFrame, SessionOrder, ToolEvent
from channels.net.http import host_header
from channels.secret import Secret
from channels.settings import ApiAccount, ApiSettings
from channels.taps import Taps
from channels.wire.messages import ClientMessage
from playground.voice_agent_api import ResumePolicy, ServerOptions, ToneSpeech, VoiceAgentServer

HERE, THERE = "127.0.0.1", "127.0.0.2"
"""Two addresses of one machine, as two regions behind one name."""


@asynccontextmanager
async def two_regions() -> AsyncIterator[tuple[str, list[str]]]:
    """A port that is open at both; gives a URL that names the first, and which of them was called."""
    called: list[str] = []
    first, *_ = await trio.open_tcp_listeners(0, host=HERE)
    port = first.socket.getsockname()[1]
    try:
        second, *_ = await trio.open_tcp_listeners(port, host=THERE)
    except OSError:
        await first.aclose()
        pytest.skip("this machine has one loopback address only")

    async def answer(stream: trio.SocketStream) -> None:
        async with stream:
            called.append(stream.socket.getsockname()[0])

    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, answer, [first, second])
        yield f"ws://{HERE}:{port}/v1/ws", called
        nursery.cancel_scope.cancel()


async def test_the_address_of_before_is_called_and_not_the_name() -> None:
    with trio.fail_after(20):
        async with two_regions() as (url, called):
            async with await dial_again(url, THERE) as stream:
                assert peer_of(stream) == THERE
                assert await stream.receive_some() == b""
            assert called == [THERE]


async def test_an_address_that_is_gone_is_looked_up_anew() -> None:
    with trio.fail_after(20):
        async with two_regions() as (url, called):
            async with await dial_again(url, "127.0.0.3") as stream:
                assert await stream.receive_some() == b""
            assert called == [HERE]


async def test_a_memory_stream_has_no_address() -> None:
    ours, _ = trio.testing.memory_stream_pair()
    assert peer_of(ours) is None


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("wss://agents.eu.assemblyai.com/v1/ws", "agents.eu.assemblyai.com"),
        ("wss://agents.assemblyai.com:443/v1/ws", "agents.assemblyai.com"),
        ("ws://127.0.0.1:8787/v1/ws", "127.0.0.1:8787"),
        ("ws://[::1]:80/", "[::1]"),
    ],
)
def test_a_host_is_named_with_its_port_only_if_it_is_not_the_usual_one(url: str, host: str) -> None:
    assert host_header(url) == host


class Resolver(trio.abc.HostnameResolver):
    """Knows one address, and which names it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def getaddrinfo(self, host: bytes | None, port: object, *_: object, **__: object) -> Any:
        await trio.lowlevel.checkpoint()
        self.asked.append((host or b"").decode())
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (HERE, int(str(port))))]

    async def getnameinfo(self, sockaddr: object, flags: int) -> Any:
        raise NotImplementedError


async def test_a_session_is_taken_up_at_the_address_where_it_was_begun() -> None:
    names = Resolver()
    trio.socket.set_custom_hostname_resolver(names)
    server = VoiceAgentServer(ServerOptions(speech=ToneSpeech, start_ms=0, resume=ResumePolicy(works=True)))
    taps = Taps()
    happenings = taps.tap("test")
    frames = Channel[MicrophoneFrame]("m", capacity=1, unit="frames", full=Full.WAIT, because="none comes")
    orders = Channel[SessionOrder]("o", capacity=1, unit="orders", full=Full.WAIT, because="one comes")
    requests = Channel[ClientMessage]("r", capacity=1, unit="messages", full=Full.WAIT, because="none comes")
    service = Channel[ApiEvent]("s", capacity=1, unit="events", full=Full.DROP_OLDEST, because="nobody reads")
    tools = Channel[ToolEvent]("t", capacity=99, unit="events", full=Full.FAIL, because="nobody reads")
    unread = (service.receiver(), tools.receiver(), frames.sender(), requests.sender())
    orders.sender().send_nowait(BeginSession())
    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            listeners = await trio.open_tcp_listeners(0, host=HERE)
            port = listeners[0].socket.getsockname()[1]
            nursery.start_soon(trio.serve_listeners, server.serve_stream, listeners)
            session = ApiSession(
                ApiAccount(f"ws://agents.test:{port}/v1/ws", api_key=Secret("a-key-0123456789")),
                ApiSettings(),
                frames.receiver(),
                orders.receiver(),
                requests.receiver(),
                taps.tap("session"),
                service.sender(),
                tools.sender(),
                taps,
            )
            nursery.start_soon(session.run)
            started = []
            async for happening in happenings:
                if isinstance(happening, SessionStarted):
                    started.append(happening)
                    await server.drop_connections()
                if len(started) == 2:
                    break
            nursery.cancel_scope.cancel()
    for end in unread:
        end.close()
    assert started[1].resumed
    assert names.asked == ["agents.test"]
