"""The conversation as LiveKit's front ends show it: state, settings, turns and captions."""

from actors.front_end.actor import FrontEnd

__all__ = ["FrontEnd"]
