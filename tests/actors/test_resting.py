"""A reply's sound is read less often, but never its first, and nothing for longer than a moment."""

from __future__ import annotations

import itertools

import trio
from trio.testing import MockClock, memory_stream_pair

from actors.api.resting import COMFORTABLE_MS, RESTS_S, Comfort, RestingStream
from channels.wire.events import AgentTranscriptDelta, ReplyAudio, ReplyDone, SpeechStarted
from sound.pcm import bytes_of_ms

TEN_MS = bytes(bytes_of_ms(10))


def take_reply(comfort: Comfort, reply_id: str, *, ahead_ms: int, lasts_ms: int) -> list[bool]:
    """What comes of a reply that begins with so much at once and goes on in real time."""
    began, enough = trio.current_time(), []
    for ms in range(0, lasts_ms, 10):
        comfort.take(ReplyAudio(TEN_MS, reply_id), began + max(0, ms - ahead_ms) / 1000)
        enough.append(comfort.enough)
    return enough


async def test_a_reply_that_is_well_ahead_may_wait_but_not_its_beginning() -> None:
    comfort = Comfort()
    enough = take_reply(comfort, "one", ahead_ms=150, lasts_ms=1000)
    assert enough == [ms + 10 >= COMFORTABLE_MS for ms in range(0, 1000, 10)]
    assert not take_reply(comfort, "two", ahead_ms=150, lasts_ms=10)[0]


async def test_a_reply_in_real_time_may_not_wait() -> None:
    assert not any(take_reply(Comfort(), "one", ahead_ms=20, lasts_ms=1000))


async def test_once_a_person_speaks_nothing_waits_until_the_next_reply() -> None:
    for event in (SpeechStarted(), ReplyDone("one")):
        comfort = Comfort()
        take_reply(comfort, "one", ahead_ms=150, lasts_ms=1000)
        comfort.take(event, trio.current_time())
        assert not comfort.enough
        assert not any(take_reply(comfort, "one", ahead_ms=150, lasts_ms=1000))
        assert take_reply(comfort, "two", ahead_ms=150, lasts_ms=1000)[-1]


async def test_the_words_of_a_reply_change_nothing() -> None:
    comfort = Comfort()
    take_reply(comfort, "one", ahead_ms=150, lasts_ms=1000)
    comfort.take(AgentTranscriptDelta("word", "one"), trio.current_time())
    assert comfort.enough


async def test_sound_without_the_name_of_its_reply_never_waits() -> None:
    comfort = Comfort()
    for _ in range(100):
        comfort.take(ReplyAudio(TEN_MS), 0.0)
    assert not comfort.enough


async def test_a_stream_rests_only_while_it_may_and_loses_nothing(autojump_clock: MockClock) -> None:
    ours, theirs = memory_stream_pair()
    may_rest = False
    stream = RestingStream(ours, lambda: may_rest)
    read: list[tuple[float, bytes]] = []

    async def send() -> None:
        for number in range(20):
            await theirs.send_all(bytes([number]))
            await trio.sleep(0.01)
        await theirs.aclose()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(send)
        while received := await stream.receive_some():
            read.append((trio.current_time(), bytes(received)))
            may_rest = 4 <= received[-1] < 14
    assert b"".join(received for _, received in read) == bytes(range(20))
    assert [received for _, received in read[:5]] == [bytes([number]) for number in range(5)]
    waits = [later - sooner for (sooner, _), (later, _) in itertools.pairwise(read)]
    assert max(waits) <= RESTS_S + 0.011
    assert len(read) < 20
