"""Rooms that come and go at a worker, with people who talk and, in every second one, a fault.

A deck has each fault once and is shuffled by the seed; when it is empty, it is shuffled again. So after
thirty rooms or so each has happened.
"""

from __future__ import annotations

import contextlib
import enum
import functools
import gc
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Coroutine
from random import Random
from typing import Any, TypeVar

import attrs
import trio
import trio_asyncio
from livekit import api, rtc

from bench.guest import Guest, join_as_guest
from bench.relay import Relay
from bench.speech import spoken
from channels.errors import VoiceAgentError
from channels.settings import LiveKitAccount
from channels.texts import CHAT_TOPIC
from commands.check.accounts import ask_livekit
from commands.dispatch import cancel_dispatch, create_dispatch
from playground.brain import CallTool, EchoBrain, Thought
from playground.livekit_server import LiveKitServer
from sound.pcm import SAMPLE_RATE_HZ

__all__ = ["AGENT_NAME", "Fault", "Happened", "SoakRooms", "ToolCaller"]

AGENT_NAME = "soak"

_COMES_WITHIN_S = 20.0
_LASTS_AT_MOST_S = 45.0
_GONE_WITHIN_S = 40.0
_MESSAGES = 1500
_TRACKS = 8

_SENTENCES = (
    "Once upon a time there was a little robot who lived in a house by the sea.",
    "What would you recommend for a rainy afternoon?",
    "Thank you, that is very kind.",
    "Could you say that again, please, and a little more slowly this time?",
    "No.",
)

T = TypeVar("T")


class Fault(enum.Enum):
    """What goes wrong."""

    SOCKET_RESET = "the service's socket is reset"
    AT_CAPACITY = "service: at_capacity"
    CONCURRENCY = "service: concurrency_exceeded"
    LEAVES = "a person leaves in mid-word"
    ROOM_DELETED = "the room is deleted"
    TAKEN_BACK = "the dispatch is taken back"
    TOOL_BLOCKS = "a tool blocks its thread"
    TOOL_HOLDS = "a tool blocks the loop"
    TOOL_RAISES = "a tool raises"
    TOOL_HANGS = "a tool never returns"
    ADDITION_CRASHES = "an addition crashes"
    ESSENTIAL_CRASHES = "an essential addition crashes"
    FLOOD = "a flood of data messages"
    BAD_METADATA = "a job with bad metadata"
    SIGNAL_CUT = "a room's signal connection is cut"
    WORKER_CUT = "the worker's connection is cut"
    MANY_TRACKS = "tracks come and go"


_TOOLS = {
    Fault.TOOL_BLOCKS: "blocks",
    Fault.TOOL_HOLDS: "holds_the_loop",
    Fault.TOOL_RAISES: "raises",
    Fault.TOOL_HANGS: "never_returns",
    Fault.ADDITION_CRASHES: "break_addition",
    Fault.ESSENTIAL_CRASHES: "break_call",
}


@attrs.frozen
class Happened:
    """A fault, at a moment of `time.monotonic()`."""

    at: float
    fault: Fault


@attrs.define
class ToolCaller(EchoBrain):
    """Repeats what it heard, but first calls the tool that is to be called next, whoever is asked.

    Args:
        tools: their names; shared by all sessions.
    """

    tools: list[str] = attrs.field(factory=list, kw_only=True)

    async def answer(self, heard: str) -> AsyncGenerator[Thought, None]:  # type: ignore[override]
        """As `Brain.answer`."""
        if self.tools:
            yield CallTool(self.tools.pop(0))
        async for sentence in super().answer(heard):
            yield sentence


@attrs.define
class SoakRooms:
    """Opens rooms and fills them with people.

    Args:
        livekit: where people join.
        to_livekit: the worker's line to it.
        to_service: the worker's line to the service.
        refusing: URLs of services that take nobody, by fault.
        tools: those that the model is to call next.
        random: decides.
    """

    livekit: LiveKitServer
    to_livekit: Relay
    to_service: Relay
    refusing: dict[Fault, str]
    tools: list[str]
    random: Random
    happened: list[Happened] = attrs.field(factory=list, init=False)
    visits: Counter[str] = attrs.field(factory=Counter, init=False)
    """How they went."""
    _deck: list[Fault] = attrs.field(factory=list, init=False)

    async def come_and_go(self, until: float) -> None:
        """One room after the other, until a moment of Trio's clock."""
        while trio.current_time() < until:
            fault = self._draw() if self.random.random() < 0.6 else None
            outcome = "too long"
            with trio.move_on_after(_LASTS_AT_MOST_S):
                outcome = await self._visit(f"soak-{self.random.getrandbits(48):012x}", fault)
            self.visits[outcome] += 1
            gc.collect()  # a room that the server closed hears the SDK's events until then
            await trio.sleep(self.random.uniform(0, 0.5))

    def _draw(self) -> Fault:
        if not self._deck:
            self._deck = list(Fault)
            self.random.shuffle(self._deck)
        return self._deck.pop()

    @property
    def _account(self) -> LiveKitAccount:
        return LiveKitAccount(self.livekit.url, self.livekit.api_key, self.livekit.api_secret)

    async def _ask(self, method: str, **content: object) -> None:
        with contextlib.suppress(VoiceAgentError):
            await ask_livekit(self._account, method, api.VideoGrants(room_create=True), content)

    async def _visit(self, room: str, fault: Fault | None) -> str:
        await self._ask("CreateRoom", name=room, empty_timeout=30, departure_timeout=1)
        if fault is Fault.BAD_METADATA:
            self._note(fault)
            await create_dispatch(self._account, room, AGENT_NAME, '{"voice": ')
            await trio.sleep(1)
            await self._ask("DeleteRoom", room=room)
            return "declined"
        if fault in self.refusing:
            self._note(fault)
            self.to_service.detours.append(self.refusing[fault])
        outcome = "visited" if fault is None else "visited, with a fault"
        try:
            async with join_as_guest(self.livekit, room) as guest:
                made = await create_dispatch(self._account, room, AGENT_NAME)
                with trio.move_on_after(_COMES_WITHIN_S) as patience:
                    await guest.agent_came.wait()
                if patience.cancelled_caught:
                    await self._ask("DeleteRoom", room=room)
                    return "no agent came"
                await trio.sleep(self.random.uniform(0.5, 2.0))
                await self._talk(guest, room, made.id, fault)
        except* (rtc.ConnectError, trio.BrokenResourceError) as errors:
            outcome = f"a person could not: {type(errors.exceptions[0]).__name__}"
        return outcome

    async def _talk(self, guest: Guest, room: str, dispatch: str, fault: Fault | None) -> None:
        if fault is Fault.LEAVES:
            with trio.move_on_after(self.random.uniform(0.4, 0.9)):
                await guest.say(self._sentence())
            self._note(fault)
            return
        tool = _TOOLS.get(fault) if fault is not None else None
        if tool is not None and fault is not None:
            self.tools.append(tool)
            self._note(fault)
        async with trio.open_nursery() as nursery:
            if fault is not None:
                nursery.start_soon(self._break, guest, room, dispatch, fault)
            await guest.say(self._sentence())
            await guest.hush(self.random.uniform(1.5, 3.0))
            await guest.say(self._sentence())  # often over the answer
            await guest.hush(self.random.uniform(1.0, 3.0))

    async def _break(self, guest: Guest, room: str, dispatch: str, fault: Fault) -> None:
        await trio.sleep(self.random.uniform(0.2, 2.5))
        match fault:
            case Fault.SOCKET_RESET if self.to_service.cut("/", self.random):
                self._note(fault)
            case Fault.SIGNAL_CUT if self.to_livekit.cut("/rtc", self.random):
                self._note(fault)
            case Fault.WORKER_CUT if self.to_livekit.cut("/agent", self.random):
                self._note(fault)
            case Fault.ROOM_DELETED:
                self._note(fault)
                await self._ask("DeleteRoom", room=room)
            case Fault.TAKEN_BACK:
                self._note(fault)
                with contextlib.suppress(VoiceAgentError):
                    await cancel_dispatch(self._account, room, dispatch)
            case Fault.FLOOD:
                self._note(fault)
                await _flood(guest.room.local_participant)
            case Fault.MANY_TRACKS:
                self._note(fault)
                await _many_tracks(guest.room.local_participant)
            case _:
                pass

    def _sentence(self) -> bytes:
        return spoken(self.random.choice(_SENTENCES))

    def _note(self, fault: Fault) -> None:
        self.happened.append(Happened(time.monotonic(), fault))


async def _flood(me: rtc.LocalParticipant) -> None:
    for number in range(_MESSAGES):
        await _in_sdk(
            functools.partial(me.publish_data, b"x" * 500, reliable=True, topic=f"flood-{number % 7}")
        )
        if number % 10 == 0:
            await _in_sdk(functools.partial(me.send_text, "and another thing", topic=CHAT_TOPIC))


async def _many_tracks(me: rtc.LocalParticipant) -> None:
    for number in range(3):
        source = rtc.AudioSource(SAMPLE_RATE_HZ, 1, 100, loop=trio_asyncio.current_loop.get())
        sids = []
        for each in range(_TRACKS):
            track = rtc.LocalAudioTrack.create_audio_track(f"track-{number}-{each}", source)
            published = await _in_sdk(functools.partial(me.publish_track, track, rtc.TrackPublishOptions()))
            if published is not None:
                sids.append(published.sid)
        await trio.sleep(0.5)
        for sid in sids:
            await _in_sdk(functools.partial(me.unpublish_track, sid))
        await _in_sdk(source.aclose)


async def _in_sdk(call: Callable[[], Coroutine[Any, Any, T]]) -> T | None:
    """What a person does whose room may be closed under their hands."""
    with trio.move_on_after(5):
        with contextlib.suppress(Exception):  # the SDK raises bare ones
            done: T = await trio_asyncio.aio_as_trio(call)()
            return done
    return None
