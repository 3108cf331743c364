"""Scripted calls: a service and a person who say what a script says, when it says so.

The deciding actors of `runner.wire` run in virtual time, before a loudspeaker whose captures land late, as
real ones do. What they do is recorded to a real file.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any, ClassVar, cast

import trio
from attrs import define, field, frozen
from trio.testing import MockClock

import runner
from actors.barge_in import BargeInController
from actors.record.file import RecordFile
from actors.record.recorder import RecordTap
from actors.room.livekit_edge import LiveKitEdge
from actors.speaker import SpeakerPump
from actors.timers import TurnTimer
from channels.happenings import PersonTyped, SoundStarted, SoundStopped
from channels.messages import ApiEvent
from channels.secret import Secret
from channels.settings import Accounts, ApiAccount, BargeInSettings, LiveKitAccount, Settings, SpeakerSettings
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
    UserTranscriptDelta,
)
from sound.pcm import bytes_of_ms

__all__ = ["ACCOUNTS", "KEY", "LIVEKIT_SECRET", "SETTINGS", "Cue", "Script", "record_call"]

KEY = "a-key-that-nobody-may-see-0123456789"
LIVEKIT_SECRET = "a-secret-of-livekit-that-nobody-may-see"
ACCOUNTS = Accounts(
    LiveKitAccount("ws://127.0.0.1:7880", "APIkey", Secret(LIVEKIT_SECRET)),
    ApiAccount("ws://127.0.0.1:4711/v1/ws", api_key=Secret(KEY)),
)
SETTINGS = Settings(
    "tea room",
    speaker=SpeakerSettings(100),
    barge_in=BargeInSettings(longest_hold_ms=3000, linger_ms=800),
)

MS_A_CHARACTER = 70


@frozen
class Cue:
    """What comes, and when (s)."""

    at: float
    what: ApiEvent | SoundStarted | SoundStopped | PersonTyped


@define
class Script:
    """A call, written down."""

    cues: list[Cue] = field(factory=list)
    random: Random = field(factory=lambda: Random(5))

    def session(self, at: float, session_id: str = "sess_1", **config: Any) -> None:
        self._cue(at, SessionReady(session_id, config, 1_790_000_000, "resume-token-that-nobody-may-see"))

    def reply(
        self, at: float, reply_id: str, text: str, *, burst: bool = False, stops_at: float = 1e9
    ) -> float:
        """The service answers; gives when the last of its sound would have been heard."""
        self._cue(at, ReplyStarted(reply_id))
        place = 120.0  # replies begin with silence
        self._cue(at, ReplyAudio(bytes(bytes_of_ms(place)), reply_id))
        for word in text.split():
            length = MS_A_CHARACTER * len(word) + 90.0
            comes = at if burst else at + place / 1000
            if comes >= stops_at:
                break
            self._cue(comes, AgentTranscriptDelta(f" {word}", reply_id, "", int(place), int(place + length)))
            for begin in range(0, int(length), 50):
                pcm = b"\x10\x20" * (bytes_of_ms(min(50.0, length - begin)) // 2)
                self._cue(comes if burst else comes + begin / 1000, ReplyAudio(pcm, reply_id))
            place += length
        ends = at + place / 1000
        if stops_at > 1e8:
            self._cue(at + 0.01 if burst else ends, AgentTranscript(text, reply_id))
            self._cue(at + 0.01 if burst else ends, ReplyDone(reply_id))
        else:
            self._cue(stops_at, ReplyDone(reply_id, "interrupted"))
        return ends

    def sound(self, begins: float, ends: float) -> None:
        """The person makes a sound, which the detector notices a little later."""
        self._cue(begins + 0.09, SoundStarted(begins))
        self._cue(ends + 0.31, SoundStopped(ends))

    def types(self, at: float, text: str) -> None:
        """The person types something."""
        self._cue(at, PersonTyped("alice", text))

    def says(
        self, begins: float, ends: float, text: str, *, named_after: float = 0.3, interrupts: str = ""
    ) -> None:
        """The person says something and the service understands; at its end it may decide on a reply."""
        self.sound(begins, ends)
        self._cue(begins + named_after, SpeechStarted())
        words = text.split()
        for count in range(1, len(words)):
            heard_at = begins + named_after + (ends - begins - named_after) * count / len(words)
            self._cue(heard_at, UserTranscriptDelta(" ".join(words[:count])))
        self._cue(ends + 0.6, SpeechStopped())
        if interrupts:
            self._cue(ends + 0.61, ReplyDone(interrupts, "interrupted"))
        self._cue(ends + 0.65, UserTranscript(text))

    def _cue(self, at: float, what: ApiEvent | SoundStarted | SoundStopped | PersonTyped) -> None:
        self.cues.append(Cue(at, what))


@define
class LateLoudspeaker:
    """Captures land up to 8 ms late."""

    steps_from: ClassVar[float | None] = None

    random: Random

    async def capture(self, pcm: bytes) -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(self.random.uniform(0, 0.008))

    def clear(self) -> None:
        pass


def record_call(
    path: Path, script: Script, *, ends_at: float, settings: Settings = SETTINGS, jitter_s: float = 0.008
) -> Path:
    """Takes the call to its end, at `ends_at` s, and records it."""
    trio.run(
        functools.partial(_take_place, path, script.cues, ends_at, settings, jitter_s),
        clock=MockClock(autojump_threshold=0),
    )
    return path


async def _take_place(
    path: Path, cues: Sequence[Cue], ends_at: float, settings: Settings, jitter_s: float
) -> None:
    await trio.sleep(1234.5)  # a machine that has been up for a while
    random, nobody = Random(7), cast(Any, None)
    ear, started = RecordTap(capacity=1_000_000), trio.current_time()
    graph = runner.wire(settings, ACCOUNTS, LiveKitEdge(nobody, LateLoudspeaker(random), nobody))
    file = RecordFile.create(path, settings, ACCOUNTS.secrets, started=started, with_sound=False)
    c, taps = graph.channels, graph.taps
    ear.listen(c.recorded(with_sound=False), taps, graph.seen)
    service, sounds = c.service.sender(), c.sounds.sender()
    async with trio.open_nursery() as nursery:
        for actor in (*graph.conversation, *graph.bystanders):
            if isinstance(actor, BargeInController | SpeakerPump | TurnTimer):
                nursery.start_soon(actor.run)
        for cue in _late(cues, random, jitter_s):
            await trio.sleep_until(started + cue.at)
            match cue.what:
                case SoundStarted(at=at):
                    sound: SoundStarted | SoundStopped = SoundStarted(started + at)
                    taps.publish(sound)
                    sounds.send_nowait(sound)
                case SoundStopped(at=at):
                    sound = SoundStopped(started + at)
                    taps.publish(sound)
                    sounds.send_nowait(sound)
                case PersonTyped() as typed:
                    taps.publish(typed)
                case event:
                    service.send_nowait(event)
        await trio.sleep_until(started + ends_at)
        nursery.cancel_scope.cancel()
    ear.close()
    file.write([noted async for noted in ear.channel.receiver()], 0)
    file.end(trio.current_time())


def _late(cues: Sequence[Cue], random: Random, jitter_s: float) -> Iterator[Cue]:
    """In the order of their times, each a little later than it should be, none before another."""
    now = 0.0
    for cue in sorted(cues, key=lambda cue: cue.at):
        now = max(now, cue.at + random.uniform(0, jitter_s))
        yield Cue(now, cue.what)
