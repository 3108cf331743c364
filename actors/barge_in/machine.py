"""The conversation as the controller sees it: a pure function over frozen values.

`step(conversation, event, now)` returns the next conversation, the commands for the speaker and what is
to be told to the taps. It does no I/O and asks no clock. It finds out which replies an event concerns,
looks up the table for each, and keeps what was said so that it can tell what was heard.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import attrs

from actors.barge_in.floor import Floor, FloorOrder, FloorSignal, FloorState
from actors.barge_in.table import LIVING, TABLE, Life, Order, Signal
from channels.happenings import (
    Happening,
    Interrupted,
    PersonSaid,
    ReplyBegan,
    ReplyEnded,
    ReplyOutcome,
    SessionConfigured,
    SoundStarted,
    SoundStopped,
    TurnStarted,
    TurnStopped,
    VoiceHeld,
    VoiceResumed,
    WordsHeard,
)
from channels.messages import (
    ApiEvent,
    ConnectionBroke,
    Cut,
    Fill,
    Finish,
    Finished,
    Hold,
    Play,
    Playing,
    Resume,
    RoomAway,
    RoomBack,
    SessionOver,
    SpeakerCommand,
    SpeakerReport,
)
from channels.settings import HoldSettings
from channels.wire.events import (
    AgentTranscript,
    AgentTranscriptDelta,
    ReplyAudio,
    ReplyDone,
    ReplyStarted,
    SessionReady,
    SessionUpdated,
    SpeechStarted,
    SpeechStopped,
    UserTranscript,
    UserTranscriptDelta,
)
from channels.wire.resolved import is_interruptible

__all__ = ["Conversation", "Event", "Outcome", "ReplyState", "TimePassed", "step"]

UNNAMED = "unnamed"
"""The reply of sound that names none, before any reply was announced."""

MOST_ENDED_REMEMBERED = 1024
"""Replies whose late sound is known to be late: at one reply in three seconds, some fifty minutes of them."""


@attrs.frozen
class Word:
    """A word of a reply and the place of its sound (ms from the reply's first sample)."""

    text: str
    start_ms: int | None
    end_ms: int | None


@attrs.frozen
class ReplyState:
    """One reply."""

    life: Life = Life.ARRIVING
    audible: bool = False
    """Some of it that is not silence has been played."""
    words: tuple[Word, ...] = ()
    words_told: int = 0
    """How many of them the taps know to be heard."""
    text: str = ""
    """The service's own final text; cut by its estimate if it was interrupted."""


@attrs.frozen
class Conversation:
    """All that the controller knows."""

    replies: Mapping[str, ReplyState] = attrs.field(factory=dict)
    """Those that are not over, in the order of their first mention."""
    ended: Mapping[str, Life] = attrs.field(factory=dict)
    """How the latest ones ended, oldest first."""
    newest: str = UNNAMED
    session_id: str | None = None
    interruptible: bool = True
    """False while the session has `interrupt_response: false`."""
    floor: FloorState = attrs.field(factory=lambda: FloorState(HoldSettings()))
    playing: tuple[str, float] | None = None
    """The reply that was played last, and how many ms of it."""
    away: bool = False
    """The room cannot be reached: the voice waits, whoever has the floor."""
    filler: str | None = None
    """A sound that is no reply and gives way to everything, while it is being played."""
    fillers: int = 0
    dropped_bytes: int = 0
    """Sound of replies that were over when it came."""

    def may_hold(self) -> bool:
        """Whether a sound of the person may hold the voice: there must be a voice, and trust in the sound."""
        return self.floor.floor is not Floor.FREE or (
            self.speaks() and self.interruptible and self.floor.believes()
        )

    def speaks(self) -> bool:
        """Whether the agent has something to say."""
        return any(reply.life in LIVING for reply in self.replies.values())

    def life(self, reply_id: str) -> Life | None:
        """Where that reply is in its life; None if it is not known."""
        reply = self.replies.get(reply_id)
        return reply.life if reply else self.ended.get(reply_id)


@attrs.frozen
class TimePassed:
    """The floor's deadline may be over."""


Event: TypeAlias = (
    ApiEvent | SpeakerReport | SoundStarted | SoundStopped | Fill | RoomAway | RoomBack | TimePassed
)
Outcome: TypeAlias = tuple[Conversation, list[SpeakerCommand], list[Happening]]


def step(conversation: Conversation, event: Event, now: float) -> Outcome:
    """What follows from an event that comes at `now` (s): the next state, the commands, the happenings."""
    turn = _Turn(conversation, now)
    match event:
        case SpeechStarted():
            turn.happenings.append(TurnStarted(now))
            turn.cut_filler()
            if conversation.interruptible:
                turn.signal_living(Signal.INTERRUPTED)
                turn.signal_floor(FloorSignal.DECIDED)
        case SoundStarted():
            turn.cut_filler()
            if conversation.may_hold():
                turn.signal_floor(FloorSignal.SOUND)
        case SoundStopped():
            turn.signal_floor(FloorSignal.SILENCE)
        case TimePassed():
            if now >= conversation.floor.deadline:
                turn.signal_floor(FloorSignal.DEADLINE)
        case RoomAway():
            turn.lose_room()
        case RoomBack():
            turn.find_room()
        case SpeechStopped():
            turn.happenings.append(TurnStopped(now))
        case ReplyStarted(reply_id=reply_id):
            turn.begin(reply_id)
        case ReplyAudio(data=data, reply_id=reply_id):
            turn.signal(conversation.newest if reply_id is None else reply_id, Signal.SOUND, sound=data)
        case ReplyDone(reply_id=reply_id, status="interrupted"):
            turn.signal(reply_id, Signal.INTERRUPTED)
            # The end of one reply, or of one long gone, decides nothing about a voice that is still held.
            if not turn.conversation.speaks():
                turn.signal_floor(FloorSignal.DECIDED)
        case ReplyDone(reply_id=reply_id):
            turn.signal(reply_id, Signal.COMPLETED)
        case AgentTranscriptDelta(delta=delta, reply_id=reply_id, start_ms=start_ms, end_ms=end_ms):
            turn.add_word(reply_id, Word(delta.strip(), start_ms, end_ms))
        case AgentTranscript(text=text, reply_id=reply_id):
            turn.set_text(reply_id, text)
        case Playing(reply_id=reply_id, played_ms=played_ms, audible=audible):
            turn.note_played(reply_id, played_ms, audible)
        case Fill(pcm=pcm):
            turn.fill(pcm)
        case Finished(reply_id=reply_id) if reply_id == conversation.filler:
            turn.change(filler=None)
        case Finished(reply_id=reply_id):
            turn.signal(reply_id, Signal.FINISHED, finished=event)
        case SessionReady(session_id=session_id, config=config):
            if session_id != conversation.session_id:
                turn.signal_living(Signal.LEFT_OPEN)
            turn.change(session_id=session_id, interruptible=is_interruptible(config))
            turn.happenings.append(SessionConfigured(config))
        case SessionUpdated(config=config):
            turn.change(interruptible=is_interruptible(config))
            turn.happenings.append(SessionConfigured(config))
        case UserTranscriptDelta(text=text):
            turn.happenings.append(PersonSaid(text, final=False))
        case UserTranscript(text=text):
            turn.happenings.append(PersonSaid(text, final=True))
        case ConnectionBroke():
            # A resumed session may go on with its reply; only a fresh one says that it will not.
            pass
        case SessionOver():
            turn.signal_living(Signal.INTERRUPTED)
            turn.happenings.clear()  # nobody interrupted: whoever it was said to is gone
        case _:
            pass
    return turn.conversation, turn.commands, turn.happenings


class _Turn:
    """One step in the making."""

    def __init__(self, conversation: Conversation, now: float) -> None:
        self.conversation = conversation
        self.now = now
        self.commands: list[SpeakerCommand] = []
        self.happenings: list[Happening] = []

    def change(self, **changes: Any) -> None:
        self.conversation = attrs.evolve(self.conversation, **changes)

    def signal_floor(self, signal: FloorSignal) -> None:
        floor, order = self.conversation.floor.take(signal, self.now)
        self.change(floor=floor)
        match order:
            case FloorOrder.HOLD:
                self._command(Hold())
                self.happenings.append(VoiceHeld(self.now))
            case FloorOrder.RESUME if signal is FloorSignal.DECIDED:
                # What was held is cut; the speaker is freed for what comes next.
                self._command(Resume())
            case FloorOrder.RESUME:
                self._command(self._resume())
                held_ms = round((self.now - floor.held_at) * 1000)
                self.happenings.append(VoiceResumed(self.now, held_ms))
            case FloorOrder.NOTHING:
                pass

    def lose_room(self) -> None:
        if not self.conversation.away and self.conversation.floor.floor is Floor.FREE:
            self.commands.append(Hold())
        self.change(away=True)

    def find_room(self) -> None:
        if self.conversation.away and self.conversation.floor.floor is Floor.FREE:
            self.commands.append(self._resume())
        self.change(away=False)

    def _command(self, command: Hold | Resume) -> None:
        # While the room is away the voice is held for that; whoever has the floor shows when it is back.
        if not self.conversation.away:
            self.commands.append(command)

    def _resume(self) -> Resume:
        if self.conversation.playing is None:
            return Resume()
        reply_id, played_ms = self.conversation.playing
        reply = self.conversation.replies.get(reply_id)
        for word in reply.words if reply else ():
            if (
                word.start_ms is not None
                and word.end_ms is not None
                and word.start_ms < played_ms < word.end_ms
            ):
                return Resume(reply_id, word.start_ms)
        return Resume()

    def begin(self, reply_id: str) -> None:
        if self.conversation.life(reply_id) is not None:
            return
        self.signal_living(Signal.LEFT_OPEN)
        self._put(reply_id, ReplyState())

    def signal_living(self, signal: Signal) -> None:
        for reply_id, reply in self.conversation.replies.items():
            if reply.life in LIVING:
                self.signal(reply_id, signal)

    def signal(
        self, reply_id: str, signal: Signal, *, sound: bytes = b"", finished: Finished | None = None
    ) -> None:
        before = self.conversation.life(reply_id)
        if before is None and signal is Signal.FINISHED:
            return
        after, order = TABLE[before or Life.ARRIVING][signal]
        match order:
            case Order.PLAY:
                self.cut_filler()
                self.commands.append(Play(reply_id, sound))
            case Order.FINISH:
                self.commands.append(Finish(reply_id))
            case Order.CUT:
                self.commands.append(Cut(reply_id))
                self.happenings.append(Interrupted(reply_id, self.now))
            case Order.DROP:
                self.change(dropped_bytes=self.conversation.dropped_bytes + len(sound))
            case Order.NOTHING:
                pass
        if after is before:
            return
        if before is None:
            self._put(reply_id, ReplyState(after))
        elif finished is not None:
            self._end(after, finished)
        else:
            self._put(reply_id, attrs.evolve(self.conversation.replies[reply_id], life=after))

    def fill(self, pcm: bytes) -> None:
        conversation = self.conversation
        busy = conversation.speaks() or conversation.filler is not None
        if not busy and conversation.floor.floor is Floor.FREE:
            filler = f"filler-{conversation.fillers}"
            self.change(filler=filler, fillers=conversation.fillers + 1)
            self.commands += [Play(filler, pcm), Finish(filler)]

    def cut_filler(self) -> None:
        if self.conversation.filler is not None:
            self.commands.append(Cut(self.conversation.filler))
            self.change(filler=None)

    def add_word(self, reply_id: str, word: Word) -> None:
        reply = self.conversation.replies.get(reply_id)
        if reply is not None:
            self._put(reply_id, attrs.evolve(reply, words=(*reply.words, word)))

    def set_text(self, reply_id: str, text: str) -> None:
        reply = self.conversation.replies.get(reply_id)
        if reply is not None:
            self._put(reply_id, attrs.evolve(reply, text=text))

    def note_played(self, reply_id: str, played_ms: float, audible: bool) -> None:
        reply = self.conversation.replies.get(reply_id)
        if reply is None:
            return
        self.change(playing=(reply_id, played_ms))
        if audible and not reply.audible:
            self.happenings.append(ReplyBegan(reply_id, self.now))
        told = _words_played(reply, played_ms)
        if told > reply.words_told:
            new = " ".join(word.text for word in reply.words[reply.words_told : told])
            self.happenings.append(WordsHeard(reply_id, new))
        if told > reply.words_told or audible != reply.audible:
            self._put(
                reply_id,
                attrs.evolve(reply, audible=audible or reply.audible, words_told=max(told, reply.words_told)),
            )

    def _put(self, reply_id: str, reply: ReplyState) -> None:
        new = reply_id not in self.conversation.replies
        self.change(
            replies={**self.conversation.replies, reply_id: reply},
            newest=reply_id if new else self.conversation.newest,
        )

    def _end(self, life: Life, finished: Finished) -> None:
        reply_id, played_ms = finished.reply_id, finished.played_ms
        others = dict(self.conversation.replies)
        reply = others.pop(reply_id)
        ended = {**self.conversation.ended, reply_id: life}
        if len(ended) > MOST_ENDED_REMEMBERED:
            del ended[next(iter(ended))]
        self.change(replies=others, ended=ended)
        heard = _heard_text(reply, life, played_ms)
        self.happenings.append(
            ReplyEnded(reply_id, _OUTCOMES[life], round(played_ms), heard, self.now, finished.underruns)
        )


_OUTCOMES = {
    Life.PLAYED: ReplyOutcome.PLAYED,
    Life.CUT: ReplyOutcome.CUT,
    Life.ABANDONED: ReplyOutcome.ABANDONED,
}


def _heard_text(reply: ReplyState, life: Life, played_ms: float) -> str:
    if life is Life.PLAYED and reply.text:
        return reply.text
    if reply.words:
        return " ".join(word.text for word in reply.words[: _words_played(reply, played_ms)])
    return reply.text if played_ms > 0 else ""


def _words_played(reply: ReplyState, played_ms: float) -> int:
    """How many of the words, from the first on, have been played to their end."""
    count = 0
    for word in reply.words:
        if word.end_ms is not None and word.end_ms > played_ms:
            break
        count += 1
    return count
