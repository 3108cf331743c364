"""The agent is muted, silenced by a moderator, or speaks before anybody listens: nothing of it is lost."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
import trio_asyncio
from attrs import define, evolve, field
from livekit import api

from actors.barge_in import BargeInController
from actors.barge_in.conversation import Conversation
from actors.barge_in.floor import FloorState
from actors.barge_in.machine import Event, TimePassed, step
from actors.room.actor import AGENT_IDENTITY, RoomActor
from actors.room.livekit_edge import livekit_edge
from actors.speaker import SpeakerPump
from bench.guest import Guest, join_as_guest
from channels.bounded import Channel, Full, Sender, Watched
from channels.happenings import (
    AnswerMissing,
    FloorHolder,
    FloorPassed,
    Happening,
    ParticipantJoined,
    ReplyEnded,
    ReplyGivenUp,
    ReplyOutcome,
    VoiceUnheard,
)
from channels.messages import ApiEvent, Cut, Finished, Hold, Playing, Resume, RoomAway, RoomBack, Unheard
from channels.settings import BargeInSettings, LiveKitAccount, SpeakerSettings
from channels.taps import Taps
from channels.wire.events import (
    ReplyAudio,
    ReplyDone,
    ReplyStarted,
    SessionReady,
    SpeechStarted,
    SpeechStopped,
    UserTranscript,
)
from playground.livekit_server import LiveKitServer
from tests.actors.test_speaker import sound
from tests.complaints.test_the_voice_clicks import TONE

A_SECOND = TONE[:24_000].tobytes()
A_LONG_REPLY_S = 4
"""So long that on a busy machine, too, a moderator is there before its end."""


@define
class Agent:
    """The voice of an agent in a real room, and what came of it."""

    service: Sender[ApiEvent]
    happened: list[Happening] = field(factory=list)

    def says(self, reply_id: str, seconds: int) -> None:
        self.service.send_nowait(ReplyStarted(reply_id))
        self.service.send_nowait(ReplyAudio(A_SECOND * seconds, reply_id))
        self.service.send_nowait(ReplyDone(reply_id))

    async def tells(self, kind: type, *, within_s: float = 30) -> Any:
        """Waits until it has told of a thing; gives the latest of them."""
        with trio.fail_after(within_s):
            while not (told := [one for one in self.happened if isinstance(one, kind)]):
                await trio.sleep(0.01)
            return told[-1]


@asynccontextmanager
async def agent_in(livekit: LiveKitServer, room_name: str) -> AsyncIterator[Agent]:
    """As `runner.wire` joins them."""

    def channel(name: str) -> Channel[Any]:
        return Channel(name, capacity=1024, unit="messages", full=Full.DROP_OLDEST, because="test")

    taps = Taps()
    service, state, orders, reports = (
        channel("service"),
        channel("room"),
        channel("orders"),
        channel("reports"),
    )
    others = [channel("sounds"), channel("fills"), channel("sounding"), channel("tracks"), channel("people")]
    others += [channel("texts"), channel("departures")]
    kept = [one.sender() for one in others]
    account = LiveKitAccount(livekit.url, livekit.api_key, livekit.api_secret)
    async with livekit_edge(queue_size_ms=100) as edge, trio.open_nursery() as nursery:
        sounds, fills, _, _, _, _, departures = (one.receiver() for one in others)
        _, _, sounding, tracks, people, texts, _ = (one.sender() for one in others)
        agent = Agent(service.sender())
        taps.overhear(agent.happened.append)
        room = RoomActor(
            account, room_name, edge.room, tracks, people, state.sender(), texts, departures, taps
        )
        controller = BargeInController(
            BargeInSettings(),
            service.receiver(),
            sounds,
            state.receiver(),
            fills,
            reports.receiver(),
            taps.tap("controller"),
            orders.sender(),
            taps,
            Watched("inputs"),
        )
        speaker = SpeakerPump(
            SpeakerSettings(), edge.loudspeaker, orders.receiver(), reports.sender(), sounding
        )
        for actor in (room, controller, speaker):
            nursery.start_soon(actor.run)
        agent.service.send_nowait(SessionReady("sess_1"))
        await agent.tells(VoiceUnheard)
        yield agent
        nursery.cancel_scope.cancel()
    assert kept


@pytest.mark.server
async def test_who_subscribes_late_hears_the_whole_greeting_and_the_next_one_who_comes_all_that_is_said_then(
    livekit: LiveKitServer,
) -> None:
    async with agent_in(livekit, "late") as agent:
        async with join_as_guest(livekit, "late", publish=False, subscribe=False) as guest:
            agent.says("greeting", 1)
            with trio.fail_after(30):
                while not guest.room.remote_participants:
                    await trio.sleep(0.01)
            await trio.sleep(1.2)
            assert not any(isinstance(one, ReplyEnded) for one in agent.happened)
            guest.listen()
            ended = await agent.tells(ReplyEnded)
            assert (ended.outcome, ended.heard_ms) == (ReplyOutcome.PLAYED, 1000)
            await heard_all_but_a_tenth(guest, 1)
            await agent.tells(ParticipantJoined)
            agent.happened.clear()
        assert (await agent.tells(VoiceUnheard)).why == "alone"
        agent.says("news", 1)
        async with join_as_guest(livekit, "late", "bob", publish=False) as guest:
            assert (await agent.tells(ReplyEnded)).heard_ms == 1000
            await heard_all_but_a_tenth(guest, 1)


async def heard_all_but_a_tenth(guest: Guest, seconds: int) -> None:
    """Waits for it: the last of it is still on its way when the agent tells of its end."""
    with trio.fail_after(30):
        while sum(frame.audible for frame in guest.heard) < 90 * seconds:  # of 10 ms
            await trio.sleep(0.05)


@pytest.mark.server
@pytest.mark.parametrize("how", ["muted", "forbidden"])
async def test_a_moderator_silences_the_agent_and_lets_it_speak_again(
    livekit: LiveKitServer, how: str
) -> None:
    async with (
        agent_in(livekit, how) as agent,
        join_as_guest(livekit, how, publish=False) as guest,
        trio_asyncio.open_loop(),
    ):
        agent.says("r", A_LONG_REPLY_S)
        await guest.hear_sound(within_s=30)
        agent.happened.clear()
        await moderate(livekit, how, silenced=True)
        assert (await agent.tells(VoiceUnheard)).why == how
        assert (await agent.tells(FloorPassed)).holder is not FloorHolder.AGENT, "it does not speak"
        await guest.hear_silence(for_s=1.0, within_s=30)
        silent = time.monotonic()
        await trio.sleep(A_LONG_REPLY_S)
        assert not any(frame.audible for frame in guest.heard if frame.at > silent)
        assert not any(isinstance(one, ReplyEnded) for one in agent.happened)
        await moderate(livekit, how, silenced=False)
        ended = await agent.tells(ReplyEnded)
        assert (ended.outcome, ended.heard_ms) == (ReplyOutcome.PLAYED, A_LONG_REPLY_S * 1000)
        await heard_all_but_a_tenth(guest, A_LONG_REPLY_S)


async def moderate(livekit: LiveKitServer, room: str, *, silenced: bool) -> None:
    """What somebody with an account does: the room is called like what is done."""

    async def act() -> None:
        url = livekit.url.replace("ws", "http", 1)
        async with api.LiveKitAPI(url, livekit.api_key, livekit.api_secret.reveal()) as server:
            if room == "forbidden":
                may = api.ParticipantPermission(
                    can_subscribe=True,
                    can_publish=not silenced,
                    can_publish_data=True,
                    can_update_metadata=True,
                )
                request = api.UpdateParticipantRequest(room=room, identity=AGENT_IDENTITY, permission=may)
                await server.room.update_participant(request)
                return
            who = api.RoomParticipantIdentity(room=room, identity=AGENT_IDENTITY)
            (track,) = (await server.room.get_participant(who)).tracks
            await server.room.mute_published_track(
                api.MuteRoomTrackRequest(
                    room=room, identity=AGENT_IDENTITY, track_sid=track.sid, muted=silenced
                )
            )

    await trio_asyncio.aio_as_trio(act)()


def told(
    *events: Event | float, settings: BargeInSettings | None = None
) -> tuple[list[Any], list[Happening]]:
    """What the speaker and the taps are told when this comes, with so many seconds between."""
    conversation, now = Conversation(floor=FloorState(settings or BargeInSettings())), 0.0
    commands: list[Any] = []
    happened: list[Happening] = []
    for event in (SessionReady("sess_1"), *events):
        if not isinstance(event, float):
            conversation, orders, more = step(conversation, event, now)
            commands, happened = commands + orders, happened + more
            continue
        until = now + event
        while conversation.deadline <= until:
            now = conversation.deadline
            conversation, orders, more = step(conversation, TimePassed(), now)
            commands, happened = commands + orders, happened + more
        now = until
    return commands, happened


REPLY: Sequence[Event] = (ReplyStarted("r"), ReplyAudio(sound(1000, 2000), "r"), ReplyDone("r"))


@pytest.mark.parametrize("why", [Unheard.MUTED, Unheard.FORBIDDEN, Unheard.UNPUBLISHED, Unheard.ALONE])
def test_what_nobody_could_hear_for_half_a_minute_is_given_up_and_told(why: Unheard) -> None:
    commands, happened = told(*REPLY, Playing("r", 400.0, audible=True), RoomAway(why), 29.9)
    assert commands[-1] == Hold()
    assert not any(isinstance(one, ReplyGivenUp) for one in happened)

    commands, happened = told(
        *REPLY, Playing("r", 400.0, audible=True), RoomAway(why), 30.1, Finished("r", 400.0)
    )
    assert commands[-1] == Cut("r")
    (given_up,) = [one for one in happened if isinstance(one, ReplyGivenUp)]
    assert given_up == ReplyGivenUp("r", why.name.lower(), 30.0)
    (ended,) = [one for one in happened if isinstance(one, ReplyEnded)]
    assert (ended.outcome, ended.heard_ms) == (ReplyOutcome.CUT, 400)


def test_whoever_asked_while_the_agent_was_muted_is_still_owed_an_answer() -> None:
    asked = (SpeechStarted(), 1.0, SpeechStopped(), UserTranscript("Where is it?", "msg_1"), 0.5)
    _, happened = told(RoomAway(Unheard.MUTED), *asked, *REPLY, 40.0, Finished("r", 0.0), RoomBack(), 15.0)
    assert any(isinstance(one, ReplyGivenUp) for one in happened)
    assert [one.text for one in happened if isinstance(one, AnswerMissing)] == ["Where is it?"]


def test_with_nobody_waited_for_the_voice_plays_on() -> None:
    settings = evolve(BargeInSettings(), unheard_ms=0)
    commands, _ = told(RoomAway(Unheard.ALONE), *REPLY, 100.0, settings=settings)
    assert Hold() not in commands
    commands, _ = told(RoomAway(), RoomAway(Unheard.ALONE), settings=settings)
    assert commands == [Hold(), Resume()]
