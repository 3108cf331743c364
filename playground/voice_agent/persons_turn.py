"""The person's turn, from their first sound to the end of their sentence: what is told of it, and when.

A pure machine: it takes what the ears heard, how things stand (`Scene`, with the time) and gives what is to
be done, in order. The switches are `Interruption`'s.

    state      ears: begins       ears: words              ears: ends
    silent     → speaking         -                        -
    speaking   -                  told, when due; perhaps  told; the reply is cut, goes on,
                                  the reply is cut         or takes the words in
    muted      -                  -                        a lone speech.stopped

A turn is muted when it begins while a `hold` tool is open. A greeting that may not be interrupted is like
silence: nothing is told, nothing is kept.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import attrs

from playground.voice_agent.interruption import Interruption, is_back_channel

__all__ = [
    "Answered",
    "Command",
    "Cut",
    "Delta",
    "Joined",
    "PersonsTurn",
    "Released",
    "Said",
    "Scene",
    "Started",
    "Stopped",
    "WaitForWords",
]


@attrs.frozen
class Scene:
    """How things stand."""

    now_s: float
    reply: Literal["none", "unheard", "audible"]
    """What runs; `unheard`: nothing of it has been sent but silence."""
    may_cut: bool = True
    """The session lets replies be interrupted."""
    protected: bool = False
    """The reply may not be, whatever is said."""
    on_hold: bool = False
    """A `hold` tool is open."""
    loud: bool = True
    """The person is loud enough to be an interruption."""


@attrs.frozen
class Started:
    """`input.speech.started`."""


@attrs.frozen
class Delta:
    """`transcript.user.delta`."""

    text: str


@attrs.frozen
class Stopped:
    """`input.speech.stopped`."""


@attrs.frozen
class Said:
    """`transcript.user`."""

    text: str


@attrs.frozen
class Cut:
    """The reply is interrupted."""

    late: bool = False
    """Some ms after what came before."""
    around_started: bool = False
    """`input.speech.started` comes between its two events."""


@attrs.frozen
class WaitForWords:
    """`wake` is wanted then."""

    until_s: float


@attrs.frozen
class Answered:
    """The turn gets a reply of its own."""

    text: str


@attrs.frozen
class Joined:
    """The reply that nobody has heard answers this, too; if it cannot, `Answered`."""

    text: str


@attrs.frozen
class Released:
    """The person is silent: what waited for that may go on."""

    restart: bool = False
    """The answer to the open tool is to begin twice."""


Command: TypeAlias = Started | Delta | Stopped | Said | Cut | WaitForWords | Answered | Joined | Released


@attrs.define
class _Speaking:
    began_s: float
    due_s: float
    """When the first word may be told."""
    muted: bool
    brief: bool
    told: bool = False
    """`input.speech.started` is out."""
    shown: bool = False
    """So is a word."""
    words: str = ""
    waits: bool = False


@attrs.define
class PersonsTurn:
    """The machine of one session.

    Args:
        how: every switch filled in.
        first_word_s: from the first sound to the first word, at least, while the agent is silent.
        first_word_over_reply_s: the same while it talks.
    """

    _how: Interruption
    _first_word_s: float = 0.0
    _first_word_over_reply_s: float = 0.0
    _speaking: _Speaking | None = attrs.field(default=None, init=False)

    @property
    def speaks(self) -> bool:
        """Whether a turn is open."""
        return self._speaking is not None

    @property
    def began_s(self) -> float | None:
        """When the first sound of the open turn was heard."""
        return None if self._speaking is None else self._speaking.began_s

    def begins(self, scene: Scene, *, brief: bool, ago_s: float = 0.0) -> list[Command]:
        """Speech has been heard.

        Args:
            scene: as things stand.
            brief: it is over already, and its words follow.
            ago_s: how long ago its first sound was.
        """
        self._speaking = None
        if scene.protected:
            return []
        over = self._over(scene)
        wait_s = self._first_word_over_reply_s if over else self._first_word_s
        began_s = scene.now_s - ago_s
        muted = scene.on_hold and scene.reply != "audible" and self._how.over_hold != "heard"
        self._speaking = _Speaking(began_s, began_s + wait_s, muted, brief)
        # Too short to interrupt by its sound: its words will decide.
        waits_for_words = self._how.speech_started == "words" or (brief and over)
        return [] if muted or waits_for_words else self._tell(self._speaking, scene)

    def words(self, scene: Scene, text: str) -> list[Command]:
        """These were the words so far."""
        speaking = self._speaking
        if speaking is None or speaking.muted:
            return []
        speaking.words = text
        if scene.now_s >= speaking.due_s:
            return self._show(speaking, scene)
        waited, speaking.waits = speaking.waits, True
        return [] if waited else [WaitForWords(speaking.due_s)]

    def wake(self, scene: Scene) -> list[Command]:
        """The time has come that `WaitForWords` named."""
        speaking = self._speaking
        if speaking is None or not speaking.words or speaking.shown or scene.now_s < speaking.due_s:
            return []
        return self._show(speaking, scene)

    def ends(self, scene: Scene, text: str, *, hummed: bool = False) -> list[Command]:
        """The person has said this (perhaps with the mouth closed), or made a noise ("")."""
        speaking, self._speaking = self._speaking, None
        if speaking is None:
            return []  # it began while nobody could interrupt: discarded, not queued
        if speaking.muted:
            return [Stopped(), Released(restart=self._how.over_hold == "restart")]
        if not text.strip():
            return [*([Stopped()] if speaking.told else []), Released()]
        over = self._over(scene)
        cuts = self._cuts(scene) and not is_back_channel(text, hummed=hummed)
        goes_on = over and scene.may_cut and not cuts
        if goes_on and not speaking.told and self._how.back_channels == "unheard":
            return [Released()]
        told = self._told_at_the_end(speaking, text, cuts=cuts)
        if goes_on:
            after: list[Command] = [Answered(text)] if self._how.back_channels == "answered" else []
        elif scene.reply == "unheard" and not over:
            after = [Joined(text)]
        else:
            after = [Answered(text)]
        return [*told, *after, Released()]

    def _over(self, scene: Scene) -> bool:
        """Whether there is a reply that speech can interrupt."""
        return scene.reply == "audible" or (scene.reply == "unheard" and self._how.split_turns == "cut")

    def _cuts(self, scene: Scene) -> bool:
        return self._over(scene) and scene.may_cut and scene.loud

    def _tell(self, speaking: _Speaking, scene: Scene) -> list[Command]:
        by_sound = self._how.speech_started == "onset" and not speaking.brief
        cuts = (
            self._how.decision == "at_once"
            and self._cuts(scene)
            and (by_sound or not is_back_channel(speaking.words))
        )
        if speaking.told:
            return [Cut()] if cuts else []
        if self._how.started_late and self._how.decision == "sentence_end":
            return []
        speaking.told = True
        if cuts and self._how.started_late:
            return [Cut(around_started=True)]
        return [Started(), Cut()] if cuts else [Started()]

    def _show(self, speaking: _Speaking, scene: Scene) -> list[Command]:
        speaking.shown = True
        told = self._tell(speaking, scene)
        return [*told, Delta(speaking.words)]

    def _told_at_the_end(self, speaking: _Speaking, text: str, *, cuts: bool) -> list[Command]:
        started: list[Command] = [] if speaking.told else [Started()]
        words: list[Command] = []
        if self._how.speech_started == "words" and not speaking.shown:
            words = [Delta(text)]
        if self._how.decision == "at_once":
            if cuts and started and self._how.started_late:
                return [Cut(around_started=True), *words, Stopped(), Said(text)]
            return [*started, *([Cut()] if cuts else []), *words, Stopped(), Said(text)]
        cut: list[Command] = [Cut(late=True)] if cuts else []
        if self._how.started_late:
            return [*words, Stopped(), Said(text), *started, *cut]
        return [*started, *words, Stopped(), *cut, Said(text)]
