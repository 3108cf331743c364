"""A barge-in of 73 s, and "you interrupted here", where nobody had said a word."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from actors.barge_in.conversation import Conversation
from actors.barge_in.machine import Event, TimePassed, step
from actors.timers import Stopwatch
from channels.happenings import (
    Happening,
    Interrupted,
    ReplyBegan,
    ReplyEnded,
    ReplyOutcome,
    SoundStarted,
    SoundStopped,
    TurnStarted,
    TurnTimed,
    VoiceHeld,
)
from channels.messages import Finished, Playing
from channels.wire.events import (
    ReplyAudio,
    ReplyDone,
    ReplyStarted,
    SessionReady,
    SpeechStarted,
    SpeechStopped,
)
from sound.pcm import bytes_of_ms

CUT = ReplyEnded("r", ReplyOutcome.CUT, 1000, "words", 80.0)
TALKING: list[tuple[float, Event]] = [
    (0.0, SessionReady("s")),
    (1.0, ReplyStarted("r")),
    (1.1, ReplyAudio(b"\x40\x20" * (bytes_of_ms(5000) // 2), "r")),
    (1.2, Playing("r", 100, audible=True)),
]
GIVES_WAY: list[tuple[float, Event]] = [
    (74.2, ReplyDone("r", "interrupted")),
    (74.3, Finished("r", 3000)),
]


def timed(happenings: Iterable[Happening]) -> TurnTimed:
    watch = Stopwatch()
    turns = [turn for happening in happenings if (turn := watch.take(happening)) is not None]
    return turns[-1]


def run(events: Iterable[tuple[float, Event]]) -> TurnTimed:
    """What is told of a reply, from the events that the controller gets."""
    conversation, told = Conversation(), list[Happening]()
    for at, event in events:
        while conversation.deadline < at:
            conversation, _, happenings = step(conversation, TimePassed(), conversation.deadline)
            told += happenings
        if isinstance(event, SoundStarted | SoundStopped):
            told.append(event)
        conversation, _, happenings = step(conversation, event, at)
        told += happenings
    return timed(told)


@pytest.mark.parametrize(
    "noise",
    [
        [],
        [(1.5, SoundStarted(1.4)), (2.5, SoundStopped(2.4))],
        [(1.5, SoundStarted(1.4))],
    ],
    ids=["in silence", "long after a cough", "beside a radio"],
)
def test_a_reply_that_gave_way_to_what_was_typed_is_no_interruption(noise: list[tuple[float, Event]]) -> None:
    turn = run([*TALKING, *noise, *GIVES_WAY])
    assert (turn.reply.outcome, turn.interrupted, turn.barge_in_ms) == (ReplyOutcome.CUT, False, None)


def test_who_speaks_and_stops_the_agent_has_interrupted_it() -> None:
    spoken: list[tuple[float, Event]] = [
        (72.0, SoundStarted(71.9)),
        (73.0, SpeechStarted()),
        (74.0, SoundStopped(73.9)),
        (74.1, SpeechStopped()),
    ]
    turn = run([*TALKING, *spoken, *GIVES_WAY])
    assert turn.interrupted
    assert turn.barge_in_ms == 100


def test_who_speaks_beside_a_radio_is_not_timed_from_the_radios_first_note() -> None:
    turn = timed(
        [
            ReplyBegan("r", 1.0),
            SoundStarted(2.0),  # the radio, which does not end
            TurnStarted(74.0),
            VoiceHeld(74.0),
            Interrupted("r", 75.0),
            CUT,
        ]
    )
    assert (turn.interrupted, turn.barge_in_ms) == (True, None)
