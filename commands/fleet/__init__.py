"""Serving the rooms that LiveKit's agent dispatch assigns: `python runner.py serve`."""

from commands.fleet.command import JobRoomMaker, serve_jobs
from commands.fleet.parent import serve_in_processes, tell_parent

__all__ = ["JobRoomMaker", "serve_in_processes", "serve_jobs", "tell_parent"]
