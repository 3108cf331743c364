"""What the agent's own parts ask of the service: each thing in its turn."""

from actors.asking.actor import AskInTurn

__all__ = ["AskInTurn"]
