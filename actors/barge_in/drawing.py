"""The two tables as pictures: `python -m actors.barge_in.drawing` prints them as Mermaid state diagrams.

An arrow says `signal / order to the speaker`. What changes nothing and orders nothing is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum
from typing import TypeVar

from actors.barge_in.floor import FLOOR_TABLE, Floor, FloorOrder
from actors.barge_in.table import TABLE, Life, Order

__all__ = ["draw_floor", "draw_life"]

StateT = TypeVar("StateT", bound=Enum)
SignalT = TypeVar("SignalT", bound=Enum)
OrderT = TypeVar("OrderT", bound=Enum)


def draw_life() -> str:
    """The life of a reply."""
    begins = [f"    [*] --> {Life.ARRIVING.value}"]
    ends = [f"    {life.value} --> [*]" for life in (Life.PLAYED, Life.CUT, Life.ABANDONED)]
    return "\n".join(["stateDiagram-v2", *begins, *_arrows(TABLE, Order.NOTHING), *ends])


def draw_floor() -> str:
    """Who has the floor."""
    begins = [f"    [*] --> {Floor.FREE.value}"]
    return "\n".join(["stateDiagram-v2", *begins, *_arrows(FLOOR_TABLE, FloorOrder.NOTHING)])


def _arrows(
    table: Mapping[StateT, Mapping[SignalT, tuple[StateT, OrderT]]], nothing: OrderT
) -> Iterator[str]:
    for state, row in table.items():
        for signal, (after, order) in row.items():
            if order is not nothing:
                yield f"    {state.value} --> {after.value}: {signal.value} / {order.value}"
            elif after is not state:
                yield f"    {state.value} --> {after.value}: {signal.value}"


if __name__ == "__main__":
    print(draw_life(), draw_floor(), sep="\n\n")
