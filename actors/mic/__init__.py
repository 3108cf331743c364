"""The microphones: merges the people the agent listens to into one stream of sound."""

from actors.mic.pump import FRAME_MS, SILENCE_FOR_S, MicPump

__all__ = ["FRAME_MS", "SILENCE_FOR_S", "MicPump"]
