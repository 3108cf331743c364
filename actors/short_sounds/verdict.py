"""What a short sound was. Pure."""

from __future__ import annotations

from actors.short_sounds.following import ShortSound
from channels.happenings import SoundJudged
from channels.settings.short_words import ShortWords, plain
from sound.humming import is_hummed

__all__ = ["is_voice", "judged"]

NO_VOICE_MS = 200.0
"""A stretch of voice that is shorter is no word. Measured (`bench.short_sounds`): the longest of 70 coughs
had 192 ms, the shortest of 72 words ("no") 352, both with the 70 ms by which Silero notices an end late."""

SHORT_MS = 1000.0
"""What is longer is no back-channel, whatever its words are."""


def is_voice(sound: ShortSound) -> bool:
    """Whether somebody may have said something."""
    return sound.voice_ms >= NO_VOICE_MS


def judged(sound: ShortSound, text: str | None, words: ShortWords) -> SoundJudged | None:
    """What it was; None: nobody can tell, and what holds without a judge holds.

    Args:
        sound: that may be over.
        text: what was understood of it; None: nobody listened, or too late.
        words: of the session's languages.
    """
    said = plain(text or "")
    if words.stops_in(said):
        return SoundJudged(sound.at, keeps=True, why="words")
    if not is_voice(sound):
        return SoundJudged(sound.at, keeps=False, why="no voice")
    if sound.length_ms > SHORT_MS:
        return SoundJudged(sound.at, keeps=True, why="long")
    if is_hummed(sound.body):
        return SoundJudged(sound.at, keeps=False, why="hummed")
    if words.are_back_channels(said):
        return SoundJudged(sound.at, keeps=False, why="back-channel")
    return SoundJudged(sound.at, keeps=True, why="words") if said else None
