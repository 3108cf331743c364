"""The life of a call: when a session begins and ends, so that nobody pays for silence or an empty room."""

from actors.call_life.actor import CallLife

__all__ = ["CallLife"]
