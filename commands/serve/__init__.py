"""Serving rooms: the default command."""

from commands.serve.actors import run_actors
from commands.serve.process import serve
from commands.serve.room import RoomEnded, RoomSpec, run_room
from commands.serve.supervisor import supervise

__all__ = ["RoomEnded", "RoomSpec", "run_actors", "run_room", "serve", "supervise"]
