"""The barge-in machine: `step(conversation, event, now)`. No I/O, no clock.

It returns the next conversation, the commands for the speaker and the happenings for the taps. For each event
it works out which replies and which floor signals are affected, looks them up in the two tables, and does
what they say. It remembers what was said, so that it can report what was heard.

After each event it publishes who has the floor, if that has changed. Nothing else derives that.
"""

from __future__ import annotations

import bisect
import math
from typing import Any, TypeAlias

import attrs

from actors.barge_in.conversation import STUCK_AFTER_S, Conversation, ReplyState, Word
from actors.barge_in.floor import FloorOrder, FloorSignal, FloorState, order_between
from actors.barge_in.table import LIVING, TABLE, Order, ReplyPhase, ReplySignal
from channels.happenings import (
    AnswerMissing,
    FloorHolder,
    FloorPassed,
    Happening,
    Interrupted,
    PersonSaid,
    ReplyBegan,
    ReplyCutShort,
    ReplyEnded,
    ReplyGivenUp,
    ReplyOutcome,
    SessionConfigured,
    SoundJudged,
    SoundRose,
    SoundStarted,
    SoundStopped,
    ToolAnswered,
    ToolDropped,
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
    CutShort,
    Duck,
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
    TimePassed,
    Unheard,
)
from channels.wire.events import (
    AgentTranscript,
    AgentTranscriptDelta,
    ReplyAudio,
    ReplyDone,
    ReplyFailed,
    ReplyStarted,
    SessionReady,
    SessionUpdated,
    SpeechStarted,
    SpeechStopped,
    ToolCall,
    UserTranscript,
    UserTranscriptDelta,
)
from channels.wire.resolved import is_interruptible

__all__ = ["Event", "Outcome", "TimePassed", "step"]

MOST_ENDED_REMEMBERED = 1024
"""Finished replies that are remembered, to recognise their late sound: 50 minutes at one in three seconds."""


MOST_WORDS = 4_000
"""Words of one reply: twenty minutes of talk. Any more are not kept."""

WORDS_OF_A_TURN = 3
"""Fewer words than this over the agent's voice may be a back-channel ("uh-huh", "yeah, okay")."""

WORDS_WITHIN_S = 1.0
"""From the end of a turn to its first words; without words it was not speech, and no answer is due."""

DUCK_MS = 120.0
"""How long the voice stays lowered beyond `min_speech_ms`: so soon the detector knows whether a sound is a
voice. Of 219 onsets, one window of 32 ms noticed 95 % within 145 ms (`bench.onsets`)."""

OF_A_PERSON = frozenset({"hummed", "back-channel"})
"""Why a voice is given back to somebody who listens (`SoundJudged.why`)."""

MOST_TOOLS = 32
"""That are waited for at a time; no more of them run."""

TOOL_ANSWERED_WITHIN_S = 330.0
"""From a tool call to its answer: the longest time that a tool may have, and some."""


Event: TypeAlias = (
    ApiEvent
    | SpeakerReport
    | SoundRose
    | SoundStarted
    | SoundStopped
    | SoundJudged
    | ToolAnswered
    | ToolDropped
    | Fill
    | RoomAway
    | RoomBack
    | TimePassed
)
Outcome: TypeAlias = tuple[Conversation, list[SpeakerCommand], list[Happening]]


def step(conversation: Conversation, event: Event, now: float) -> Outcome:
    """Handles an event at `now` (s); returns the next state, the commands and the happenings."""
    turn = _Step(conversation, now)
    match event:
        case SpeechStarted():
            turn.start_speech()
        case SpeechStopped():
            turn.stop_speech()
        case SoundRose():
            turn.duck()
        case SoundStarted(at=at):
            turn.start_sound(at)
        case SoundStopped():
            turn.hear(since=None)
            turn.signal_floor(FloorSignal.SILENCE)
        case SoundJudged():
            turn.judge(event)
        case TimePassed():
            turn.pass_time()
        case RoomAway(why=why):
            turn.lose_room(why)
        case RoomBack():
            turn.find_room()
        case ReplyStarted(reply_id=reply_id):
            turn.begin(reply_id)
        case ReplyAudio(data=data, reply_id=reply_id):
            turn.signal(conversation.newest if reply_id is None else reply_id, ReplySignal.SOUND, sound=data)
        case ReplyDone(reply_id=reply_id, status="interrupted"):
            turn.interrupt(reply_id)
        case ReplyDone(reply_id=reply_id):
            turn.signal(reply_id, ReplySignal.COMPLETED)
        case AgentTranscriptDelta(delta=delta, reply_id=reply_id, start_ms=start_ms, end_ms=end_ms):
            turn.add_word(reply_id, Word(delta.strip(), start_ms, end_ms))
        case AgentTranscript(text=text, reply_id=reply_id, interrupted=interrupted):
            turn.set_text(reply_id, text, interrupted=interrupted)
            if interrupted:
                turn.interrupt(reply_id)
        case ToolCall(call_id=call_id):
            turn.call_tool(call_id, conversation.newest)
        case ToolAnswered(call_id=call_id) | ToolDropped(call_id=call_id):
            turn.end_tool(call_id)
        case ReplyFailed(reply_id=reply_id):
            turn.fail(reply_id)
        case Playing(reply_id=reply_id, played_ms=played_ms, audible=audible):
            turn.note_played(reply_id, played_ms, audible)
        case Fill(pcm=pcm):
            turn.fill(pcm)
        case CutShort(reply_id=reply_id, kept_ms=kept_ms):
            turn.cut_short(reply_id, kept_ms)
        case Finished(reply_id=reply_id) if reply_id == conversation.filler:
            turn.change(filler=None)
        case Finished(reply_id=reply_id):
            turn.signal(reply_id, ReplySignal.FINISHED, finished=event)
        case SessionReady(session_id=session_id, config=config):
            if session_id != conversation.session_id:
                turn.signal_living(ReplySignal.LEFT_OPEN)
                turn.change(tools=frozenset())
            turn.change(session_id=session_id, connected=True, interruptible=is_interruptible(config))
            turn.await_answer()
            turn.happenings.append(SessionConfigured(config))
        case SessionUpdated(config=config):
            turn.change(interruptible=is_interruptible(config))
            turn.happenings.append(SessionConfigured(config))
        case UserTranscriptDelta(text=text):
            turn.understand(text)
        case UserTranscript(text=text, item_id=item_id):
            turn.settle_words(item_id, text)
        case ConnectionBroke():
            # A resumed session may continue its reply; only a fresh one shows that it will not. But nothing
            # will report when the person has finished, and nothing will answer.
            turn.change(connected=False)
            if conversation.turn.speaking:
                turn.finish_speech()
        case SessionOver():
            turn.leave_session()
        case _:
            pass
    turn.settle()
    return turn.conversation, turn.commands, turn.happenings


class _Step:
    """One step in the making."""

    def __init__(self, conversation: Conversation, now: float) -> None:
        self.conversation = conversation
        self.now = now
        self.commands: list[SpeakerCommand] = []
        self.happenings: list[Happening] = []

    def change(self, **changes: Any) -> None:
        self.conversation = attrs.evolve(self.conversation, **changes)

    # The person, as the service and the ear report them.

    def start_speech(self) -> None:
        conversation = self.conversation
        self.cut_filler()
        if not self._is_told_late():
            self._end_told_turn()
            self.change(turn=self.conversation.turn.begin(aside=conversation.has_voice()))
        self.happenings.append(TurnStarted(self.now, self.conversation.turn.number))
        if conversation.interruptible and conversation.floor.settings.on_speech_started == "cut":
            self.signal_living(ReplySignal.INTERRUPTED, by_person=True)
            self.change(turn=self.conversation.turn.interrupt())
        if not self.conversation.speaks():
            self.change(floor=self.conversation.floor.trust())
        self._hint(FloorSignal.SPEECH)

    def _is_told_late(self) -> bool:
        """Sometimes the service reports the end and the words before the beginning."""
        floor, turn = self.conversation.floor, self.conversation.turn
        just_now = self.now - floor.stopped_at <= floor.settings.decision_ms / 1000
        return just_now and not floor.ended_named and bool(turn.parts) and not turn.partial

    def stop_speech(self) -> None:
        self.happenings.append(TurnStopped(self.now, self.conversation.turn.number))
        self.finish_speech()

    def finish_speech(self) -> None:
        self.change(turn=self.conversation.turn.finish())
        self.signal_floor(FloorSignal.STOPPED)

    def understand(self, text: str) -> None:
        aside = self.conversation.has_voice()
        self.change(turn=self.conversation.turn.understand(text, aside=aside))
        self.signal_floor(FloorSignal.WORDS)
        self._say(certain=False)

    def settle_words(self, item_id: str, text: str) -> None:
        aside = self.conversation.has_voice()
        self.change(turn=self.conversation.turn.settle(item_id, text, aside=aside))
        if self.conversation.overdue_at < math.inf:
            self.await_answer()
        self._say(certain=True)

    def start_sound(self, at: float) -> None:
        self.cut_filler()
        self.hear(since=at)
        self._hint(FloorSignal.SOUND)

    def duck(self) -> None:
        """Somebody may have begun to speak: no signal for the floor, and nothing to be undone."""
        conversation = self.conversation
        settings, believed = conversation.floor.settings, conversation.floor.believes
        if settings.duck_db and believed and conversation.interruptible and self._agent_is_heard_again():
            self.commands.append(Duck(settings.duck_db, settings.min_speech_ms + DUCK_MS))

    def judge(self, judged: SoundJudged) -> None:
        """A short sound was judged. Where there is no voice, there is none to give back, and none to keep."""
        conversation = self.conversation
        if conversation.has_voice():
            signal = FloorSignal.MEANT if judged.keeps else FloorSignal.DISMISSED
            person, believed = judged.why in OF_A_PERSON, conversation.interruptible
            floor = conversation.floor.judge(signal, judged.at, self.now, person=person, believed=believed)
            self._pass_floor(floor)

    def hear(self, *, since: float | None) -> None:
        self.change(floor=self.conversation.floor.hear(since=since, now=self.now))

    def _say(self, *, certain: bool) -> None:
        turn = self.conversation.turn
        if turn.text and not (turn.complete or turn.told):  # otherwise it is reported once, as final
            self.happenings.append(PersonSaid(turn.text, final=False, turn=turn.number, certain=certain))

    def _end_told_turn(self) -> None:
        """Before another turn begins, reports the last one, even if some of its final words never came."""
        turn = self.conversation.turn
        if turn.over and not turn.told:
            self._tell_turn()

    def _tell_turn(self) -> None:
        turn = self.conversation.turn
        if turn.text:
            self.happenings.append(PersonSaid(turn.text, final=True, turn=turn.number, certain=True))
        self.change(turn=turn.tell())

    # The floor.

    def _hint(self, signal: FloorSignal) -> None:
        conversation = self.conversation
        self._pass_floor(conversation.floor.hint(signal, self.now, believed=conversation.interruptible))

    def signal_floor(self, signal: FloorSignal) -> None:
        self._pass_floor(self.conversation.floor.take(signal, self.now))

    def _pass_floor(self, after: FloorState) -> None:
        before = self.conversation.floor
        self.change(floor=after)
        match order_between(before.floor, after.floor):
            case FloorOrder.HOLD:
                self._command(Hold())
            case FloorOrder.RESUME:
                self._command(self._resume())
            case FloorOrder.NOTHING:
                pass

    def pass_time(self) -> None:
        if self.now >= self.conversation.floor.deadline:
            self.signal_floor(FloorSignal.DEADLINE)
        if self.now >= self.conversation.overdue_at:
            self._miss_answer("none")
        for reply_id, reply in self.conversation.replies.items():
            if self.now >= self.conversation.given_up_at(reply):
                self._give_up(reply_id)
        if self.now >= self.conversation.moved_at + STUCK_AFTER_S:
            for reply_id, reply in self.conversation.replies.items():
                if reply.phase is ReplyPhase.ARRIVING and not reply.acts:
                    self.signal(reply_id, ReplySignal.LEFT_OPEN)

    def settle(self) -> None:
        """Acts on everything that is known now."""
        if self.conversation.floor.awaits_decision and not self.conversation.undecided():
            self.signal_floor(FloorSignal.DECIDED)
        self._settle_wait()
        self._settle_movement()
        turn = self.conversation.turn
        heard_out = turn.aside and not turn.speaking and not self.conversation.floor.holds
        if heard_out or (not turn.speaking and self._agent_is_heard_again()):
            self._end_turn()
        elif turn.complete and not turn.told:
            self._tell_turn()
        self._settle_holder()

    def _settle_movement(self) -> None:
        moves = self.conversation.moved_at < math.inf
        if moves is not self.conversation.may_be_stuck():
            self.change(moved_at=math.inf if moves else self.now)

    def _end_turn(self) -> None:
        turn = self.conversation.turn
        if (
            turn.aside
            and 0 < len(turn.text.split()) < WORDS_OF_A_TURN
            and not self.conversation.echoes(turn.text)
        ):
            self.change(floor=self.conversation.floor.trust())  # an "mm-hm" is a person, not an echo
        self.change(turn=self.conversation.turn.end())
        if self.conversation.turn.complete and not self.conversation.turn.told:
            self._tell_turn()

    def _agent_is_heard_again(self) -> bool:
        conversation = self.conversation
        return conversation.is_heard() and not conversation.floor.holds and conversation.away is None

    def _settle_wait(self) -> None:
        floor, voice = self.conversation.floor, self.conversation.has_voice()
        if floor.waiting_since is None:
            if floor.holds and voice:
                self.change(floor=floor.wait(self.now, heard=self.conversation.is_heard()))
                self.happenings.append(VoiceHeld(self.now))
        elif not voice:
            self.change(floor=floor.let_go())
        elif not floor.holds:
            held_ms = round((self.now - floor.waiting_since) * 1000)
            self.change(floor=floor.give_back(self.now))
            self.happenings.append(VoiceResumed(self.now, held_ms))

    def _settle_holder(self) -> None:
        holder = self.conversation.finds_holder()
        if holder is not self.conversation.holder:
            self.change(holder=holder, overdue_at=self._overdue_at())
            self.happenings.append(FloorPassed(holder, self.conversation.turn.number, self.now))

    def fail(self, reply_id: str) -> None:
        """The model behind a reply failed; that was reported, and there is no automatic retry."""
        if not self.conversation.turn.speaking:
            self.change(turn=self.conversation.turn.end())
        if not reply_id:
            self.signal(self.conversation.newest, ReplySignal.COMPLETED)  # the one that is being given

    def _miss_answer(self, why: str) -> None:
        turn = self.conversation.turn
        if turn.speaking:
            self.await_answer()  # who speaks misses nothing yet, and a time that has passed must not stay due
            return
        missed = self.conversation.answer_is_due() and bool(turn.text)
        self.change(turn=turn.end(), overdue_at=math.inf)
        if missed:
            self.happenings.append(AnswerMissing(turn.number, turn.text, why, self.now))

    # The room.

    def lose_room(self, why: Unheard) -> None:
        if why is not Unheard.LOST and self.conversation.floor.settings.unheard_ms == 0:
            self.find_room()
            return
        if self.conversation.away is None and not self.conversation.floor.holds:
            self.commands.append(Hold())
        if why is not self.conversation.away:
            self.change(away=why, away_since=self.now)
        self.await_answer()

    def find_room(self) -> None:
        if self.conversation.away is not None and not self.conversation.floor.holds:
            self.commands.append(self._resume())
        self.change(away=None)
        self.await_answer()

    def _command(self, command: Hold | Resume) -> None:
        # While the room is away it holds the voice; the floor matters again once the room is back.
        if self.conversation.away is None:
            self.commands.append(command)

    def _give_up(self, reply_id: str) -> None:
        """Nobody decided that it is interrupted, so a person who is waiting is still owed an answer."""
        before = len(self.happenings)
        self.signal(reply_id, ReplySignal.INTERRUPTED)
        del self.happenings[before:]
        why = (self.conversation.away or Unheard.LOST).name.lower()
        self.happenings.append(ReplyGivenUp(reply_id, why, self.now))

    def _resume(self) -> Resume:
        if self.conversation.playing is None:
            return Resume()
        reply_id, played_ms = self.conversation.playing
        reply = self.conversation.replies.get(reply_id)
        for word in reply.words if reply is not None and reply.living else ():
            if (
                word.start_ms is not None
                and word.end_ms is not None
                and word.start_ms < played_ms < word.end_ms
            ):
                return Resume(reply_id, word.start_ms)
        return Resume()

    # Replies.

    def begin(self, reply_id: str) -> None:
        if self.conversation.phase_of(reply_id) is not None:
            return
        self._give_way()
        self.signal_living(ReplySignal.LEFT_OPEN)
        self._put(reply_id, ReplyState(self.now))
        self.change(newest=reply_id)
        self.await_answer()

    def _give_way(self) -> None:
        """Cuts a reply that the service can no longer call interrupted, because it finished it long ago.

        Such a reply (it came in a burst, or ended while it was held) gives way when the person has said more
        than an "mm-hm" over it and the service begins to answer that.
        """
        turn = self.conversation.turn
        if turn.aside and not turn.speaking and len(turn.text.split()) >= WORDS_OF_A_TURN:
            for reply_id, reply in self.conversation.replies.items():
                over_it = reply.began_at < self.conversation.floor.stopped_at
                if reply.phase is ReplyPhase.COMPLETE and reply.sounds and over_it:
                    self.change(turn=self.conversation.turn.interrupt())
                    self.signal(reply_id, ReplySignal.INTERRUPTED, by_person=True)

    def signal_living(self, signal: ReplySignal, *, by_person: bool = False) -> None:
        for reply_id, reply in self.conversation.replies.items():
            if reply.phase in LIVING:
                self.signal(reply_id, signal, by_person=by_person)

    def interrupt(self, reply_id: str) -> None:
        """The service's decision about one reply."""
        reply = self.conversation.replies.get(reply_id)
        by_person = self.conversation.person_speaks(self.now)
        if reply is not None and reply.living:
            self.change(floor=self.conversation.floor.trust(), turn=self.conversation.turn.interrupt())
        self.signal(reply_id, ReplySignal.INTERRUPTED, by_person=by_person)
        # The end of another reply, perhaps long gone, decides nothing about a voice that is still held.
        if not self.conversation.speaks():
            self.signal_floor(FloorSignal.DECIDED)

    def signal(
        self,
        reply_id: str,
        signal: ReplySignal,
        *,
        sound: bytes = b"",
        finished: Finished | None = None,
        by_person: bool = False,
    ) -> None:
        before = self.conversation.phase_of(reply_id)
        if before is None and signal is ReplySignal.FINISHED:
            return
        if before is None and signal is ReplySignal.SOUND:
            self.begin(reply_id)
            before = ReplyPhase.ARRIVING
        after, order = TABLE[before or ReplyPhase.ARRIVING][signal]
        match order:
            case Order.PLAY:
                self.cut_filler()
                self.commands.append(Play(reply_id, sound))
            case Order.FINISH:
                self.commands.append(Finish(reply_id))
            case Order.CUT:
                self.commands.append(Cut(reply_id))
                self.happenings.append(Interrupted(reply_id, self.now, by_person))
            case Order.DROP:
                self.change(dropped_bytes=self.conversation.dropped_bytes + len(sound))
            case Order.NOTHING:
                pass
        if before is None:
            self._put(reply_id, ReplyState(self.now, after))
        elif after is not before:
            if finished is not None:
                self._end(after, finished)
            else:
                self._put(reply_id, attrs.evolve(self.conversation.replies[reply_id], phase=after))
        if order is Order.PLAY and sound:
            self.change(moved_at=self.now)
            if not self.conversation.replies[reply_id].sounds:
                self._put(reply_id, attrs.evolve(self.conversation.replies[reply_id], sounds=True))
                self.await_answer()

    def fill(self, pcm: bytes) -> None:
        conversation = self.conversation
        busy = conversation.speaks() or conversation.filler is not None
        if not (busy or conversation.floor.holds or conversation.floor.may_speak):
            filler = f"filler-{conversation.fillers}"
            self.change(filler=filler, fillers=conversation.fillers + 1)
            self.commands += [Play(filler, pcm), Finish(filler)]

    def cut_filler(self) -> None:
        if self.conversation.filler is not None:
            self.commands.append(Cut(self.conversation.filler))
            self.change(filler=None)

    def call_tool(self, call_id: str, reply_id: str) -> None:
        reply = self.conversation.replies.get(reply_id)
        if reply is not None:
            self._put(reply_id, attrs.evolve(reply, acts=True))
        tools = self.conversation.tools
        if len(tools) < MOST_TOOLS:
            tools |= {call_id}
        self.change(turn=self.conversation.turn.act(), tools=tools)
        self.await_answer()

    def end_tool(self, call_id: str) -> None:
        """From now on the service's decision about it is due."""
        if call_id in self.conversation.tools:
            self.change(tools=self.conversation.tools - {call_id})
            self.await_answer()

    def await_answer(self) -> None:
        """The path of an answer has changed: its time starts again."""
        self.change(overdue_at=self._overdue_at())

    def _overdue_at(self) -> float:
        conversation = self.conversation
        due = conversation.finds_holder() is FloorHolder.ANSWER
        if not due or conversation.away is not None or not conversation.connected:
            return math.inf
        if conversation.tools:
            return self.now + TOOL_ANSWERED_WITHIN_S
        if conversation.turn.text or conversation.speaks():
            return self.now + conversation.floor.settings.answer_within_ms / 1000
        return self.now + WORDS_WITHIN_S

    def add_word(self, reply_id: str, word: Word) -> None:
        reply = self.conversation.replies.get(reply_id)
        if reply is None or len(reply.words) >= MOST_WORDS:
            return
        words = list(reply.words)
        place = len(words)
        if word.start_ms is not None:
            # Their positions give the spoken order; words already reported as heard stay so.
            starts = [-math.inf if one.start_ms is None else one.start_ms for one in words]
            place = bisect.bisect_right(starts, word.start_ms, lo=min(reply.words_told, len(words)))
        words.insert(place, word)
        self._put(reply_id, attrs.evolve(reply, words=tuple(words)))

    def set_text(self, reply_id: str, text: str, *, interrupted: bool) -> None:
        reply = self.conversation.replies.get(reply_id)
        # Two may come for one interrupted reply, in either order: the flagged one counts.
        if reply is not None and (interrupted or not reply.cut_text):
            self._put(reply_id, attrs.evolve(reply, text=text, cut_text=interrupted))

    def note_played(self, reply_id: str, played_ms: float, audible: bool) -> None:
        reply = self.conversation.replies.get(reply_id)
        if reply is None:
            return
        self.change(playing=(reply_id, played_ms), moved_at=self.now)
        if audible and not reply.audible:
            if not (self.conversation.turn.speaking or self.conversation.floor.holds):
                self._end_turn()  # what the person said comes before its answer
            self.happenings.append(ReplyBegan(reply_id, self.now))
        told = reply.words_played(played_ms)
        if told > reply.words_told:
            new = " ".join(word.text for word in reply.words[reply.words_told : told])
            self.happenings.append(WordsHeard(reply_id, new))
        if told > reply.words_told or audible != reply.audible:
            self._put(
                reply_id,
                attrs.evolve(reply, audible=audible or reply.audible, words_told=max(told, reply.words_told)),
            )

    def cut_short(self, reply_id: str, kept_ms: float) -> None:
        """It is longer than the limit: what is here is played, and no more of it is accepted."""
        fix = "ask for shorter replies in the system prompt"
        self.happenings.append(ReplyCutShort(reply_id, round(kept_ms), fix))
        if self.conversation.phase_of(reply_id) is ReplyPhase.ARRIVING:
            self.signal(reply_id, ReplySignal.LEFT_OPEN)

    def leave_session(self) -> None:
        """The person it was said to is gone: nobody interrupted, and nobody waits for an answer."""
        before = len(self.happenings)
        self.signal_living(ReplySignal.INTERRUPTED)
        del self.happenings[before:]
        self.change(turn=self.conversation.turn.end(), tools=frozenset(), connected=False)
        self.finish_speech()
        self._end_told_turn()

    def _put(self, reply_id: str, reply: ReplyState) -> None:
        self.change(replies={**self.conversation.replies, reply_id: reply})

    def _end(self, phase: ReplyPhase, finished: Finished) -> None:
        reply_id, played_ms = finished.reply_id, finished.played_ms
        others = dict(self.conversation.replies)
        reply = others.pop(reply_id)
        ended = {**self.conversation.ended, reply_id: phase}
        if len(ended) > MOST_ENDED_REMEMBERED:
            del ended[next(iter(ended))]
        self.change(replies=others, ended=ended)
        heard = reply.heard_text(phase, played_ms)
        self.happenings.append(
            ReplyEnded(reply_id, _OUTCOMES[phase], round(played_ms), heard, self.now, finished.underruns)
        )
        if phase is ReplyPhase.PLAYED and not reply.audible and not self.conversation.floor.holds:
            self._end_unheard(reply)

    def _end_unheard(self, reply: ReplyState) -> None:
        if not self.conversation.turn.acted:
            self._miss_answer("empty")
        elif not reply.acts:
            # Silence was the answer: for example, a tool has ended the call.
            self.change(turn=self.conversation.turn.end())


_OUTCOMES = {
    ReplyPhase.PLAYED: ReplyOutcome.PLAYED,
    ReplyPhase.CUT: ReplyOutcome.CUT,
    ReplyPhase.ABANDONED: ReplyOutcome.ABANDONED,
}
