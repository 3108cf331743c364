"""TurnTimer: the two timers of each turn, measured where they are felt.

In: happenings. Out: one `TurnTimed` for each reply that ended. The arithmetic is `Stopwatch`, pure: the
person's sound comes from their microphone, the agent's from what the room has played, so no service's
own idea of time is trusted.
"""

from __future__ import annotations

from attrs import define, field, frozen

from channels.bounded import Receiver
from channels.happenings import (
    Happening,
    Interrupted,
    ReplyBegan,
    ReplyEnded,
    SoundStarted,
    SoundStopped,
    Taps,
    TurnStopped,
    TurnTimed,
    VoiceHeld,
    VoiceResumed,
)

__all__ = ["Stopwatch", "TurnTimer"]


@frozen
class _Reply:
    turn_latency_s: float | None = None
    endpointing_s: float | None = None
    barge_in_s: float | None = None


@define
class Stopwatch:
    """Turns happenings into timers."""

    turns: int = field(default=0, init=False)
    _sound_began: float | None = field(default=None, init=False)
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
                self._sound_ended, self._decided = None, None
            case SoundStopped(at=at):
                self._sound_ended = at
            case TurnStopped(at=at):
                self._decided = at
            case ReplyBegan(reply_id=reply_id, at=at):
                self._held = None
                self._replies[reply_id] = self._answered(at)
            case VoiceHeld(at=at):
                self._held = at
            case VoiceResumed():
                self._held = None
            case Interrupted(reply_id=reply_id, at=at):
                # A held voice was silent long before it was cut.
                self._cut(reply_id, at if self._held is None else self._held)
            case ReplyEnded():
                return self._timed(happening)
            case _:
                pass
        return None

    def _answered(self, at: float) -> _Reply:
        heard, self._sound_ended = self._sound_ended, None
        if heard is None or self._decided is None:
            return _Reply()  # a greeting, or a reply that answers nothing that was heard
        return _Reply(at - heard, max(0.0, self._decided - heard))

    def _cut(self, reply_id: str, at: float) -> None:
        reply = self._replies.get(reply_id)
        if reply is not None and self._sound_began is not None:
            self._replies[reply_id] = _Reply(
                reply.turn_latency_s, reply.endpointing_s, at - self._sound_began
            )

    def _timed(self, ended: ReplyEnded) -> TurnTimed:
        reply = self._replies.pop(ended.reply_id, _Reply())
        self.turns += 1
        return TurnTimed(
            self.turns, _ms(reply.turn_latency_s), _ms(reply.barge_in_s), _ms(reply.endpointing_s), ended
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
