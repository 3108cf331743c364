"""One interruption as the live service decides it today ("form 2"): late, and streaming on meanwhile.

A person speaks over a reply. The service says `input.speech.started` with the first recognised word, 1.2 to
1.8 s after their first sound, and goes on sending the reply's sound. `input.speech.stopped` and the decision,
`transcript.agent` and `reply.done` with `interrupted`, come together when the sentence is over, 1.5 to 2.1 s
later. Whatever is heard of the reply after the person's first sound is stale. Times are those of nine
interruptions that were recorded (September 29, 2026).
"""

from __future__ import annotations

import functools
import time
from random import Random

import attrs
import numpy as np
import trio

from bench.caller import Caller
from bench.heard import judge
from bench.interruption import QUIET_S, Mouth, Pacing, Stage, Try, chunks_of
from bench.pitch import REPLY_HZ, tone
from bench.speech import spoken
from channels.wire.events import AgentTranscript, ReplyDone, SpeechStarted, SpeechStopped
from sound.pcm import SAMPLE_RATE_HZ

__all__ = ["LateDecision", "be_talked_over"]

_RECOGNISED_S = (1.214, 1.768)
_SENTENCE_S = (1.475, 2.1)
_INTO_S = (1.0, 3.0)
_HEARD_WITHIN_S = 5.0
_SILENT_WITHIN_S = 30.0
_SENTENCES = (
    "Wait, can you repeat the question?",
    "Stop, that is not what I asked for.",
    "Hold on, I wanted to know something else.",
)


@attrs.frozen
class LateDecision:
    """A person's sentence, and when the service says what of it; the same for each program."""

    sentence: str
    into_s: float
    """From the reply's first sound to the person's."""
    recognised_s: float
    """From the person's first sound to `input.speech.started`."""
    decided_s: float
    """From the person's first sound to the decision."""

    @classmethod
    def drawn(cls, random: Random) -> LateDecision:
        """One of those that were recorded, or between them."""
        recognised_s = random.uniform(*_RECOGNISED_S)
        decided_s = recognised_s + random.uniform(*_SENTENCE_S)
        return cls(random.choice(_SENTENCES), random.uniform(*_INTO_S), recognised_s, decided_s)


async def be_talked_over(
    stage: Stage, caller: Caller, pacing: Pacing, reply_id: str, late: LateDecision
) -> Try:
    """Lets the agent speak and a person talk over it; the event of this try is the person's first sound.

    Args:
        stage: who takes part.
        caller: the person: the listener's microphone.
        pacing: of the reply.
        reply_id: an id that was not used before.
        late: what happens when.

    Raises:
        ProgramFailed: the agent lost the service, did not say the reply, or never stops.
    """
    guest, program, service, conditions = stage.guest, stage.program, stage.service, stage.conditions
    if service.connections != 1:
        raise program.failure(f"it has {service.connections} connections to the service instead of one")
    reply = chunks_of(tone(REPLY_HZ, conditions.reply_s * 1000), conditions.chunk_ms)
    guest.heard.clear()
    mouth = Mouth(service, reply_id)
    async with trio.open_nursery() as nursery:
        speaking = await nursery.start(mouth.speak, reply, conditions.chunk_ms, pacing)
        try:
            first = await guest.hear_sound(within_s=_HEARD_WITHIN_S)
        except trio.TooSlowError:
            raise program.failure(f"{reply_id} was not heard within {_HEARD_WITHIN_S:.0f} s") from None
        await trio.sleep(first.at + late.into_s - time.monotonic())
        spoke_at = await caller.sound(_sentence(late.sentence))
        await trio.sleep(spoke_at + late.recognised_s - time.monotonic())
        await service.send_event(SpeechStarted())
        await trio.sleep(spoke_at + late.decided_s - time.monotonic())
        speaking.cancel()
    with trio.move_on_after(conditions.cap_s) as cap:
        await service.send_event(SpeechStopped())
        await service.send_event(AgentTranscript("A tone", reply_id, interrupted=True))
        await service.send_event(ReplyDone(reply_id, "interrupted"))
        await guest.hear_silence(for_s=QUIET_S, within_s=conditions.cap_s)
    heard = judge(guest.heard, spoke_at)
    if cap.cancelled_caught:
        try:
            await guest.hear_silence(for_s=QUIET_S, within_s=_SILENT_WITHIN_S)
        except trio.TooSlowError:
            raise program.failure(f"{reply_id} went on for {_SILENT_WITHIN_S:.0f} s after the cap") from None
    return Try(
        into_ms=(spoke_at - first.at) * 1000,
        sent_ms=mouth.chunks_sent * conditions.chunk_ms,
        at_cap=cap.cancelled_caught,
        heard=heard,
    )


@functools.cache
def _sentence(text: str) -> bytes:
    """A synthetic voice, from its first sound on."""
    samples = np.frombuffer(spoken(text), "<i2").astype(float)
    step = SAMPLE_RATE_HZ // 100
    steps = samples[: len(samples) // step * step].reshape(-1, step)
    loudness = np.sqrt(np.mean(steps**2, axis=1))
    first = int(np.argmax(loudness > 0.1 * loudness.max()))
    return bytes(steps[first:].astype("<i2").tobytes())
