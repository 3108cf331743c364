"""The worker's connection to LiveKit's agent dispatch."""

from actors.dispatch.actor import DispatchActor

__all__ = ["DispatchActor"]
