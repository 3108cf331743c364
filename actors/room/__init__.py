"""The room: an actor that keeps the agent in it, and the one module that speaks to LiveKit's SDK."""
