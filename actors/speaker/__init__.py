"""The speaker: a pure account of what is to be played and what was, and the actor that plays it."""

from actors.speaker.pump import SpeakerPump

__all__ = ["SpeakerPump"]
