"""The ears of the offline service: sound in, what somebody said out.

Each chunk of sound is judged in windows of 32 ms (`vad`), a state machine makes turns of them (`turns`),
and a recogniser in a worker thread makes words of the turn (`recogniser`). While somebody speaks, the turn
so far is recognised again with every half second or more of new sound, one run at a time. When they stop,
the whole of it is recognised at once, and its sound judged (`sound.smart_turn`): the words and the sound
say how long the silence has to last (`TurnRules.patience_ms`). Without somebody who judges sound, or under
silences that a client has set, the words decide when the silence has lasted `min_silence`: they are there
by then.

Time is sound: at a candidate end the next window waits until words and judgement are known, so a slow machine
delays an answer and never changes it. Ends when `audio` ends (an open turn is ended with what was said) and
closes both of its channels, also when cancelled; a recognition that is under way is then left to itself.
"""

from __future__ import annotations

from typing import Protocol, TypeAlias

import attrs
import trio

from channels.bounded import Receiver, Sender
from playground.completeness import ending
from playground.turns import ADAPTIVE, EndOfTurn, Lull, Onset, Pause, Stir, TurnDetector, TurnEvent, TurnRules
from sound.humming import is_hummed
from sound.pcm import SAMPLE_BYTES, bytes_of_ms
from sound.recogniser import LONGEST_PIECE_MS
from sound.vad import WINDOW_RATE_HZ, Vad

__all__ = [
    "Ears",
    "HearingEvent",
    "Judge",
    "PartialWords",
    "SpeechOnset",
    "SpeechStirs",
    "Transcriber",
    "TurnEnded",
    "TurnMayEnd",
]

_PARTIAL_EVERY_MS = 480
"""New sound between two runs of the recogniser while somebody speaks: one or two words …"""
_PARTIAL_SHARE = 8
"""… and at least this fraction of what a run has to go through, so that it takes about a third of a core."""

_SLICE_BYTES = bytes_of_ms(256)
"""Sound that is judged without a checkpoint in between: 8 windows, about 1 ms of work."""

_LONGEST_HUM_BYTES = round(WINDOW_RATE_HZ * 1.5) * SAMPLE_BYTES
"""A second of it, and half of what a turn keeps around it. The longest of 36 synthetic ones has 0.6 s."""


@attrs.frozen
class SpeechOnset:
    """Somebody has begun to speak. Each turn has exactly one, before everything else of it."""

    brief: bool = False
    """The turn ends with less speech than `interruption_delay`: too little to interrupt a reply for by its
    sound alone. `TurnEnded` follows at once and says what it was ("yes", "stop", or a cough)."""
    ago_ms: int = attrs.field(default=0, eq=False)
    """How much sound came since its first window of speech, that one included."""


@attrs.frozen
class SpeechStirs:
    """Perhaps somebody begins to speak; a `SpeechOnset` and a `TurnEnded` follow in any case. No reason to
    tell anybody, but to begin nothing either.
    """


@attrs.frozen
class PartialWords:
    """What was said so far in this turn: the whole text, in place of the one before."""

    text: str


@attrs.frozen
class TurnMayEnd:
    """Somebody has stopped, and if they say no more, this is all: the turn ends with the same words."""

    text: str
    """As in `TurnEnded`."""


@attrs.frozen
class TurnEnded:
    """The turn is over."""

    text: str
    """What was said; "" for a noise without words."""
    hummed: bool = False
    """It was short, and said with the mouth closed: an "mm-hm", of which the recogniser makes other words."""


HearingEvent: TypeAlias = SpeechStirs | SpeechOnset | PartialWords | TurnMayEnd | TurnEnded


class Transcriber(Protocol):
    """What the ears need of a recogniser."""

    def transcribe(self, pcm: bytes) -> str:
        """Gives the words of `pcm` (PCM16 mono 16 kHz). May take its time: called in a worker thread."""


class Judge(Protocol):
    """Tells by the sound whether somebody has finished."""

    def probability(self, pcm: bytes) -> float:
        """That a turn (PCM16 mono 16 kHz) is complete, 0 to 1. Called in a worker thread."""


@attrs.define(eq=False)
class _Turn:
    """What was told of one turn."""

    begun: bool = False
    shown: str = ""
    asked_ms: int = 0
    """How long the turn was when its words were last asked for."""


@attrs.define(eq=False)
class Ears:
    """Hears turns. Takes about 5 ms of CPU a second in the event loop; recognition is in worker threads."""

    audio: Receiver[bytes]
    """PCM16 mono 24 kHz, chunks of any length."""
    heard: Sender[HearingEvent]
    recogniser: Transcriber
    detection: TurnRules = ADAPTIVE
    limiter: trio.CapacityLimiter = attrs.field(factory=lambda: trio.CapacityLimiter(1))
    """How many recognitions may run at once; shared by those who should share the machine's cores."""
    judge: Judge | None = None
    """None: the words decide alone."""
    judging: trio.CapacityLimiter = attrs.field(factory=lambda: trio.CapacityLimiter(1))
    """The same as `limiter`, for the judge."""

    _detector: TurnDetector = attrs.field(init=False)
    _recogniser_queue: _UtteranceRecogniser = attrs.field(init=False)
    _telling: trio.Lock = attrs.field(init=False, factory=trio.Lock)
    _life: trio.CancelScope = attrs.field(init=False, factory=trio.CancelScope)
    _turn: _Turn = attrs.field(init=False, factory=_Turn)

    def __attrs_post_init__(self) -> None:
        """Makes the parts that `detection` and `recogniser` decide."""
        self._detector = TurnDetector(self.detection)
        self._recogniser_queue = _UtteranceRecogniser(self.recogniser, self.limiter)

    def configure(self, detection: TurnRules) -> None:
        """Changes the turn detection from the next window on, inside a turn as well."""
        self.detection = self._detector.detection = detection

    async def run(self) -> None:
        """Hears until `audio` ends, or nobody reads `heard` any more.

        Raises:
            ModelMissing: a model is not installed.
        """
        async with self.audio, self.heard:
            vad = await trio.to_thread.run_sync(Vad)
            with self._life:
                await self._listen(vad)

    async def _listen(self, vad: Vad) -> None:
        async with trio.open_nursery() as nursery:
            async for chunk in self.audio:
                for start in range(0, len(chunk), _SLICE_BYTES):
                    for window in vad.feed(chunk[start : start + _SLICE_BYTES]):
                        await self._follow(self._detector.hear(window), nursery)
                        self._ask_for_words(nursery)
                    await trio.lowlevel.checkpoint()
            await self._follow(self._detector.end_turn(), nursery)

    async def _follow(self, events: list[TurnEvent], nursery: trio.Nursery) -> None:
        for event in events:
            match event:
                case Stir():
                    await self._tell(SpeechStirs())
                case Onset(brief, ago_ms):
                    async with self._telling:
                        self._turn.begun = True
                        await self._tell(SpeechOnset(brief, ago_ms))
                case Lull(utterance):
                    self._turn.asked_ms = self._detector.turn_ms
                    nursery.start_soon(self._show_all, self._turn, utterance)
                    if self.judge is not None and self.detection.adaptive:
                        await self._end_after(utterance, await self._complete(self.judge, utterance), nursery)
                case Pause(utterance):
                    # Unless `max_silence` has ended the turn in the same window: then it is next in line.
                    await self._end_after(utterance, None, nursery)
                case EndOfTurn(utterance):
                    words = await self._recogniser_queue.words(utterance)
                    async with self._telling:
                        self._turn = _Turn()
                        await self._tell(TurnEnded(words, _hummed(utterance)))

    async def _complete(self, judge: Judge, utterance: bytes) -> float:
        # Beside the recogniser, which was asked before: two cores have room for both.
        return await trio.to_thread.run_sync(
            judge.probability, utterance, limiter=self.judging, abandon_on_cancel=True
        )

    async def _end_after(self, utterance: bytes, complete: float | None, nursery: trio.Nursery) -> None:
        words = ending(await self._recogniser_queue.words(utterance))
        patience_ms = self.detection.patience_ms(words, complete)
        await self._follow(self._detector.end_after(patience_ms), nursery)

    def _ask_for_words(self, nursery: trio.Nursery) -> None:
        turn_ms = self._detector.turn_ms
        every_ms = max(_PARTIAL_EVERY_MS, min(turn_ms, LONGEST_PIECE_MS) // _PARTIAL_SHARE)
        due = turn_ms - self._turn.asked_ms >= every_ms
        if due and self._turn.begun and self._detector.speaking and not self._recogniser_queue.busy:
            self._turn.asked_ms = turn_ms
            nursery.start_soon(self._show, self._turn, self._detector.utterance())

    async def _show_all(self, turn: _Turn, utterance: bytes) -> None:
        words = await self._show(turn, utterance)
        async with self._telling:
            if turn is self._turn and words and not self._detector.speaking:
                await self._tell(TurnMayEnd(words))

    async def _show(self, turn: _Turn, utterance: bytes) -> str:
        words = await self._recogniser_queue.words(utterance)
        async with self._telling:
            # The turn may have ended, or may not have been told of yet, while this was recognised.
            if turn is self._turn and turn.begun and words not in ("", turn.shown):
                turn.shown = words
                await self._tell(PartialWords(words))
        return words

    async def _tell(self, event: HearingEvent) -> None:
        try:
            await self.heard.send(event)
        except trio.BrokenResourceError:
            self._life.cancel()  # whoever listened is gone: not our fault, and nothing is left to do


def _hummed(utterance: bytes) -> bool:
    return len(utterance) <= _LONGEST_HUM_BYTES and is_hummed(utterance)


class _UtteranceRecogniser:
    """Recognises one utterance at a time, in the order in which they were asked for; remembers the last."""

    def __init__(self, recogniser: Transcriber, limiter: trio.CapacityLimiter) -> None:
        self._recogniser = recogniser
        self._limiter = limiter
        self._one_at_a_time = trio.Lock()
        self._utterance = b""
        self._words = ""

    @property
    def busy(self) -> bool:
        return self._one_at_a_time.locked()

    async def words(self, utterance: bytes) -> str:
        async with self._one_at_a_time:
            if utterance != self._utterance:
                self._words = await trio.to_thread.run_sync(
                    self._recogniser.transcribe, utterance, limiter=self._limiter, abandon_on_cancel=True
                )
                self._utterance = utterance
            return self._words
