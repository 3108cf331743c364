"""The session with the Voice Agent API: one websocket at a time, kept alive across drops."""

from actors.api.session import ApiSession

__all__ = ["ApiSession"]
