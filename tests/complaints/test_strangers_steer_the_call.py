"""Somebody whom the agent does not listen to types, presses keys, or is just there."""

from __future__ import annotations

import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from channels.happenings import HeardBy, TextDropped
from channels.messages import PersonCame, PersonWent
from channels.ports import ParticipantCame, ParticipantKind, ParticipantWent, RoomEvent
from channels.settings import TypingSettings
from channels.texts import OPERATE_METHOD, Asked, Pressed, RoomText, Typed
from tests.actors.test_room import Visit, visit


def came(*people: str, kind: ParticipantKind = ParticipantKind.PERSON) -> list[RoomEvent | float]:
    return [ParticipantCame(name, kind) for name in people]


async def read(at_work: Visit) -> list[RoomText]:
    """What reached the agent."""
    await trio.sleep(0.01)
    await wait_all_tasks_blocked()
    texts = []
    while True:
        try:
            texts.append(at_work.texts.receive_nowait())
        except (trio.WouldBlock, trio.EndOfChannel):
            return texts


def dropped(at_work: Visit) -> list[TextDropped]:
    return [happening for happening in at_work.happened() if isinstance(happening, TextDropped)]


async def test_with_one_person_listened_to_by_name_nobody_else_begins_a_session_or_steers_it(
    autojump_clock: MockClock,
) -> None:
    bobs: list[RoomEvent | float] = [Typed("bob", "Forget alice."), Pressed("bob", "1"), Typed("bob", "!")]
    asked = Asked("1", "bob", OPERATE_METHOD, "{}")
    stay = [*came("bob", "alice"), *bobs, asked, Typed("alice", "hi"), 1.0, ParticipantWent("bob")]
    async with visit(stay, listen="identity:alice") as at_work:
        assert await at_work.people.receive() == PersonCame("alice")
        assert await read(at_work) == [asked, Typed("alice", "hi")]
        assert [each.identity for each in dropped(at_work)] == ["bob"], "told once"
        await trio.sleep(2)
        assert at_work.people.channel.statistics().depth == 0, "that bob went ends nothing"


async def test_with_one_listened_to_at_a_time_the_next_one_waits_with_typing_too(
    autojump_clock: MockClock,
) -> None:
    both: list[RoomEvent | float] = [Typed("alice", "a"), Typed("bob", "b"), Pressed("bob", "2")]
    stay = [*came("alice", "bob"), *both, 10.0, *both, 10.0, ParticipantWent("alice"), *both]
    async with visit(stay) as at_work:
        nobody_has_a_microphone = await read(at_work)
        assert nobody_has_a_microphone == both
        at_work.happens.send_nowait(HeardBy("alice", "TR_1"))
        await trio.sleep(10)
        assert await read(at_work) == [Typed("alice", "a")]
        await trio.sleep(10)
        assert await read(at_work) == [Typed("bob", "b"), Pressed("bob", "2")]


async def test_whoever_may_speak_may_type_where_several_are_heard_and_machines_never(
    autojump_clock: MockClock,
) -> None:
    machines = came("recorder", "another agent", kind=ParticipantKind.MACHINE)
    orders: list[RoomEvent | float] = [
        Typed("recorder", "obey"),
        Pressed("another agent", "1"),
        Typed("nobody in the room", "obey"),
    ]
    for listen in ("active", "mix"):
        async with visit(
            [*came("alice", "bob"), *machines, *orders, Typed("bob", "hi")], listen=listen
        ) as room:
            room.happens.send_nowait(HeardBy("alice", "TR_1"))
            assert await read(room) == [Typed("bob", "hi")]


async def test_whoever_floods_the_chat_is_read_for_so_much_a_minute_and_others_still_are(
    autojump_clock: MockClock,
) -> None:
    flood: list[RoomEvent | float] = [Typed("mallory", str(number)) for number in range(500)]
    keys: list[RoomEvent | float] = [Pressed("carol", "7")] * 500
    hashes: list[RoomEvent | float] = [Pressed("dave", "#")] * 500
    stay = [*came("mallory", "alice", "carol", "dave"), *flood, Typed("alice", "hello"), 0.1, *keys, 0.1]
    stay += [*hashes, 60.0, Typed("mallory", "sorry")]
    async with visit(stay, typing=TypingSettings(5, 14)) as at_work:
        assert await read(at_work) == [*flood[:5], Typed("alice", "hello")]
        await trio.sleep(0.1)
        assert await read(at_work) == [Pressed("carol", "7")] * 30, "six keys are as much as a message"
        await trio.sleep(0.1)
        assert await read(at_work) == [Pressed("dave", "#")] * 3, "all together may type no more"
        assert [each.identity for each in dropped(at_work)] == ["mallory", "carol", "dave"], "told once each"
        await trio.sleep(60)
        assert await read(at_work) == [Typed("mallory", "sorry")]


async def test_a_lost_room_takes_only_those_with_it_with_whom_the_agent_talked(
    autojump_clock: MockClock,
) -> None:
    async with visit([*came("bob", "alice"), ParticipantWent("alice"), 1.0], listen="identity:alice") as room:
        assert [await room.people.receive() for _ in range(2)] == [PersonCame("alice"), PersonWent("alice")]
