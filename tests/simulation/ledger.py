"""The ledger: what was said to the agent, what the room heard of it, and what must always hold between them.

It is told each message that reaches the controller (`taken`, `reported`), each happening (`happened`), and
each frame that lands in the room's queue, leaves it, or is cleared from it. Its model of a reply is far
simpler than the agent's: the bytes that are owed to the room, how far the room has heard them, and when the
service interrupted or went on to something else. Every rule is a sentence in `Broken.rule`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator

import trio
from attrs import define, field, frozen

from actors.barge_in.conversation import STUCK_AFTER_S
from actors.filler import tone
from channels.happenings import (
    AskSent,
    BystanderFailed,
    Happening,
    Interrupted,
    PersonSaid,
    ReplyBegan,
    ReplyEnded,
    ReplyGivenUp,
    ReplyOutcome,
    RoomJoined,
    RoomRestored,
    SessionStarted,
    ToolAnswered,
    ToolCalled,
    ToolDropped,
    VoiceAudible,
    VoiceHeld,
    VoiceResumed,
    WordsHeard,
)
from channels.instructions import GO_ON
from channels.messages import (
    ApiEvent,
    ConnectionBroke,
    CutShort,
    Finished,
    Playing,
    SessionOver,
    SpeakerReport,
)
from channels.wire.events import (
    AgentTranscript,
    AgentTranscriptDelta,
    ReplyAudio,
    ReplyDone,
    ReplyStarted,
    SessionReady,
    SpeechStarted,
    SpeechStopped,
    Unrecognised,
)
from sound.pcm import SAMPLE_BYTES, SAMPLE_RATE_HZ
from tests.simulation.marked_sound import (
    is_faded_from,
    is_loud,
    is_lowered_from,
    is_risen_from,
    unpadded,
)
from tests.simulation.timeline import Timeline

__all__ = ["Broken", "Ledger", "Piece", "Told"]

FADE_MS = 20
"""Faded sound that may be heard of a reply after it was held."""

HELD_WITHIN_S = 0.05
"""From when nobody can hear the agent to its silence."""

SLACK = 4
"""Samples by which rounding may be off: the agent and the room each cut times down to whole samples."""
SLACK_MS = 0.2

TONE = tone()
"""What is heard when nothing else can be said."""


@frozen
class Broken:
    """A rule that did not hold."""

    rule: str
    at: float
    detail: str

    def __str__(self) -> str:
        return f"at {self.at:.3f} s: {self.rule}: {self.detail}"


@define(eq=False)
class Told:
    """One reply."""

    reply_id: str
    began_at: float
    owed: bytearray = field(factory=bytearray)
    """What is to be heard, as long as nobody interrupts."""
    late: bytearray = field(factory=bytearray)
    """What came when it was over already."""
    words: list[AgentTranscriptDelta] = field(factory=list)
    done: bool = False
    left_open: bool = False
    """Another reply or a fresh session began before its end."""
    cut_at: float | None = None
    placed: int = 0
    """Up to which sample it lies in the room's queue or has left it."""
    heard: int = 0
    """Up to which sample the room has heard it."""
    position: int = 0
    """Where the room heard it last: a held voice may go back a little."""
    reported_ms: float = 0.0
    audible_at: float = math.inf
    """When the agent said that it can be heard."""
    ends: list[ReplyEnded] = field(factory=list)

    @property
    def owed_samples(self) -> int:
        return len(self.owed) // SAMPLE_BYTES

    @property
    def whole(self) -> bool:
        """Whether all of it was heard."""
        return self.heard >= self.owed_samples

    def __str__(self) -> str:
        return f"{self.reply_id} ({_ms(self.owed_samples)} ms)"


@frozen
class Piece:
    """A frame in the room's queue."""

    told: Told | None
    """The reply that it is of."""
    begins: int
    """Its place there."""
    samples: int
    loud: bool
    faded: bool
    wrong: str = ""
    """Why nobody may hear it."""


@define
class Ledger:
    """Keeps account of one call.

    Args:
        timeline: is told what matters.
        on_broken: is called when a rule is broken.
    """

    timeline: Timeline
    on_broken: Callable[[], None]
    settle: Callable[[], None] = lambda: None
    """Makes the loudspeaker play what was to be played by now."""
    replies: dict[str, Told] = field(factory=dict)
    broken: list[Broken] = field(factory=list)
    events: Counter[str] = field(factory=Counter)
    interruptible: bool = True
    cut_by_speech: bool = False
    """`input.speech.started` counts as the decision."""
    speaking_since: float | None = None
    """Since when the service hears the person."""
    tools: set[str] = field(factory=set)
    """Calls that run."""
    ran: Counter[str] = field(factory=Counter)
    """How often a tool ran with the same arguments."""
    ready: bool = False
    session_id: str | None = None
    resumes: int = 0
    hold_at_most_s: float = 3.0
    unheard_at: float = math.inf
    """Since when nobody can hear the agent."""
    _turn_told: int = 0
    _held_at: float | None = None
    _newest: Told | None = None
    _sounding: Told | None = None
    """Of which the room heard something last."""
    _rewound: int = 0
    _spent: int = 0
    """Of these, those that a frame was taken for that is not heard yet."""
    """Resumes that may still go back to the beginning of a word."""
    _told_to_go_at: float = math.inf

    def breaks(self, rule: str, detail: str) -> None:
        """A rule did not hold."""
        broken = Broken(rule, trio.current_time(), detail)
        self.broken.append(broken)
        self.timeline.note("BROKEN", f"{rule}: {detail}")
        self.on_broken()

    # What reaches the agent's controller.

    def taken(self, event: ApiEvent) -> None:
        """The controller is given an event of the service."""
        self.events[_name(event)] += 1
        match event:
            case SessionReady(session_id=session_id, config=config):
                if session_id != self.session_id:
                    self._leave_open()
                self.session_id = session_id
                detection = config.get("input", {}).get("turn_detection") or {}
                self.interruptible = detection.get("interrupt_response", True)
            case SpeechStarted():
                self.speaking_since = trio.current_time()
                if self.interruptible and self.cut_by_speech:
                    for told in self.replies.values():
                        self._cut(told)
            case SpeechStopped():
                self.speaking_since = None
            case AgentTranscript(reply_id=reply_id, interrupted=True):
                if reply_id in self.replies:
                    self._cut(self.replies[reply_id])
            case ConnectionBroke():
                self.speaking_since = None
            case ReplyStarted(reply_id=reply_id):
                if reply_id not in self.replies:
                    self._leave_open()
                    self._begin(reply_id)
            case ReplyAudio(data=data, reply_id=reply_id):
                named = self._newest if reply_id is None else self.replies.get(reply_id)
                told = named or self._begin(reply_id or "unnamed")
                over = told.cut_at is not None or told.done or told.left_open
                (told.late if over else told.owed).extend(data)
            case AgentTranscriptDelta(reply_id=reply_id):
                if reply_id in self.replies:
                    self.replies[reply_id].words.append(event)
            case ReplyDone(reply_id=reply_id, status=status):
                if reply_id in self.replies:
                    if status == "interrupted":
                        self._cut(self.replies[reply_id])
                    self.replies[reply_id].done = True
            case SessionOver():
                for told in self.replies.values():
                    self._cut(told)
            case Unrecognised():
                self.timeline.note("agent", f"does not know {event.type[:40]!r} ({event.why})")
            case _:
                pass

    def reported(self, report: SpeakerReport) -> None:
        """The controller is told what was played."""
        self.settle()
        if isinstance(report, CutShort) or report.reply_id.startswith("filler-"):
            return
        told = self.replies.get(report.reply_id)
        if told is None:
            self.breaks("only replies are played", f"the speaker reports {report}")
            return
        if report.played_ms < told.reported_ms - 1e-6 and not (isinstance(report, Finished) and told.ends):
            self.breaks("heard-ms never goes back", f"{told}: {report} after {told.reported_ms:.1f} ms")
        told.reported_ms = report.played_ms
        if report.played_ms > len(told.owed) / 48 + 1e-6:
            self.breaks("heard-ms never exceeds sent-ms", f"{told}: {report}")
        elif _ms(told.heard) < report.played_ms - SLACK_MS and isinstance(report, Playing):
            self.breaks(
                "what is said to be played was heard",
                f"{told}: {report}, but the room has heard {_ms(told.heard)} ms",
            )

    def happened(self, happening: Happening) -> None:
        """The agent tells its taps."""
        match happening:
            case ReplyEnded(reply_id=reply_id, outcome=outcome, heard_ms=heard_ms):
                self._end(happening)
                if not self.living():
                    self._hold_ends()
                self.timeline.note("agent", f"{reply_id} ended: {outcome.value}, {heard_ms} ms heard")
            case VoiceHeld():
                self._held_at = trio.current_time()
                self.timeline.note("agent", "holds its voice")
            case VoiceResumed(held_ms=held_ms):
                self._hold_ends()
                self.resumes += 1
                self._rewound += 1
                self.timeline.note("agent", f"goes on after {held_ms} ms")
            case RoomRestored() | RoomJoined(rejoined=True):
                # It was held for the room's sake, and goes on at a word, too.
                self._rewound += 1
                self.timeline.note("agent", _short(happening))
            case Interrupted(reply_id=reply_id):
                self._hold_ends()
                self.timeline.note("agent", f"cuts {reply_id}")
            case VoiceAudible():
                self._rewound += 1
            case ReplyGivenUp(reply_id=reply_id):
                self._cut(self.replies[reply_id])
                self.timeline.note("agent", _short(happening))
            case AskSent(request=request):
                # What a broken session left in the middle is asked for by the next one, first of all.
                if not (request.instructions or "").startswith(GO_ON):
                    self._ask()
            case ToolCalled(call_id=call_id):
                self.tools.add(call_id)
            case ToolAnswered(call_id=call_id) | ToolDropped(call_id=call_id):
                self.tools.discard(call_id)
            case PersonSaid(final=True, turn=turn):
                if turn <= self._turn_told:
                    self.breaks("a turn of the person is told once", f"turn {turn} after {self._turn_told}")
                self._turn_told = turn
            case SessionStarted():
                self.ready = True
                self.timeline.note("agent", f"session {'resumed' if happening.resumed else 'started'}")
            case BystanderFailed(actor=actor, why=why):
                self.breaks("nobody crashes", f"{actor}: {why}")
            case ReplyBegan(reply_id=reply_id):
                self.replies[reply_id].audible_at = trio.current_time()
                self.timeline.note("agent", f"{reply_id} can be heard")
            case WordsHeard():
                pass
            case _:
                self.timeline.note("agent", _short(happening))

    def tool_runs(self, arguments: str) -> None:
        """A tool runs."""
        self.ran[arguments] += 1
        if self.ran[arguments] > 1:
            self.breaks("the same call in one turn runs once", arguments)

    def _ask(self) -> None:
        """A `reply.create` goes out."""
        # Who speaks longer than a voice may be held for is taken for a noise that does not end.
        for_s = min(2.5, self.hold_at_most_s)
        if self.speaking_since is not None and trio.current_time() - self.speaking_since < for_s:
            self.breaks("nothing is asked while somebody speaks", f"since {self.speaking_since:.3f}")
        # One that is cut runs no more, though how much of it was heard may be known a moment later.
        if running := [told for told in self.living() if told.cut_at is None]:
            self.breaks("nothing is asked while a reply runs", ", ".join(map(str, running)))
        if self.tools:
            self.breaks("nothing is asked while a tool is pending", ", ".join(sorted(self.tools)))

    # What the room hears.

    def landed(self, pcm: bytes) -> Piece:
        """A frame arrives in the room's queue."""
        return self._placed(pcm)

    def cleared(self) -> None:
        """The room's queue is emptied."""
        for told in self.replies.values():
            told.placed = told.position
        self._rewound, self._spent = self._rewound + self._spent, 0

    def heard(self, piece: Piece, offset: int, count: int, at: float) -> None:
        """So many samples of a piece, from an offset in it, are heard from `at` (s) on."""
        told = piece.told
        if at >= self._told_to_go_at - 1e-6:
            self.breaks(
                "the agent falls silent at once when it is told to go",
                f"{_ms(count)} ms of {told} are heard from {at:.3f} on",
            )
            return
        if told is None:
            if piece.wrong:
                self.breaks("only sound of replies is heard", f"{piece.wrong}, from {at:.3f} on")
            return
        if told is not self._sounding:
            self._sounding = told
            self.timeline.note("room", f"hears {told}")
        if told.cut_at is not None and at >= told.cut_at - 1e-6:
            if piece.faded and at - told.cut_at < FADE_MS / 1000:
                return
            self.breaks(
                "nothing of a reply is heard after its cut",
                f"{told} was cut at {told.cut_at:.3f}, and {_ms(count)} ms of it are heard from {at:.3f} on",
            )
            return
        if at >= self.unheard_at + HELD_WITHIN_S and not piece.faded:
            self.breaks("nothing is played while nobody can hear it", f"{told}, from {at:.3f} on")
            return
        if piece.wrong:
            self.breaks("what is owed is heard once and in order", f"{piece.wrong}, from {at:.3f} on")
            return
        if not piece.faded:
            told.position = min(piece.begins + offset + count, told.owed_samples)
            told.heard = max(told.heard, told.position)
            if told.whole and told.done:
                self._sounding = None

    def told_to_go(self) -> None:
        """The agent is cancelled."""
        self.settle()
        self._told_to_go_at = trio.current_time()

    # What must hold once a call is over.

    def over(self, *, calm: bool) -> None:
        """Checks what can be told only afterwards.

        Args:
            calm: the call did not end in the middle of something.
        """
        self.settle()
        if calm:
            self._hold_ends()
        for told in self.replies.values():
            if len(told.ends) > 1 or (calm and not told.ends):
                ends = ", ".join(end.outcome.value for end in told.ends) or "none"
                self.breaks("every reply has exactly one end", f"{told} has {ends}")
            if calm and told.cut_at is None and told.heard + SLACK < told.owed_samples:
                self.breaks(
                    "a reply that was not interrupted is heard whole",
                    f"{told}: the room heard {_ms(told.heard)} ms",
                )

    def living(self) -> list[Told]:
        """Replies that have no end yet."""
        return [told for told in self.replies.values() if not told.ends]

    def begun(self) -> list[tuple[float, float]]:
        """From when to when the agent said of each reply that it is heard."""
        return [
            (told.audible_at, told.ends[0].at if told.ends else math.inf)
            for told in self.replies.values()
            if told.audible_at < math.inf
        ]

    def backlog_s(self) -> float:
        """How long all that is owed takes to be heard."""
        return sum(
            (told.owed_samples - told.heard) / SAMPLE_RATE_HZ
            for told in self.replies.values()
            if told.cut_at is None and not told.ends
        )

    def _begin(self, reply_id: str) -> Told:
        self._newest = self.replies[reply_id] = Told(reply_id, trio.current_time())
        return self._newest

    def _leave_open(self) -> None:
        for told in self.replies.values():
            told.left_open = True

    def _cut(self, told: Told) -> None:
        if told.cut_at is None and not told.ends and not (told.whole and (told.done or told.left_open)):
            self.settle()
            told.cut_at = trio.current_time()

    def _end(self, end: ReplyEnded) -> None:
        self.settle()
        told = self.replies.get(end.reply_id)
        if told is None:
            self.breaks("only replies end", str(end))
            return
        told.ends.append(end)
        if len(told.ends) > 1:
            self.breaks("every reply has exactly one end", f"{told}: {_short(end)} is one more")
        outcome = end.outcome
        if told.cut_at is not None and outcome is not ReplyOutcome.CUT and not told.whole:
            self.breaks("an interrupted reply ends as cut", f"{told} ends as {outcome.value}")
        if told.cut_at is None and outcome is ReplyOutcome.CUT and not told.whole:
            self.breaks("only an interrupted reply is cut", f"{told}")
        if outcome is ReplyOutcome.PLAYED and not told.done:
            self.breaks("only a completed reply ends as played", f"{told}")
        lost = not told.done and trio.current_time() - told.began_at >= STUCK_AFTER_S
        if outcome is ReplyOutcome.ABANDONED and not (told.left_open or lost):
            self.breaks("only a reply that was left open is abandoned", f"{told}")
        if abs(end.heard_ms - _ms(told.heard)) > 1 + SLACK_MS:
            self.breaks(
                "the agent knows what was heard", f"{told}: {end.heard_ms} ms, the room {_ms(told.heard)} ms"
            )

    def _hold_ends(self) -> None:
        held_at, self._held_at = self._held_at, None
        if held_at is not None and trio.current_time() - held_at > self.hold_at_most_s + 0.01:
            self.breaks("a hold always ends in time", f"held since {held_at:.3f}")

    def _placed(self, pcm: bytes) -> Piece:
        samples, loud, body = len(pcm) // SAMPLE_BYTES, is_loud(pcm), unpadded(pcm)
        if not body:
            return Piece(None, 0, samples, loud=False, faded=False)
        living = [told for told in self.replies.values() if not told.ends]
        for told in living:
            place = told.placed * SAMPLE_BYTES
            if told.owed[place : place + len(body)] == body:
                told.placed += len(body) // SAMPLE_BYTES
                self._spent, self._rewound = self._rewound, 0
                return Piece(told, place // SAMPLE_BYTES, samples, loud, faded=False)
        for told in living:
            for at in self._nearby(told):
                if is_lowered_from(body, told.owed[at : at + len(body)]):
                    told.placed = at // SAMPLE_BYTES + len(body) // SAMPLE_BYTES
                    self._spent, self._rewound = self._rewound, 0
                    return Piece(told, at // SAMPLE_BYTES, samples, loud, faded=False)
        for told in living:
            for at in self._goes_on_at(told):
                if is_risen_from(body, told.owed[at : at + len(body)]):
                    if abs(at // SAMPLE_BYTES - told.placed) > SLACK:
                        return self._misplaced(told, at // SAMPLE_BYTES, samples, loud)
                    told.placed = at // SAMPLE_BYTES + len(body) // SAMPLE_BYTES
                    self._spent, self._rewound = self._rewound, 0
                    return Piece(told, at // SAMPLE_BYTES, samples, loud, faded=False)
        just_cut = [told for told in self.replies.values() if _is_just_cut(told)]
        for told in [*living, *just_cut]:
            for at in self._nearby(told):
                if is_faded_from(body, told.owed[at : at + len(body)]) and (
                    told.owed[at : at + len(body)] != body
                ):
                    return Piece(told, at // SAMPLE_BYTES, samples, loud, faded=True)
        for told in [*living, *reversed(self.replies.values())]:
            at = told.owed.find(body)
            if at >= 0:
                return self._misplaced(told, at // SAMPLE_BYTES, samples, loud)
            if told.late.find(body) >= 0:
                wrong = f"sound of {told} that came after its end"
                return Piece(told, 0, samples, loud, faded=False, wrong=wrong)
        if body in TONE:
            return Piece(None, 0, samples, loud, faded=False)  # somebody waits for an answer in vain
        return Piece(None, 0, samples, loud, faded=False, wrong="sound that is of no reply")

    def _nearby(self, told: Told) -> range:
        """Where it goes on, give or take a few samples."""
        place, slack = told.placed * SAMPLE_BYTES, SLACK * SAMPLE_BYTES
        return range(max(0, place - slack), place + slack + 1, SAMPLE_BYTES)

    def _goes_on_at(self, told: Told) -> Iterator[int]:
        """Where a voice that was silent may rise."""
        if told.placed:
            yield from self._nearby(told)
            for word in told.words if self._rewound else ():
                if word.start_ms:
                    place = word.start_ms * SAMPLE_RATE_HZ // 1000
                    yield from (at * SAMPLE_BYTES for at in range(max(0, place - SLACK), place + SLACK + 1))

    def _misplaced(self, told: Told, begins: int, samples: int, loud: bool) -> Piece:
        """A piece that is not the next one of its reply."""
        off = begins - told.placed
        wrong = ""
        if off > SLACK:
            wrong = f"{told} jumps from {_ms(told.placed)} to {_ms(begins)} ms: sound is lost"
        elif off < -SLACK and not self._goes_back_to_word(told, begins):
            wrong = f"{told} jumps back from {_ms(told.placed)} to {_ms(begins)} ms: sound is heard twice"
        told.placed = begins + samples
        return Piece(told, begins, samples, loud, faded=False, wrong=wrong)

    def _goes_back_to_word(self, told: Told, begins: int) -> bool:
        """Whether a held voice may go on from there: the beginning of the word in which it was held."""
        if not self._rewound:
            return False
        self._rewound = 0
        slack_ms = SLACK_MS + 1
        return any(
            word.start_ms is not None
            and word.end_ms is not None
            and abs(word.start_ms - _ms(begins)) <= slack_ms
            and _ms(told.placed) <= word.end_ms + slack_ms
            for word in told.words
        )


def _is_just_cut(told: Told) -> bool:
    return told.cut_at is not None and bool(told.ends) and trio.current_time() - told.cut_at < FADE_MS / 1000


def _name(event: ApiEvent) -> str:
    match event:
        case ConnectionBroke():
            return "(connection broke)"
        case SessionOver():
            return "(session over)"
        case Unrecognised():
            return "(not recognised)"
        case _:
            return event.type


def _ms(samples: int) -> float:
    return round(samples / SAMPLE_RATE_HZ * 1000, 1)


def _short(thing: object) -> str:
    text = str(thing)
    return text if len(text) <= 150 else text[:149] + "…"
