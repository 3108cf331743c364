"""What the controller knows about a conversation: its replies, the floor, the person's turn. Frozen values.

`machine.step` makes the next state; this module only answers questions about one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from attrs import field, frozen

from actors.barge_in.floor import NAMED_WITHIN_S, FloorState
from actors.barge_in.said import PersonTurn, words_of
from actors.barge_in.table import LIVING, ReplyPhase
from channels.happenings import FloorHolder
from channels.messages import Unheard
from channels.settings import BargeInSettings

__all__ = ["Conversation", "ReplyState", "Word"]

STUCK_AFTER_S = 30.0
"""If nothing of a reply has come or been heard for this long, its end was lost: the service was seen to think
for up to 4.9 s."""

UNNAMED = "unnamed"
"""The reply for sound that names no reply, before any was announced."""


@frozen
class Word:
    """A word of a reply and the place of its sound (ms from the reply's first sample)."""

    text: str
    start_ms: int | None
    end_ms: int | None


@frozen
class ReplyState:
    """One reply."""

    began_at: float = -math.inf
    phase: ReplyPhase = ReplyPhase.ARRIVING
    sounds: bool = False
    """Some of its sound has arrived."""
    audible: bool = False
    """Some of it that is not silence has been played."""
    acts: bool = False
    """It called a tool or failed: it may be meant to be silent."""
    words: tuple[Word, ...] = ()
    words_told: int = 0
    """How many of them the taps know were heard."""
    text: str = ""
    """The service's own final text."""
    cut_text: bool = False
    """That text ends where the service believes that the reply was interrupted."""

    @property
    def living(self) -> bool:
        """Whether it is still to be heard."""
        return self.phase in LIVING

    def words_played(self, played_ms: float) -> int:
        """How many of the words, from the first, have been played completely."""
        count = 0
        for word in self.words:
            if word.end_ms is not None and word.end_ms > played_ms:
                break
            count += 1
        return count

    def heard_text(self, phase: ReplyPhase, played_ms: float) -> str:
        """What the room heard of it, once it is over."""
        if phase is ReplyPhase.PLAYED:
            return self.text if self.text and not self.cut_text else _joined(self.words) or self.text
        if self.words:
            return _joined(self.words[: self.words_played(played_ms)])
        return self.text if played_ms > 0 else ""


@frozen
class Conversation:
    """All that the controller knows."""

    replies: Mapping[str, ReplyState] = field(factory=dict)
    """Those that are not over, in the order of their first mention."""
    ended: Mapping[str, ReplyPhase] = field(factory=dict)
    """How the latest ones ended, oldest first."""
    newest: str = UNNAMED
    session_id: str | None = None
    interruptible: bool = True
    """False while the session has `interrupt_response: false`."""
    floor: FloorState = field(factory=lambda: FloorState(BargeInSettings()))
    turn: PersonTurn = field(factory=PersonTurn)
    """Of the person."""
    holder: FloorHolder = FloorHolder.NOBODY
    """Who has the floor, as last published."""
    tools: frozenset[str] = frozenset()
    """Calls that have not returned."""
    overdue_at: float = math.inf
    """When the answer to the person's turn counts as missing; infinity while none is due."""
    playing: tuple[str, float] | None = None
    """The reply that was played last, and how many ms of it."""
    moved_at: float = math.inf
    """When an arriving reply last sent or played something; infinity: none is arriving, or it waits."""
    connected: bool = False
    """There is a session that can answer."""
    away: Unheard | None = None
    """Why nobody can hear the agent; then the voice waits, whoever has the floor."""
    away_since: float = -math.inf
    filler: str | None = None
    """A filler sound that is playing; it gives way to everything."""
    fillers: int = 0
    dropped_bytes: int = 0
    """Sound that arrived after its reply was over."""

    @property
    def deadline(self) -> float:
        """When to look again even if nothing happens (s; infinity: never)."""
        given_up_at = min(map(self.given_up_at, self.replies.values()), default=math.inf)
        return min(self.floor.deadline, self.overdue_at, self.moved_at + STUCK_AFTER_S, given_up_at)

    def given_up_at(self, reply: ReplyState) -> float:
        """When it has waited long enough for somebody to hear it (s); infinity: it is not waiting.

        A lost room has its own time limit: it is rejoined, or ends the call.
        """
        if self.away in (None, Unheard.LOST) or not (reply.living and reply.sounds):
            return math.inf
        return max(self.away_since, reply.began_at) + self.floor.settings.unheard_ms / 1000

    def living(self) -> list[ReplyState]:
        """The replies that are still to be heard."""
        return [reply for reply in self.replies.values() if reply.living]

    def speaks(self) -> bool:
        """Whether the agent has something to say, or soon will."""
        return bool(self.living())

    def has_voice(self) -> bool:
        """Whether there is sound to be heard."""
        return any(reply.sounds for reply in self.living())

    def is_heard(self) -> bool:
        """Whether the room is hearing the agent, or would without a hold."""
        return any(reply.audible for reply in self.living())

    def may_be_stuck(self) -> bool:
        """Whether a reply is expected to make progress: it is arriving, and waits for nobody and no tool."""
        arriving = any(
            reply.phase is ReplyPhase.ARRIVING and not reply.acts for reply in self.replies.values()
        )
        return arriving and not self.floor.holds and self.away is None

    def echoes(self, text: str) -> bool:
        """Whether all of these words are among those that the agent is saying."""
        said = {word for reply in self.living() for one in reply.words for word in words_of(one.text)}
        return set(words_of(text)) <= said

    def undecided(self) -> bool:
        """Whether what the person just said may have interrupted a reply."""
        return any(reply.began_at < self.floor.stopped_at for reply in self.living())

    def person_speaks(self, now: float) -> bool:
        """Whether somebody is speaking, or just was, so that an interruption is theirs."""
        floor = self.floor
        heard = floor.sounding and not floor.noisy
        return floor.holds or heard or self.turn.speaking or now - floor.stopped_at <= NAMED_WITHIN_S

    def answer_is_due(self) -> bool:
        """Whether the person has finished speaking and is waiting. Their words may still be on the way."""
        return not (self.turn.over or self.turn.speaking or self.turn.aside)

    def finds_holder(self) -> FloorHolder:
        """Who has the floor."""
        if self.floor.holds:
            return FloorHolder.PERSON
        if self.is_heard() and self.away is None:
            return FloorHolder.AGENT
        if self.floor.may_speak:
            return FloorHolder.PERSON
        if self.speaks() or self.answer_is_due():
            return FloorHolder.ANSWER
        return FloorHolder.NOBODY

    def phase_of(self, reply_id: str) -> ReplyPhase | None:
        """Where that reply is in its life; None if it is not known."""
        reply = self.replies.get(reply_id)
        return reply.phase if reply else self.ended.get(reply_id)


def _joined(words: tuple[Word, ...]) -> str:
    return " ".join(word.text for word in words)
