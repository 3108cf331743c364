"""The speaker: pure bookkeeping of what to play and what was played, and the actor that plays it."""

from actors.speaker.pump import SpeakerPump

__all__ = ["SpeakerPump"]
