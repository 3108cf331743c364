"""`python runner.py check`: whether everything is there that a call needs, before anybody calls."""

from commands.check.command import check

__all__ = ["check"]
