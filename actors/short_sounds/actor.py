"""ShortSoundJudge: what a short sound was, long before the service says it.

In: the windows of sound that the onset detector has judged; happenings, for the session's languages. Out:
`SoundJudged`, for the controller and the taps. It looks at a sound 128 ms after its last voice, in which the
detector would not call it over yet. What has no voice in it, or is hummed, is known at once; the rest is
given to a recogniser in a worker thread, if there is one for the session's language. A judgement that comes
too late is none. Without this actor, or when it fails, the voice waits for `linger_ms` after each sound.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeAlias

import trio
from attrs import define, field

from actors.short_sounds.following import Followed, GoesOn, ShortSound
from actors.short_sounds.verdict import is_voice, judged
from channels.bounded import Receiver, Sender
from channels.happenings import Happening, SessionConfigured, SoundJudged
from channels.messages import HeardWindow
from channels.settings.short_words import ShortWords, words_of
from channels.taps import Taps

__all__ = ["ShortSoundJudge", "Transcribe"]

Transcribe: TypeAlias = Callable[[bytes], str]
"""What is said in PCM16 mono 16 kHz. Blocking; called in a worker thread, once at a time."""

LATE_S = 0.6
"""Of a voice. So long after it was looked at, a sound is judged without its words: `linger_ms` begins to
count 170 ms after the look, and must find it judged."""

SOON_S = 0.15
"""The same of what has no voice in it, and is hardly ever a word: so long at most the voice waits for one
more look at a cough on a busy machine. A recogniser that has a core needs 20 ms."""


_MOST_LANGUAGES = 100
"""Of a session, as in its settings."""


def patience_s(sound: ShortSound) -> float:
    """How long its words are waited for."""
    return LATE_S if is_voice(sound) else SOON_S


@define
class ShortSoundJudge:
    """Judges the short sounds of one person.

    Args:
        words: by language.
        languages: codes of the session's languages, until it says otherwise; None: the default one.
        load: makes the recogniser, once the session has a language that it understands; None: there is none,
            and only what has no voice in it is judged.
        understood: codes of the recogniser's languages.
        thread: of the recogniser. While one is late, others wait for it, and may be late themselves.
    """

    windows: Receiver[HeardWindow]
    happenings: Receiver[Happening]
    sounds: Sender[SoundJudged]
    taps: Taps
    words: Mapping[str, ShortWords]
    languages: Sequence[str] | None
    load: Callable[[], Awaitable[Transcribe]] | None
    understood: frozenset[str] = frozenset()
    thread: trio.CapacityLimiter = field(factory=lambda: trio.CapacityLimiter(1))
    _followed: Followed = field(factory=Followed, init=False)
    _words: ShortWords = field(factory=ShortWords, init=False)
    """Of the session's languages."""
    _wanted: trio.Event = field(factory=trio.Event, init=False)
    """The recogniser can be of use."""
    _transcribe: Transcribe | None = field(default=None, init=False)
    _dismissed: bool = field(default=False, init=False)
    """The voice was given back for the sound that may be over."""
    _judging: trio.CancelScope = field(factory=trio.CancelScope, init=False)

    async def run(self) -> None:
        """Judges until the windows end."""
        async with self.windows, self.happenings, self.sounds, trio.open_nursery() as nursery:
            self._speak(self.languages)
            nursery.start_soon(self._follow_languages)
            if self.load is not None:
                nursery.start_soon(self._begin_to_understand, self.load)
            async for window in self.windows:
                if window.pause_ms == 0:
                    self._judging.cancel()  # somebody speaks again: what was said before is not all of it
                match self._followed.take(window):
                    case ShortSound() as sound:
                        self._judging, self._dismissed = trio.CancelScope(), False
                        nursery.start_soon(self._judge, sound, self._judging)
                    case GoesOn(at=at) if self._dismissed:
                        self._tell(SoundJudged(at, keeps=True, why="goes on"))
                    case _:
                        pass
            nursery.cancel_scope.cancel()

    async def _follow_languages(self) -> None:
        async for happening in self.happenings:
            match happening:
                case SessionConfigured(config={"input": {"language_codes": list(codes)}}):
                    self._speak([code for code in codes[:_MOST_LANGUAGES] if isinstance(code, str)])
                case _:
                    pass

    def _speak(self, languages: Sequence[str] | None) -> None:
        self._words = words_of(self.words, languages)
        if self.understood.intersection(self._words.languages):
            self._wanted.set()

    async def _begin_to_understand(self, load: Callable[[], Awaitable[Transcribe]]) -> None:
        await self._wanted.wait()
        self._transcribe = await load()

    async def _judge(self, sound: ShortSound, scope: trio.CancelScope) -> None:
        with scope:
            text = await self._understand(sound)
            judgement = judged(sound, text, self._words)
            if judgement is not None:
                self._tell(judgement)

    async def _understand(self, sound: ShortSound) -> str | None:
        if self._transcribe is None or not self.understood.intersection(self._words.languages):
            return None
        with trio.move_on_after(patience_s(sound)):
            return await trio.to_thread.run_sync(
                self._transcribe, sound.pcm, limiter=self.thread, abandon_on_cancel=True
            )
        return None

    def _tell(self, judgement: SoundJudged) -> None:
        self._dismissed = not judgement.keeps
        self.taps.publish(judgement)
        self.sounds.send_nowait(judgement)
