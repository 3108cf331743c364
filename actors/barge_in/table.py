"""The life of one reply, as a table: state → signal → (state, order to the speaker).

Everything that decides whether sound is heard lives here. A reply begins at `ARRIVING` with its first
mention and ends in exactly one of `PLAYED`, `CUT`, `ABANDONED`. The rows to look at:

- whatever state it is in, a living reply that is interrupted is cut, and only that cuts it: that somebody
  speaks is no decision, and a reply that nobody has heard yet is not lost by it;
- once it is cut, the service may still call it completed: that changes nothing;
- once cut (or ended), sound that still arrives is dropped, in whatever order things come;
- once the speaker was told that a reply is complete it gets no more of it: it may have reported the end
  already, and sound after that would be a reply that never ends, with all later ones behind it;
- a reply whose end never came (the session was lost, or the next reply began) is played as far as it
  arrived: the person loses nothing that was there to be heard.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping

__all__ = ["LIVING", "TABLE", "Life", "Order", "Signal"]


class Life(enum.Enum):
    """Where a reply is in its life."""

    ARRIVING = "arriving"
    """Its sound is still coming."""
    COMPLETE = "complete"
    """All of it is here; it is being played."""
    BROKEN = "broken"
    """No end of it was seen and none is expected; what is here is being played."""
    CUTTING = "cutting"
    """The speaker was told to cut it and has not yet said how much was heard."""

    PLAYED = "played"
    CUT = "cut"
    ABANDONED = "abandoned"


class Signal(enum.Enum):
    """What can happen to a reply."""

    SOUND = "sound"
    """`reply.audio`."""
    COMPLETED = "completed"
    """`reply.done` with any status but interrupted; it may follow `transcript.agent{interrupted: true}`."""
    INTERRUPTED = "interrupted"
    """`reply.done{interrupted}` or `transcript.agent{interrupted: true}`: the service's decision. Or the
    answer to what was said over a reply that the service had done with."""
    LEFT_OPEN = "left open"
    """Another reply began, or a fresh session, before `reply.done`; or it is longer than what is kept."""
    FINISHED = "finished"
    """The speaker is through with it."""


class Order(enum.Enum):
    """What the speaker is told."""

    NOTHING = "nothing"
    PLAY = "play"
    FINISH = "finish"
    CUT = "cut"
    DROP = "drop"
    """Nothing, and the sound is counted as dropped."""


LIVING = frozenset({Life.ARRIVING, Life.COMPLETE, Life.BROKEN})

_OVER: Mapping[Signal, Order] = {
    Signal.SOUND: Order.DROP,
    Signal.COMPLETED: Order.NOTHING,
    Signal.INTERRUPTED: Order.NOTHING,
    Signal.LEFT_OPEN: Order.NOTHING,
    Signal.FINISHED: Order.NOTHING,
}

TABLE: Mapping[Life, Mapping[Signal, tuple[Life, Order]]] = {
    Life.ARRIVING: {
        Signal.SOUND: (Life.ARRIVING, Order.PLAY),
        Signal.COMPLETED: (Life.COMPLETE, Order.FINISH),
        Signal.INTERRUPTED: (Life.CUTTING, Order.CUT),
        Signal.LEFT_OPEN: (Life.BROKEN, Order.FINISH),
        # Only a speaker that was told FINISH or CUT says so; if it happens, the reply is over.
        Signal.FINISHED: (Life.ABANDONED, Order.NOTHING),
    },
    Life.COMPLETE: {
        Signal.SOUND: (Life.COMPLETE, Order.DROP),
        Signal.COMPLETED: (Life.COMPLETE, Order.NOTHING),
        Signal.INTERRUPTED: (Life.CUTTING, Order.CUT),
        Signal.LEFT_OPEN: (Life.COMPLETE, Order.NOTHING),
        Signal.FINISHED: (Life.PLAYED, Order.NOTHING),
    },
    Life.BROKEN: {
        Signal.SOUND: (Life.BROKEN, Order.DROP),
        Signal.COMPLETED: (Life.COMPLETE, Order.NOTHING),
        Signal.INTERRUPTED: (Life.CUTTING, Order.CUT),
        Signal.LEFT_OPEN: (Life.BROKEN, Order.NOTHING),
        Signal.FINISHED: (Life.ABANDONED, Order.NOTHING),
    },
    Life.CUTTING: {
        Signal.SOUND: (Life.CUTTING, Order.DROP),
        Signal.COMPLETED: (Life.CUTTING, Order.NOTHING),
        Signal.INTERRUPTED: (Life.CUTTING, Order.NOTHING),
        Signal.LEFT_OPEN: (Life.CUTTING, Order.NOTHING),
        Signal.FINISHED: (Life.CUT, Order.NOTHING),
    },
    Life.PLAYED: {signal: (Life.PLAYED, order) for signal, order in _OVER.items()},
    Life.CUT: {signal: (Life.CUT, order) for signal, order in _OVER.items()},
    Life.ABANDONED: {signal: (Life.ABANDONED, order) for signal, order in _OVER.items()},
}
