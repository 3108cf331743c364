"""Requests of the agent's own parts to the service, each at the right moment."""

from actors.asking.actor import AskInTurn

__all__ = ["AskInTurn"]
