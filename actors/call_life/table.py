"""The life of a call as a table: state → signal → (state, what is to be done). Pure."""

from __future__ import annotations

import enum
from collections.abc import Mapping

__all__ = ["TABLE", "Deed", "Phase", "Signal"]


class Phase(enum.Enum):
    """Where a call is."""

    EMPTY = "empty"
    """Nobody is in the room; there is no session."""
    TALKING = "talking"
    """Somebody is, and there is a session."""
    ASKED = "asked"
    """Nobody said a word for long, and was asked whether they are still there."""
    ALONE = "alone"
    """The last person left a moment ago, and may come back."""
    CLOSING = "closing"
    """The call has lasted long enough: the agent says goodbye."""
    RESTING = "resting"
    """Somebody is there and says nothing; the session was ended, and begins again with their next sound."""
    OVER = "over"
    """The call has lasted long enough, and is over for those who are there."""


class Signal(enum.Enum):
    """What can happen."""

    CAME = "somebody came"
    STRANGER_CAME = "somebody came who was not in this call"
    """While those who were are away; else it is `CAME`."""
    EMPTIED = "the last one left"
    SIGN = "a sign of life"
    """The person made a sound or typed."""
    DEADLINE = "time is up"
    """The time of this state."""
    LIMIT = "longest call"
    SPOKEN = "goodbye was said"


class Deed(enum.Enum):
    """What is to be done."""

    NOTHING = "nothing"
    BEGIN = "begin a session"
    BEGIN_ANEW = "end the session and begin another"
    END = "end the session"
    ASK = "ask whether anybody is there"
    SAY_GOODBYE = "say goodbye"


def _row(phase: Phase, **moves: tuple[Phase, Deed]) -> dict[Signal, tuple[Phase, Deed]]:
    return {signal: moves.get(signal.name, (phase, Deed.NOTHING)) for signal in Signal}


TABLE: Mapping[Phase, Mapping[Signal, tuple[Phase, Deed]]] = {
    Phase.EMPTY: _row(
        Phase.EMPTY,
        CAME=(Phase.TALKING, Deed.BEGIN),
    ),
    Phase.TALKING: _row(
        Phase.TALKING,
        EMPTIED=(Phase.ALONE, Deed.NOTHING),
        DEADLINE=(Phase.ASKED, Deed.ASK),
        LIMIT=(Phase.CLOSING, Deed.SAY_GOODBYE),
    ),
    Phase.ASKED: _row(
        Phase.ASKED,
        CAME=(Phase.TALKING, Deed.NOTHING),
        EMPTIED=(Phase.ALONE, Deed.NOTHING),
        SIGN=(Phase.TALKING, Deed.NOTHING),
        DEADLINE=(Phase.RESTING, Deed.END),
        LIMIT=(Phase.CLOSING, Deed.SAY_GOODBYE),
    ),
    Phase.ALONE: _row(
        Phase.ALONE,
        CAME=(Phase.TALKING, Deed.NOTHING),
        STRANGER_CAME=(Phase.TALKING, Deed.BEGIN_ANEW),
        DEADLINE=(Phase.EMPTY, Deed.END),
        LIMIT=(Phase.EMPTY, Deed.END),
    ),
    Phase.CLOSING: _row(
        Phase.CLOSING,
        EMPTIED=(Phase.EMPTY, Deed.END),
        DEADLINE=(Phase.OVER, Deed.END),
        SPOKEN=(Phase.OVER, Deed.END),
    ),
    Phase.RESTING: _row(
        Phase.RESTING,
        CAME=(Phase.TALKING, Deed.BEGIN),
        EMPTIED=(Phase.EMPTY, Deed.NOTHING),
        SIGN=(Phase.TALKING, Deed.BEGIN),
    ),
    Phase.OVER: _row(
        Phase.OVER,
        CAME=(Phase.TALKING, Deed.BEGIN),
        EMPTIED=(Phase.EMPTY, Deed.NOTHING),
    ),
}
"""A session is there in TALKING, ASKED, ALONE and CLOSING, and in no other phase."""
