"""Captions on a screen that outlives the agent: none writes over another, and none stays half said."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from channels.happenings import (
    CallBegan,
    CallEnded,
    ParticipantJoined,
    ParticipantLeft,
    PersonSaid,
    ReplyEnded,
    ReplyOutcome,
    RoomJoined,
    RoomLost,
    RoomRestored,
    WordsHeard,
)
from tests.actors.test_front_end import Scene, Stream, scene

AWAY = (RoomLost("joining again"), RoomJoined("room", rejoined=True))
OVER = ReplyEnded("r", ReplyOutcome.PLAYED, 900, "Once there was a king", 9.0)


def ids(play: Scene) -> set[str]:
    return {stream.attributes["lk.segment_id"] for stream in play.board.captions()}


def last(play: Scene, begins: str) -> Stream:
    """The stream that a front end shows for this caption now."""
    return [stream for stream in play.board.captions() if stream.text.startswith(begins)][-1]


async def test_an_agent_that_was_started_again_does_not_write_over_what_the_first_one_showed() -> None:
    seen: list[set[str]] = []
    for _ in range(2):
        async with scene() as play:
            await play.happens(PersonSaid("hello", final=True), WordsHeard("r", "Hi"))
            seen.append(ids(play))
    assert len(seen[0]) == len(seen[1]) == 2
    assert not seen[0] & seen[1]


async def test_a_caption_goes_on_from_its_beginning_when_livekit_was_killed_and_is_back() -> None:
    async with scene() as play:
        await play.happens(ParticipantJoined("alice"), WordsHeard("r", "Once there"))
        await play.happens(*AWAY, ParticipantJoined("alice"), WordsHeard("r", "was a king"), OVER)
        before, after = play.board.captions()
        assert before.attributes["lk.segment_id"] == after.attributes["lk.segment_id"]
        assert (after.text.strip(), after.closed, after.final) == ("Once there was a king", True, True)


async def test_a_caption_that_ended_while_livekit_was_away_is_finished_once_its_reader_is_back() -> None:
    async with scene() as play:
        lost, joined = AWAY
        await play.happens(ParticipantJoined("alice"), PersonSaid("a story", final=False, turn=1))
        await play.happens(WordsHeard("r", "Once there was a king"), lost, OVER)
        await play.happens(PersonSaid("a story please", final=True, turn=1))
        shown = len(play.board.captions())
        await play.happens(joined, ParticipantJoined("bob"))
        assert len(play.board.captions()) == shown, "who was not there then has not missed it"
        await play.happens(ParticipantJoined("alice"))
        assert [last(play, text).final for text in ("Once", "a story")] == [True, True]
        assert len(ids(play)) == 2


async def test_a_caption_is_finished_after_a_short_break_too() -> None:
    async with scene() as play:
        lost = RoomLost("LiveKit is reconnecting")
        await play.happens(ParticipantJoined("alice"), WordsHeard("r", "Once there was a king"), lost, OVER)
        assert not any(stream.final for stream in play.board.captions())
        await play.happens(RoomRestored())
        assert last(play, "Once").final


async def test_who_comes_in_the_middle_of_a_sentence_reads_it_from_its_beginning() -> None:
    async with scene() as play:
        await play.happens(ParticipantJoined("alice"), WordsHeard("r", "Once there"))
        await play.happens(ParticipantJoined("bob"), WordsHeard("r", "was a king"))
        first, second = play.board.captions()
        assert first.closed
        assert second.text.strip() == "Once there was a king"


@pytest.mark.parametrize(("after_s", "told"), [(20, True), (400, False)])
async def test_who_is_back_in_their_call_reads_how_it_ended_and_who_has_another_call_does_not(
    autojump_clock: MockClock, after_s: float, told: bool
) -> None:
    async with scene() as play:
        await play.happens(ParticipantJoined("alice"), ParticipantLeft("alice"))
        await play.happens(WordsHeard("r", "Once there was a king"), OVER, CallEnded("everybody left"))
        shown = len(play.board.captions())
        await trio.sleep(after_s)
        await play.happens(ParticipantJoined("bob"))
        assert len(play.board.captions()) == shown
        await play.happens(ParticipantJoined("alice"))
        assert len(play.board.captions()) == shown + told
        await play.happens(CallBegan(), ParticipantLeft("alice"), ParticipantJoined("alice"))
        assert len(play.board.captions()) == shown + told
