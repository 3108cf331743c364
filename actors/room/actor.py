"""RoomActor: keeps the agent in its room.

In: the `Room` port, the order to leave, and happenings, to know who is listened to. Out: people's audio
tracks (to the microphone pump), the people to talk with who come and go (to the life of the call, which
begins a session), whether anybody can hear the agent (to the controller), what people typed, and what
happens in the room (to the taps). `company` decides whom the agent talks with and how much they may type.

It mints a short-lived token for this room for each join; an agent of a job joins first with the one that
came with the job. If the server goes away for good, it rejoins, with backoff, for as long as a person would
wait. Where LiveKit has several nodes, it rejoins at the next one each time, and does not leave it to the
SDK to find out that one is dead. One that answers is left alone: people may still hear each other through it
(its Redis may be away). A room that the server closed because nobody was in it is
reopened, unless the agent is there for a job, which ends with its room. If the agent is thrown out, it ends
with one line. Told to leave, or cancelled, it leaves the room cleanly; everything that depends on it ends
when its channels do.
"""

from __future__ import annotations

import contextlib
import math
from collections import deque
from collections.abc import AsyncIterator
from datetime import timedelta
from random import Random

import trio
from attrs import define, field
from livekit import api

from actors.room.company import Company
from actors.room.seat import AGENT_IDENTITY, OWN_ROOM, Seat
from channels.backoff import Backoff
from channels.bounded import Receiver, Sender
from channels.errors import RoomClosed, RoomUnreachable, SettingsError, VoiceAgentError
from channels.happenings import (
    Happening,
    HeardBy,
    Leaving,
    ParticipantJoined,
    ParticipantLeft,
    RoomJoined,
    RoomLost,
    RoomRestored,
    TextDropped,
    VoiceAudible,
    VoiceUnheard,
)
from channels.messages import LeaveRoom, PersonCame, PersonWent, RoomAway, RoomBack, Unheard
from channels.net.dialling import Dialer, open_stream
from channels.ports import (
    AudioTrackGone,
    AudioTrackHeard,
    ParticipantCame,
    ParticipantWent,
    Room,
    RoomEvent,
    RoomLeft,
    RoomReconnected,
    RoomReconnecting,
    SoundRecorded,
    TrackEvent,
    VoiceReach,
    WhyLeft,
)
from channels.secret import Secret
from channels.settings import ListenSettings, LiveKitAccount, TypingSettings
from channels.taps import Taps
from channels.texts import Asked, Pressed, RoomText, Typed

__all__ = [
    "AGENT_IDENTITY",
    "RoomActor",
    "mint_agent_token",
    "mint_client_token",
    "mint_operator_token",
    "mint_watcher_token",
]

_TOKEN_LIFE = timedelta(minutes=10)
"""A token is needed at the moment of joining; the server renews it on the open connection."""

_REJOIN_FOR_S = 60.0
"""On top of the SDK's own 25 s of reconnecting (measured)."""

_LOOK_AFTER_S = 1.0
"""The SDK mends a broken connection in less, and tries for 25 s to reach a node that is dead (measured). So
it is looked every second whether the node is there, if there is another."""

_ANSWERS_WITHIN_S = 2.0
"""A machine that is gone refuses nobody."""

_STEADY_AFTER_S = 10.0
"""A room that keeps the agent for less than this has not really come back; rejoining at once helps nobody."""

_EMPTY_ROOM_WAITS_S = 30.0
"""The longest wait before reopening a room that the server closes whenever it is empty (`empty_timeout`)."""

_ENDED = {
    WhyLeft.CLOSED: ("the room was closed", "start the agent again to reopen it"),
    WhyLeft.REMOVED: ("the agent was removed from the room", "start it again if that was a mistake"),
    WhyLeft.REPLACED: (
        "another participant with the identity {identity!r} took the agent's place",
        "run one agent per room; ROOM_NAME gives each its own room",
    ),
}

_OVER = {
    WhyLeft.EMPTY: "nobody was left in the room",
    WhyLeft.CLOSED: "the room was closed",
    WhyLeft.REMOVED: "the agent was removed from the room",
}
"""How a job ends in good order."""

_FIXES = {
    Unheard.MUTED: "unmute it; if the server refuses, revoke its permission to publish and grant it again",
    Unheard.FORBIDDEN: "grant the agent permission to publish again (can_publish, microphone)",
    Unheard.UNPUBLISHED: "it is being published again; start the agent again if that does not help",
    Unheard.ALONE: "have a client subscribe to it, or set barge_in.unheard_ms = 0 to wait for nobody",
}


def mint_client_token(account: LiveKitAccount, room_name: str, identity: str, life: timedelta) -> Secret:
    """A client's token: it lets `identity` into this one room, to speak and to listen.

    Raises:
        SettingsError: the identity is empty.
    """
    if not identity.strip():
        raise SettingsError(
            "the identity is empty", "give the name of the person who joins, e.g. --identity alice"
        )
    return Secret(_token(account, room_name, identity, life).to_jwt())


def mint_operator_token(account: LiveKitAccount, room_name: str, identity: str, life: timedelta) -> Secret:
    """As `mint_client_token`, for somebody who may steer the call: with the grant `roomAdmin` for this room.

    Raises:
        SettingsError: the identity is empty.
    """
    mint_client_token(account, room_name, identity, life)
    return Secret(_token(account, room_name, identity, life, admin=True).to_jwt())


def mint_watcher_token(account: LiveKitAccount, room_name: str, identity: str, life: timedelta) -> Secret:
    """An operator's token for a program that only watches: it is neither heard nor counted as a person."""
    token = _token(account, room_name, identity, life, admin=True, voice=False)
    # This is the LiveKit kind that nobody talks with; a hidden participant could not make calls.
    return Secret(token.with_kind("egress").to_jwt())


def mint_agent_token(account: LiveKitAccount, room_name: str, seat: Seat = OWN_ROOM) -> Secret:
    """The agent's own token, for one joining of this room."""
    # The attributes and the kind are how LiveKit's front ends find an agent and its state.
    token = _token(account, room_name, seat.identity, _TOKEN_LIFE).with_kind("agent")
    if seat.name:
        token.with_name(seat.name)
    if seat.attributes:
        token.with_attributes(dict(seat.attributes))
    return Secret(token.to_jwt())


def _token(
    account: LiveKitAccount,
    room_name: str,
    identity: str,
    life: timedelta,
    *,
    admin: bool = False,
    voice: bool = True,
) -> api.AccessToken:
    # Own attributes are how an agent shows its state, and a client its microphone settings.
    grants = api.VideoGrants(
        room_join=True,
        room=room_name,
        can_publish=voice,
        can_subscribe=voice,
        can_update_own_metadata=True,
        room_admin=admin or None,  # what is false is left out of the token
    )
    token = api.AccessToken(account.api_key, account.api_secret.reveal())
    return token.with_identity(identity).with_ttl(life).with_grants(grants)


@define
class RoomActor:
    """Keeps the agent in one room and reports what happens there.

    Args:
        account: the LiveKit server, and its key.
        room_name: the room to join there.
        room: the way into it.
        tracks: what there is to listen to.
        people: reports the people the agent talks with.
        state: whether the room can be reached.
        texts: what those people typed or pressed, and what anybody asked for.
        departures: the order to leave.
        taps: are told what happens.
        random: for jitter.
        listen: whom the agent listens to.
        typing: how much people may type.
        happenings: tell who is listened to; None: nobody is, so everybody may type.
        seat: as whom the agent joins.
        dialer: looks whether a node is there.

    Raises (from `run`):
        RoomUnreachable, NotAllowedInRoom: the room cannot be joined, or not again.
        RoomClosed: the agent was removed, replaced, or the room was closed.
    """

    account: LiveKitAccount
    room_name: str
    room: Room
    tracks: Sender[TrackEvent]
    people: Sender[PersonCame | PersonWent]
    state: Sender[RoomAway | RoomBack]
    texts: Sender[RoomText]
    departures: Receiver[LeaveRoom]
    taps: Taps
    random: Random = field(factory=Random)
    listen: ListenSettings = field(factory=ListenSettings)
    typing: TypingSettings = field(factory=TypingSettings)
    happenings: Receiver[Happening] | None = None
    seat: Seat = OWN_ROOM
    # Not a way of its own: it only looks at the addresses that the room is reached by.
    dialer: Dialer = field(default=open_stream, metadata={"drawn": False})
    _company: Company = field(init=False)
    _urls: deque[str] = field(init=False)
    """The nodes' addresses, the one to join at first."""
    _broken_since: float | None = field(default=None, init=False)
    """The SDK tries to mend the connection."""
    _breaks: trio.Event = field(factory=trio.Event, init=False)
    """It began to."""
    _staying: trio.CancelScope = field(factory=trio.CancelScope, init=False)
    """In this room, until its node is found to be dead."""
    _lost: bool = field(default=False, init=False)
    _unheard: Unheard | None = field(default=None, init=False)
    """Why nobody hears the agent even though it is in the room."""
    _told: Unheard | None = field(default=None, init=False)
    """Why the voice waits, as the controller was told."""
    _tells_reach: bool = field(default=False, init=False)
    """This port reports who can hear the agent."""

    def __attrs_post_init__(self) -> None:
        self._company = Company(self.listen, self.typing)
        self._urls = deque(dict.fromkeys((self.account.url, *self.seat.nodes)))

    async def run(self) -> None:
        """Joins and stays until told to leave, cancelled or thrown out."""
        async with (
            self.tracks,
            self.people,
            self.state,
            self.texts,
            self.departures,
            trio.open_nursery() as nursery,
        ):
            nursery.start_soon(self._stay_until_over, nursery.cancel_scope)
            if len(self._urls) > 1:
                nursery.start_soon(self._watch_node)
            if self.happenings is not None:
                nursery.start_soon(self._follow, self.happenings)
            async for order in self.departures:
                self.taps.publish(Leaving(order.why))
                nursery.cancel_scope.cancel()

    async def _follow(self, happenings: Receiver[Happening]) -> None:
        async with happenings:
            async for happening in happenings:
                if isinstance(happening, HeardBy):
                    self._company.hear(happening)

    async def _stay_until_over(self, leaving: trio.CancelScope) -> None:
        self.taps.publish(Leaving(await self._stay_on()))
        leaving.cancel()

    async def _stay_on(self) -> str:
        """Returns why the call is over, if it ends with its room."""
        lost = Backoff(self.random, _REJOIN_FOR_S)
        # A server that closes empty rooms at once is healthy, and people who come later need the agent too.
        emptied = Backoff(self.random, math.inf, longest_s=_EMPTY_ROOM_WAITS_S)
        why: WhyLeft | None = await self._stay_first()
        lost.next_s(trio.current_time(), at_once=True)
        while True:
            if why in _OVER and self.seat.ends_with_room:
                return _OVER[why]
            joining_at = trio.current_time()
            unreachable: RoomUnreachable | None = None
            why = None
            try:
                why = await self._stay(rejoined=True)
            except RoomUnreachable as error:
                unreachable = error
                self._urls.rotate(-1)
            now = trio.current_time()
            steady = why is not None and now - joining_at >= _STEADY_AFTER_S
            if steady or why is WhyLeft.EMPTY:
                lost.well()
                lost.next_s(now, at_once=True)
            if steady:
                emptied.well()
                continue
            wait_s = (emptied if why is WhyLeft.EMPTY else lost).next_s(now)
            if wait_s is None:
                raise RoomUnreachable(
                    f"LiveKit at {' and '.join(sorted(self._urls))} went away and did not come back",
                    "start the agent again when LiveKit is running",
                ) from unreachable
            if why is not WhyLeft.EMPTY:
                self.taps.publish(RoomLost(f"cannot join yet; next try in {wait_s:.1f} s"))
            await trio.sleep(wait_s)

    async def _stay_first(self) -> WhyLeft:
        """As `_stay`; each node is tried once."""
        for _ in range(len(self._urls) - 1):
            try:
                return await self._stay(rejoined=False)
            except RoomUnreachable:
                self._urls.rotate(-1)
        return await self._stay(rejoined=False)

    async def _stay(self, *, rejoined: bool) -> WhyLeft:
        """Returns when the agent is out and may rejoin: the connection is lost, or the room was empty."""
        token = None if rejoined else self.seat.token
        if token is None:
            token = mint_agent_token(self.account, self.room_name, self.seat)
        async with self.room.join(self._urls[0], token) as events:
            self.taps.publish(RoomJoined(self.room_name, rejoined))
            self._note_lost(lost=False)
            with trio.CancelScope() as self._staying:
                left = await self._attend(events)
            self._broken_since = None
            if self._staying.cancelled_caught:
                left = RoomLeft(WhyLeft.LOST, "its node is dead")
        if left.why in _ENDED and not (left.why in _OVER and self.seat.ends_with_room):
            what, fix = _ENDED[left.why]
            raise RoomClosed(what.format(identity=self.seat.identity), fix)
        self._note_lost(lost=True)
        if self._tells_reach:
            self._unheard = Unheard.ALONE  # until it is told otherwise, in the next room
        if left.why is WhyLeft.LOST:
            self._urls.rotate(-1)
            self.taps.publish(RoomLost("joining again"))
        return left.why

    async def _watch_node(self) -> None:
        """Leaves a node that is dead, so that another one can be joined."""
        while True:
            await self._breaks.wait()
            self._breaks = trio.Event()
            while (since := self._broken_since) is not None:
                await trio.sleep(_LOOK_AFTER_S)
                dead = self._broken_since == since and not await self._is_there(self._urls[0])
                if dead and self._broken_since == since:
                    self._staying.cancel()
                    break

    async def _is_there(self, url: str) -> bool:
        with trio.move_on_after(_ANSWERS_WITHIN_S), contextlib.suppress(OSError, VoiceAgentError):
            await trio.aclose_forcefully(await self.dialer(url))
            return True
        return False

    async def _attend(self, events: AsyncIterator[RoomEvent]) -> RoomLeft:
        heard: dict[str, AudioTrackHeard] = {}
        try:
            async for event in events:
                match event:
                    case AudioTrackHeard(track=track):
                        heard[track.sid] = event
                        self.tracks.send_nowait(event)
                    case AudioTrackGone(sid=sid):
                        if heard.pop(sid, None):
                            self.tracks.send_nowait(event)
                    case SoundRecorded(sid=sid, identity=identity):
                        # It may come before its track is heard, but not for somebody else's track.
                        if sid not in heard or heard[sid].track.identity == identity:
                            self.tracks.send_nowait(event)
                    case ParticipantCame(identity=identity, kind=kind):
                        self.taps.publish(ParticipantJoined(identity))
                        if self._company.come(identity, kind):
                            self.people.send_nowait(PersonCame(identity))
                    case ParticipantWent(identity=identity):
                        self.taps.publish(ParticipantLeft(identity))
                        if self._company.go(identity):
                            self.people.send_nowait(PersonWent(identity))
                    case RoomReconnecting():
                        self._note_lost(lost=True)
                        self.taps.publish(RoomLost("LiveKit is reconnecting"))
                        if self._broken_since is None:
                            self._broken_since = trio.current_time()
                            self._breaks.set()
                    case RoomReconnected():
                        self._broken_since = None
                        self._note_lost(lost=False)
                        self.taps.publish(RoomRestored())
                    case Typed() | Pressed():
                        self._read(event)
                    case VoiceReach(unheard=unheard):
                        self._tells_reach = True
                        self._note_reach(unheard)
                    case Asked():
                        self._pass_on_text(event)
                    case RoomLeft():
                        return event
        finally:
            # A lost room loses its tracks and its people without reporting each.
            with contextlib.suppress(
                trio.BrokenResourceError
            ):  # those behind it end first, when all is cancelled
                for identity in sorted(self._company.people):
                    self._company.go(identity)
                    self.people.send_nowait(PersonWent(identity))
            for gone in heard.values():
                self._forget(gone)
        return RoomLeft(WhyLeft.LOST, "the SDK's events ended")

    def _read(self, text: Typed | Pressed) -> None:
        now = trio.current_time()
        why = self._company.refusal(text, now)
        if why is None:
            self._pass_on_text(text)
        elif self._company.is_news(text.identity, now):
            self.taps.publish(TextDropped(text.identity, why))

    def _note_lost(self, *, lost: bool) -> None:
        self._lost = lost
        self._tell_reach()

    def _note_reach(self, unheard: Unheard | None) -> None:
        if unheard is not self._unheard:
            told = VoiceUnheard(unheard.name.lower(), _FIXES[unheard]) if unheard else VoiceAudible()
            self.taps.publish(told)
        self._unheard = unheard
        self._tell_reach()

    def _tell_reach(self) -> None:
        why = Unheard.LOST if self._lost else self._unheard
        if why is not self._told:
            self._told = why
            self.state.send_nowait(RoomBack() if why is None else RoomAway(why))

    def _pass_on_text(self, text: RoomText) -> None:
        # Readers of typed text are taps: when they are gone, the conversation goes on.
        with contextlib.suppress(trio.BrokenResourceError):
            self.texts.send_nowait(text)

    def _forget(self, gone: AudioTrackHeard) -> None:
        try:
            self.tracks.send_nowait(AudioTrackGone(gone.track.sid, gone.track.identity))
        except trio.BrokenResourceError:
            return  # the pump ended first: everything is being cancelled
