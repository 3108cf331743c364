"""`python runner.py replay FILE`: runs a record again and says where decisions differ from the recorded."""

from commands.replay.command import replay

__all__ = ["replay"]
