"""Compares two runs' decisions side by side. No I/O, no clock.

Two runs of the same kind agree to the millisecond. A real run beside one in virtual time has jitter that the
other has not: threads wake late, frames are reported a little after they ended. So times are the same if they
are as near as the tolerance, and so is what follows from times: how much of a reply was heard, and which word
was its last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from attrs import frozen

from actors.record.notes import RecordLine
from channels.happenings import (
    AnswerMissing,
    FloorPassed,
    Interrupted,
    ReplyBegan,
    ReplyEnded,
    ReplyOutcome,
    SoundStarted,
    SoundStopped,
    TurnStarted,
    TurnStopped,
    TurnTimed,
    VoiceHeld,
    VoiceResumed,
)
from channels.seen import On

__all__ = ["SOUNDS", "Comparison", "Decision", "Difference", "clock", "compare", "decisions_of"]


@frozen
class Decision:
    """One decision, or one of its consequences that a person would notice."""

    kind: str
    """What it is, in words."""
    at: float
    """s since the record began."""
    reply_id: str = ""
    """Of those that concern a reply: there is one of a kind for each."""
    what: Any = None


@frozen
class Difference:
    """Where the replay went another way."""

    at: float
    text: str


@frozen
class Comparison:
    """All differences, and how much there was to differ."""

    differences: list[Difference]
    compared: Mapping[str, int]
    """Decisions of each kind in the record."""
    farthest_ms: float
    """Between two times that were taken for the same."""

    def __add__(self, other: Comparison) -> Comparison:
        """Both, of different kinds of decisions."""
        return Comparison(
            sorted([*self.differences, *other.differences], key=lambda difference: difference.at),
            {**self.compared, **other.compared},
            max(self.farthest_ms, other.farthest_ms),
        )


_KINDS: Mapping[type[Any], str] = {
    FloorPassed: "floor",
    VoiceHeld: "voice held",
    VoiceResumed: "voice resumed",
    Interrupted: "reply cut",
    ReplyBegan: "reply audible",
    ReplyEnded: "reply over",
    AnswerMissing: "answer missed",
    TurnTimed: "timers",
    TurnStarted: "service: the person is speaking",
    TurnStopped: "service: the person has finished",
}
SOUNDS: Mapping[type[Any], str] = {SoundStarted: "first sound", SoundStopped: "last sound"}
"""What the onset detector decides."""


def decisions_of(entries: Iterable[RecordLine], kinds: Mapping[type[Any], str] = _KINDS) -> list[Decision]:
    """The decisions of those kinds in a record; without any, those of the controller and the timers."""
    found = []
    for entry in entries:
        kind = kinds.get(type(entry.what))
        if entry.on == On.HAPPENINGS and kind is not None:
            what = entry.what
            reply_id = what.reply.reply_id if isinstance(what, TurnTimed) else getattr(what, "reply_id", "")
            if isinstance(what, FloorPassed):
                kind = f"{kind}: {what.holder.value}"
            at = what.reply.at if isinstance(what, TurnTimed) else getattr(what, "at", entry.t)
            found.append(Decision(kind, at, reply_id, what))
    return found


def compare(
    recorded: Sequence[Decision], replayed: Sequence[Decision], *, tolerance_ms: float, until: float
) -> Comparison:
    """Where they differ.

    Args:
        recorded: decisions of the record.
        replayed: those of the replay.
        tolerance_ms: how far apart two times may be.
        until: when the recorded conversation was over (s): what the replay decides later is not counted.
    """
    differences: list[Difference] = []
    compared: dict[str, int] = {}
    farthest = 0.0
    kinds = dict.fromkeys(decision.kind for decision in (*recorded, *replayed))
    for kind in kinds:
        ours = [decision for decision in recorded if decision.kind == kind]
        theirs = [decision for decision in replayed if decision.kind == kind]
        compared[kind] = len(ours)
        for one, other in _pairs(ours, theirs, tolerance_ms / 1000):
            if one is not None and other is not None:
                difference = _between(one, other, tolerance_ms)
                if difference is None:
                    farthest = max(farthest, abs(one.at - other.at) * 1000)
                else:
                    differences.append(difference)
            elif one is not None:
                text = f"{_named(one)}: recorded {_told(one)}, replayed not at all"
                differences.append(Difference(one.at, text))
            elif other is not None and other.at <= until:
                text = f"{_named(other)}: recorded not at all, replayed {_told(other)}"
                differences.append(Difference(other.at, text))
    differences.sort(key=lambda difference: difference.at)
    return Comparison(differences, compared, farthest)


def clock(seconds: float) -> str:
    """A time in a record as a person reads it, e.g. `1:02.345`."""
    minutes, rest = divmod(max(0.0, seconds), 60)
    return f"{minutes:.0f}:{rest:06.3f}"


def _pairs(
    ours: list[Decision], theirs: list[Decision], tolerance_s: float
) -> list[tuple[Decision | None, Decision | None]]:
    """Which belong together: by their reply if they have one, else by their time."""
    if any(decision.reply_id for decision in (*ours, *theirs)):
        one = {decision.reply_id: decision for decision in ours}
        other = {decision.reply_id: decision for decision in theirs}
        return [(one.get(reply_id), other.get(reply_id)) for reply_id in dict.fromkeys([*one, *other])]
    pairs: list[tuple[Decision | None, Decision | None]] = []
    left, right = list(ours), list(theirs)
    while left and right:
        apart = left[0].at - right[0].at
        if abs(apart) <= tolerance_s:
            pairs.append((left.pop(0), right.pop(0)))
        elif apart < 0:
            pairs.append((left.pop(0), None))
        else:
            pairs.append((None, right.pop(0)))
    return pairs + [(one, None) for one in left] + [(None, other) for other in right]


def _between(one: Decision, other: Decision, tolerance_ms: float) -> Difference | None:
    apart = _APART.get(type(one.what), _apart_in_time)
    if not apart(one, other, tolerance_ms):
        return None
    return Difference(min(one.at, other.at), f"{_named(one)}: recorded {_told(one)}, replayed {_told(other)}")


def _apart_in_time(one: Decision, other: Decision, tolerance_ms: float) -> bool:
    return abs(one.at - other.at) * 1000 > tolerance_ms


def _apart_in_length(one: Decision, other: Decision, tolerance_ms: float) -> bool:
    apart_ms: float = abs(one.what.held_ms - other.what.held_ms)
    return apart_ms > 2 * tolerance_ms


def _apart_in_end(one: Decision, other: Decision, tolerance_ms: float) -> bool:
    ours, theirs = one.what, other.what
    heard = abs(ours.heard_ms - theirs.heard_ms)
    if ours.outcome is not theirs.outcome or heard > tolerance_ms:
        return True
    if ours.heard_text == theirs.heard_text:
        return False
    # A word whose end lies between the two ends was heard in one of them only.
    shorter, longer = sorted((ours.heard_text, theirs.heard_text), key=len)
    cut_elsewhere = heard > 0 and ours.outcome is ReplyOutcome.CUT
    return not (cut_elsewhere and longer.startswith(shorter))


def _apart_in_timers(one: Decision, other: Decision, tolerance_ms: float) -> bool:
    pairs = [(getattr(one.what, name), getattr(other.what, name)) for name in _TIMERS]
    return any(
        (a is None) is not (b is None) or (a is not None and abs(a - b) > tolerance_ms) for a, b in pairs
    )


_TIMERS = ("turn_latency_ms", "barge_in_ms", "endpointing_ms")
_APART: Mapping[type[Any], Callable[[Decision, Decision, float], bool]] = {
    VoiceResumed: _apart_in_length,
    ReplyEnded: _apart_in_end,
    TurnTimed: _apart_in_timers,
}


def _named(decision: Decision) -> str:
    return f"{decision.kind}, {decision.reply_id}" if decision.reply_id else decision.kind


def _told(decision: Decision) -> str:
    match decision.what:
        case ReplyEnded(outcome=outcome, heard_ms=heard_ms, heard_text=text):
            words = text if len(text) <= 60 else f"{text[:28]} … {text[-28:]}"
            return f"{outcome.value} after {heard_ms:,} ms “{words}”"
        case TurnTimed(turn_latency_ms=turn, barge_in_ms=barge_in, endpointing_ms=endpointing):
            return f"turn {_ms(turn)} (endpointing {_ms(endpointing)}), barge-in {_ms(barge_in)}"
        case VoiceResumed(held_ms=held_ms):
            return f"at {clock(decision.at)} after {held_ms:,} ms"
        case _:
            return f"at {clock(decision.at)}"


def _ms(value: int | None) -> str:
    return "–" if value is None else f"{value:,} ms"
