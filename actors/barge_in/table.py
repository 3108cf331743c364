"""The life of one reply, as a table: state → signal → (state, order to the speaker).

This table decides what happens to a reply's sound. A reply begins at `ARRIVING` with its first mention and
ends in exactly one of `PLAYED`, `CUT`, `ABANDONED`. The rows to look at:

- In any state, a living reply that is interrupted is cut, and nothing else cuts it: speech alone is not a
  decision, and does not lose a reply that nobody has heard yet.
- Once it is cut, the service may still call it completed: that changes nothing.
- Once it is cut (or ended), any more sound is dropped, whatever order things come in.
- Once the speaker was told that a reply is complete, it gets no more of it: it may have reported the end
  already, and more sound would start a reply that never ends, blocking all later ones.
- A reply whose end never came (the session was lost, or the next reply began) is played as far as it arrived:
  the person loses nothing that was there to be heard.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping

__all__ = ["LIVING", "TABLE", "Order", "ReplyPhase", "ReplySignal"]


class ReplyPhase(enum.Enum):
    """Where a reply is in its life."""

    ARRIVING = "arriving"
    """Its sound is still coming."""
    COMPLETE = "complete"
    """All of it has arrived; it is being played."""
    BROKEN = "broken"
    """Its end never came, and none is expected; what has arrived is being played."""
    CUTTING = "cutting"
    """The speaker was told to cut it and has not yet said how much was heard."""

    PLAYED = "played"
    CUT = "cut"
    ABANDONED = "abandoned"


class ReplySignal(enum.Enum):
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
    """The speaker is done with it."""


class Order(enum.Enum):
    """What the speaker is told."""

    NOTHING = "nothing"
    PLAY = "play"
    FINISH = "finish"
    CUT = "cut"
    DROP = "drop"
    """Nothing is sent; the sound is counted as dropped."""


LIVING = frozenset({ReplyPhase.ARRIVING, ReplyPhase.COMPLETE, ReplyPhase.BROKEN})

_OVER: Mapping[ReplySignal, Order] = {
    ReplySignal.SOUND: Order.DROP,
    ReplySignal.COMPLETED: Order.NOTHING,
    ReplySignal.INTERRUPTED: Order.NOTHING,
    ReplySignal.LEFT_OPEN: Order.NOTHING,
    ReplySignal.FINISHED: Order.NOTHING,
}

TABLE: Mapping[ReplyPhase, Mapping[ReplySignal, tuple[ReplyPhase, Order]]] = {
    ReplyPhase.ARRIVING: {
        ReplySignal.SOUND: (ReplyPhase.ARRIVING, Order.PLAY),
        ReplySignal.COMPLETED: (ReplyPhase.COMPLETE, Order.FINISH),
        ReplySignal.INTERRUPTED: (ReplyPhase.CUTTING, Order.CUT),
        ReplySignal.LEFT_OPEN: (ReplyPhase.BROKEN, Order.FINISH),
        # Only after FINISH or CUT does a speaker report this; if it happens anyway, the reply is over.
        ReplySignal.FINISHED: (ReplyPhase.ABANDONED, Order.NOTHING),
    },
    ReplyPhase.COMPLETE: {
        ReplySignal.SOUND: (ReplyPhase.COMPLETE, Order.DROP),
        ReplySignal.COMPLETED: (ReplyPhase.COMPLETE, Order.NOTHING),
        ReplySignal.INTERRUPTED: (ReplyPhase.CUTTING, Order.CUT),
        ReplySignal.LEFT_OPEN: (ReplyPhase.COMPLETE, Order.NOTHING),
        ReplySignal.FINISHED: (ReplyPhase.PLAYED, Order.NOTHING),
    },
    ReplyPhase.BROKEN: {
        ReplySignal.SOUND: (ReplyPhase.BROKEN, Order.DROP),
        ReplySignal.COMPLETED: (ReplyPhase.COMPLETE, Order.NOTHING),
        ReplySignal.INTERRUPTED: (ReplyPhase.CUTTING, Order.CUT),
        ReplySignal.LEFT_OPEN: (ReplyPhase.BROKEN, Order.NOTHING),
        ReplySignal.FINISHED: (ReplyPhase.ABANDONED, Order.NOTHING),
    },
    ReplyPhase.CUTTING: {
        ReplySignal.SOUND: (ReplyPhase.CUTTING, Order.DROP),
        ReplySignal.COMPLETED: (ReplyPhase.CUTTING, Order.NOTHING),
        ReplySignal.INTERRUPTED: (ReplyPhase.CUTTING, Order.NOTHING),
        ReplySignal.LEFT_OPEN: (ReplyPhase.CUTTING, Order.NOTHING),
        ReplySignal.FINISHED: (ReplyPhase.CUT, Order.NOTHING),
    },
    ReplyPhase.PLAYED: {signal: (ReplyPhase.PLAYED, order) for signal, order in _OVER.items()},
    ReplyPhase.CUT: {signal: (ReplyPhase.CUT, order) for signal, order in _OVER.items()},
    ReplyPhase.ABANDONED: {signal: (ReplyPhase.ABANDONED, order) for signal, order in _OVER.items()},
}
