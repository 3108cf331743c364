"""Serving the rooms that LiveKit's agent dispatch assigns: `python runner.py serve`."""

from commands.fleet.command import JobRoomMaker, serve_jobs

__all__ = ["JobRoomMaker", "serve_jobs"]
