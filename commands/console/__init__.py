"""`python runner.py console`: somebody talks to the agent through this computer's own microphone."""

from commands.console.command import with_person

__all__ = ["with_person"]
