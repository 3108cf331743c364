"""Whether the agent's voice is being heard, from what happens. Pure."""

from __future__ import annotations

from channels.happenings import Happening, Interrupted, ReplyBegan, ReplyEnded, VoiceHeld, VoiceResumed

__all__ = ["audible_after"]


def audible_after(happening: Happening, before: bool) -> bool:
    """Whether the agent is audible from now on.

    Args:
        happening: the latest.
        before: whether the agent was audible until then.
    """
    match happening:
        case ReplyBegan() | VoiceResumed():
            return True
        case VoiceHeld() | Interrupted() | ReplyEnded():
            return False
    return before
