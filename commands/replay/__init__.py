"""`python runner.py replay FILE`: replays a record and shows where decisions differ."""

from commands.replay.command import replay

__all__ = ["replay"]
