"""A whole call in virtual time: what the runner wires, a person in a room, and a service that a test plays.

Everything between the room's port and the websocket is the real thing; the service is the playground's
server, over real framing. A test says who says what; sounds and silences are where the clock has them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from random import Random
from typing import Any, ClassVar

import trio
from attrs import define, field, frozen
from trio.testing import memory_stream_pair

import runner
from actors.room.livekit_edge import LiveKitEdge
from channels.errors import VoiceAgentError, reason_of
from channels.happenings import Happening, SessionStarted
from channels.ports import AudioTrackHeard, ParticipantCame, ParticipantKind, RoomEvent, TrackSource
from channels.secret import Secret
from channels.settings import Accounts, ApiAccount, BargeInSettings, LiveKitAccount, Settings
from channels.streams import Addition
from channels.taps import Taps
from channels.wire.events import (
    AgentTranscript,
    AgentTranscriptDelta,
    ReplyAudio,
    ReplyDone,
    ReplyStarted,
    SessionReady,
    SpeechStarted,
    SpeechStopped,
    UserTranscript,
)
from commands.serve import run_actors
from playground.voice_agent_api import (
    Expect,
    PersonSpeaks,
    Script,
    Send,
    ServerOptions,
    Step,
    VoiceAgentServer,
)
from sound.pcm import SAMPLE_RATE_HZ, bytes_of_ms, ms_of_bytes
from tests.actors.test_front_end import Board

__all__ = ["Call", "Ears", "Microphone", "call_at", "scripted_call", "tone"]

# Words are understood in a thread, which knows no clock.
SETTINGS = Settings("tea-room", barge_in=BargeInSettings(short_sounds="voice"))
ACCOUNTS = Accounts(
    LiveKitAccount("ws://127.0.0.1:7880", "key", Secret("a-secret-of-livekit-0123456789abcdef")),
    ApiAccount("ws://127.0.0.1:4711/v1/ws", api_key=Secret("a-key-0123456789abcdef")),
)

LOUD = 3000
WINDOW_MS = 32


def tone(ms: float, level: int = LOUD) -> bytes:
    """Sound of one loudness."""
    return level.to_bytes(2, "little", signed=True) * (bytes_of_ms(ms) // 2)


@define(eq=False)
class Microphone:
    """Alice's microphone: silence, and the sounds that were asked for, where the clock has them."""

    sid: str = "TR_alice"
    identity: str = "alice"
    kind: ParticipantKind = ParticipantKind.PERSON
    source: TrackSource = TrackSource.MICROPHONE
    recorded_before: bool = False
    muted: bool = False
    jitter_s: Callable[[], float] = lambda: 0.0
    """How late a frame comes."""
    _sounds: list[tuple[float, bytes]] = field(factory=list)

    def sounds(self, pcm: bytes, at: float) -> None:
        """This will be heard."""
        self._sounds.append((at, pcm))

    @asynccontextmanager
    async def frames(
        self, frame_ms: int, at_once: Callable[[], bool] | None = None
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        yield self._frames(frame_ms, at_once)

    async def _frames(self, frame_ms: int, at_once: Callable[[], bool] | None) -> AsyncIterator[bytes]:
        begins, place_ms = trio.current_time(), 0
        while True:
            step_ms = 10 if at_once is not None and at_once() else frame_ms - place_ms
            frame_s, place_ms = step_ms / 1000, (place_ms + step_ms) % frame_ms
            await trio.sleep_until(begins + frame_s + self.jitter_s())
            if not self.muted:
                yield call_at(self._sounds, begins, begins + frame_s)
            begins += frame_s


def call_at(pieces: Sequence[tuple[float, bytes]], begins: float, ends: float) -> bytes:
    """A span of sound that is made of pieces, with silence where there is none."""
    out = bytearray(2 * round((ends - begins) * SAMPLE_RATE_HZ))
    for at, pcm in pieces:
        first = 2 * round((at - begins) * SAMPLE_RATE_HZ)
        part = pcm[max(0, -first) :][: max(0, len(out) - max(0, first))]
        out[max(0, first) : max(0, first) + len(part)] = part
    return bytes(out)


@define(eq=False)
class Ears:
    """The agent's track, and what the room heard of it: pieces with the times at which they began."""

    steps_from: ClassVar[float | None] = None

    queue_ms: int = 100
    heard: list[tuple[float, bytes]] = field(factory=list)
    _dry_at: float = 0.0

    async def capture(self, pcm: bytes) -> None:
        room_at = self._dry_at - (self.queue_ms - ms_of_bytes(len(pcm))) / 1000
        with trio.CancelScope(shield=True):
            await trio.sleep_until(room_at)
        begins = max(trio.current_time(), self._dry_at)
        self.heard.append((begins, pcm))
        self._dry_at = begins + ms_of_bytes(len(pcm)) / 1000
        await trio.lowlevel.checkpoint()

    def clear(self) -> None:
        now = trio.current_time()
        kept = [(at, pcm[: max(0, 2 * round((now - at) * SAMPLE_RATE_HZ))]) for at, pcm in self.heard]
        self.heard = [(at, pcm) for at, pcm in kept if pcm]
        self._dry_at = min(self._dry_at, now)


@define(eq=False)
class _Room:
    events: list[RoomEvent]
    inside: bool = False
    _news: trio.Event = field(factory=trio.Event)

    def happens(self, event: RoomEvent) -> None:
        """Somebody types, comes or goes."""
        self.events.append(event)
        self._news.set()

    @asynccontextmanager
    async def join(self, url: str, token: Secret) -> AsyncIterator[AsyncIterator[RoomEvent]]:
        self.inside = True
        try:
            yield self._happen()
        finally:
            self.inside = False

    async def _happen(self) -> AsyncIterator[RoomEvent]:
        while True:
            while self.events:
                yield self.events.pop(0)
            self._news = trio.Event()
            await self._news.wait()


@frozen
class _Judged:
    probability: float
    pcm: bytes


@define
class _Judge:
    """Hears a sound that lasts; a clap is none."""

    _rest: bytes = b""

    def feed(self, pcm: bytes) -> Sequence[_Judged]:
        self._rest += pcm
        step = bytes_of_ms(WINDOW_MS)
        windows = [self._rest[at : at + step] for at in range(0, len(self._rest) - step + 1, step)]
        self._rest = self._rest[len(windows) * step :]
        return [_Judged(0.99 if all(window[1::2]) else 0.01, window) for window in windows]


async def _judge() -> _Judge:
    await trio.lowlevel.checkpoint()
    return _Judge()


@define(eq=False)
class Call:
    """A call, and all that can be seen of it from outside."""

    service: VoiceAgentServer
    microphone: Microphone
    ears: Ears
    room: _Room
    board: Board
    taps: Taps
    happenings: list[tuple[float, Happening]] = field(factory=list)
    """With their times."""
    failure: VoiceAgentError | None = None
    over: trio.Event = field(factory=trio.Event)
    agent: trio.CancelScope = field(factory=trio.CancelScope)

    def happened(self, kind: type[Any]) -> list[Any]:
        """All of a kind."""
        return [happening for _, happening in self.happenings if isinstance(happening, kind)]

    def asked(self, kind: type[Any]) -> list[Any]:
        """What the service was sent of a kind."""
        return [entry.what for entry in self.service.received if isinstance(entry.what, kind)]

    async def until(self, kind: type[Any], count: int = 1, *, within_s: float = 60) -> Any:
        """Waits until so many of a kind have happened; gives the last of them."""
        with trio.fail_after(within_s):
            while len(found := self.happened(kind)) < count:
                await trio.sleep(0.01)
        return found[count - 1]

    async def person_says(self, text: str, *, s: float = 1.0, interrupts: str = "") -> None:
        """Alice speaks; the service takes 0.3 s to notice each of beginning and end.

        If she interrupts a reply, the service decides so at the end of her sentence.
        """
        self.microphone.sounds(tone(s * 1000), trio.current_time())
        await trio.sleep(0.3)
        await self.service.send_event(SpeechStarted())
        await trio.sleep(s)
        await self.service.send_event(SpeechStopped())
        if interrupts:
            await self.service.send_event(ReplyDone(interrupts, "interrupted"))
        await self.service.send_event(UserTranscript(text))

    async def agent_says(self, reply_id: str, text: str, *, s: float = 2.0, pcm: bytes = b"") -> None:
        """The service sends a reply in one burst, its words spread evenly over its sound."""
        pcm = pcm or tone(s * 1000)
        words, send = text.split(), self.service.send_event
        word_ms = ms_of_bytes(len(pcm)) / max(1, len(words))
        await send(ReplyStarted(reply_id))
        for number, word in enumerate(words):
            await send(
                AgentTranscriptDelta(
                    word, reply_id, start_ms=int(number * word_ms), end_ms=int((number + 1) * word_ms)
                )
            )
        step = bytes_of_ms(100)
        for at in range(0, len(pcm), step):
            await send(ReplyAudio(pcm[at : at + step], reply_id))
        await send(AgentTranscript(text, reply_id))
        await send(ReplyDone(reply_id))

    async def service_interrupts(self, reply_id: str) -> None:
        """The service decides that the person speaks over a reply."""
        await self.service.send_event(SpeechStarted())
        await self.service.send_event(ReplyDone(reply_id, "interrupted"))
        await self.service.send_event(SpeechStopped())

    async def service_hears(self, text: str) -> None:
        """The service understands something that is no turn, and lets the agent speak."""
        await self.service.send_event(UserTranscript(text))

    async def leave(self) -> None:
        """Ctrl-C."""
        self.agent.cancel()
        await self.over.wait()


@asynccontextmanager
async def scripted_call(
    *additions: Addition, seed: int = 1, script: Script | None = None, settings: Settings = SETTINGS
) -> AsyncIterator[Call]:
    """A call that has begun: alice is in the room and the service listens.

    A script goes on from there by itself, and alice speaks where it says so; without one, the test tells
    the service what to say.
    """
    start: list[Step] = [Expect("session.update"), Send(SessionReady("sess_1"))]
    options = ServerOptions(script=script or Script(start), ping_s=None, record=100_000)
    server = VoiceAgentServer(options)
    microphone = Microphone()

    def speak(step: Step) -> None:
        if isinstance(step, PersonSpeaks):
            microphone.sounds(tone(step.ms), trio.current_time())

    assert server.script is not None
    server.script.watch(speak)
    room = _Room([ParticipantCame("alice", ParticipantKind.PERSON), AudioTrackHeard(microphone)])
    async with trio.open_nursery() as network:

        async def dial(url: str) -> trio.abc.Stream:
            await trio.lowlevel.checkpoint()
            near, far = memory_stream_pair()
            network.start_soon(server.serve_stream, far)
            return near

        ears, board = Ears(), Board()
        graph = runner.wire(
            settings,
            ACCOUNTS,
            LiveKitEdge(room, ears, board),
            dialer=dial,
            load_judge=_judge,
            random=Random(seed),
            additions=additions,
        )
        call = Call(server, microphone, ears, room, board, graph.taps)
        call.taps.overhear(lambda happening: call.happenings.append((trio.current_time(), happening)))

        async def serve() -> None:
            try:
                with call.agent:
                    await run_actors(graph)
            except (VoiceAgentError, BaseExceptionGroup) as error:
                call.failure = reason_of(error)
                if call.failure is None:
                    raise
            finally:
                call.over.set()

        network.start_soon(serve)
        await call.until(SessionStarted)
        yield call
        if not call.over.is_set():
            await call.leave()
        network.cancel_scope.cancel()
