"""How the agent stays in its room: with which rights, for how long it tries, and when it must go."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from random import Random
from typing import Any

import attrs
import jwt
import pytest
import trio
from trio.testing import MockClock, memory_stream_pair, wait_all_tasks_blocked

from actors.room.actor import AGENT_IDENTITY, RoomActor, mint_client_token
from actors.room.seat import OWN_ROOM, Seat
from channels.bounded import Channel, Full, Receiver, Sender
from channels.errors import NotAllowedInRoom, RoomClosed, RoomUnreachable, VoiceAgentError, reason_of
from channels.happenings import (
    Happening,
    Leaving,
    ParticipantJoined,
    ParticipantLeft,
    RoomJoined,
    RoomLost,
    RoomRestored,
)
from channels.messages import LeaveRoom, PersonCame, PersonWent, RoomAway, RoomBack
from channels.net.dialling import Dialer, open_stream
from channels.ports import (
    AudioTrackGone,
    AudioTrackHeard,
    ParticipantCame,
    ParticipantKind,
    ParticipantWent,
    RoomEvent,
    RoomLeft,
    RoomReconnected,
    RoomReconnecting,
    TrackEvent,
    WhyLeft,
)
from channels.secret import Secret
from channels.settings import ListenSettings, LiveKitAccount, TypingSettings
from channels.taps import Taps
from channels.texts import RoomText, Typed
from tests.actors.mic_support import Track, person

SECRET = "a-secret-of-livekit-that-nobody-may-see-0123456789"
ACCOUNT = LiveKitAccount("ws://127.0.0.1:7880", "APIkey", Secret(SECRET))
LOST = RoomLeft(WhyLeft.LOST, "SIGNAL_CLOSE")

Stay = Sequence[RoomEvent | float] | VoiceAgentError
"""What one join brings: events and waits in seconds, then nothing for ever; or an error."""


def claims(token: Secret) -> dict[str, Any]:
    """What a LiveKit server reads in a token."""
    decoded: dict[str, Any] = jwt.decode(token.reveal(), SECRET, algorithms=["HS256"])
    return decoded


@attrs.define
class FakeRoom:
    """A way into a room where what happens was written down before."""

    stays: list[Stay]
    last: Stay | None = None
    """What every further join brings; None: a quiet room."""
    urls: list[str] = attrs.field(factory=list)
    tokens: list[Secret] = attrs.field(factory=list)
    joined_at: list[float] = attrs.field(factory=list)
    inside: int = 0

    @asynccontextmanager
    async def join(self, url: str, token: Secret) -> AsyncIterator[AsyncIterator[RoomEvent]]:
        await trio.lowlevel.checkpoint()
        assert len(self.urls) < 1000, "it joins in a loop that takes no time"
        self.urls.append(url)
        self.tokens.append(token)
        self.joined_at.append(trio.current_time())
        stay = self.stays.pop(0) if self.stays else self.last
        if isinstance(stay, VoiceAgentError):
            raise stay
        self.inside += 1
        try:
            yield self._events(stay or ())
        finally:
            self.inside -= 1

    async def _events(self, stay: Sequence[RoomEvent | float]) -> AsyncIterator[RoomEvent]:
        for event in stay:
            if isinstance(event, float):
                await trio.sleep(event)
            else:
                yield event
                if isinstance(event, RoomLeft):
                    return
        await trio.sleep_forever()


@attrs.define
class Visit:
    """A `RoomActor` at work, with its ends."""

    room: FakeRoom
    tracks: Receiver[TrackEvent]
    people: Receiver[PersonCame | PersonWent]
    state: Receiver[RoomAway | RoomBack]
    texts: Receiver[RoomText]
    departures: Sender[LeaveRoom]
    taps: Receiver[Happening]
    happens: Sender[Happening]
    """What the actor is told happened elsewhere."""
    told: list[Happening] = attrs.field(factory=list)
    failure: BaseException | None = None
    scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    over: trio.Event = attrs.field(factory=trio.Event)

    async def end(self, *, within_s: float = 1000) -> VoiceAgentError:
        """Waits until the actor gives up; gives the one line that is shown."""
        with trio.fail_after(within_s):
            await self.over.wait()
        assert self.failure is not None
        error = reason_of(self.failure)
        assert error is not None
        assert str(error).isprintable()
        assert error.fix
        return error

    def happened(self) -> list[Happening]:
        """What was told so far."""
        while True:
            try:
                self.told.append(self.taps.receive_nowait())
            except trio.WouldBlock:
                return self.told

    def track_events(self) -> list[TrackEvent]:
        """What the microphone pump was told since the last time."""
        events: list[TrackEvent] = []
        while True:
            try:
                events.append(self.tracks.receive_nowait())
            except (trio.WouldBlock, trio.EndOfChannel):
                return events


@asynccontextmanager
async def visit(
    *stays: Stay,
    last: Stay | None = None,
    seed: int = 1,
    listen: str = "first",
    typing: TypingSettings | None = None,
    seat: Seat = OWN_ROOM,
    dialer: Dialer = open_stream,
) -> AsyncIterator[Visit]:
    tracks = Channel[TrackEvent](
        "tracks", capacity=256, unit="tracks", full=Full.FAIL, because="as in the wiring"
    )
    people = Channel[PersonCame | PersonWent](
        "people", capacity=256, unit="people", full=Full.FAIL, because="as in the wiring"
    )
    state = Channel[RoomAway | RoomBack](
        "room", capacity=10_000, unit="breaks", full=Full.FAIL, because="as in the wiring"
    )
    texts = Channel[RoomText](
        "texts", capacity=32, unit="messages", full=Full.DROP_OLDEST, because="as in the wiring"
    )
    departures = Channel[LeaveRoom](
        "departures", capacity=1, unit="orders", full=Full.DROP_OLDEST, because="as in the wiring"
    )
    happenings = Channel[Happening](
        "happenings", capacity=256, unit="happenings", full=Full.DROP_OLDEST, because="as in the wiring"
    )
    taps = Taps()
    room = FakeRoom(list(stays), last)
    at_work = Visit(
        room,
        tracks.receiver(),
        people.receiver(),
        state.receiver(),
        texts.receiver(),
        departures.sender(),
        taps.tap("test", capacity=10_000),
        happenings.sender(),
    )
    actor = RoomActor(
        ACCOUNT,
        "our-room",
        room,
        tracks.sender(),
        people.sender(),
        state.sender(),
        texts.sender(),
        departures.receiver(),
        taps,
        Random(seed),
        ListenSettings(listen),
        typing or TypingSettings(),
        happenings.receiver(),
        seat,
        dialer,
    )

    async def run() -> None:
        try:
            with at_work.scope:
                await actor.run()
        except Exception as error:
            at_work.failure = error
        finally:
            at_work.over.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run)
        yield at_work
        nursery.cancel_scope.cancel()


def unreachable() -> RoomUnreachable:
    return RoomUnreachable("LiveKit cannot be reached", "check LIVEKIT_URL")


async def test_the_agents_token_opens_this_room_only_to_listen_and_to_speak(
    autojump_clock: MockClock,
) -> None:
    async with visit() as at_work:
        await wait_all_tasks_blocked()
        (token,) = at_work.room.tokens
        read = claims(token)
        assert read["iss"] == "APIkey"
        assert read["sub"] == AGENT_IDENTITY == "voice-agent"
        video = {name: value for name, value in read["video"].items() if value}
        assert video.pop("room") == "our-room"
        assert video.pop("roomJoin") is True
        # It may show its own state and write captions, and has no power over anybody else.
        assert set(video) == {"canPublish", "canSubscribe", "canPublishData", "canUpdateOwnMetadata"}
        assert not {"sip", "inference", "observability", "roomConfig"} & set(read)


async def test_the_agents_token_is_good_for_minutes_not_for_hours(autojump_clock: MockClock) -> None:
    async with visit() as at_work:
        await wait_all_tasks_blocked()
        read = claims(at_work.room.tokens[0])
        assert 60 <= read["exp"] - read["nbf"] <= 15 * 60


def test_a_clients_token_opens_this_room_only_under_its_own_name() -> None:
    read = claims(mint_client_token(ACCOUNT, "our-room", "alice", timedelta(hours=1)))
    assert read["sub"] == "alice"
    video = {name: value for name, value in read["video"].items() if value}
    assert video == {
        "roomJoin": True,
        "room": "our-room",
        "canPublish": True,
        "canSubscribe": True,
        "canPublishData": True,
        "canUpdateOwnMetadata": True,
    }
    assert read.get("kind", "") in ("", "standard")
    assert 3600 <= read["exp"] - read["nbf"] <= 3660


async def test_every_join_has_a_token_of_its_own_at_the_same_address(autojump_clock: MockClock) -> None:
    async with visit([60.0, LOST], [60.0, LOST]) as at_work:
        await trio.sleep(200)
        assert at_work.room.urls == [ACCOUNT.url] * 3
        assert all(token is not at_work.room.tokens[0] for token in at_work.room.tokens[1:])


async def test_who_comes_and_goes_is_told(autojump_clock: MockClock) -> None:
    came = ParticipantCame("alice", ParticipantKind.PERSON)
    async with visit([came, 1.0, ParticipantWent("alice")]) as at_work:
        await trio.sleep(2)
        assert at_work.happened() == [
            RoomJoined("our-room", rejoined=False),
            ParticipantJoined("alice"),
            ParticipantLeft("alice"),
        ]


async def test_whether_the_room_can_be_reached_is_told_so_that_the_voice_waits(
    autojump_clock: MockClock,
) -> None:
    async with visit([1.0, RoomReconnecting(), 2.0, RoomReconnected(), 1.0, LOST]) as at_work:
        told = [await at_work.state.receive() for _ in range(4)]
        assert told == [RoomAway(), RoomBack(), RoomAway(), RoomBack()]
        assert at_work.happened()[-1] == RoomJoined("our-room", rejoined=True)


async def test_the_life_of_the_call_is_told_of_people_alone_and_of_those_a_lost_room_took_with_it(
    autojump_clock: MockClock,
) -> None:
    alice, bob = (ParticipantCame(name, ParticipantKind.PERSON) for name in ("alice", "bob"))
    recorder = ParticipantCame("recorder", ParticipantKind.MACHINE)
    stay: Stay = [alice, recorder, bob, 1.0, ParticipantWent("bob"), ParticipantWent("recorder"), LOST]
    async with visit(stay) as at_work:
        told = [await at_work.people.receive() for _ in range(4)]
        assert told == [PersonCame("alice"), PersonCame("bob"), PersonWent("bob"), PersonWent("alice")]


@pytest.mark.parametrize("stays", [([1.0, 60.0],), ([5.0, LOST],)], ids=["in the room", "between joins"])
async def test_told_to_leave_it_leaves_and_whoever_hangs_on_it_is_told(
    stays: tuple[Stay, ...], autojump_clock: MockClock
) -> None:
    async with visit(*stays, last=unreachable()) as at_work:
        await trio.sleep(5.5)
        at_work.departures.send_nowait(LeaveRoom("the person said goodbye"))
        with trio.fail_after(1):
            await at_work.over.wait()
        assert at_work.failure is None
        assert at_work.room.inside == 0
        assert at_work.happened()[-1] == Leaving("the person said goodbye")
        with pytest.raises(trio.EndOfChannel):
            await at_work.tracks.receive()


async def test_that_a_person_came_is_told_to_the_session_and_that_a_machine_came_is_not(
    autojump_clock: MockClock,
) -> None:
    machine_came = ParticipantCame("recorder", ParticipantKind.MACHINE)
    async with visit([machine_came, 1.0, ParticipantCame("alice", ParticipantKind.PERSON)]) as at_work:
        assert await at_work.people.receive() == PersonCame("alice")
        assert trio.current_time() == 1


async def test_a_broken_connection_that_the_sdk_mends_keeps_the_tracks(autojump_clock: MockClock) -> None:
    alice = person("alice")
    async with visit([AudioTrackHeard(alice), RoomReconnecting(), 5.0, RoomReconnected()]) as at_work:
        await trio.sleep(10)
        assert at_work.track_events() == [AudioTrackHeard(alice)]
        assert [type(happening) for happening in at_work.happened()] == [RoomJoined, RoomLost, RoomRestored]


async def test_the_tracks_of_a_lost_room_are_announced_as_gone_before_those_of_the_next(
    autojump_clock: MockClock,
) -> None:
    alice, bob, again = person("alice"), person("bob"), Track("TR_new", "alice")
    first: Stay = [AudioTrackHeard(alice), AudioTrackHeard(bob), AudioTrackGone(bob.sid, "bob"), 60.0, LOST]
    async with visit(first, [AudioTrackHeard(again)]) as at_work:
        await trio.sleep(100)
        assert at_work.track_events() == [
            AudioTrackHeard(alice),
            AudioTrackHeard(bob),
            AudioTrackGone(bob.sid, "bob"),
            AudioTrackGone(alice.sid, "alice"),
            AudioTrackHeard(again),
        ]


async def test_a_lost_room_is_joined_again_at_once(autojump_clock: MockClock) -> None:
    async with visit([60.0, LOST]) as at_work:
        await trio.sleep(100)
        assert at_work.room.joined_at == [0, 60]
        assert at_work.room.inside == 1
        assert at_work.happened()[-1] == RoomJoined("our-room", rejoined=True)


async def test_a_server_that_is_down_is_tried_again_with_growing_waits(autojump_clock: MockClock) -> None:
    async with visit([60.0, LOST], *[unreachable() for _ in range(6)]) as at_work:
        await trio.sleep(100)
        waits = [later - earlier for earlier, later in itertools.pairwise(at_work.room.joined_at)][1:]
        assert len(waits) == 6
        for wait, nominal in zip(waits, [0.25, 0.5, 1, 2, 4, 5], strict=True):
            assert 0 <= wait <= nominal
        assert at_work.room.inside == 1


async def test_agents_that_lost_one_server_at_once_do_not_come_back_at_once(
    autojump_clock: MockClock,
) -> None:
    comings = set()
    for seed in range(5):
        start = trio.current_time()
        async with visit([60.0, LOST], unreachable(), unreachable(), seed=seed) as at_work:
            await trio.sleep(100)
            comings.add(at_work.room.joined_at[-1] - start)
    assert len(comings) == 5


async def test_a_server_that_does_not_come_back_is_given_up_after_a_minute(autojump_clock: MockClock) -> None:
    async with visit([100.0, LOST], last=unreachable()) as at_work:
        error = await at_work.end(within_s=161)
        assert isinstance(error, RoomUnreachable)
        assert ACCOUNT.url in str(error)
        assert trio.current_time() >= 150
        assert at_work.room.inside == 0


async def test_a_server_that_lets_the_agent_in_and_throws_it_out_for_ever_is_given_up_after_a_minute(
    autojump_clock: MockClock,
) -> None:
    async with visit([100.0, LOST], last=[LOST]) as at_work:
        error = await at_work.end(within_s=161)
        assert isinstance(error, RoomUnreachable)
        assert len(at_work.room.joined_at) < 60


async def test_a_server_that_is_lost_now_and_then_is_joined_again_each_time(
    autojump_clock: MockClock,
) -> None:
    async with visit(last=[300.0, LOST]) as at_work:
        await trio.sleep(24 * 3600)
        assert len(at_work.room.joined_at) == 288
        assert at_work.failure is None


async def test_a_server_that_is_not_there_at_the_start_is_said_at_once(autojump_clock: MockClock) -> None:
    async with visit(unreachable()) as at_work:
        assert isinstance(await at_work.end(within_s=1), RoomUnreachable)
        assert len(at_work.room.joined_at) == 1


@pytest.mark.parametrize("before", [[], [[60.0, LOST]]], ids=["at first", "later"])
async def test_a_refused_token_is_said_at_once(autojump_clock: MockClock, before: list[Stay]) -> None:
    refused = NotAllowedInRoom("LiveKit refused the agent's token", "check LIVEKIT_API_KEY")
    async with visit(*before, refused) as at_work:
        assert isinstance(await at_work.end(within_s=61), NotAllowedInRoom)


@pytest.mark.parametrize(
    ("why", "says"),
    [
        (WhyLeft.REMOVED, "removed"),
        (WhyLeft.REPLACED, "took the agent's place"),
        (WhyLeft.CLOSED, "closed"),
    ],
)
@pytest.mark.parametrize("rejoined", [False, True])
async def test_an_agent_that_is_put_out_ends_with_one_line_and_does_not_push_its_way_back_in(
    autojump_clock: MockClock, why: WhyLeft, says: str, rejoined: bool
) -> None:
    stays: list[Stay] = [[60.0, LOST]] if rejoined else []
    async with visit(*stays, [1.0, RoomLeft(why, "detail")]) as at_work:
        error = await at_work.end(within_s=62)
        assert isinstance(error, RoomClosed)
        assert says in str(error)
        await trio.sleep(100)
        assert len(at_work.room.joined_at) == len(stays) + 1
        assert at_work.room.inside == 0


async def test_a_room_that_livekit_closed_because_it_was_empty_is_opened_anew_however_often(
    autojump_clock: MockClock,
) -> None:
    emptied: Stay = [15.0, RoomLeft(WhyLeft.EMPTY, "ROOM_CLOSED")]
    async with visit(*[emptied] * 50) as at_work:
        await trio.sleep(1000)
        assert at_work.failure is None
        assert at_work.room.inside == 1
        assert at_work.room.joined_at == [15.0 * number for number in range(51)], "at once, each time"
        told = at_work.happened()
        assert told[1:] == [RoomJoined("our-room", rejoined=True)] * 50, "it is no trouble worth a warning"


async def test_a_room_that_was_closed_because_it_was_empty_may_be_unreachable_afterwards(
    autojump_clock: MockClock,
) -> None:
    async with visit([300.0, RoomLeft(WhyLeft.EMPTY, "ROOM_CLOSED")], last=unreachable()) as at_work:
        assert isinstance(await at_work.end(), RoomUnreachable)


async def test_when_it_ends_everybody_who_listens_to_it_is_told(autojump_clock: MockClock) -> None:
    alice = person("alice")
    async with visit([AudioTrackHeard(alice), RoomLeft(WhyLeft.CLOSED, "")]) as at_work:
        await at_work.end()
        assert at_work.track_events() == [AudioTrackHeard(alice), AudioTrackGone(alice.sid, "alice")]
        assert [event async for event in at_work.tracks] == []
        assert [event async for event in at_work.people] == []
        assert [event async for event in at_work.texts] == []


@pytest.mark.parametrize("after_s", [0, 30, 60.1, 65])
async def test_cancelled_it_leaves_the_room(autojump_clock: MockClock, after_s: float) -> None:
    async with visit([60.0, LOST], unreachable(), last=unreachable()) as at_work:
        await trio.sleep(after_s)
        at_work.scope.cancel()
        await at_work.over.wait()
        assert at_work.failure is None
        assert at_work.room.inside == 0


async def test_what_is_typed_is_passed_on_and_a_reader_that_crashed_puts_nobody_out(
    autojump_clock: MockClock,
) -> None:
    came = ParticipantCame("alice", ParticipantKind.PERSON)
    typed: Stay = [
        came,
        Typed("alice", "hello"),
        1.0,
        Typed("alice", "anybody?"),
        1.0,
        ParticipantWent("alice"),
    ]
    async with visit(typed) as at_work:
        assert await at_work.texts.receive() == Typed("alice", "hello")
        at_work.texts.close()
        await trio.sleep(3)
        assert at_work.failure is None
        assert at_work.happened()[-1] == ParticipantLeft("alice")


async def test_neither_the_secret_nor_a_token_is_to_be_read_anywhere(autojump_clock: MockClock) -> None:
    async with visit([60.0, LOST], last=unreachable()) as at_work:
        error = await at_work.end()
        texts = [str(error), repr(error), repr(at_work.happened()), repr(ACCOUNT), repr(at_work.room.tokens)]
        for text in texts:
            assert SECRET not in text
            assert all(token.reveal() not in text for token in at_work.room.tokens)


JOB = Seat("voice-agent-AJ_1", "Waiter", {"lk.agent_name": "waiter"}, Secret("the-jobs.own.token"), True)


async def test_a_jobs_agent_joins_with_the_jobs_token_and_comes_back_with_its_own_as_the_same(
    autojump_clock: MockClock,
) -> None:
    async with visit([60.0, LOST], seat=JOB) as at_work:
        await trio.sleep(100)
        first, second = at_work.room.tokens
        assert first is JOB.token
        read = claims(second)
        assert (read["sub"], read["name"], read["kind"]) == ("voice-agent-AJ_1", "Waiter", "agent")
        assert read["attributes"] == {"lk.agent_name": "waiter"}


@pytest.mark.parametrize("why", [WhyLeft.EMPTY, WhyLeft.CLOSED, WhyLeft.REMOVED])
async def test_a_job_ends_with_its_room_and_in_good_order(autojump_clock: MockClock, why: WhyLeft) -> None:
    async with visit([60.0, LOST], [60.0, RoomLeft(why, "")], seat=JOB) as at_work:
        with trio.fail_after(1000):
            await at_work.over.wait()
        assert at_work.failure is None
        assert len(at_work.room.tokens) == 2
        assert isinstance(at_work.happened()[-1], Leaving)


OTHER = "ws://127.0.0.1:7990"
BETWEEN_NODES = Seat(nodes=(ACCOUNT.url, OTHER))


async def nobody_answers(url: str) -> trio.abc.Stream:
    raise ConnectionRefusedError


async def the_machine_is_gone(url: str) -> trio.abc.Stream:
    await trio.sleep_forever()
    raise AssertionError


async def somebody_answers(url: str) -> trio.abc.Stream:
    return memory_stream_pair()[0]


@pytest.mark.parametrize("dialer", [nobody_answers, the_machine_is_gone])
async def test_a_node_that_died_is_left_for_another_while_the_person_still_waits(
    dialer: Dialer, autojump_clock: MockClock
) -> None:
    async with visit([60.0, RoomReconnecting()], seat=BETWEEN_NODES, dialer=dialer) as at_work:
        await trio.sleep(100)
        assert at_work.room.urls == [ACCOUNT.url, OTHER]
        assert at_work.room.joined_at[1] <= 60 + 3
        assert at_work.room.inside == 1
        assert at_work.happened()[-1] == RoomJoined("our-room", rejoined=True)


@pytest.mark.parametrize(
    ("stay", "seat", "dialer"),
    [
        ([60.0, RoomReconnecting(), 0.5, RoomReconnected()], BETWEEN_NODES, nobody_answers),
        ([60.0, RoomReconnecting(), 25.0, RoomReconnected()], BETWEEN_NODES, somebody_answers),
        ([60.0, RoomReconnecting(), 25.0, RoomReconnected()], OWN_ROOM, nobody_answers),
    ],
    ids=["it is mended at once", "the node lives", "there is no other node"],
)
async def test_a_connection_that_can_be_mended_is_not_given_up(
    stay: Stay, seat: Seat, dialer: Dialer, autojump_clock: MockClock
) -> None:
    async with visit(stay, seat=seat, dialer=dialer) as at_work:
        await trio.sleep(200)
        assert at_work.room.joined_at == [0]
        assert at_work.happened()[-1] == RoomRestored()


async def test_nodes_take_turns_until_one_lets_the_agent_in(autojump_clock: MockClock) -> None:
    async with visit([60.0, LOST], unreachable(), seat=BETWEEN_NODES) as at_work:
        await trio.sleep(100)
        assert at_work.room.urls == [ACCOUNT.url, OTHER, ACCOUNT.url]


async def test_a_job_whose_node_died_right_after_giving_it_begins_at_another(
    autojump_clock: MockClock,
) -> None:
    async with visit(unreachable(), seat=attrs.evolve(JOB, nodes=(OTHER,))) as at_work:
        await trio.sleep(1)
        assert at_work.room.urls == [ACCOUNT.url, OTHER]
        assert all(token is JOB.token for token in at_work.room.tokens)
        assert at_work.happened() == [RoomJoined("our-room", rejoined=False)]


async def test_a_job_that_no_node_lets_in_ends_at_once(autojump_clock: MockClock) -> None:
    async with visit(last=unreachable(), seat=BETWEEN_NODES) as at_work:
        assert isinstance(await at_work.end(within_s=1), RoomUnreachable)
        assert at_work.room.urls == [ACCOUNT.url, OTHER]


async def test_somebody_who_takes_a_jobs_seat_is_named(autojump_clock: MockClock) -> None:
    async with visit([1.0, RoomLeft(WhyLeft.REPLACED, "")], seat=JOB) as at_work:
        assert "'voice-agent-AJ_1'" in (await at_work.end()).what
