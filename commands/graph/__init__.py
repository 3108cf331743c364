"""`python runner.py graph`: draws a room's actors and channels, from the wiring itself."""

from commands.graph.command import draw, print_graph
from commands.graph.live import show_graph

__all__ = ["draw", "print_graph", "show_graph"]
