"""Steering a live call from outside: commands from people who have the right to give them."""

from actors.operator.actor import Operator

__all__ = ["Operator"]
