"""`python runner.py check`: tells you whether everything a call needs is there, before anybody calls."""

from commands.check.command import check

__all__ = ["check"]
