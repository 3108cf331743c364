"""The conversation as a script that one can read: who said what, how soon, and what is going on now.

No I/O, no clock. In: happenings. Out: `Line`s that stay, and a `Status` that is replaced. The agent's words
are those whose sound was played, so that a reply that was interrupted ends where it was heard to end. What a
person says over a reply, which goes on, stands between what was heard before and after it.

A reply and its timers are told one after the other, so a reply waits for its timers, and what comes after it
waits behind it, unless too much does.
"""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Sequence

from attrs import define, field, frozen

from channels.agent_state import AgentState, StateKeeper
from channels.happenings import (
    BystanderFailed,
    CallBegan,
    CallEnded,
    FloorHolder,
    FloorPassed,
    Happening,
    HeardBy,
    Leaving,
    OperatorActed,
    ParticipantJoined,
    ParticipantLeft,
    PersonSaid,
    PersonTyped,
    ReplyEnded,
    ReplyOutcome,
    RoomJoined,
    RoomLost,
    RoomRestored,
    SessionStarted,
    ToolAnswered,
    TurnStarted,
    TurnTimed,
    WordsHeard,
)

__all__ = ["AGENT", "YOU", "Line", "Script", "Status"]

AGENT, YOU = "Agent", "You"

MOST_WAITING = 16
"""Lines behind a reply whose timers do not come."""

MOST_REPLIES = 16
"""Those of which words are kept: one is heard at a time, and few are waited for."""

MOST_PEOPLE = 1000
"""More need not be told apart from one who is alone."""

LONGEST_NAME = 40
"""Characters."""

MOST_TIMED = 1000
"""Answers that the sum at the end is made of."""


@frozen
class Line:
    """Something that stays on the screen."""

    who: str
    """AGENT, YOU or a name; "": nobody said it."""
    text: str
    note: str = ""
    """What is to be said of it, in fewer words: its timers, an interruption."""


@frozen
class Status:
    """What is going on."""

    what: str
    words: str = ""
    """What is being said, as far as it is known."""


@define
class _Reply:
    words: list[str] = field(factory=list)
    """Those that were heard, in the pieces in which they were told."""
    shown: int = 0
    """Of these pieces: how many stand on the screen."""


@define
class _Waiting:
    line: Line | None
    """None: it is a reply whose timers are due."""
    reply: ReplyEnded | None = None
    heard: _Reply | None = None


@define
class Script:
    """Turns happenings into lines.

    Args:
        own: whether the room is on this machine, so that somebody who is alone in it is you.
        you: your identity, if it is known.
    """

    own: bool
    you: str = ""
    _keeper: StateKeeper = field(factory=StateKeeper, init=False)
    _holder: FloorHolder = field(default=FloorHolder.NOBODY, init=False)
    _room: str = field(default="joining the room", init=False)
    """What is wrong with the room; "": nothing."""
    _present: list[str] = field(factory=list, init=False)
    _heard: list[str] = field(factory=list, init=False)
    """Who was listened to in this call: the first, and whether there was another."""
    _speaker: str = field(default="", init=False)
    """Whose words are understood next."""
    _turn: tuple[int, str] = field(default=(0, ""), init=False)
    """The latest turn of a person, and who that is."""
    _said: str = field(default="", init=False)
    """Its words so far."""
    _reply: str = field(default="", init=False)
    """The reply that is being heard."""
    _replies: dict[str, _Reply] = field(factory=dict, init=False)
    _over: tuple[int, str, int] = field(default=(0, "", 0), init=False)
    """A turn that began over a reply, that reply, and how many pieces of it were heard by then."""
    _untimed: bool = field(default=False, init=False)
    """No timers come any more."""
    _waiting: deque[_Waiting] = field(factory=deque, init=False)
    _latencies: deque[int] = field(factory=lambda: deque(maxlen=MOST_TIMED), init=False)
    _barge_ins: deque[int] = field(factory=lambda: deque(maxlen=MOST_TIMED), init=False)
    _interruptions: int = field(default=0, init=False)

    @property
    def next_time(self) -> float:
        """When the status may change although nothing happens (s); infinity: it does not."""
        return self._keeper.thinking_until

    def take(self, happening: Happening, now: float) -> Sequence[Line]:
        """The lines that stand after it.

        Args:
            happening: of this room.
            now: when it is heard of (s).
        """
        self._keeper.take(happening, now)
        match happening:
            case FloorPassed(holder=holder):
                self._holder = holder
            case TurnStarted(turn=turn):
                self._begin_turn(turn)
            case PersonSaid(text=text, final=final, turn=turn):
                self._begin_turn(turn)
                self._said = text
                if final:
                    self._tell_person(text, turn)
            case WordsHeard(reply_id=reply_id, text=text):
                self._reply = reply_id
                self._words_of(reply_id).words.append(text)
            case ReplyEnded():
                heard = self._replies.pop(happening.reply_id, None)
                self._waiting.append(_Waiting(None, happening, heard))
                if self._untimed:
                    self._time(_untimed(happening))
            case TurnTimed():
                self._time(happening)
            case ToolAnswered(name=name, took_ms=took_ms, error=None):
                self._add(Line("", "", f"{name} took {_seconds(took_ms)}"))
            case PersonTyped(identity=identity, text=text):
                self._add(Line(self._name(identity), text, "typed"))
            case BystanderFailed(actor="TurnTimer"):
                self._untimed = True
                self._time_all()
            case _:
                self._take_coming_and_going(happening)
        return self._told(all_of_it=len(self._waiting) > MOST_WAITING)

    def pass_time(self, now: float) -> None:
        """Nothing has happened until `now` (s)."""
        self._keeper.pass_time(now)

    def end(self) -> Sequence[Line]:
        """What is still to be said when all is over."""
        self._time_all()
        unfinished = self._replies.get(self._reply)
        if unfinished is not None and (words := unfinished.words[unfinished.shown :]):
            self._add(Line(AGENT, f"{' '.join(words)} —", "left"))
        if self._latencies or self._interruptions:
            self._add(Line("", "", self._sum()))
        return self._told(all_of_it=True)

    @property
    def status(self) -> Status:
        """What is going on now."""
        if self._room:
            return Status(self._room)
        state = self._keeper.state
        if state is AgentState.SPEAKING:
            reply = self._replies.get(self._reply)
            return Status("speaking", " ".join(reply.words[reply.shown :]) if reply else "")
        if not self._present:
            return Status("waiting for somebody to join")
        match state:
            case AgentState.INITIALIZING:
                return Status("connecting")
            case AgentState.IDLE:
                return Status("waiting; a sound of somebody begins the call again")
            case AgentState.THINKING:
                running = ", ".join(dict.fromkeys(self._keeper.tools.values()))
                return Status(f"thinking ({running})" if running else "thinking", self._said)
        if self._holder is FloorHolder.PERSON:
            who = self._name(self._turn[1] or self._speaker)
            return Status("you speak" if who == YOU else f"{who} speaks", self._said)
        return Status("listening")

    # Who says it.

    def _name(self, identity: str) -> str:
        alone = self._heard or self._present[:1]
        if (self.you and identity == self.you) or (
            self.own and len(self._heard) < 2 and identity in ("", *alone)
        ):
            return YOU
        if len(identity) > LONGEST_NAME:
            return f"{identity[:LONGEST_NAME]}…"
        return identity or "Somebody"

    def _take_coming_and_going(self, happening: Happening) -> None:
        match happening:
            case RoomJoined(room=room, rejoined=rejoined):
                self._room = ""
                self._present.clear()
                if not (self.own or rejoined):
                    how = "`python runner.py token --identity NAME` lets somebody in"
                    self._add(Line("", "", f"in the room {room}; {how}"))
            case RoomLost():
                self._room = "the room is gone, trying again"
            case RoomRestored():
                self._room = ""
            case ParticipantJoined(identity=identity):
                if not self._present:
                    self._heard.clear()
                if identity not in self._present and len(self._present) < MOST_PEOPLE:
                    self._present.append(identity)
                who = self._name(identity)
                self._add(Line("", "", "you joined" if who == YOU else f"{who} joined"))
            case ParticipantLeft(identity=identity):
                who = self._name(identity)
                if identity in self._present:
                    self._present.remove(identity)
                if identity in self._heard and len(self._heard) > 1:
                    self._heard.remove(identity)
                self._add(Line("", "", "you left" if who == YOU else f"{who} left"))
            case HeardBy(identity=str(identity)):
                self._hear(identity)
            case OperatorActed(identity=identity, what=what):
                self._add(Line("", "", f"the operator {identity}: {what}"))
            case CallBegan():
                self._heard = [self._speaker] if self._speaker in self._present else []
                self._turn, self._said, self._over = (0, ""), "", (0, "", 0)
                self._replies.clear()
            case SessionStarted(resumed=False):
                self._said = ""
            case CallEnded(why=why):
                self._add(Line("", "", f"the call is over: {why}"))
            case Leaving(why=why):
                self._add(Line("", "", f"leaving: {why}"))
            case _:
                pass

    def _hear(self, identity: str) -> None:
        self._speaker = identity
        if identity in self._heard or len(self._heard) > 1:
            return
        self._heard.append(identity)
        first, another = (self._name(each) for each in (self._heard[0], identity))
        if self.own and len(self._heard) > 1:
            self._add(Line("", "", f"{another} is heard, too; from now on you are {first}"))

    # What they say.

    def _begin_turn(self, turn: int) -> None:
        if turn == self._turn[0]:
            return
        self._turn, self._said = (turn, self._speaker), ""
        heard = self._replies.get(self._reply)
        self._over = (turn, self._reply, len(heard.words)) if heard else (0, "", 0)

    def _tell_person(self, text: str, turn: int) -> None:
        over, reply_id, heard = self._over
        reply = self._replies.get(reply_id)
        if over == turn and reply is not None:
            before, reply.shown = reply.words[reply.shown : heard], max(reply.shown, heard)
            if before:
                self._add(Line(AGENT, f"{' '.join(before)} …"))
        self._said = ""
        self._add(Line(self._name(self._turn[1]), text))

    def _words_of(self, reply_id: str) -> _Reply:
        reply = self._replies.get(reply_id)
        if reply is None:
            while len(self._replies) >= MOST_REPLIES:
                del self._replies[next(iter(self._replies))]
            reply = self._replies[reply_id] = _Reply()
        return reply

    def _time(self, timed: TurnTimed) -> None:
        for waiting in self._waiting:
            if waiting.reply is not None and waiting.reply.reply_id == timed.reply.reply_id:
                waiting.line, waiting.reply = self._line_of(timed, waiting.heard), None
                return

    def _time_all(self) -> None:
        for ended in [each.reply for each in self._waiting if each.reply is not None]:
            self._time(_untimed(ended))

    def _line_of(self, timed: TurnTimed, reply: _Reply | None) -> Line:
        """Of a reply that is over; without text and note if nobody heard any of it."""
        ended = timed.reply
        text = ended.heard_text
        if reply is not None and reply.shown:
            text = " ".join(["…", *reply.words[reply.shown :]]) if reply.words[reply.shown :] else ""
        if not text.strip() and not ended.heard_ms:
            return Line("", "")
        notes = list[str]()
        if timed.turn_latency_ms is not None:
            self._latencies.append(timed.turn_latency_ms)
            notes.append(f"answered in {_seconds(timed.turn_latency_ms)}")
        if timed.interrupted:
            self._interruptions += 1
            notes.append("interrupted")
        elif ended.outcome is ReplyOutcome.CUT:
            notes.append("cut short")
        elif ended.outcome is ReplyOutcome.ABANDONED:
            notes.append("the connection broke")
        if timed.barge_in_ms is not None:
            self._barge_ins.append(timed.barge_in_ms)
            began = self._name(self._turn[1] or self._speaker)
            who = "you" if began == YOU else began
            notes.append(f"silent {_seconds(timed.barge_in_ms)} after {who} began")
        if ended.outcome is not ReplyOutcome.PLAYED and text.strip():
            text += " —"
        return Line(AGENT, text or "…", ", ".join(notes))

    def _add(self, line: Line) -> None:
        self._waiting.append(_Waiting(line))

    def _told(self, *, all_of_it: bool) -> Sequence[Line]:
        if all_of_it:
            self._time_all()
        told = list[Line]()
        while self._waiting and (line := self._waiting[0].line) is not None:
            self._waiting.popleft()
            if line.text or line.note:
                told.append(line)
        return told

    def _sum(self) -> str:
        said = list[str]()
        if self._latencies:
            count, half = len(self._latencies), _seconds(round(statistics.median(self._latencies)))
            said.append(
                f"{count} answers, half of them within {half}" if count > 1 else f"1 answer, in {half}"
            )
        if self._interruptions:
            count = self._interruptions
            said.append(f"{count} interruptions" if count > 1 else "1 interruption")
        if self._barge_ins:
            said[-1] += f", silent after {_seconds(round(statistics.median(self._barge_ins)))}"
        return "; ".join(said)


def _untimed(ended: ReplyEnded) -> TurnTimed:
    return TurnTimed(0, None, None, None, ended)


def _seconds(ms: int) -> str:
    return f"{ms / 1000:.1f} s" if ms >= 95 else f"{max(0, ms) / 1000:.2f} s"
