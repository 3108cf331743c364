"""How a person who speaks is told of, and what it does to a reply: the switches, and where they are from.

                     live (recordings)                              docs (documentation)
    decision         at the end of the person's sentence            with `input.speech.started`, at once
    speech.started   with the first recognised word                 with the sound, when it has lasted a while
    back-channels    told like any speech; the reply goes on        not told; the reply goes on
    split turns      taken into the reply that nobody has heard     cut that reply, and begin another
    during a hold    muted, then the answer begins again            told like any speech

Both forms of the decision were recorded live: at once until September 24 (21 cases, three accounts), at the
sentence's end from September 29 on (9 cases, two accounts). Nobody knows why, or which comes next.
"""

from __future__ import annotations

import functools
from typing import Literal

import attrs

from channels.settings.short_words import ShortWords, plain
from channels.settings.short_words_file import read_short_words

__all__ = ["Interruption", "is_back_channel"]

_FILLERS = frozenset({("huh",), ("uh",), ("um",)})
"""Nobody is interrupted by these alone."""
_ANSWERS = frozenset({("yes",), ("of", "course")})
"""They may answer a question that is still being asked. The agent may give its voice back for them, which it
can undo; what is decided here stays."""


@functools.cache
def _english() -> ShortWords:
    english = read_short_words(())["en"]
    return attrs.evolve(english, back_channels=(english.back_channels | _FILLERS) - _ANSWERS)


def is_back_channel(text: str, *, hummed: bool = False) -> bool:
    """Whether these words only say "I am listening" (or are none): no reason to stop talking.

    Args:
        text: what was understood, by a recogniser that knows English.
        hummed: the sound says so, whatever the words are; but a "no" that sounds dull is one.
    """
    words = plain(text)
    if not words:
        return True
    return not _english().stops_in(words) if hummed else _english().are_back_channels(words)


@attrs.frozen
class Interruption:
    """The switches; None: as the personality has it."""

    decision: Literal["at_once", "sentence_end"] | None = None
    """When `transcript.agent{interrupted}` and `reply.done{interrupted}` come. `at_once` ("form 1"): with
    `input.speech.started`, or with the first word that is no back-channel. `sentence_end` ("form 2"): some ms
    after `input.speech.stopped`; until then the reply is streamed on."""
    speech_started: Literal["words", "onset"] | None = None
    """`words`: with the first `transcript.user.delta`; `Delays` says how late that is."""
    back_channels: Literal["heard", "answered", "unheard"] | None = None
    """What becomes of a "mm-hm" over a reply, which goes on in any case. `heard`: told, with its words, and
    that is all. `answered`: it is a turn of its own, answered after the reply (two accounts saw that, too).
    `unheard`: not told, if it is short. A voice that is too soft (`from_peak`) is treated the same."""
    split_turns: Literal["joined", "cut"] | None = None
    """Speech between `reply.started` and the first sound of the reply. `joined`: the reply waits, and answers
    both sentences. `cut`: it is interrupted like any other."""
    over_hold: Literal["restart", "muted", "heard"] | None = None
    """Speech while a tool with `execution_mode: hold` is open. `muted`: a lone `input.speech.stopped`, and
    the words are lost. `restart` (8 of 8): the answer also breaks off with `transcript.agent{interrupted}`
    and `reply.done{completed}`, and begins again under another id. `heard`: like any speech."""
    restart_ms: int = 3100
    """How long the answer is spoken before `restart` breaks it off: 3.1 s were recorded."""
    agent_transcripts: Literal["one", "shorter_first", "longer_first"] | None = None
    """`transcript.agent` of an interrupted reply: the flagged one alone, or an unflagged one before it, which
    is shorter (3 of 3 with `sentence_end`) or longer. Live: `shorter_first` if the decision comes at the
    sentence's end, else `one`."""
    from_peak: float = attrs.field(default=0.0, validator=[attrs.validators.ge(0), attrs.validators.le(1)])
    """A voice whose peak is below this fraction of full scale interrupts no reply; 0: any voice does. One
    account saw 0.66 interrupt and a third not. Off in both personalities: it is one account's word, and a
    person who talks with the playground softly would not be able to stop it."""
    started_late: bool = False
    """`input.speech.started` comes inside or behind the events of the decision, not before: seen at times."""

    def by_personality(self, *, docs: bool) -> Interruption:
        """Every switch filled in."""
        decision = self.decision or ("at_once" if docs else "sentence_end")
        return attrs.evolve(
            self,
            decision=decision,
            speech_started=self.speech_started or ("onset" if docs else "words"),
            back_channels=self.back_channels or ("unheard" if docs else "heard"),
            split_turns=self.split_turns or ("cut" if docs else "joined"),
            over_hold=self.over_hold or ("heard" if docs else "restart"),
            agent_transcripts=self.agent_transcripts
            or ("one" if docs or decision == "at_once" else "shorter_first"),
        )
