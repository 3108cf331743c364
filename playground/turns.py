"""When somebody begins to speak, pauses and finishes: a pure state machine over judged windows of sound.

No input or output, no clock: the only time is the number of windows heard (32 ms each), so the same sound
gives the same events at any speed. A window is LOUD (at or above the threshold), LOW (0.15 or more below
it, Silero's own hysteresis) or FAINT (between). Two loud windows in a row make speech; one is a click.

    state      LOUD        FAINT       LOW         meaning
    QUIET      RISING      QUIET       QUIET       nobody speaks
    RISING     SPEAKING    QUIET       QUIET       one loud window: a click, or the first of a word
    SPEAKING   SPEAKING    SPEAKING    PAUSING     a turn is open and somebody speaks
    PAUSING    STIRRING    PAUSING     PAUSING     a turn is open and nobody speaks: silence is counted
    STIRRING   SPEAKING    PAUSING     PAUSING     one loud window in a pause; counted as silence so far

While PAUSING, the silence leads to `Lull` (the moment to begin recognising, and to judge the sound),
`Pause` (`min_silence`: a candidate for the end) and `EndOfTurn` (`max_silence`). At the first two, the
owner may say how long the turn has to be silent (`end_after`). Speech that resumes before the end belongs
to the same turn. Every turn has one `Stir`, one `Onset` and one `EndOfTurn`.
"""

from __future__ import annotations

import collections
import enum
from collections.abc import Callable
from typing import Any, NoReturn, TypeAlias

import attrs

from channels.errors import SettingsError
from playground.completeness import Ending
from sound.vad import WINDOW_MS, Window

__all__ = [
    "ADAPTIVE",
    "LULL_MS",
    "EndOfTurn",
    "Lull",
    "Onset",
    "Pause",
    "Stir",
    "TurnDetector",
    "TurnEvent",
    "TurnRules",
]


_Validator: TypeAlias = Callable[[object, "attrs.Attribute[Any]", object], None]


def _refuse(field: attrs.Attribute[Any], value: object, allowed: str) -> NoReturn:
    raise SettingsError(f"turn_detection.{field.name} is {value!r}", f"give {allowed}")


def _ms_up_to(most: int) -> _Validator:
    def check(_: object, field: attrs.Attribute[Any], value: object) -> None:
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
            _refuse(field, value, f"a whole number from 0 to {most} ms")

    return check


def _fraction(_: object, field: attrs.Attribute[Any], value: object) -> None:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value <= 1:
        _refuse(field, value, "a number from 0 to 1")


def _yes_or_no(_: object, field: attrs.Attribute[Any], value: object) -> None:
    if not isinstance(value, bool):
        _refuse(field, value, "true or false")


@attrs.frozen
class TurnRules:
    """The protocol's `session.input.turn_detection`, with everything that was left out filled in.

    The defaults are the ones of the service's schema, which hold as soon as a client sends the object
    (protocol reference 5.2). For a client that sends none, use `ADAPTIVE`.

    Raises:
        SettingsError: a value is out of its range; the text names setting, value and range.
    """

    vad_threshold: float = attrs.field(default=0.5, validator=_fraction)
    """Probability from which a window counts as speech; higher ignores more noise."""
    min_silence: int = attrs.field(default=1000, validator=_ms_up_to(60_000))
    """Silence (ms) after which a turn ends if its words are a finished sentence."""
    max_silence: int = attrs.field(default=3000, validator=_ms_up_to(60_000))
    """Silence (ms) after which a turn ends in any case. A ceiling: below `min_silence` it wins."""
    interruption_delay: int = attrs.field(default=500, validator=_ms_up_to(1000))
    """Speech (ms, pauses not counted) before the onset is told. 500 is the service's value in its default
    transcription mode, `balanced`; in `min_latency` it is 0."""
    interrupt_response: bool = attrs.field(default=True, validator=_yes_or_no)
    """Whether speech cuts a reply. For the owner; the detector does not look at it."""
    adaptive: bool = False
    """Where the sound can be judged, it decides together with the words, and the two silences do not. Not
    of the protocol: a client that sets a silence gets what it asked for."""

    def patience_ms(self, words: Ending, complete: float | None = None) -> int:
        """The silence after which a turn ends.

        Args:
            words: how they ended.
            complete: how likely the turn is complete by its sound, 0 to 1; None: nobody knows.
        """
        if self.adaptive and complete is not None:
            sure = complete >= _SURE
            match words:
                case Ending.SENTENCE:
                    return LULL_MS if sure else _UNSURE_MS
                case Ending.CLAUSES:
                    return _CLAUSES_MS if sure else _CLAUSE_MS
                case Ending.CLAUSE if sure:
                    return _CLAUSE_MS
        return min(self.min_silence if words is Ending.SENTENCE else self.max_silence, self.max_silence)


ADAPTIVE = TurnRules(min_silence=500, max_silence=1600, adaptive=True)
"""What holds where the client sets nothing, in place of the service's adaptive endpointing.

Both silences are choices, near what the service's older documentation gave (600 and 1,500 ms):
`min_silence` is shorter because somebody whose words are unfinished is not held to it, `max_silence` is
1,500 ms and 100 more for a person who thinks.
"""

_SURE = 0.95
"""A sound from here on is that of a complete turn. With it and the next three, words and sound together cut
off no more sentences than the words alone with the silences above, and end the others 280 ms sooner in the
median (`bench.turn_ends`)."""
_UNSURE_MS = 750
"""A finished sentence that sounds as if more were to come."""
_CLAUSES_MS = 640
"""A complete turn by its sound, behind which the recogniser wrote a comma that was not its first."""
_CLAUSE_MS = 1100
"""The same where it was the first, or where the sound is not complete."""

_HYSTERESIS = 0.15
"""Silero's own (`neg_threshold` in its utils): below the threshold by this much, speech is over."""
_LOWEST = 0.01
"""Silero's own floor for the lower threshold."""

_BEFORE = 320 // WINDOW_MS
"""Windows kept from before the first loud one: the soft beginning of a word (320 ms, measured)."""
_AFTER = 192 // WINDOW_MS
"""Windows kept from behind the last one of speech: the soft end of a word."""
_LULL = _AFTER + 1
"""Silence at which all that will be recognised is there. Well before `min_silence` in any sane setting."""
LULL_MS = _LULL * WINDOW_MS

_LONG = 120_000 // WINDOW_MS
"""Two minutes. From here on the first lull ends the turn …"""
_TOO_LONG = 180_000 // WINDOW_MS
"""… and three minutes end it at once: somebody left a radio on, and memory is not endless (6 MB here)."""


@attrs.frozen
class Stir:
    """A turn is open, since two windows were loud: perhaps speech. Its `Onset` follows."""


@attrs.frozen
class Onset:
    """Speech has lasted `interruption_delay`."""

    brief: bool
    """It has not, but the turn ends: told just before `EndOfTurn`. A "yes", or a cough."""
    ago_ms: int = attrs.field(default=0, eq=False)
    """How much sound came since the first window of speech, that one included."""


@attrs.frozen
class Lull:
    """Speech has just stopped; the utterance is complete if it does not resume."""

    utterance: bytes = attrs.field(repr=False)
    """The turn's sound so far, a little silence around it included: PCM16 mono 16 kHz."""


@attrs.frozen
class Pause:
    """Silence has lasted `min_silence`, and nobody has said how long it has to last: perhaps the end."""

    utterance: bytes = attrs.field(repr=False)
    """As in `Lull`."""


@attrs.frozen
class EndOfTurn:
    """The turn is over."""

    utterance: bytes = attrs.field(repr=False)
    """As in `Lull`."""


TurnEvent: TypeAlias = Stir | Onset | Lull | Pause | EndOfTurn


class _State(enum.Enum):
    QUIET = enum.auto()
    RISING = enum.auto()
    SPEAKING = enum.auto()
    PAUSING = enum.auto()
    STIRRING = enum.auto()


class _Level(enum.Enum):
    LOUD = enum.auto()
    FAINT = enum.auto()
    LOW = enum.auto()


_NEXT = {
    state: dict(zip(_Level, following, strict=True))
    for state, *following in (
        # state          LOUD             FAINT            LOW
        (_State.QUIET, _State.RISING, _State.QUIET, _State.QUIET),
        (_State.RISING, _State.SPEAKING, _State.QUIET, _State.QUIET),
        (_State.SPEAKING, _State.SPEAKING, _State.SPEAKING, _State.PAUSING),
        (_State.PAUSING, _State.STIRRING, _State.PAUSING, _State.PAUSING),
        (_State.STIRRING, _State.SPEAKING, _State.PAUSING, _State.PAUSING),
    )
}


class TurnDetector:
    """Hears windows, tells events. See the module's table."""

    def __init__(self, detection: TurnRules = ADAPTIVE) -> None:
        """Begins in silence."""
        self.detection = detection
        """May be replaced at any time; holds from the next window on, inside a turn as well."""
        self._state = _State.QUIET
        self._before: collections.deque[Window] = collections.deque(maxlen=_BEFORE + 2)
        self._begin()

    def _begin(self) -> None:
        self._heard: list[Window] = []
        self._lead = 0
        self._spoken = 0
        self._silence = 0
        self._announced = self._lulled = self._paused = False
        self._patience_ms: int | None = None

    @property
    def speaking(self) -> bool:
        """Somebody speaks at this moment, as far as is known."""
        return self._state is _State.SPEAKING

    @property
    def silence_ms(self) -> int:
        """How long nobody has spoken in the open turn."""
        return self._silence * WINDOW_MS

    @property
    def turn_ms(self) -> int:
        """How long the open turn has lasted, the sound from before its onset included; 0: none is open."""
        return len(self._heard) * WINDOW_MS

    def utterance(self) -> bytes:
        """The open turn's sound so far (PCM16 mono 16 kHz), without the silence that trails behind it."""
        surplus = max(0, self._silence - _AFTER)
        return b"".join(window.pcm for window in self._heard[: len(self._heard) - surplus])

    def hear(self, window: Window) -> list[TurnEvent]:
        """Takes the next window; gives what follows from it, in order."""
        was, self._state = self._state, _NEXT[self._state][self._level(window.probability)]
        if was in (_State.QUIET, _State.RISING):
            self._before.append(window)
            if self._state is not _State.SPEAKING:
                return []
            self._heard = list(self._before)
            self._lead = len(self._heard) - 2  # the two loud ones that made it speech
        else:
            self._heard.append(window)
        return self._speech(was) if self._state is _State.SPEAKING else self._pause()

    def end_after(self, silence_ms: int) -> list[TurnEvent]:
        """Ends the turn after so much silence, if nobody speaks before; gives what follows already."""
        self._patience_ms = silence_ms
        return self._end_if_due()

    def _end_if_due(self) -> list[TurnEvent]:
        patience_ms = self.detection.max_silence if self._patience_ms is None else self._patience_ms
        return self.end_turn() if self.silence_ms >= patience_ms else []

    def end_turn(self) -> list[TurnEvent]:
        """Ends the open turn, whatever the silence; gives what follows, or nothing if none is open."""
        if not self._heard:
            return []
        events: list[TurnEvent] = [] if self._announced else [self._onset(brief=True)]
        events.append(EndOfTurn(self.utterance()))
        self._state = _State.QUIET
        self._before.clear()  # what was said in this turn must not open the next one
        self._begin()
        return events

    def _onset(self, *, brief: bool) -> Onset:
        return Onset(brief, (len(self._heard) - self._lead) * WINDOW_MS)

    def _level(self, probability: float) -> _Level:
        threshold = self.detection.vad_threshold
        if probability >= threshold:
            return _Level.LOUD
        return _Level.LOW if probability < max(threshold - _HYSTERESIS, _LOWEST) else _Level.FAINT

    def _speech(self, was: _State) -> list[TurnEvent]:
        self._spoken += 1 if was is _State.SPEAKING else 2  # the loud window before it was speech, too
        self._silence = 0
        self._lulled = self._paused = False
        self._patience_ms = None
        events: list[TurnEvent] = [Stir()] if was is _State.RISING else []
        if not self._announced and self._spoken * WINDOW_MS >= self.detection.interruption_delay:
            self._announced = True
            events.append(self._onset(brief=False))
        return events + self.end_turn() if len(self._heard) >= _TOO_LONG else events

    def _pause(self) -> list[TurnEvent]:
        self._silence += 1
        if self._state is _State.STIRRING:
            return []  # decided by the next window, 32 ms from now
        silence_ms = self.silence_ms
        shortest = min(self.detection.min_silence, self.detection.max_silence)
        events: list[TurnEvent] = []
        if not self._lulled and (self._silence >= _LULL or silence_ms >= shortest):
            self._lulled = True
            events.append(Lull(self.utterance()))
        if not self._paused and self._patience_ms is None and silence_ms >= shortest:
            self._paused = True
            events.append(Pause(self.utterance()))
        if self._lulled and len(self._heard) >= _LONG:
            return events + self.end_turn()
        return events + self._end_if_due()
