"""What a short sound was. Pure."""

from __future__ import annotations

from actors.short_sounds.following import ShortSound
from channels.happenings import SoundJudged
from channels.settings.short_words import ShortWords, plain
from sound.humming import is_hummed

__all__ = ["is_voice", "judged"]

NO_VOICE_MS = 200.0
"""A stretch of voice that is shorter is no word. Measured with the 70 ms by which Silero notices an end late:
the longest of 70 synthetic coughs had 192 ms, the shortest of 72 synthetic words ("no") 352
(`bench.short_sounds`), and a "yes" of a real person 224."""

SHORT_MS = 1000.0
"""No hum and no words that are longer give the voice back at once."""


def is_voice(sound: ShortSound) -> bool:
    """Whether somebody may have said something."""
    return sound.voice_ms >= NO_VOICE_MS


def judged(
    sound: ShortSound, text: str | None, words: ShortWords, *, foreign: bool = False
) -> SoundJudged | None:
    """What it was; None: nobody can tell, and what holds without a judge holds.

    Args:
        sound: that may be over.
        text: what was understood of it; None: nobody listened, or too late.
        words: of the session's languages.
        foreign: it may be said in a language that the recogniser does not understand; then a text that is on
            neither list says nothing.
    """
    said = plain(text or "")
    if words.stops_in(said):
        return SoundJudged(sound.at, keeps=True, why="words")
    if not is_voice(sound):
        return SoundJudged(sound.at, keeps=False, why="no voice")
    hummed = is_hummed(sound.body)
    if hummed or words.are_back_channels(said):
        if sound.length_ms > SHORT_MS:
            return None
        return SoundJudged(sound.at, keeps=False, why="hummed" if hummed else "back-channel")
    if sound.length_ms > SHORT_MS:
        return SoundJudged(sound.at, keeps=True, why="long")
    return SoundJudged(sound.at, keeps=True, why="words") if said and not foreign else None
