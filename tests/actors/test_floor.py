"""The floor: a sound of the person holds the voice at once, and a hold always ends, one way or the other."""

from __future__ import annotations

from typing import TypeAlias

import pytest

from actors.barge_in.conversation import Conversation
from actors.barge_in.floor import FLOOR_TABLE, TRUSTED_UNCONFIRMED, Floor, FloorSignal
from actors.barge_in.machine import Event, TimePassed, step
from channels.happenings import SoundStarted, SoundStopped
from channels.messages import Cut, Finished, Hold, Playing, Resume, SpeakerCommand
from channels.wire.events import (
    AgentTranscriptDelta,
    ReplyAudio,
    ReplyDone,
    ReplyStarted,
    SessionReady,
    SessionUpdated,
    SpeechStarted,
)

Times: TypeAlias = list[tuple[Event, float]]
"""Events and when they come (s)."""


@pytest.mark.parametrize("floor", Floor)
def test_every_signal_has_its_place_in_the_floors_table(floor: Floor) -> None:
    assert set(FLOOR_TABLE[floor]) == set(FloorSignal)


def talking() -> Conversation:
    """The agent is in the middle of a word."""
    conversation = Conversation()
    for event in (
        SessionReady("s"),
        ReplyStarted("r"),
        ReplyAudio(bytes(48_000), "r"),
        AgentTranscriptDelta("Our ", "r", start_ms=200, end_ms=400),
        AgentTranscriptDelta("policy ", "r", start_ms=400, end_ms=900),
        Playing("r", 600.0, audible=True),
    ):
        conversation, _, _ = step(conversation, event, 0.0)
    return conversation


def orders_after(conversation: Conversation, *events: tuple[Event, float]) -> list[SpeakerCommand]:
    """All that the speaker is told while these events come at these times."""
    told: list[SpeakerCommand] = []
    for event, now in events:
        conversation, orders, _ = step(conversation, event, now)
        told += orders
    return told


def test_a_cough_holds_the_voice_and_gives_it_back_at_the_beginning_of_its_word() -> None:
    cough: Times = [(SoundStarted(1.0), 1.0), (SoundStopped(1.3), 1.6), (TimePassed(), 2.5)]
    assert orders_after(talking(), *cough) == [Hold(), Resume("r", 400)]


def test_an_interruption_that_the_service_confirms_is_held_first_and_then_cut() -> None:
    said: Times = [(SoundStarted(1.0), 1.0), (SpeechStarted(), 2.9)]
    assert orders_after(talking(), *said) == [Hold(), Cut("r"), Resume()]


def test_the_end_of_a_reply_of_long_ago_does_not_give_a_held_voice_back() -> None:
    events: Times = [
        (ReplyDone("r", "interrupted"), 0.5),
        (Finished("r", 600.0), 0.5),
        (ReplyStarted("q"), 0.6),
        (ReplyAudio(bytes(48_000), "q"), 0.6),
        (SoundStarted(1.0), 1.0),
        (ReplyDone("r", "interrupted"), 1.1),
    ]
    assert orders_after(talking(), *events)[-1] == Hold()


def test_a_sound_that_does_not_end_holds_the_voice_for_three_seconds_and_no_longer() -> None:
    assert orders_after(talking(), (SoundStarted(1.0), 1.0), (TimePassed(), 3.9)) == [Hold()]
    assert orders_after(talking(), (SoundStarted(1.0), 1.0), (TimePassed(), 4.0)) == [
        Hold(),
        Resume("r", 400),
    ]


def test_sounds_that_the_service_never_confirms_are_not_believed_for_ever() -> None:
    coughs: Times = []
    for number in range(6):
        at = 10.0 * number
        coughs += [(SoundStarted(at), at), (SoundStopped(at), at + 0.3), (TimePassed(), at + 5)]
    assert orders_after(talking(), *coughs).count(Hold()) == TRUSTED_UNCONFIRMED
    confirmed: Times = [
        *coughs,
        (SpeechStarted(), 90.0),
        (ReplyStarted("q"), 91.0),
        (SoundStarted(92.0), 92.0),
    ]
    assert orders_after(talking(), *confirmed).count(Hold()) == TRUSTED_UNCONFIRMED + 1


def test_nothing_is_held_while_the_agent_has_nothing_to_say_or_may_not_be_interrupted() -> None:
    assert orders_after(Conversation(), (SoundStarted(1.0), 1.0)) == []
    uninterruptible = SessionUpdated({"input": {"turn_detection": {"interrupt_response": False}}})
    assert orders_after(talking(), (uninterruptible, 0.5), (SoundStarted(1.0), 1.0)) == []
