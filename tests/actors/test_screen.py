"""What somebody reads of a conversation in their terminal, or in a file if they ask for it there."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable
from typing import TextIO, cast

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from actors.screen import Screen
from actors.screen.script import Script
from channels.happenings import (
    BystanderFailed,
    CallBegan,
    CallEnded,
    FloorHolder,
    FloorPassed,
    Happening,
    HeardBy,
    Interrupted,
    ParticipantJoined,
    ParticipantLeft,
    PersonSaid,
    PersonTyped,
    ReplyBegan,
    ReplyEnded,
    ReplyOutcome,
    RoomJoined,
    RoomLost,
    SessionStarted,
    ToolAnswered,
    ToolCalled,
    TurnStarted,
    TurnTimed,
    WordsHeard,
)
from channels.taps import Taps
from channels.terminal import Terminal

NASTY = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202eevil\r\x00\n"


class Window(io.StringIO):
    """A terminal, as far as a program can tell."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def ended(reply_id: str, text: str, outcome: ReplyOutcome = ReplyOutcome.PLAYED) -> ReplyEnded:
    return ReplyEnded(reply_id, outcome, 1000 if text else 0, text, 1.0)


def answer(reply_id: str, text: str) -> Iterable[Happening]:
    over = ended(reply_id, text)
    heard = (WordsHeard(reply_id, word) for word in text.split())
    return ReplyBegan(reply_id, 1.0), *heard, over, TurnTimed(1, 840, None, 300, over)


JOINED = (RoomJoined("tea", False), ParticipantJoined("alice"), HeardBy("alice"), CallBegan())


async def shown(
    *happenings: Happening,
    own: bool = True,
    stream: TextIO | None = None,
    environ: dict[str, str] | None = None,
) -> str:
    """All that is written."""
    out = io.StringIO() if stream is None else stream
    taps = Taps()
    environ = {"TERM": "xterm"} if environ is None else environ
    screen = Screen(taps.tap("screen"), Terminal(out, environ), own)
    for happening in happenings:
        taps.publish(happening)
    taps.end()
    await screen.run()
    return cast(io.StringIO, out).getvalue()


async def test_a_question_and_its_answer_can_be_read_with_how_long_it_took() -> None:
    said = (TurnStarted(1.0, 1), PersonSaid("What is it?", True, 1))
    assert await shown(*JOINED, *said, *answer("r1", "It is tea.")) == (
        "       (you joined)\n"
        "You:   What is it?\n"
        "Agent: It is tea. (answered in 0.8 s)\n"
        "       (1 answer, in 0.8 s)\n"
    )


async def test_a_reply_that_was_interrupted_ends_where_it_was_heard_to_end_and_says_so() -> None:
    over = ended("r1", "Once upon a", ReplyOutcome.CUT)
    text = await shown(
        *JOINED,
        WordsHeard("r1", "Once upon a"),
        TurnStarted(1.0, 2),
        Interrupted("r1", 1.0),
        over,
        TurnTimed(1, 700, 180, 300, over, interrupted=True),
        PersonSaid("Stop.", True, 2),
    )
    assert text.splitlines()[1:3] == [
        "Agent: Once upon a — (answered in 0.7 s, interrupted, silent 0.2 s after you began)",
        "You:   Stop.",
    ]


async def test_an_interruption_whose_words_come_before_the_timers_stands_behind_what_it_interrupted() -> None:
    over = ended("r1", "Once upon a", ReplyOutcome.CUT)
    text = await shown(
        *JOINED,
        WordsHeard("r1", "Once"),
        TurnStarted(1.0, 2),
        WordsHeard("r1", "upon a"),
        over,
        PersonSaid("Stop.", True, 2),
        TurnTimed(1, 700, None, 300, over, interrupted=True),
    )
    assert text.splitlines()[1:3] == [
        "Agent: Once upon a — (answered in 0.7 s, interrupted)",
        "You:   Stop.",
    ]


async def test_what_is_said_over_a_reply_that_goes_on_stands_where_it_was_said() -> None:
    over = ended("r1", "Once upon a time there was")
    text = await shown(
        *JOINED,
        WordsHeard("r1", "Once upon"),
        TurnStarted(1.0, 2),
        WordsHeard("r1", "a"),
        PersonSaid("Mm-hm.", True, 2),
        WordsHeard("r1", "time there was"),
        over,
        TurnTimed(1, 700, None, 300, over),
    )
    assert text.splitlines()[1:4] == [
        "Agent: Once upon …",
        "You:   Mm-hm.",
        "Agent: … a time there was (answered in 0.7 s)",
    ]


async def test_final_words_that_come_late_stand_before_the_answer_to_them() -> None:
    over = ended("r1", "It is tea.")
    text = await shown(
        *JOINED,
        TurnStarted(1.0, 1),
        WordsHeard("r1", "It is"),
        PersonSaid("What is it?", True, 1),
        WordsHeard("r1", "tea."),
        over,
        TurnTimed(1, 700, None, 300, over),
    )
    assert text.splitlines()[1:3] == ["You:   What is it?", "Agent: It is tea. (answered in 0.7 s)"]


async def test_a_reply_that_nobody_heard_is_not_shown() -> None:
    over = ended("r1", "", ReplyOutcome.CUT)
    text = await shown(*JOINED, over, TurnTimed(1, None, None, None, over))
    assert text == "       (you joined)\n"


async def test_several_people_have_names() -> None:
    text = await shown(
        *JOINED,
        ParticipantJoined("bob"),
        HeardBy("bob"),
        TurnStarted(1.0, 1),
        HeardBy("alice"),
        PersonSaid("Hello.", True, 1),
        PersonTyped("alice", "Hi there"),
        ParticipantLeft("bob"),
    )
    assert text.splitlines()[1:] == [
        "       (bob joined)",
        "       (bob is heard, too; from now on you are alice)",
        "bob:   Hello.",
        "alice: Hi there (typed)",
        "       (bob left)",
    ]


async def test_with_an_account_nobody_is_taken_for_you() -> None:
    text = await shown(*JOINED, TurnStarted(1.0, 1), PersonSaid("Hello.", True, 1), own=False)
    assert "alice: Hello.\n" in text
    assert "in the room tea;" in text


async def test_who_talks_at_this_computer_is_you_whoever_else_is_there() -> None:
    script = Script(own=False, you="alice")
    happenings = (*JOINED, ParticipantJoined("bob"), TurnStarted(1.0, 1), PersonSaid("Hello.", True, 1))
    assert "You" in [line.who for each in happenings for line in script.take(each, 1.0)]


async def test_a_tool_that_ran_is_one_quiet_line() -> None:
    text = await shown(*JOINED, ToolCalled("1", "order_status"), ToolAnswered("1", "order_status", 312))
    assert text.splitlines()[1:] == ["       (order_status took 0.3 s)"]


async def test_without_timers_the_conversation_is_still_shown() -> None:
    text = await shown(*JOINED, ended("r1", "One."), BystanderFailed("TurnTimer", "oh"), ended("r2", "Two."))
    assert [line for line in text.splitlines() if "Agent" in line] == ["Agent: One.", "Agent: Two."]


async def test_a_call_that_ends_in_the_middle_of_a_reply_shows_what_was_heard_of_it() -> None:
    text = await shown(*JOINED, WordsHeard("r1", "Once upon"))
    assert text.splitlines()[-1] == "Agent: Once upon — (left)"


async def test_nothing_that_anybody_says_or_is_called_makes_the_terminal_do_anything() -> None:
    text = await shown(
        RoomJoined(NASTY, False),
        ParticipantJoined(NASTY),
        HeardBy(NASTY),
        ParticipantJoined("bob"),
        TurnStarted(1.0, 1),
        FloorPassed(FloorHolder.PERSON, 1, 1.0),
        PersonSaid(NASTY, False, 1),
        PersonSaid(NASTY, True, 1),
        PersonTyped(NASTY, NASTY),
        ToolCalled("1", NASTY),
        ToolAnswered("1", NASTY, 3),
        FloorPassed(FloorHolder.AGENT, 1, 1.0),
        *answer("r1", NASTY),
        CallEnded(NASTY),
        own=False,
        stream=Window(),
    )
    assert "evil" in text
    own = re.sub(r"\r\x1b\[2K|\x1b\[[0-2]m", "", text)
    assert not set("\x1b\x07\x9b\u202e\r\x00") & set(own)


async def test_each_state_is_one_line_at_the_bottom_that_is_gone_at_the_end() -> None:
    window = Window()
    text = await shown(
        RoomJoined("tea", False),
        stream=window,
        environ={"TERM": "xterm", "NO_COLOR": "1"},
    )
    assert text.endswith("\r\x1b[2K")
    assert "\x1b" not in text.replace("\r\x1b[2K", ""), "NO_COLOR: no styles"


async def test_the_bottom_line_says_what_is_going_on() -> None:
    script = Script(own=True)
    states = list[str]()
    for happening in (
        RoomJoined("tea", False),
        ParticipantJoined("alice"),
        SessionStarted("s", False),
        FloorPassed(FloorHolder.PERSON, 1, 1.0),
        PersonSaid("What", False, 1),
        FloorPassed(FloorHolder.ANSWER, 1, 1.0),
        FloorPassed(FloorHolder.AGENT, 1, 1.0),
        PersonSaid("What", True, 1),
        WordsHeard("r1", "It is"),
        FloorPassed(FloorHolder.NOBODY, 1, 1.0),
        ToolCalled("1", "look"),
        RoomLost("wait"),
    ):
        script.take(happening, 1.0)
        status = script.status
        states.append(f"{status.what}: {status.words}" if status.words else status.what)
    assert states == [
        "waiting for somebody to join",
        "connecting",
        "listening",
        "you speak",
        "you speak: What",
        "thinking: What",
        "speaking",
        "speaking",
        "speaking: It is",
        "listening",
        "thinking (look)",
        "the room is gone, trying again",
    ]


@pytest.mark.parametrize("environ", [{"TERM": "dumb"}, {}])
async def test_a_terminal_that_cannot_go_back_gets_plain_lines(environ: dict[str, str]) -> None:
    text = await shown(*JOINED, *answer("r1", "It is tea."), stream=Window(), environ=environ)
    assert "\x1b" not in text
    assert "\r" not in text
    assert "Agent: It is tea. (answered in 0.8 s)\n" in text


async def test_nothing_is_written_while_nothing_happens(autojump_clock: MockClock) -> None:
    window, taps = Window(), Taps()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(Screen(taps.tap("screen"), Terminal(window, {"TERM": "xterm"}), True).run)
        for happening in (*JOINED, SessionStarted("s", False)):
            taps.publish(happening)
        await trio.sleep(1)
        before = window.getvalue()
        await trio.sleep(3600)
        assert window.getvalue() == before
        taps.end()


@given(
    st.lists(
        st.one_of(
            st.builds(WordsHeard, st.sampled_from("ab"), st.text(max_size=5)),
            st.builds(PersonSaid, st.text(max_size=5), st.booleans(), st.integers(0, 3)),
            st.builds(TurnStarted, st.just(1.0), st.integers(0, 3)),
            st.builds(ended, st.sampled_from("ab"), st.text(max_size=5), st.sampled_from(ReplyOutcome)),
            st.builds(
                TurnTimed,
                st.just(1),
                st.none(),
                st.none(),
                st.none(),
                st.builds(ended, st.sampled_from("ab"), st.text()),
            ),
            st.builds(HeardBy, st.sampled_from("xy")),
            st.builds(CallBegan),
        ),
        max_size=60,
    )
)
def test_in_any_order_every_final_word_of_a_person_is_shown_once_and_in_order(
    happenings: list[Happening],
) -> None:
    script = Script(own=False)
    lines = [line for each in happenings for line in script.take(each, 1.0)]
    lines += script.end()
    said = [each.text for each in happenings if isinstance(each, PersonSaid) and each.final and each.text]
    assert [line.text for line in lines if line.who not in ("Agent", "")] == said
