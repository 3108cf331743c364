"""The actors, one module each. An actor knows its settings, its channels and its port, but no other actor."""
