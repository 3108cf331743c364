"""The judge of short sounds: a cough gives the agent's voice back at once, and "stop" holds it."""

from actors.short_sounds.actor import ShortSoundJudge, Transcribe

__all__ = ["ShortSoundJudge", "Transcribe"]
