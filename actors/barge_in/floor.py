"""The floor: whether the agent's voice may go on while somebody seems to speak, as a table. No I/O, no clock.

Two hints say that a person is speaking: the local onset detector (the ear), within about 100 ms, and the
service's `input.speech.started`, a second or two later. Neither is a decision. Both only *hold* the voice,
which costs nothing to undo, since unplayed sound waits on our side. Only the service decides. If it decides
on an interruption, the held reply is cut. If no decision comes soon after the person has finished, the voice
resumes.

A short sound is judged on this machine before the service says anything about it. What was no word to the
agent gives the voice back at once. What was one holds it for as long as the service may need to decide.

Hints do not add up. If the ear has heard a sound end and the voice has resumed, the service's later
`input.speech.started` for that sound does not hold it again. And a hold always ends: every state except
`FREE` has a deadline once a voice waits.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping

from attrs import evolve, frozen

from channels.settings import BargeInSettings

__all__ = ["FLOOR_TABLE", "HOLDING", "Floor", "FloorOrder", "FloorSignal", "FloorState", "order_between"]

TRUSTED_UNCONFIRMED = 3
"""After this many holds in a row of an audible voice, none of them an interruption, the hints are no longer
believed: the microphone hears the agent's own voice, or a radio. A hold that runs into its limit counts as
that many. The hints are believed again when the service decides on an interruption, or somebody says
something that cannot be an echo: anything while the agent is silent, or a word or two that the agent has not
said."""

ONE_SOUND_S = 2.0
"""Holds within this time are for one sound, and count as one: a cough comes in bursts."""

NAMED_WITHIN_S = 2.5
"""How long after a sound the service may still name it: up to 2.2 s was seen while the agent talks."""

DECIDED_WITHIN_S = 4.5
"""So long after a short sound that was meant for the agent the service may still decide: up to 3.8 s from the
first sound to the decision were seen."""


class Floor(enum.Enum):
    """Who has it."""

    FREE = "free"
    """The agent may speak."""
    SOUNDING = "sounding"
    """The ear hears a person; the service has not named the sound, or thinks it is over."""
    FADING = "fading"
    """The sound is over. The service may still name it."""
    AWAITING = "awaiting"
    """The ear heard a short sound that was meant for the agent. The service will decide about it."""
    SPEAKING = "speaking"
    """The service says that the person is speaking."""
    DECIDING = "deciding"
    """The service says that the person has finished. Its decision comes now or not at all."""
    EXCUSED = "excused"
    """The voice goes on, even if the service says that the person is speaking."""


HOLDING = frozenset({Floor.SOUNDING, Floor.FADING, Floor.AWAITING, Floor.SPEAKING, Floor.DECIDING})
"""Where the voice waits."""


class FloorSignal(enum.Enum):
    """What can happen."""

    SOUND = "sound"
    """The ear: the person's first sound."""
    SILENCE = "silence"
    """The ear: the person's sound is over."""
    DISMISSED = "dismissed"
    """The judge of short sounds: a cough, a click, an "mm-hm"; nobody wants the agent to stop."""
    MEANT = "meant"
    """The judge of short sounds: words for the agent, or what was dismissed goes on."""
    SPEECH = "speech"
    """The service: the person is speaking."""
    WORDS = "words"
    """The service: it understands more of what they say."""
    DOUBTED = "doubted"
    """Either of them says that there is a person, but the hint is not believed."""
    STOPPED = "stopped"
    """The service: they have finished."""
    TOO_SOON = "stopped too soon"
    """The service: they have finished. The ear still hears them."""
    DECIDED = "decided"
    """The service has decided about everything that was held, or there was nothing to decide."""
    DEADLINE = "deadline"
    """The state has lasted long enough."""


class FloorOrder(enum.Enum):
    """What the speaker is told."""

    NOTHING = "nothing"
    HOLD = "hold"
    RESUME = "resume"


def _row(floor: Floor, **moves: Floor) -> Mapping[FloorSignal, Floor]:
    return {signal: moves.get(signal.name, floor) for signal in FloorSignal}


FLOOR_TABLE: Mapping[Floor, Mapping[FloorSignal, Floor]] = {
    Floor.FREE: _row(
        Floor.FREE,
        SOUND=Floor.SOUNDING,
        SPEECH=Floor.SPEAKING,
        DOUBTED=Floor.EXCUSED,
        # Sometimes the service reports an end before its beginning; that beginning then holds nothing.
        STOPPED=Floor.EXCUSED,
    ),
    Floor.SOUNDING: _row(
        Floor.SOUNDING,
        SILENCE=Floor.FADING,
        DISMISSED=Floor.EXCUSED,
        MEANT=Floor.AWAITING,
        SPEECH=Floor.SPEAKING,
        WORDS=Floor.SPEAKING,
        DEADLINE=Floor.FREE,
    ),
    Floor.FADING: _row(
        Floor.FADING,
        SOUND=Floor.SOUNDING,
        DISMISSED=Floor.EXCUSED,
        MEANT=Floor.AWAITING,
        SPEECH=Floor.SPEAKING,
        WORDS=Floor.SPEAKING,
        STOPPED=Floor.DECIDING,
        DECIDED=Floor.FREE,
        DEADLINE=Floor.EXCUSED,
    ),
    Floor.AWAITING: _row(
        Floor.AWAITING,
        # No SOUND and no DISMISSED: a cough after "stop" takes nothing back.
        SPEECH=Floor.SPEAKING,
        WORDS=Floor.SPEAKING,
        STOPPED=Floor.DECIDING,
        TOO_SOON=Floor.SOUNDING,
        DECIDED=Floor.FREE,
        DEADLINE=Floor.EXCUSED,
    ),
    Floor.SPEAKING: _row(
        Floor.SPEAKING,
        DISMISSED=Floor.EXCUSED,
        STOPPED=Floor.DECIDING,
        TOO_SOON=Floor.SOUNDING,
        # No DECIDED: it cuts the reply, and the next one waits for the person, who is still speaking.
        DEADLINE=Floor.FREE,
    ),
    Floor.DECIDING: _row(
        Floor.DECIDING,
        SOUND=Floor.SOUNDING,
        SPEECH=Floor.SPEAKING,
        DECIDED=Floor.FREE,
        DEADLINE=Floor.FREE,
    ),
    Floor.EXCUSED: _row(
        Floor.EXCUSED,
        SOUND=Floor.SOUNDING,
        MEANT=Floor.SOUNDING,
        DEADLINE=Floor.FREE,
    ),
}


def order_between(before: Floor, after: Floor) -> FloorOrder:
    """What the speaker is told when the floor passes from one state to another."""
    if (before in HOLDING) is (after in HOLDING):
        return FloorOrder.NOTHING
    return FloorOrder.HOLD if after in HOLDING else FloorOrder.RESUME


@frozen
class FloorState:
    """The floor, with its times (s)."""

    settings: BargeInSettings
    floor: Floor = Floor.FREE
    since: float = 0.0
    """When the latest signal came that the state's own deadline counts from."""
    stopped_at: float = -math.inf
    """When the service last said that the person has finished."""
    named: bool = False
    """The service has said that the person speaks, and not that they have finished."""
    sounding: bool = False
    """Whether the ear hears a person, believed or not."""
    sound_at: float = -math.inf
    """When we learned that it began to."""
    began_at: float = -math.inf
    """When that sound began, at the microphone."""
    noisy: bool = False
    """The ear's sound has lasted longer than the service took it for speech: not a person, until it ends."""
    ended_named: bool = False
    """The last end of speech that the service reported had a beginning."""
    waiting_since: float | None = None
    """Since when a voice waits; None: none does."""
    may_echo: bool = False
    """That voice was audible before, so the hint may be its echo."""
    given_back_at: float = -math.inf
    """When a voice last resumed."""
    unconfirmed: int = 0
    """Holds in a row that were not interruptions."""
    counted_at: float = -math.inf
    """When the last of them began to count."""

    @property
    def holds(self) -> bool:
        """Whether the voice waits, if there is one."""
        return self.floor in HOLDING

    @property
    def may_speak(self) -> bool:
        """Whether the person may be speaking although the voice goes on.

        The ear or the service hears them, or the service may yet name a sound that is over.
        """
        unfinished = self.sounding or self.named or self.stopped_at < self.sound_at
        return self.floor is Floor.EXCUSED and unfinished

    @property
    def awaits_decision(self) -> bool:
        """Whether the service has said that the person has finished, and the ear agrees."""
        over = self.floor in (Floor.FADING, Floor.AWAITING) and not self.sounding
        named = over and self.stopped_at > self.sound_at
        return named or self.floor is Floor.DECIDING

    @property
    def believes(self) -> bool:
        """Whether a hint may hold the voice."""
        return self.settings.longest_hold_ms > 0 and self.unconfirmed < TRUSTED_UNCONFIRMED

    @property
    def deadline(self) -> float:
        """When the state times out; infinity: never by itself."""
        return min(self.since + self._lasts_s(), self._bound())

    def _waits_for(self, began_at: float) -> bool:
        """Whether the voice waits for a sound that began then, and not for one before it."""
        return self.waiting_since is not None and began_at <= self.waiting_since

    def _bound(self) -> float:
        if self.waiting_since is None:
            return math.inf
        return self.waiting_since + self.settings.longest_hold_ms / 1000

    def _lasts_s(self) -> float:
        ms = self.settings
        match self.floor:
            case Floor.FREE:
                return math.inf
            case Floor.SOUNDING if self.stopped_at > self.sound_at:
                return NAMED_WITHIN_S  # by then the service has named anybody who is still talking
            case Floor.SOUNDING:
                return ms.alone_ms / 1000
            case Floor.SPEAKING:
                return math.inf if self.sounding and not self.noisy else ms.alone_ms / 1000
            case Floor.FADING if not self.awaits_decision:
                return ms.linger_ms / 1000
            case Floor.AWAITING if not self.awaits_decision:
                return DECIDED_WITHIN_S
            case Floor.FADING | Floor.AWAITING | Floor.DECIDING:
                return ms.decision_ms / 1000
            case Floor.EXCUSED if self.named:
                return math.inf if self.sounding and not self.noisy else ms.alone_ms / 1000
            case Floor.EXCUSED:
                return NAMED_WITHIN_S

    def hint(self, signal: FloorSignal, now: float, *, believed: bool) -> FloorState:
        """After `SOUND` or `SPEECH`; one that is not believed holds nothing.

        Args:
            signal: which of the two.
            now: the time (s).
            believed: whether replies may be interrupted; whether the hints have earned trust is known here.
        """
        named = self.named or signal is FloorSignal.SPEECH
        trusted = believed and self.believes
        taken = signal if trusted or self.holds else FloorSignal.DOUBTED
        if signal is FloorSignal.SPEECH and self.floor is Floor.DECIDING and not self.ended_named:
            taken = FloorSignal.DOUBTED  # a beginning that is reported after its end
        return evolve(self, named=named).take(taken, now)

    def judge(
        self, signal: FloorSignal, began_at: float, now: float, *, person: bool, believed: bool
    ) -> FloorState:
        """After `DISMISSED` or `MEANT`.

        A voice that was given back is held again only for a sound that goes on: one sound, one pause. What
        was dismissed too late, when the next sound has begun, says nothing about that one. Where the service
        has named somebody, only the sound that the voice waits for gives it back, whoever was sooner: a cough
        behind a sentence takes nothing back.

        Args:
            signal: which of the two.
            began_at: when the sound began that was judged (s).
            now: the time (s).
            person: whether it was a person's ("mm-hm"), and not just a sound.
            believed: whether replies may be interrupted; whether the hints have earned trust is known here.
        """
        if signal is FloorSignal.DISMISSED and began_at < self.began_at:
            return self
        if signal is FloorSignal.DISMISSED and self.floor is Floor.SPEAKING and not self._waits_for(began_at):
            return self
        heard = self.floor is Floor.EXCUSED and self.sounding and not self.noisy
        goes_on = signal is FloorSignal.MEANT and heard and believed and self.believes
        if not (self.holds or goes_on):
            return self
        after = self.take(signal, now)
        if person and not after.holds and self.waiting_since is not None:
            # An echo begins again with the voice; a person may wait for longer.
            at_once = self.waiting_since - self.given_back_at <= ONE_SOUND_S
            after = evolve(after, may_echo=self.may_echo and at_once)
        return after

    def take(self, signal: FloorSignal, now: float) -> FloorState:
        """The floor after a signal that comes at `now`."""
        if signal is FloorSignal.STOPPED and self.sounding and not self.noisy:
            signal = FloorSignal.TOO_SOON
        outlasts = self.floor in (Floor.SOUNDING, Floor.AWAITING) and signal is FloorSignal.DEADLINE
        after = FLOOR_TABLE[self.floor][signal]
        stopped = signal in (FloorSignal.STOPPED, FloorSignal.TOO_SOON)
        if stopped and self.floor is Floor.EXCUSED and self.named:
            after = FLOOR_TABLE[self.floor][FloorSignal.DEADLINE]  # it has said all it will about the sound
        if signal is FloorSignal.DECIDED and self.floor is Floor.AWAITING and self.sounding:
            after = FLOOR_TABLE[self.floor][FloorSignal.TOO_SOON]  # what comes next waits for whoever goes on
        # A sound that goes on, or another word, restarts the state's time.
        renewed = after is not self.floor or signal in _RENEWING
        return evolve(
            self,
            floor=after,
            since=now if renewed else self.since,
            stopped_at=now if stopped else self.stopped_at,
            named=self.named and not stopped,
            noisy=self.noisy or (outlasts and self.sounding),
            ended_named=self.named if stopped else self.ended_named,
        )

    def hear(self, *, since: float | None, now: float) -> FloorState:
        """The ear hears a person since then, or, with None, no longer does."""
        sounding = since is not None
        renewed = self.floor in (Floor.AWAITING, Floor.SPEAKING, Floor.EXCUSED)
        return evolve(
            self,
            sounding=sounding,
            noisy=False,
            sound_at=now if sounding else self.sound_at,
            began_at=self.began_at if since is None else since,
            since=now if renewed else self.since,
        )

    def wait(self, now: float, *, heard: bool) -> FloorState:
        """A voice begins to wait.

        Args:
            now: the time (s).
            heard: whether some of it has been heard, so that the hint may be its echo.
        """
        return evolve(self, waiting_since=now, may_echo=heard)

    def give_back(self, now: float) -> FloorState:
        """A waiting voice resumes: it was not an interruption."""
        counts = self.may_echo and now - self.counted_at > ONE_SOUND_S
        outlasted = now >= self._bound()
        return evolve(
            self,
            waiting_since=None,
            given_back_at=now,
            unconfirmed=TRUSTED_UNCONFIRMED if outlasted else self.unconfirmed + counts,
            counted_at=now if counts else self.counted_at,
        )

    def let_go(self) -> FloorState:
        """The waiting voice is gone."""
        return evolve(self, waiting_since=None)

    def trust(self) -> FloorState:
        """The service decided on an interruption, or somebody said what cannot be an echo."""
        return evolve(self, unconfirmed=0)


_RENEWING = frozenset({FloorSignal.SPEECH, FloorSignal.WORDS, FloorSignal.DOUBTED, FloorSignal.SOUND})
