"""TurnTimer: the two timers of each turn, measured where they are felt.

In: happenings. Out: one `TurnTimed` for each reply that ended. `Stopwatch` does the arithmetic: the person's
sound is timed at their microphone, the agent's from what the room has played, so no service's idea of time is
trusted.

Barge-in ends at the silence, which is when the voice was held; the service decides one to three seconds
later. It begins at the sound that led to it, as the microphone heard it during the reply. Not timed are an
interruption that is too soft for that, a reply that gave way to typed text, and a voice over a sound that had
been there for long. A reply that nobody heard is not a turn: the person kept speaking, and the reply they get
in the end answers all of it.
"""

from __future__ import annotations

from attrs import define, evolve, field, frozen

from channels.bounded import Receiver
from channels.happenings import (
    CallBegan,
    Happening,
    Interrupted,
    PersonTyped,
    ReplyBegan,
    ReplyEnded,
    SoundStarted,
    SoundStopped,
    TurnStarted,
    TurnStopped,
    TurnTimed,
    VoiceHeld,
    VoiceResumed,
)
from channels.taps import Taps

__all__ = ["TOLD_BY_OTHERS", "Stopwatch", "TurnTimer"]

TOLD_BY_OTHERS = (CallBegan, PersonTyped)
"""What a stopwatch takes besides sounds and what the controller decides. A replay tells it, too."""


OF_A_SOUND_S = 3.0
"""So long after a sound began, the service may first take it for speech, and so long after it is over, a
silence of the agent may be due to it: the service names what it heard within 2.2 s."""


@frozen
class _Reply:
    turn_latency_s: float | None = None
    endpointing_s: float | None = None
    barge_in_s: float | None = None
    interrupted: bool = False


@define
class Stopwatch:
    """Turns happenings into timers."""

    turns: int = field(default=0, init=False)
    """Turns of this call whose answer was heard."""
    _sound_began: float | None = field(default=None, init=False)
    """The sound that interrupts the reply that is heard, if one does."""
    _sound_over: float | None = field(default=None, init=False)
    """When it ended."""
    _sound_ended: float | None = field(default=None, init=False)
    """None while the person makes a sound, and once a reply has answered it."""
    _decided: float | None = field(default=None, init=False)
    _held: float | None = field(default=None, init=False)
    """When the voice was held, while it is."""
    _replies: dict[str, _Reply] = field(factory=dict, init=False)

    def take(self, happening: Happening) -> TurnTimed | None:
        """The timers, if this happening ends a reply."""
        match happening:
            case SoundStarted(at=at):
                if self._held is None:
                    self._sound_began = at
                self._sound_over, self._sound_ended, self._decided = None, None, None
            case SoundStopped(at=at):
                self._sound_over = self._sound_ended = at
            case TurnStarted(at=at):
                self._name_sound(at)
            case TurnStopped(at=at):
                self._decided = at
            case ReplyBegan(reply_id=reply_id, at=at):
                if self._held is None:
                    self._sound_began = None  # it began before there was anything to interrupt
                self._replies[reply_id] = self._answered(at)
            case VoiceHeld(at=at):
                self._name_sound(at)
                self._held = at
            case VoiceResumed():
                # Its sound may go on, and interrupt after all ("No, stop"): it began when it was first heard.
                self._held = None
                if self._replies:
                    # It was said in between: the agent's next reply answers something else.
                    self._sound_ended = None
            case Interrupted(reply_id=reply_id, at=at, by_person=True):
                self._cut(reply_id, at if self._held is None else self._held)
            case PersonTyped():
                # The next reply answers that, however long ago the person's last sound was.
                self._sound_ended = None
            case CallBegan():
                self.turns = 0
            case ReplyEnded():
                self._held = None
                return self._timed(happening)
            case _:
                pass
        return None

    def _answered(self, at: float) -> _Reply:
        heard, self._sound_ended = self._sound_ended, None
        if heard is None or self._decided is None:
            return _Reply()  # a greeting, or a reply that answers nothing that was heard
        return _Reply(at - heard, max(0.0, self._decided - heard))

    def _name_sound(self, at: float) -> None:
        """The service takes it for speech. A sound that had lasted long before that is not its beginning."""
        if self._held is None and self._sound_began is not None and at - self._sound_began > OF_A_SOUND_S:
            self._sound_began = None

    def _cut(self, reply_id: str, at: float) -> None:
        reply, began, over = self._replies.get(reply_id), self._sound_began, self._sound_over
        if reply is None:
            return
        led_to_it = began is not None and (over is None or at - over <= OF_A_SOUND_S)
        barge_in_s = at - began if began is not None and led_to_it else None
        self._replies[reply_id] = evolve(reply, barge_in_s=barge_in_s, interrupted=True)

    def _timed(self, ended: ReplyEnded) -> TurnTimed:
        reply = self._replies.pop(ended.reply_id, None)
        if reply is None:
            return TurnTimed(self.turns + 1, None, None, None, ended)
        self.turns += 1
        return TurnTimed(
            self.turns,
            _ms(reply.turn_latency_s),
            _ms(reply.barge_in_s),
            _ms(reply.endpointing_s),
            ended,
            reply.interrupted,
        )


def _ms(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1000)


@define
class TurnTimer:
    """Publishes the timers of each turn."""

    happenings: Receiver[Happening]
    taps: Taps
    stopwatch: Stopwatch = field(factory=Stopwatch, init=False)

    async def run(self) -> None:
        """Times until the happenings end."""
        async with self.happenings:
            async for happening in self.happenings:
                timed = self.stopwatch.take(happening)
                if timed is not None:
                    self.taps.publish(timed)
