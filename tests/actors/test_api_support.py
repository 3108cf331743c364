"""What the tests of `ApiSession` share: a session at work, seen from outside, on a wire that can be cut.

The other end is the playground's own server, playing a script, with real websocket framing over memory
streams. Nothing here takes real time.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from random import Random
from typing import Any, TypeVar

import attrs
import trio
from trio.testing import MockClock, memory_stream_pair, wait_all_tasks_blocked

from actors.api import ApiSession
from actors.api.connection import Dialer
from channels.bounded import Channel, ChannelStatistics, Full, Receiver, Sender
from channels.errors import reason_of
from channels.happenings import Happening
from channels.messages import ApiEvent, BeginSession, MicrophoneFrame, SessionOrder, ToolEvent
from channels.secret import Secret
from channels.settings import ApiAccount, ApiSettings, SessionSettings, Webhook
from channels.taps import Taps
from channels.wire.events import SessionReady
from channels.wire.messages import ClientMessage
from playground.voice_agent.record import RecordedMessage
from playground.voice_agent_api import (
    Expect,
    Script,
    Send,
    ServerOptions,
    VoiceAgentServer,
)
from sound.pcm import bytes_of_ms

__all__ = [
    "KEY",
    "RESUME",
    "RESUME_TOKEN",
    "START",
    "URL",
    "Conversation",
    "Line",
    "Network",
    "conversation",
    "in_virtual_time",
    "ready",
]

KEY = "the-key-that-nobody-may-see-0123456789abcdef"
RESUME_TOKEN = "the-resume-token-that-nobody-may-see-0123456789"
URL = "ws://127.0.0.1:4711/v1/ws"

T = TypeVar("T")
M = TypeVar("M")


def ready(session_id: str = "sess_1") -> Send:
    """The server says that it listens."""
    return Send(SessionReady(session_id=session_id, resume_token=RESUME_TOKEN))


START: tuple[Expect | Send, ...] = (Expect("session.update"), ready())
"""What every session begins with."""

RESUME: tuple[Expect | Send, ...] = (Expect("session.resume", {"session_id": "sess_1"}), ready())
"""The same session, taken up again."""


def in_virtual_time(run: Callable[[], Awaitable[T]]) -> T:
    """Runs one example of a property on a clock of its own, which jumps when everybody waits."""
    return trio.run(run, clock=MockClock(autojump_threshold=0))


class Line(trio.abc.Stream):
    """One end of a connection, as it is for somebody with a hand on the cable."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.closed = False
        self._stream = stream
        self._flows_out = trio.Event()
        self._flows_in = trio.Event()
        self.flow()

    def stall(self, *, only_out: bool = False) -> None:
        """From now on nothing gets through, and nobody is told."""
        self._flows_out = trio.Event()
        if not only_out:
            self._flows_in = trio.Event()

    def flow(self) -> None:
        """Everything gets through again, what was held up first."""
        self._flows_out.set()
        self._flows_in.set()

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._flows_out.wait()
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._flows_out.wait()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        data = await self._stream.receive_some(max_bytes)
        await self._flows_in.wait()
        return data

    async def aclose(self) -> None:
        self.closed = True
        await self._stream.aclose()


@attrs.define
class Network:
    """What an `ApiSession` dials into."""

    answer: Callable[[trio.abc.Stream], Awaitable[None]]
    nursery: trio.Nursery
    dialled: list[str] = attrs.field(factory=list)
    dialled_at: list[float] = attrs.field(factory=list)
    lines: list[Line] = attrs.field(factory=list)
    down: bool = False

    async def dial(self, url: str) -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        self.dialled.append(url)
        self.dialled_at.append(trio.current_time())
        if self.down:
            raise OSError("connection refused")
        near, far = memory_stream_pair()
        self.nursery.start_soon(self.answer, far)
        self.lines.append(Line(near))
        return self.lines[-1]


@attrs.define
class Conversation:
    """An `ApiSession` at work and all that can be seen of it from outside."""

    server: VoiceAgentServer
    network: Network
    microphone: Sender[MicrophoneFrame]
    orders: Sender[SessionOrder]
    requests: Sender[ClientMessage]
    service: Channel[ApiEvent]
    taps: Taps
    events: list[ApiEvent] = attrs.field(factory=list)
    events_at: list[float] = attrs.field(factory=list)
    events_ended: bool = False
    happenings: list[Happening] = attrs.field(factory=list)
    failure: BaseException | None = None
    _session: ApiSession | None = None
    _scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    _over: trio.Event = attrs.field(factory=trio.Event)
    _news: trio.Event = attrs.field(factory=trio.Event)

    async def run(self, session: ApiSession) -> None:
        self._session = session
        try:
            with self._scope:
                await session.run()
        except (Exception, BaseExceptionGroup) as error:
            self.failure = error
        finally:
            self._over.set()

    async def take_events(self, events: Receiver[ApiEvent]) -> None:
        async for event in events:
            self.events.append(event)
            self.events_at.append(trio.current_time())
            self._news.set()
        self.events_ended = True

    async def take_happenings(self, happenings: Receiver[Happening]) -> None:
        async for happening in happenings:
            self.happenings.append(happening)
            self._news.set()

    def happened(self, kind: type[T]) -> list[T]:
        """Everything of a kind that was told to the taps."""
        return [happening for happening in self.happenings if isinstance(happening, kind)]

    def heard(self, kind: type[T]) -> list[T]:
        """Every event of a kind that the controller was given."""
        return [event for event in self.events if isinstance(event, kind)]

    def sent(self, kind: type[M]) -> list[RecordedMessage[M]]:
        """Every message of a kind that the server was sent, with its time of arrival and its connection."""
        return [
            RecordedMessage(entry.at_s, entry.connection, entry.what)
            for entry in self.server.received
            if isinstance(entry.what, kind)
        ]

    def first_messages(self) -> list[str]:
        """With which message each connection began, in order."""
        firsts: dict[int, str] = {}
        for entry in self.server.received:
            firsts.setdefault(entry.connection, entry.what.type)
        return [firsts[number] for number in sorted(firsts)]

    async def until(self, kind: type[T], count: int = 1, *, within_s: float = 100) -> T:
        """Waits until so many of a kind were told or given; gives the last of them."""
        with trio.fail_after(within_s):
            while len(found := [*self.heard(kind), *self.happened(kind)]) < count:
                self._news = trio.Event()
                await self._news.wait()
        return found[count - 1]

    async def over(self, *, within_s: float = 1000) -> BaseException | None:
        """Waits until the session's `run` has ended; gives the one reason that a person is shown."""
        with trio.fail_after(within_s):
            await self._over.wait()
        await wait_all_tasks_blocked()
        return None if self.failure is None else reason_of(self.failure) or self.failure

    async def stop(self) -> float:
        """Cancels it, as Ctrl-C does; gives the seconds that it took to leave."""
        start = trio.current_time()
        self._scope.cancel()
        await self.over()
        return trio.current_time() - start

    def speak(self, *, ms: int = 50, mark: int = 0) -> None:
        """A frame from the microphone, now. The mark is in every sample."""
        pcm = mark.to_bytes(2, "little") * (bytes_of_ms(ms) // 2)
        self.microphone.send_nowait(MicrophoneFrame(pcm, at=trio.current_time()))

    async def speak_for(self, seconds: float) -> None:
        """Frames of 50 ms at their own speed."""
        for number in range(round(seconds * 20)):
            self.speak(mark=number % 65536)
            await trio.sleep(0.05)

    def passed_by(self) -> int:
        """How much of what the server said the session did not know, after it has ended."""
        assert self._session is not None
        return self._session.passed_by

    def statistics(self) -> ChannelStatistics:
        """Of the channel to the controller."""
        return self.service.statistics()


@asynccontextmanager
async def conversation(
    *connections: Sequence[Any],
    options: ServerOptions | None = None,
    answer: Callable[[trio.abc.Stream], Awaitable[None]] | None = None,
    key: str = KEY,
    config: SessionSettings | None = None,
    webhook: Webhook | None = None,
    capacity: int = 1024,
    deaf: bool = False,
    down: bool = False,
    url: str = URL,
    dialer: Dialer | None = None,
    empty_room: bool = False,
    seed: int = 1,
    **api: bool,
) -> AsyncIterator[Conversation]:
    """A session against a server that plays these steps, one list for each connection.

    Args:
        connections: what the server does on each.
        options: of the server; None: play the connections.
        answer: what answers a call instead of the server.
        key: what the session sends.
        config: what the session asks for.
        webhook: of the account; None: it has none.
        capacity: of the channel to the controller.
        deaf: nobody takes the events.
        down: nobody answers.
        url: what is dialled.
        dialer: dials, in place of the network of the test.
        empty_room: nobody is there yet.
        seed: of the jitter.
        api: further settings of the API.
    """
    if options is None:
        options = ServerOptions(script=Script(connections), keys=(Secret(KEY),), ping_s=None, record=100_000)
    server = VoiceAgentServer(options)
    frames = Channel[MicrophoneFrame](
        "microphone", capacity=400, unit="frames", full=Full.DROP_OLDEST, because="as in the wiring"
    )
    service = Channel[ApiEvent](
        "service", capacity=capacity, unit="events", full=Full.FAIL, because="as in the wiring"
    )
    orders = Channel[SessionOrder](
        "session", capacity=16, unit="orders", full=Full.FAIL, because="as in the wiring"
    )
    requests = Channel[ClientMessage](
        "requests", capacity=16, unit="messages", full=Full.WAIT, because="as in the wiring"
    )
    tool_events = Channel[ToolEvent](
        "tools", capacity=100_000, unit="events", full=Full.FAIL, because="nobody runs tools here"
    )
    for_tools = tool_events.receiver()
    taps = Taps()
    happenings = taps.tap("test", capacity=100_000)
    events = service.receiver()
    async with trio.open_nursery() as nursery:
        network = Network(answer or server.serve_stream, nursery, down=down)
        session = ApiSession(
            ApiAccount(url, api_key=Secret(key), webhook=webhook or Webhook()),
            ApiSettings(session=config or SessionSettings(), **api),
            frames.receiver(),
            orders.receiver(),
            requests.receiver(),
            taps.tap("session"),
            service.sender(),
            tool_events.sender(),
            taps,
            dialer or network.dial,
            Random(seed),
        )
        talk = Conversation(
            server, network, frames.sender(), orders.sender(), requests.sender(), service, taps
        )
        if not empty_room:
            talk.orders.send_nowait(BeginSession())
        nursery.start_soon(talk.take_happenings, happenings)
        if not deaf:
            nursery.start_soon(talk.take_events, events)
        nursery.start_soon(talk.run, session)
        yield talk
        nursery.cancel_scope.cancel()
        for_tools.close()
