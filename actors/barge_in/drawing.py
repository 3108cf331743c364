"""Draws the two tables: `python -m actors.barge_in.drawing` prints them as Mermaid state diagrams.

Arrows read `signal / order to the speaker`. Signals that change nothing and order nothing are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum
from typing import TypeVar

from actors.barge_in.floor import FLOOR_TABLE, Floor, FloorOrder, order_between
from actors.barge_in.table import TABLE, Order, ReplyPhase

__all__ = ["draw_floor", "draw_life"]

StateT = TypeVar("StateT", bound=Enum)
SignalT = TypeVar("SignalT", bound=Enum)
OrderT = TypeVar("OrderT", bound=Enum)


def draw_life() -> str:
    """The life of a reply."""
    begins = [f"    [*] --> {ReplyPhase.ARRIVING.value}"]
    over = (ReplyPhase.PLAYED, ReplyPhase.CUT, ReplyPhase.ABANDONED)
    ends = [f"    {phase.value} --> [*]" for phase in over]
    return "\n".join(["stateDiagram-v2", *begins, *_arrows(TABLE, Order.NOTHING), *ends])


def draw_floor() -> str:
    """Who has the floor."""
    begins = [f"    [*] --> {Floor.FREE.value}"]
    table = {
        floor: {signal: (after, order_between(floor, after)) for signal, after in row.items()}
        for floor, row in FLOOR_TABLE.items()
    }
    return "\n".join(["stateDiagram-v2", *begins, *_arrows(table, FloorOrder.NOTHING)])


def _arrows(
    table: Mapping[StateT, Mapping[SignalT, tuple[StateT, OrderT]]], nothing: OrderT
) -> Iterator[str]:
    for state, row in table.items():
        # One arrow for all signals that do the same.
        signals: dict[tuple[StateT, OrderT], list[str]] = {}
        for signal, (after, order) in row.items():
            if order is not nothing or after is not state:
                signals.setdefault((after, order), []).append(signal.value)
        for (after, order), names in signals.items():
            told = "" if order is nothing else f" / {order.value}"
            yield f"    {state.value} --> {after.value}: {', '.join(names)}{told}"


if __name__ == "__main__":
    print(draw_life(), draw_floor(), sep="\n\n")
