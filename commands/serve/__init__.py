"""Serving a room, the command that needs no name."""

from commands.serve.process import serve
from commands.serve.room import serve_room

__all__ = ["serve", "serve_room"]
