"""The floor: a sound of the person holds the voice at once, and a hold always ends, one way or the other."""

from __future__ import annotations

import contextlib
from typing import TypeAlias

import attrs
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import runner
from actors.barge_in import BargeInController
from actors.barge_in.conversation import Conversation
from actors.barge_in.floor import FLOOR_TABLE, TRUSTED_UNCONFIRMED, Floor, FloorSignal, FloorState
from actors.barge_in.machine import Event, TimePassed, step
from channels.bounded import Watched
from channels.happenings import FloorHolder, FloorPassed, Happening, SoundJudged, SoundStarted, SoundStopped
from channels.messages import Cut, Finish, Finished, Hold, Play, Playing, Resume, SpeakerCommand
from channels.settings import BargeInSettings
from channels.taps import Taps
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


def told_after(conversation: Conversation, *events: tuple[Event, float]) -> list[Happening]:
    """All that is told to the taps meanwhile."""
    told: list[Happening] = []
    for event, now in events:
        conversation, _, happenings = step(conversation, event, now)
        told += happenings
    return told


HOLD, GOES_ON, CUT = Hold(), Resume("r", 400), Cut("r")


def test_a_cough_holds_the_voice_and_gives_it_back_at_the_beginning_of_its_word() -> None:
    cough: Times = [(SoundStarted(1.0), 1.0), (SoundStopped(1.3), 1.6), (TimePassed(), 2.5)]
    assert orders_after(talking(), *cough) == [HOLD, GOES_ON]


def test_what_the_service_hears_holds_the_voice_and_decides_nothing() -> None:
    assert orders_after(talking(), (SpeechStarted(), 1.0), (TimePassed(), 2.0)) == [HOLD]


@pytest.mark.parametrize(
    "decision",
    [ReplyDone("r", "interrupted"), AgentTranscript("Our", "r", interrupted=True)],
    ids=["reply.done", "transcript.agent"],
)
def test_the_first_of_two_decisions_cuts_what_was_held(decision: Event) -> None:
    """The form in which the decision comes at once."""
    said: Times = [(SoundStarted(1.0), 1.0), (SpeechStarted(), 2.2), (decision, 2.2)]
    assert orders_after(talking(), *said) == [HOLD, CUT]


def test_a_decision_at_the_end_of_the_sentence_cuts_what_was_held_and_what_came_meanwhile_is_not_heard() -> (
    None
):
    """The form in which the reply is streamed on until the person has finished."""
    said: Times = [
        (SoundStarted(1.0), 1.0),
        (SpeechStarted(), 2.2),
        (ReplyAudio(bytes(480), "r"), 2.3),
        (SoundStopped(3.6), 3.9),
        (SpeechStopped(), 4.2),
        (AgentTranscript("Our policy is", "r"), 4.204),
        (AgentTranscript("Our", "r", interrupted=True), 4.205),
        (ReplyDone("r", "interrupted"), 4.207),
        (ReplyAudio(bytes(480), "r"), 4.208),
    ]
    assert orders_after(talking(), *said) == [HOLD, Play("r", bytes(480)), CUT, Resume()]


def test_a_back_channel_that_the_service_lets_pass_is_over_soon_after_it_says_that_they_have_finished() -> (
    None
):
    mm_hm: Times = [
        (SoundStarted(1.0), 1.0),
        (SoundStopped(1.2), 1.5),
        (SpeechStarted(), 2.1),
        (SpeechStopped(), 2.6),
        (TimePassed(), 2.9),
    ]
    assert orders_after(talking(), *mm_hm) == [HOLD, GOES_ON]


def test_one_mm_hm_does_not_stop_the_voice_twice() -> None:
    """The service names a sound when the ear has long heard it end, and the voice goes on already."""
    late: Times = [
        (SoundStarted(1.0), 1.0),
        (SoundStopped(1.2), 1.5),
        (TimePassed(), 2.3),
        (UserTranscriptDelta("Mm-hm."), 2.6),
        (SpeechStarted(), 2.6),
        (SpeechStopped(), 3.4),
        (TimePassed(), 6.0),
    ]
    assert orders_after(talking(), *late) == [HOLD, GOES_ON]
    assert orders_after(talking(), *late[:-1], (ReplyDone("r", "interrupted"), 3.41))[-1] == CUT, (
        "its decision still counts"
    )
    assert orders_after(talking(), *late[:-1], (SoundStarted(3.5), 3.5))[-1] == HOLD, "so does a new sound"


def test_a_voice_too_soft_for_the_ear_is_heard_by_the_service() -> None:
    soft: Times = [(SpeechStarted(), 1.0), (SpeechStopped(), 2.0), (TimePassed(), 2.3)]
    assert orders_after(talking(), *soft) == [HOLD, GOES_ON]


def test_whoever_goes_on_speaking_is_not_talked_over() -> None:
    speech: Times = [(SoundStarted(1.0), 1.0), (SpeechStarted(), 2.2)]
    words: Times = [(UserTranscriptDelta("and then"), float(at)) for at in range(3, 18)]
    quiet: Times = [(TimePassed(), 20.9)]
    assert orders_after(talking(), *speech, *words, *quiet) == [HOLD]
    assert orders_after(talking(), *speech, *words, *quiet, (TimePassed(), 21.0)) == [HOLD, GOES_ON], (
        "within the bound"
    )


def test_whoever_still_sounds_when_the_service_takes_them_to_have_finished_is_not_talked_over() -> None:
    said: Times = [
        (SoundStarted(1.0), 1.0),
        (SpeechStarted(), 2.2),
        (SpeechStopped(), 3.0),
        (TimePassed(), 3.4),
    ]
    assert orders_after(talking(), *said) == [HOLD]
    assert orders_after(talking(), *said, (SoundStopped(4.0), 4.3), (TimePassed(), 4.6)) == [HOLD, GOES_ON]


def test_an_answer_that_nobody_has_heard_is_not_lost_when_the_person_goes_on_with_their_sentence() -> None:
    split: Times = [
        (SoundStarted(0.0), 0.0),
        (SpeechStarted(), 0.8),
        (SoundStopped(1.5), 1.8),
        (SpeechStopped(), 2.0),
        (UserTranscript("Examine me.", "1"), 2.0),
        (ReplyStarted("r"), 2.0),
        (SoundStarted(2.1), 2.1),
        (SpeechStarted(), 2.8),
        (ReplyAudio(bytes(48_000), "r"), 3.0),
        (SoundStopped(5.0), 5.3),
        (SpeechStopped(), 5.5),
        (UserTranscript("I think it is one head.", "2"), 5.5),
        (TimePassed(), 5.8),
    ]
    orders = orders_after(Conversation(), (SessionReady("s"), 0.0), *split)
    assert orders == [Hold(), Resume(), Hold(), Play("r", bytes(48_000)), Resume()]


def test_an_answer_begins_at_once_when_the_person_has_finished() -> None:
    turn: Times = [
        (SoundStarted(0.0), 0.0),
        (SpeechStarted(), 0.8),
        (SoundStopped(1.5), 1.8),
        (SpeechStopped(), 2.0),
        (ReplyStarted("r"), 2.0),
        (ReplyAudio(bytes(480), "r"), 2.01),
    ]
    orders = orders_after(Conversation(), (SessionReady("s"), 0.0), *turn)
    assert orders == [Hold(), Resume(), Play("r", bytes(480))]


def test_an_end_that_is_told_before_its_beginning_silences_nobody() -> None:
    odd: Times = [
        (SpeechStopped(), 1.0),
        (UserTranscript("Mm-hm.", "1"), 1.0),
        (SpeechStarted(), 1.002),
        (TimePassed(), 9.0),
    ]
    assert orders_after(talking(), *odd) == []


def test_a_lone_end_of_speech_decides_about_the_sound_that_the_ear_heard() -> None:
    """As it was while a tool was pending: no beginning, no words."""
    lone: Times = [
        (SoundStarted(1.0), 1.0),
        (SoundStopped(1.5), 1.8),
        (SpeechStopped(), 2.0),
        (TimePassed(), 2.3),
    ]
    assert orders_after(talking(), *lone) == [HOLD, GOES_ON]


@pytest.mark.parametrize(
    ("said", "last"),
    [("No, stop it please.", [CUT, Resume()]), ("Mm-hm.", [GOES_ON])],
    ids=["a turn", "mm-hm"],
)
def test_a_reply_that_came_in_one_burst_gives_way_to_the_answer_to_what_was_said_over_it(
    said: str, last: list[SpeakerCommand]
) -> None:
    """The service had done with it, so it cannot call it interrupted."""
    over_it: Times = [
        (ReplyDone("r"), 0.5),
        (SoundStarted(1.0), 1.0),
        (SpeechStarted(), 2.2),
        (SoundStopped(2.6), 2.9),
        (SpeechStopped(), 3.2),
        (UserTranscript(said, "1"), 3.2),
        (ReplyStarted("q"), 3.201),
        (TimePassed(), 3.5),
    ]
    assert orders_after(talking(), *over_it) == [Finish("r"), HOLD, *last]


def test_a_reply_that_is_called_interrupted_and_then_completed_is_cut() -> None:
    both: Times = [(AgentTranscript("Our", "r", interrupted=True), 1.0), (ReplyDone("r", "completed"), 1.004)]
    assert orders_after(talking(), *both) == [CUT]


def test_the_end_of_a_reply_of_long_ago_does_not_give_a_held_voice_back() -> None:
    events: Times = [
        (ReplyDone("r", "interrupted"), 0.5),
        (Finished("r", 600.0), 0.5),
        (ReplyStarted("q"), 0.6),
        (ReplyAudio(bytes(48_000), "q"), 0.6),
        (SoundStarted(1.0), 1.0),
        (ReplyDone("r", "interrupted"), 1.1),
    ]
    assert orders_after(talking(), *events)[-1] == HOLD


def test_a_sound_that_the_service_does_not_name_holds_the_voice_for_a_while_and_no_longer() -> None:
    assert orders_after(talking(), (SoundStarted(1.0), 1.0), (TimePassed(), 4.9)) == [HOLD]
    assert orders_after(talking(), (SoundStarted(1.0), 1.0), (TimePassed(), 5.0)) == [HOLD, GOES_ON]


def test_sounds_that_are_never_an_interruption_are_not_believed_for_ever() -> None:
    coughs: Times = []
    for number in range(6):
        at = 10.0 * number
        coughs += [(SoundStarted(at), at), (SoundStopped(at), at + 0.3), (TimePassed(), at + 5)]
    assert orders_after(talking(), *coughs).count(HOLD) == TRUSTED_UNCONFIRMED
    echo: Times = [(SpeechStarted(), 81.0), (SpeechStopped(), 82.0), (TimePassed(), 85.0)]
    assert orders_after(talking(), *coughs, *echo).count(HOLD) == TRUSTED_UNCONFIRMED, "nor are words"
    interrupted: Times = [
        *coughs,
        (ReplyDone("r", "interrupted"), 90.0),
        (ReplyStarted("q"), 91.0),
        (ReplyAudio(bytes(480), "q"), 91.0),
        (SoundStarted(92.0), 92.0),
    ]
    assert orders_after(talking(), *interrupted).count(HOLD) == TRUSTED_UNCONFIRMED + 1


def test_who_speaks_while_the_agent_is_silent_is_no_echo_and_is_believed_again() -> None:
    coughs: Times = []
    for number in range(3):
        at = 10.0 * number
        coughs += [(SoundStarted(at), at), (SoundStopped(at), at + 0.3), (TimePassed(), at + 5)]
    later: Times = [
        (ReplyDone("r"), 40.0),
        (Finished("r", 1000.0), 41.0),
        (SpeechStarted(), 42.0),
        (SpeechStopped(), 43.0),
        (ReplyStarted("q"), 43.0),
        (ReplyAudio(bytes(480), "q"), 43.1),
        (SoundStarted(44.0), 44.0),
    ]
    assert orders_after(talking(), *coughs, *later)[-1] == HOLD


def test_a_sound_that_outlasts_the_bound_is_not_believed_again() -> None:
    speech: Times = [(SoundStarted(0.0), 0.0), (SpeechStarted(), 1.0)]
    words: Times = [(UserTranscriptDelta("on the news tonight"), float(at)) for at in range(2, 19, 2)]
    again: Times = [(TimePassed(), 20.0), (SoundStopped(20.5), 20.8), (SoundStarted(25.0), 25.0)]
    assert orders_after(talking(), *speech, *words, *again) == [HOLD, GOES_ON]


def test_nothing_is_held_where_the_agent_may_not_be_interrupted() -> None:
    uninterruptible = SessionUpdated({"input": {"turn_detection": {"interrupt_response": False}}})
    both: Times = [(SoundStarted(1.0), 1.0), (SpeechStarted(), 2.0)]
    assert orders_after(talking(), (uninterruptible, 0.5), *both) == []


def test_nothing_is_held_where_holding_is_switched_off() -> None:
    conversation = attrs.evolve(talking(), floor=FloorState(BargeInSettings(longest_hold_ms=0)))
    assert orders_after(conversation, (SoundStarted(1.0), 1.0), (SpeechStarted(), 2.0)) == []
    assert orders_after(conversation, (ReplyDone("r", "interrupted"), 2.0)) == [CUT]


def test_a_service_that_means_speech_as_the_decision_is_obeyed_where_that_is_set() -> None:
    conversation = attrs.evolve(talking(), floor=FloorState(BargeInSettings(on_speech_started="cut")))
    assert CUT in orders_after(conversation, (SpeechStarted(), 1.0))


def test_who_has_the_floor_is_told_as_one_fact() -> None:
    events: Times = [
        (SessionReady("s"), 0.0),
        (SoundStarted(0.0), 0.1),
        (SpeechStarted(), 0.8),
        (SoundStopped(1.5), 1.8),
        (SpeechStopped(), 2.0),
        (UserTranscript("Hello?", "1"), 2.0),
        (ReplyStarted("r"), 2.0),
        (ReplyAudio(bytes(48_000), "r"), 2.5),
        (Playing("r", 100.0, audible=True), 2.7),
        (SoundStarted(3.0), 3.0),
        (SoundStopped(3.1), 3.4),
        (TimePassed(), 4.2),
        (ReplyDone("r"), 4.3),
        (Finished("r", 1000.0), 5.0),
        (TimePassed(), 8.0),
    ]
    passed = [one for one in told_after(Conversation(), *events) if isinstance(one, FloorPassed)]
    person, answer, agent = FloorHolder.PERSON, FloorHolder.ANSWER, FloorHolder.AGENT
    assert [one.holder for one in passed] == [
        person,
        answer,
        agent,
        person,
        agent,
        person,
        FloorHolder.NOBODY,
    ]


def test_a_radio_beside_the_microphone_delays_one_answer_and_not_every_one() -> None:
    conversation = Conversation()
    waits: list[float] = []
    for turn in range(3):
        at, reply = 20.0 * turn, f"r{turn}"
        events: Times = [(SessionReady("s"), 0.0), (SoundStarted(0.0), 0.0)] if turn == 0 else []
        events += [
            (SpeechStarted(), at + 1.0),
            (SpeechStopped(), at + 3.0),
            (ReplyStarted(reply), at + 3.0),
            (ReplyAudio(bytes(48_000), reply), at + 3.5),
            *((TimePassed(), at + 3.5 + step / 10) for step in range(30)),
            (ReplyDone(reply), at + 7.0),
            (Finished(reply, 1000.0), at + 7.0),
        ]
        before = len(waits)
        for event, now in events:
            conversation, orders, _ = step(conversation, event, now)
            waits += [now - (at + 3.0) for order in orders if isinstance(order, Resume)]
        assert len(waits) == before + 1
    assert waits[0] <= 2.6
    assert waits[1:] == [0.0, 0.0]


async def test_an_ear_that_breaks_in_the_middle_of_a_sound_holds_no_answer_for_ever(
    autojump_clock: MockClock,
) -> None:
    c, taps = runner.Channels(), Taps()
    service, reports, sounds = c.service.sender(), c.reports.sender(), c.sounds.sender()
    told = c.orders.receiver()
    actor = BargeInController(
        BargeInSettings(),
        c.service.receiver(),
        c.sounds.receiver(),
        c.room.receiver(),
        c.fills.receiver(),
        c.reports.receiver(),
        taps.tap("controller"),
        c.orders.sender(),
        taps,
        Watched("inputs"),
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(actor.run)
        for event in (SessionReady("s"), ReplyStarted("r"), ReplyAudio(bytes(48_000), "r")):
            service.send_nowait(event)
        await wait_all_tasks_blocked()
        sounds.send_nowait(SoundStarted(0.0))
        sounds.close()
        await trio.sleep(2)
        said = []
        with contextlib.suppress(trio.WouldBlock):
            while True:
                said.append(told.receive_nowait())
        assert said[-2:] == [HOLD, Resume()]
        reports.close()
        nursery.cancel_scope.cancel()


def said_over_it(text: str, times: int) -> Times:
    """The same, again and again, each a little sound that the service lets pass."""
    return [
        (event, 10.0 * number + after)
        for number in range(times)
        for event, after in (
            (SoundStarted(10.0 * number), 0.0),
            (SpeechStarted(), 0.5),
            (SoundStopped(10.0 * number + 0.4), 0.7),
            (SpeechStopped(), 1.2),
            (UserTranscript(text, f"m{number}"), 1.2),
            (TimePassed(), 1.5),
        )
    ]


def test_who_says_mm_hm_three_times_can_still_interrupt_at_once() -> None:
    said = said_over_it("Mm-hm.", 4)
    assert orders_after(talking(), *said, (SoundStarted(50.0), 50.0)).count(HOLD) == 5


def test_the_agents_own_echo_is_not_believed_for_ever() -> None:
    said = said_over_it("Our policy", 6)
    assert orders_after(talking(), *said).count(HOLD) == TRUSTED_UNCONFIRMED


def test_a_cough_that_goes_on_and_on_counts_once_and_who_speaks_after_it_is_believed() -> None:
    """A long one: the judge gives the voice back for each of its bursts."""
    cough: Times = [(SoundStarted(1.0), 1.1)]
    for burst in range(4):
        at = 1.4 + 0.3 * burst
        cough += [(SoundJudged(1.0, keeps=False, why="no voice"), at)]
        cough += [(SoundJudged(1.0, keeps=True, why="goes on"), at + 0.1)]
    cough += [(SoundJudged(1.0, keeps=False, why="no voice"), 2.6), (SoundStopped(2.4), 2.7)]
    assert orders_after(talking(), *cough) == [HOLD, GOES_ON] * 5
    assert orders_after(talking(), *cough, (SoundStarted(6.0), 6.1))[-1] == HOLD


def judged_and_over(why: str, times: int, every_s: float) -> Times:
    """The same short sound, again and again, which the service does not name."""
    return [
        (event, every_s * number + after)
        for number in range(times)
        for event, after in (
            (SoundStarted(every_s * number), 0.05),
            (SoundJudged(every_s * number, keeps=False, why=why), 0.4),
            (SoundStopped(every_s * number + 0.2), 0.5),
        )
    ]


@pytest.mark.parametrize("why", ["hummed", "back-channel"])
def test_who_listens_aloud_is_believed_although_the_service_names_none_of_it(why: str) -> None:
    said = judged_and_over(why, 9, every_s=5.0)
    assert orders_after(talking(), *said).count(HOLD) == 9


@pytest.mark.parametrize("why", ["no voice", "hummed", "back-channel"])
def test_the_agents_own_echo_is_not_believed_for_ever_whatever_it_is_taken_for(why: str) -> None:
    """Each time that the voice is back, its echo is."""
    echo = judged_and_over(why, 60, every_s=0.6)
    assert orders_after(talking(), *echo).count(HOLD) < 15


@pytest.mark.parametrize("named_at", [1.2, 1.5])
def test_the_two_ears_may_hear_a_back_channel_in_either_order(named_at: float) -> None:
    yeah: Times = [
        (SoundStarted(1.0), 1.05),
        (SpeechStarted(), named_at),
        (SoundJudged(1.0, keeps=False, why="back-channel"), 1.4),
    ]
    ended: Times = [(SoundStopped(1.3), 1.6), (SpeechStopped(), 3.0)]
    assert orders_after(talking(), *sorted(yeah, key=lambda told: told[1])) == [HOLD, GOES_ON]
    assert orders_after(talking(), *sorted(yeah, key=lambda told: told[1]), *ended) == [HOLD, GOES_ON]


def test_a_cough_behind_a_sentence_takes_nothing_back() -> None:
    said: Times = [
        (SoundStarted(1.0), 1.05),
        (SpeechStarted(), 2.2),
        (SoundStopped(3.4), 3.7),
        (SoundStarted(3.9), 3.95),
        (SoundJudged(3.9, keeps=False, why="no voice"), 4.3),
        (SoundStopped(4.1), 4.5),
    ]
    assert orders_after(talking(), *said) == [HOLD]


def test_a_sound_that_is_dismissed_too_late_does_not_take_back_what_the_next_one_holds() -> None:
    """ "Yeah", and while the recogniser is still busy with it: "stop"."""
    late: Times = [
        (SoundStarted(1.0), 1.05),
        (SoundStopped(1.3), 1.6),
        (SoundStarted(1.7), 1.75),
        (SoundJudged(1.0, keeps=False, why="back-channel"), 1.76),
    ]
    assert orders_after(talking(), *late) == [HOLD]
    in_time: tuple[Event, float] = (SoundJudged(1.7, keeps=False, why="back-channel"), 2.1)
    assert orders_after(talking(), *late, in_time) == [HOLD, GOES_ON]


def test_stop_holds_the_voice_also_when_it_is_understood_late() -> None:
    late: Times = [
        (SoundStarted(1.0), 1.05),
        (SoundStopped(1.3), 1.6),
        (SoundStarted(1.7), 1.75),
        (SoundJudged(1.0, keeps=True, why="words"), 1.76),
        (SoundJudged(1.7, keeps=False, why="no voice"), 2.0),
    ]
    assert orders_after(talking(), *late) == [HOLD]


def test_whoever_begins_again_just_after_their_end_holds_the_voice_also_for_a_deaf_ear() -> None:
    again: Times = [
        (SpeechStarted(), 1.0),
        (SpeechStopped(), 2.0),
        (UserTranscript("No", "1"), 2.0),
        (SpeechStarted(), 2.2),
        (TimePassed(), 2.6),
    ]
    assert orders_after(talking(), *again) == [HOLD]


def test_a_reply_that_loses_its_end_does_not_keep_the_floor_for_ever() -> None:
    lost: Times = [(ReplyStarted("q"), 1.0), (Finished("r", 1000.0), 2.0), (TimePassed(), 31.0)]
    told = told_after(talking(), *lost, (Finished("q", 0.0), 31.0))
    assert [one.holder for one in told if isinstance(one, FloorPassed)][-1] is FloorHolder.NOBODY


def test_a_reply_that_nobody_spoke_over_is_not_cut_by_the_next_one() -> None:
    story: Times = [
        (SpeechStarted(), 1.0),
        (SpeechStopped(), 2.0),
        (UserTranscript("oh yes very nice", "1"), 2.0),
        (TimePassed(), 2.3),
        (ReplyDone("r"), 3.0),
        (Finished("r", 1000.0), 5.0),
        (ReplyStarted("b"), 20.0),
        (ReplyAudio(bytes(48_000), "b"), 20.0),
        (ReplyDone("b"), 20.4),
        (ReplyStarted("c"), 20.6),
    ]
    assert Cut("b") not in orders_after(talking(), *story)


def test_a_service_that_forgets_to_say_that_they_have_finished_does_not_keep_the_agent_busy() -> None:
    conversation, now = Conversation(), 0.0
    for event, at in ((SessionReady("s"), 0.0), (SpeechStarted(), 0.0), (ReplyStarted("r"), 3.0)):
        conversation, _, _ = step(conversation, event, at)
    met = 0
    while conversation.deadline <= 60.0 and met < 100:
        now = max(now, conversation.deadline)
        conversation, _, _ = step(conversation, TimePassed(), now)
        met += 1
    assert met < 100, "a time that has passed is not due again"
