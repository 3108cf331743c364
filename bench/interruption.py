"""One interruption, from the reply's first chunk to the silence after it.

The service of this bench speaks a reply as a long tone, in real time or all at once. At a given moment
after the listener heard its first sound, it does what the protocol does when a person speaks over the
agent: `input.speech.started`, `transcript.agent{interrupted}`, `reply.done{interrupted}`, in one go. Then
it is at fault as the protocol reference says that a service may be: a chunk of the same reply right behind
these, and more of it a little later, in another pitch. A client must not let any of that be heard.

A try ends when the listener has heard nothing for a while, or at a cap; the next begins in silence.
"""

from __future__ import annotations

import enum
import time
from collections.abc import Sequence

import attrs
import trio

from bench.guest import Guest
from bench.heard import Heard, judge
from bench.pitch import LATE_HZ, REPLY_HZ, tone
from bench.programs import Program
from channels.wire.events import AgentTranscript, ReplyAudio, ReplyDone, ReplyStarted, SpeechStarted
from playground.voice_agent_api import VoiceAgentServer
from sound.pcm import bytes_of_ms

__all__ = ["QUIET_S", "Conditions", "Mouth", "Pacing", "Stage", "Try", "chunks_of", "interrupt"]

QUIET_S = 0.3
"""A try is over when so much silence was heard: four times a sound's way to the listener (75 ms)."""

_HEARD_WITHIN_S = 5.0
_LATE_AFTER_S = 0.3
"""The later part of the late sound comes when any flush is over, and falls on a silent line."""
_SILENT_WITHIN_S = 30.0


class Pacing(enum.Enum):
    """How fast a reply's sound comes from the service."""

    REAL_TIME = "real time"
    BURST = "burst"


@attrs.frozen
class Conditions:
    """What is the same for all tries."""

    reply_s: float = 10.0
    chunk_ms: int = 10
    """Sound in one `reply.audio`: 10 ms were recorded from the live service."""
    late_ms: int = 200
    """Sound sent after the interruption: a chunk at once, the rest 0.3 s later."""
    cap_s: float = 12.0
    """A try ends so long after the event, silent or not."""


@attrs.frozen
class Stage:
    """Where an interruption takes place."""

    program: Program
    guest: Guest
    service: VoiceAgentServer
    conditions: Conditions


@attrs.frozen
class Try:
    """One try: what was done and what was heard."""

    into_ms: float
    """From the reply's first audible sound at the listener to the event."""
    sent_ms: int
    """How much of the reply the service had handed to its socket by the event."""
    at_cap: bool
    """It was not silent when the cap came: the true figures are larger."""
    heard: Heard


async def interrupt(stage: Stage, pacing: Pacing, reply_id: str, into_s: float) -> Try:
    """Lets the agent speak, interrupts it, and listens until it is quiet.

    Args:
        stage: who takes part.
        pacing: of the reply.
        reply_id: an id that was not used before.
        into_s: from the reply's first audible sound to the interruption, in seconds.

    Raises:
        ProgramFailed: the agent lost the service, did not say the reply, or never stops.
    """
    guest, program, conditions = stage.guest, stage.program, stage.conditions
    if stage.service.connections != 1:
        raise program.failure(f"it has {stage.service.connections} connections to the service instead of one")
    reply = chunks_of(tone(REPLY_HZ, conditions.reply_s * 1000), conditions.chunk_ms)
    guest.heard.clear()
    mouth = Mouth(stage.service, reply_id)
    async with trio.open_nursery() as nursery:
        speaking = await nursery.start(mouth.speak, reply, conditions.chunk_ms, pacing)
        try:
            first = await guest.hear_sound(within_s=_HEARD_WITHIN_S)
        except trio.TooSlowError:
            raise program.failure(f"{reply_id} was not heard within {_HEARD_WITHIN_S:.0f} s") from None
        await trio.sleep(first.at + into_s - time.monotonic())
        speaking.cancel()
        event_at = time.monotonic()
        with trio.move_on_after(conditions.cap_s) as cap:
            await mouth.be_interrupted(tone(LATE_HZ, conditions.late_ms), conditions.chunk_ms)
            await guest.hear_silence(for_s=QUIET_S, within_s=conditions.cap_s)
    heard = judge(guest.heard, event_at)
    if cap.cancelled_caught:
        # The next try shall owe nothing to this one.
        try:
            await guest.hear_silence(for_s=QUIET_S, within_s=_SILENT_WITHIN_S)
        except trio.TooSlowError:
            raise program.failure(f"{reply_id} went on for {_SILENT_WITHIN_S:.0f} s after the cap") from None
    return Try(
        into_ms=(event_at - first.at) * 1000,
        sent_ms=mouth.chunks_sent * conditions.chunk_ms,
        at_cap=cap.cancelled_caught,
        heard=heard,
    )


class Mouth:
    """The service's side of one reply."""

    def __init__(self, service: VoiceAgentServer, reply_id: str) -> None:
        self._service = service
        self._reply_id = reply_id
        self.chunks_sent = 0

    async def speak(
        self,
        chunks: Sequence[bytes],
        chunk_ms: int,
        pacing: Pacing,
        *,
        ahead_ms: int = 0,
        task_status: trio.TaskStatus[trio.CancelScope],
    ) -> None:
        """Sends the reply until it is through or the scope that it starts with is cancelled.

        In real time it stays ahead of it by `ahead_ms`, which come at once.
        """
        with trio.CancelScope() as scope:
            task_status.started(scope)
            await self._service.send_event(ReplyStarted(self._reply_id))
            start = trio.current_time()
            for number, pcm in enumerate(chunks):
                if pacing is Pacing.REAL_TIME:
                    await trio.sleep_until(start + (number * chunk_ms - ahead_ms) / 1000)
                await self._service.send_event(ReplyAudio(pcm, self._reply_id))
                self.chunks_sent += 1

    async def be_interrupted(self, late: bytes, chunk_ms: int) -> None:
        """Sends the events of an interruption, then sound that should not come any more."""
        await self._service.send_event(SpeechStarted())
        await self._service.send_event(AgentTranscript("A tone", self._reply_id, interrupted=True))
        await self._service.send_event(ReplyDone(self._reply_id, "interrupted"))
        at_once, *later = chunks_of(late, chunk_ms) or [b""]
        if at_once:
            await self._service.send_event(ReplyAudio(at_once, self._reply_id))
        await trio.sleep(_LATE_AFTER_S)
        for pcm in later:
            await self._service.send_event(ReplyAudio(pcm, self._reply_id))


def chunks_of(pcm: bytes, chunk_ms: int) -> list[bytes]:
    """The sound in pieces of one event each."""
    step = bytes_of_ms(chunk_ms)
    return [pcm[offset : offset + step] for offset in range(0, len(pcm), step)]
