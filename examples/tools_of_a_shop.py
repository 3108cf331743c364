"""Tools for a voice agent: `python runner.py --tools examples/tools_of_a_shop.py`.

The model can call every public function in this file. It knows only the function's name, hints and docstring,
and hears what the function returns.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated

import trio

from channels.tools import tool


@dataclass
class Order:
    """What became of an order."""

    order_id: str
    state: str
    arrives: date


class Size(enum.Enum):
    """Of a pizza."""

    SMALL = "small"
    LARGE = "large"


_PRICES = {Size.SMALL: 7.5, Size.LARGE: 11.0}


def order_status(order_id: Annotated[str, "the number of the order, e.g. 4471"]) -> Order:
    """The state of an order, and when it arrives."""
    if not order_id.isdigit():
        raise ValueError(f"{order_id!r} is not an order number; those have only digits")
    return Order(order_id, "shipped", date.today() + timedelta(days=1))


def pizza_price(size: Size, how_many: int = 1) -> dict[str, float]:
    """The price of pizzas.

    Args:
        size: small or large.
        how_many: pizzas of that size.
    """
    return {"euros": _PRICES[size] * how_many}


@tool(timeout_seconds=20)
async def nearest_courier(street: str) -> str:
    """Finds the courier who is nearest to a street. Takes a few seconds."""
    await trio.sleep(3)  # async tools run in Trio; plain ones, in a thread
    return f"Anna is two minutes away from {street}."
