"""The life of a call: when sessions begin and end, so that nobody pays for silence or an empty room."""

from actors.call_life.actor import CallLife

__all__ = ["CallLife"]
