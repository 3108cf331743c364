"""The room: the actor that keeps the agent in it, and the one package that talks to LiveKit's SDK."""
