"""What passes between the actors: messages, bounded channels, the wire codec, settings and errors.

Nothing in here imports an actor, the playground, or the runner.
"""
