"""The life of a call as a table: state → signal → (state, what to do). No I/O, no clock."""

from __future__ import annotations

import enum
from collections.abc import Mapping

__all__ = ["TABLE", "CallAction", "CallSignal", "Phase"]


class Phase(enum.Enum):
    """The phases of a call."""

    EMPTY = "empty"
    """Nobody is in the room; there is no session."""
    TALKING = "talking"
    """Somebody is, and there is a session."""
    ASKED = "asked"
    """Nobody has said a word for a long time, and they were asked whether they are still there."""
    ALONE = "alone"
    """The last person left a moment ago, and may come back."""
    CLOSING = "closing"
    """The call has lasted long enough: the agent says goodbye."""
    RESTING = "resting"
    """Somebody is there but says nothing; the session has ended, and begins again with their next sound."""
    OVER = "over"
    """The call has lasted long enough, and is over for those who are there."""


class CallSignal(enum.Enum):
    """What can happen."""

    CAME = "somebody came"
    STRANGER_CAME = "somebody came who was not in this call"
    """While the call's own people are away; otherwise it is `CAME`."""
    EMPTIED = "the last person left"
    SIGN = "a sign of life"
    """The person made a sound or typed."""
    DEADLINE = "time is up"
    """The time of this state."""
    LIMIT = "longest call"
    SPOKEN = "the goodbye was said"


class CallAction(enum.Enum):
    """What to do."""

    NOTHING = "nothing"
    BEGIN = "begin a session"
    BEGIN_ANEW = "end the session and begin another"
    END = "end the session"
    ASK = "ask whether anybody is there"
    SAY_GOODBYE = "say goodbye"


def _row(phase: Phase, **moves: tuple[Phase, CallAction]) -> dict[CallSignal, tuple[Phase, CallAction]]:
    return {signal: moves.get(signal.name, (phase, CallAction.NOTHING)) for signal in CallSignal}


TABLE: Mapping[Phase, Mapping[CallSignal, tuple[Phase, CallAction]]] = {
    Phase.EMPTY: _row(
        Phase.EMPTY,
        CAME=(Phase.TALKING, CallAction.BEGIN),
    ),
    Phase.TALKING: _row(
        Phase.TALKING,
        EMPTIED=(Phase.ALONE, CallAction.NOTHING),
        DEADLINE=(Phase.ASKED, CallAction.ASK),
        LIMIT=(Phase.CLOSING, CallAction.SAY_GOODBYE),
    ),
    Phase.ASKED: _row(
        Phase.ASKED,
        CAME=(Phase.TALKING, CallAction.NOTHING),
        EMPTIED=(Phase.ALONE, CallAction.NOTHING),
        SIGN=(Phase.TALKING, CallAction.NOTHING),
        DEADLINE=(Phase.RESTING, CallAction.END),
        LIMIT=(Phase.CLOSING, CallAction.SAY_GOODBYE),
    ),
    Phase.ALONE: _row(
        Phase.ALONE,
        CAME=(Phase.TALKING, CallAction.NOTHING),
        STRANGER_CAME=(Phase.TALKING, CallAction.BEGIN_ANEW),
        DEADLINE=(Phase.EMPTY, CallAction.END),
        LIMIT=(Phase.EMPTY, CallAction.END),
    ),
    Phase.CLOSING: _row(
        Phase.CLOSING,
        EMPTIED=(Phase.EMPTY, CallAction.END),
        DEADLINE=(Phase.OVER, CallAction.END),
        SPOKEN=(Phase.OVER, CallAction.END),
    ),
    Phase.RESTING: _row(
        Phase.RESTING,
        CAME=(Phase.TALKING, CallAction.BEGIN),
        EMPTIED=(Phase.EMPTY, CallAction.NOTHING),
        SIGN=(Phase.TALKING, CallAction.BEGIN),
    ),
    Phase.OVER: _row(
        Phase.OVER,
        CAME=(Phase.TALKING, CallAction.BEGIN),
        EMPTIED=(Phase.EMPTY, CallAction.NOTHING),
    ),
}
"""A session is there in TALKING, ASKED, ALONE and CLOSING, and in no other phase."""
