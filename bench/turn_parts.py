"""One turn with the offline service: from the person's last sound to the agent's first, and its parts.

All times are `time.monotonic()`, which the processes of a machine share.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import attrs
import trio

from bench.guest import AUDIBLE_RMS, HeardFrame, rms
from channels.bounded import Receiver, Sender
from channels.wire.events import ReplyAudio, SpeechStopped, UserTranscript
from playground.ears import Ears as RecognisingEars
from playground.ears import HearingEvent
from playground.turns import TurnRules
from playground.voice_agent.local_speech import LocalSpeech
from playground.voice_agent.speech import Ears
from playground.voice_agent_api import VoiceAgentServer
from sound.pcm import SAMPLE_BYTES, bytes_of_ms, ms_of_bytes
from sound.recogniser import Recogniser

__all__ = ["Parts", "Recognition", "TimedSpeech", "audible_ms", "parts_of"]


@attrs.frozen
class Recognition:
    """One run of the recogniser."""

    began_at: float
    ended_at: float


class _TimedRecogniser:
    def __init__(self) -> None:
        self.recogniser = Recogniser()
        self.runs: list[Recognition] = []

    def transcribe(self, pcm: bytes) -> str:
        began_at = time.monotonic()
        text = self.recogniser.transcribe(pcm)
        self.runs.append(Recognition(began_at, time.monotonic()))
        return text


class TimedSpeech(LocalSpeech):
    """The offline ears and voices, and when the recogniser ran."""

    def __init__(self) -> None:
        super().__init__()
        self._timed = _TimedRecogniser()
        self._one = trio.CapacityLimiter(1)

    @property
    def runs(self) -> list[Recognition]:
        """All runs so far."""
        return self._timed.runs

    async def load(self) -> None:
        """Loads this recogniser too."""
        await super().load()
        await trio.to_thread.run_sync(self._timed.recogniser.warm)

    def ears(self, audio: Receiver[bytes], heard: Sender[HearingEvent], detection: TurnRules) -> Ears:
        """Ears with the recogniser that is timed."""
        return RecognisingEars(audio, heard, self._timed, detection, limiter=self._one, judge=self._judge)


@attrs.frozen
class Parts:
    """Where the time of a turn went, in ms. The first four are one after the other and make the whole."""

    endpointing: float
    """From the person's last sound to the decision that the turn is over, the way to the service included."""
    first_sound: float
    """From the decision to the first chunk of the reply: dialogue and synthesis."""
    leading_silence: float
    """From the first chunk to the first one in which there is something to hear."""
    room: float
    """From there to the first audible sound at a listener: websocket, agent, LiveKit, jitter buffer."""
    recognition: float
    """How long the recogniser took for the words that were answered. It runs during the endpointing."""
    words_early: float
    """How long before the decision the words were there; 0: it waited for them."""
    words: str = ""
    """What was understood."""

    @property
    def whole(self) -> float:
        """From the person's last sound to the agent's first at a listener."""
        return self.endpointing + self.answer

    @property
    def answer(self) -> float:
        """From the decision to the agent's first sound at a listener."""
        return self.first_sound + self.leading_silence + self.room


def audible_ms(pcm: bytes) -> float:
    """Where the last audible 10 ms of a recording end."""
    step = bytes_of_ms(10)
    ends = [
        start + step for start in range(0, len(pcm), step) if rms(pcm[start : start + step]) > AUDIBLE_RMS
    ]
    return ms_of_bytes(ends[-1] if ends else 0)


def parts_of(
    stopped_at: float,
    heard: HeardFrame,
    service: VoiceAgentServer,
    recognitions: Sequence[Recognition],
    clock_offset_s: float,
) -> Parts | None:
    """Takes a turn apart; None if the service did not answer the turn as a whole.

    Args:
        stopped_at: the person's last sound.
        heard: the agent's first audible sound at the listener.
        service: its record is looked at.
        recognitions: all runs of the recogniser.
        clock_offset_s: what has to be added to Trio's time to get `time.monotonic()`.
    """
    sent = [(entry.at_s + clock_offset_s, entry.what) for entry in service.sent]
    decisions = [at for at, what in sent if isinstance(what, SpeechStopped) and at < heard.at]
    if not decisions or decisions[-1] < stopped_at:
        return None
    decided_at = decisions[-1]
    chunks = [(at, what.data) for at, what in sent if isinstance(what, ReplyAudio) and at >= decided_at]
    audible_at = next((at for at, pcm in chunks if _audible(pcm)), None)
    runs = [run for run in recognitions if run.ended_at <= decided_at + 0.005]
    if audible_at is None or not runs:
        return None
    words = [what.text for _, what in sent if isinstance(what, UserTranscript)]
    return Parts(
        endpointing=(decided_at - stopped_at) * 1000,
        first_sound=(chunks[0][0] - decided_at) * 1000,
        leading_silence=(audible_at - chunks[0][0]) * 1000,
        room=(heard.at - audible_at) * 1000,
        recognition=(runs[-1].ended_at - runs[-1].began_at) * 1000,
        words_early=max(0.0, decided_at - runs[-1].ended_at) * 1000,
        words=words[-1] if words else "",
    )


def _audible(pcm: bytes) -> bool:
    return len(pcm) >= SAMPLE_BYTES and rms(pcm) > AUDIBLE_RMS
