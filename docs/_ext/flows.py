"""What happens in a conversation, as the deciding machine itself has it: each drawing is a run of it.

The times of the service are those that the live one was seen to have (docs/barge-in.md); what the machine
orders, and when, is its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import attrs

from actors.barge_in.conversation import Conversation
from actors.barge_in.machine import step
from actors.timers import Stopwatch
from channels.happenings import (
    ReplyBegan,
    ReplyEnded,
    SoundJudged,
    SoundRose,
    SoundStarted,
    SoundStopped,
    TurnTimed,
)
from channels.messages import Cut, Duck, Finish, Finished, Hold, Play, Playing, Resume, TimePassed
from channels.wire.events import (
    AgentTranscript,
    ReplyAudio,
    ReplyDone,
    ReplyStarted,
    SessionReady,
    SpeechStarted,
    SpeechStopped,
    UserTranscript,
)
from docs._ext.timeline import Bar, Bracket, Mark, draw

__all__ = ["a_reply", "an_interruption", "an_mm_hm", "timers"]

EAR, SERVICE, CONTROLLER, SPEAKER = "the ear", "the service", "BargeInController", "SpeakerPump"
SECOND = bytes(48_000)


@attrs.frozen
class Seen:
    """An input of the machine, or something that it ordered or published."""

    at: float
    what: Any


@attrs.define
class Run:
    """The machine, and all that went in and came out."""

    conversation: Conversation = attrs.field(factory=Conversation)
    seen: list[Seen] = attrs.field(factory=list)

    def feed(self, inputs: Sequence[tuple[float, Any]]) -> list[Seen]:
        """Gives it the inputs, and its own deadlines between them."""
        for at, event in inputs:
            while self.conversation.deadline <= at:
                self._step(TimePassed(), self.conversation.deadline)
            self._step(event, at)
        return self.seen

    def _step(self, event: Any, at: float) -> None:
        self.conversation, commands, happenings = step(self.conversation, event, at)
        self.seen += [Seen(at, each) for each in (event, *happenings, *commands)]


REPLY = (
    (0.0, SessionReady("s")),
    (0.0, UserTranscript("Tell me about tea.")),
    (0.0, ReplyStarted("r1")),
    (0.3, ReplyAudio(SECOND * 8, "r1")),
    (0.4, Playing("r1", 40, audible=True)),
)


def a_reply() -> str:
    """Nobody says anything."""
    return _sequence([*REPLY, (8.1, ReplyDone("r1")), (8.3, Finished("r1", 8000))])


def an_mm_hm() -> str:
    """A short sound that was none for the agent."""
    return _sequence(
        [
            *REPLY,
            (3.02, SoundRose(3.0)),
            (3.07, SoundStarted(3.0)),
            (3.53, SoundJudged(3.0, keeps=False, why="hummed")),
            (3.9, SoundStopped(3.4)),
            (4.4, SpeechStarted()),
            (4.9, SpeechStopped()),
            (8.1, ReplyDone("r1")),
            (8.7, Finished("r1", 8000)),
        ]
    )


INTERRUPTED = [
    *REPLY,
    (3.02, SoundRose(3.0)),
    (3.07, SoundStarted(3.0)),
    (4.4, SpeechStarted()),
    (5.9, SoundStopped(5.5)),
    (6.3, SpeechStopped()),
    (6.306, ReplyDone("r1", "interrupted")),
    (6.33, Finished("r1", 2670)),
]


def an_interruption() -> str:
    """A sentence that was meant."""
    return _sequence(INTERRUPTED)


def timers() -> str:
    """The two timers, on a turn that is answered and then interrupted."""
    asked = [
        (0.0, SessionReady("s")),
        (1.0, SoundStarted(0.95)),
        (1.7, SpeechStarted()),
        (3.4, SoundStopped(3.0)),
        (3.6, SpeechStopped()),
        (3.61, UserTranscript("Tell me about tea.")),
        (3.7, ReplyStarted("r1")),
        (3.9, ReplyAudio(SECOND * 8, "r1")),
        (4.2, Playing("r1", 40, audible=True)),
        (6.02, SoundRose(6.0)),
        (6.06, SoundStarted(6.0)),
        (7.4, SpeechStarted()),
        (8.0, SoundStopped(7.6)),
        (8.4, SpeechStopped()),
        (8.406, ReplyDone("r1", "interrupted")),
        (8.43, Finished("r1", 1900)),
    ]
    seen = Run().feed(asked)
    watch = Stopwatch()
    timed = [found for each in seen if (found := watch.take(each.what)) is not None]
    return draw(9.0, *_timeline(seen, timed[-1]))


def _timeline(seen: list[Seen], timed: TurnTimed) -> tuple[list[Bar], list[Mark], list[Bracket]]:
    started = [each.what.at for each in seen if isinstance(each.what, SoundStarted)]
    stopped = [each.what.at for each in seen if isinstance(each.what, SoundStopped)]
    began = next(each.at for each in seen if isinstance(each.what, ReplyBegan))
    held = next(each.at for each in seen if isinstance(each.what, Hold) and each.at > began)
    cut = next(each.at for each in seen if isinstance(each.what, Cut))
    bars = [Bar("person", first, last) for first, last in zip(started, stopped, strict=True)]
    bars += [Bar("agent", began, held), Bar("held", held, cut)]
    names = {
        SpeechStarted: "speech.started",
        SpeechStopped: "speech.stopped",
        ReplyDone: "interrupted",
    }
    marks = [Mark(each.at, names[type(each.what)]) for each in seen if type(each.what) in names]
    assert timed.turn_latency_ms is not None
    assert timed.endpointing_ms is not None
    assert timed.barge_in_ms is not None
    brackets = [
        Bracket(
            f"turn latency {timed.turn_latency_ms} ms", stopped[0], stopped[0] + timed.turn_latency_ms / 1000
        ),
        Bracket(
            f"endpointing {timed.endpointing_ms} ms", stopped[0], stopped[0] + timed.endpointing_ms / 1000
        ),
        Bracket(f"barge-in {timed.barge_in_ms} ms", started[-1], started[-1] + timed.barge_in_ms / 1000),
    ]
    return bars, marks, brackets


def _sequence(inputs: Sequence[tuple[float, Any]]) -> str:
    lines = [line for each in Run().feed(inputs) for line in _lines(each)]
    taking_part = [name for name in (EAR, SERVICE, CONTROLLER, SPEAKER) if _id(name) in "\n".join(lines)]
    head = [f"participant {_id(each)} as {each}" for each in taking_part]
    return "\n".join(["```mermaid", "sequenceDiagram", *(f"    {line}" for line in head + lines), "```", ""])


def _id(name: str) -> str:
    return name.replace(" ", "_")


def _lines(seen: Seen) -> Iterator[str]:
    match seen.what:
        case SessionReady():
            return
        case TimePassed():
            yield f"Note over {CONTROLLER}: {seen.at:.2f} s: a deadline is over"
        case (
            UserTranscript()
            | ReplyStarted()
            | ReplyAudio()
            | SpeechStarted()
            | SpeechStopped()
            | AgentTranscript()
        ):
            yield f"{_id(SERVICE)}->>{CONTROLLER}: {seen.at:.2f} s {seen.what.type}"
        case ReplyDone(status=status):
            yield f"{_id(SERVICE)}->>{CONTROLLER}: {seen.at:.2f} s reply.done ({status})"
        case SoundRose() | SoundStarted() | SoundStopped():
            yield f"{_id(EAR)}->>{CONTROLLER}: {seen.at:.2f} s {type(seen.what).__name__}"
        case SoundJudged(why=why):
            yield f"{_id(EAR)}->>{CONTROLLER}: {seen.at:.2f} s SoundJudged ({why})"
        case Playing() | Finished():
            yield f"{SPEAKER}-->>{CONTROLLER}: {seen.at:.2f} s {type(seen.what).__name__}"
        case Play() | Finish() | Cut() | Hold() | Resume() | Duck():
            yield f"{CONTROLLER}->>{SPEAKER}: {type(seen.what).__name__}"
        case ReplyEnded(outcome=outcome, heard_ms=ms):
            yield f"Note over {CONTROLLER}: ReplyEnded ({outcome.value}, {ms} ms heard)"
        case _:
            return
