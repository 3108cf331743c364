"""Steering a live call from outside: commands by whoever has the right to give them."""

from actors.operator.actor import Operator

__all__ = ["Operator"]
