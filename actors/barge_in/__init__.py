"""Barge-in: a table of what may happen to a reply, the machine around it, and a thin actor."""

from actors.barge_in.actor import BargeInController

__all__ = ["BargeInController"]
