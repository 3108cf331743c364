"""From what happens to one tree of spans for each turn; sans-IO.

    turn                        from the person's last sound to the end of the reply
    ├─ endpointing              until the service decided that they are done
    ├─ thinking                 until the first audible sound of the reply
    ├─ tool NAME                each call that was answered since the turn before
    └─ speaking                 until the reply ended; "interrupted" is an event in it
       └─ held                  each hold, and whether the voice was given back

The times are the turn timer's own (`TurnTimed`). There is no text of people in it: what is not a number is a
name of ours, of the owner's tools, or an id.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TypeAlias

from attrs import define, evolve, field, frozen

from channels.happenings import (
    CallBegan,
    Happening,
    Interrupted,
    ReplyBegan,
    ToolAnswered,
    ToolCalled,
    TurnTimed,
    VoiceHeld,
    VoiceResumed,
)

__all__ = ["Event", "Span", "TurnSpans"]

MOST = 100
"""Holds, calls of tools and open replies that are kept, each; a turn with more is cut to the latest."""

LONGEST_ID = 64
"""Characters of an id of the service."""

Attributes: TypeAlias = Mapping[str, str | int | bool]


@frozen
class Event:
    """Something that happened at a moment within a span."""

    name: str
    at: float
    """Seconds on Trio's clock."""


@frozen
class Span:
    """Something that took time."""

    name: str
    began: float
    """Seconds on Trio's clock."""
    ended: float
    attributes: Attributes = field(factory=dict)
    children: tuple[Span, ...] = ()
    events: tuple[Event, ...] = ()
    failed: bool = False


@define
class TurnSpans:
    """Collects what belongs to a turn until it is over.

    Args:
        tools: the names of the owner's tools; a call of any other is "unknown".
    """

    tools: Collection[str]
    _replies: dict[str, float] = field(factory=dict, init=False)
    """When the first sound of a reply was heard."""
    _called: dict[str, float] = field(factory=dict, init=False)
    _answered: list[Span] = field(factory=list, init=False)
    _held: float | None = field(default=None, init=False)
    _holds: list[Span] = field(factory=list, init=False)
    _interrupted: dict[str, float] = field(factory=dict, init=False)

    def take(self, happening: Happening, now: float) -> Span | None:
        """The turn, if this happening ends one.

        Args:
            happening: what happened.
            now: seconds on Trio's clock, for what does not say when it happened.
        """
        match happening:
            case ReplyBegan(reply_id=reply_id, at=at):
                _keep(self._replies, reply_id, at)
            case ToolCalled(call_id=call_id):
                _keep(self._called, call_id, now)
            case ToolAnswered(call_id=call_id, name=name, took_ms=took_ms, error=error):
                began = self._called.pop(call_id, now - took_ms / 1000)
                known = name if name in self.tools else "unknown"
                self._answered.append(Span(f"tool {known}", min(began, now), now, failed=error is not None))
                del self._answered[:-MOST]
            case VoiceHeld(at=at):
                self._held = at
            case VoiceResumed(at=at):
                self._end_hold(at, given_back=True)
            case Interrupted(reply_id=reply_id, at=at):
                self._end_hold(at, given_back=False)
                _keep(self._interrupted, reply_id, at)
            case CallBegan():
                self._answered.clear()
                self._holds.clear()
                self._held = None
            case TurnTimed():
                return self._end(happening)
            case _:
                pass
        return None

    def _end_hold(self, at: float, *, given_back: bool) -> None:
        if self._held is not None:
            self._holds.append(
                Span("held", self._held, max(at, self._held), {"voice_agent.given_back": given_back})
            )
            del self._holds[:-MOST]
        self._held = None

    def _end(self, timed: TurnTimed) -> Span | None:
        reply = timed.reply
        began = self._replies.pop(reply.reply_id, None)
        interrupted = self._interrupted.pop(reply.reply_id, None)
        if began is None:
            return None  # nobody heard it: what was collected belongs to the reply that they do hear
        self._end_hold(reply.at, given_back=False)
        last_sound = began if timed.turn_latency_ms is None else began - timed.turn_latency_ms / 1000
        decided = None if timed.endpointing_ms is None else last_sound + timed.endpointing_ms / 1000
        children = list(self._answered)
        if decided is not None:
            children.append(Span("endpointing", last_sound, min(decided, began)))
            children.append(Span("thinking", min(decided, began), began))
        events = () if interrupted is None else (Event("interrupted", interrupted),)
        children.append(
            Span(
                "speaking",
                began,
                max(reply.at, began),
                {"voice_agent.heard_ms": reply.heard_ms, "voice_agent.underruns": reply.underruns},
                tuple(hold for hold in self._holds if hold.ended >= began),
                events,
            )
        )
        self._answered.clear()
        self._holds.clear()
        attributes: dict[str, str | int | bool] = {
            "voice_agent.turn": timed.turn,
            "voice_agent.reply_id": reply.reply_id[:LONGEST_ID],
            "voice_agent.outcome": reply.outcome.value,
            "voice_agent.interrupted": timed.interrupted,
        }
        for name in ("turn_latency_ms", "endpointing_ms", "barge_in_ms"):
            value = getattr(timed, name)
            if value is not None:
                attributes[f"voice_agent.{name}"] = value
        children.sort(key=lambda span: span.began)
        turn = Span("turn", last_sound, max(reply.at, began), attributes, tuple(children))
        # A tool may have been called before the person's last sound.
        return evolve(turn, began=min(last_sound, *(span.began for span in children)))


def _keep(times: dict[str, float], key: str, at: float) -> None:
    times[key] = at
    if len(times) > MOST:
        del times[next(iter(times))]
