"""The agent's own track: publishes it, publishes it again if it is taken away, and knows who can hear it.

What was measured on a real server:

- If a moderator mutes the track, `track_muted` comes at once, twice. Most servers let only the agent unmute
  it, and the agent does not.
- If the permission to publish is revoked, only `participant_permissions_changed` says so: the SDK still
  believes in a publication that the server has dropped. Publishing waits for ever until the permission is
  back; then the old publication must be removed before there can be another.
- `local_track_subscribed` comes once per publication, with its first subscriber, who is not named.
  Unsubscribing is not reported. So when the last person has left, the track is published anew, and the next
  person's subscription is reported.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable

import trio_asyncio
from livekit import rtc

from actors.room.livekit_edge.participants import kind_of
from channels.errors import NotAllowedInRoom
from channels.messages import Unheard
from channels.ports import ParticipantKind, VoiceReach

__all__ = ["OwnTrack"]

TRACK_NAME = "agent-voice"
_PUBLISH_WITHIN_S = 5.0
_TRIED_AFTER_S = (0.0, 1.0, 3.0, 10.0)
"""A track that cannot be published is tried so often; then again when something changes."""
_TOLD_WITHIN_S = 10.0
"""From somebody's coming to the agent's knowing it: up to 2.4 s were seen."""
_log = logging.getLogger(__name__)


class OwnTrack:
    """The agent's voice in one room.

    Args:
        room: not yet joined.
        source: what it carries.
        loop: the SDK's.
        rename: is told the track's id when that changes.
        tell: is told who can hear it.
    """

    def __init__(
        self,
        room: rtc.Room,
        source: rtc.AudioSource,
        loop: asyncio.AbstractEventLoop,
        rename: Callable[[str], None],
        tell: Callable[[VoiceReach], None],
    ) -> None:
        self._room = room
        self._source = source
        self._loop = loop
        self._rename = rename
        self._tell = tell
        self._publication: rtc.LocalTrackPublication | None = None
        """What is in the room."""
        self._dropped: rtc.LocalTrackPublication | None = None
        """What the SDK still takes to be there."""
        self._allowed = True
        self._muted = False
        self._subscribed = False
        self._told: Unheard | None = None
        self._publishing: asyncio.Task[None] | None = None
        self._looking: asyncio.TimerHandle | None = None
        room.on("local_track_subscribed", self._on_subscribed)
        room.on("local_track_unpublished", self._on_unpublished)
        room.on("local_track_republished", self._on_republished)
        room.on("track_muted", self._on_muted)
        room.on("track_unmuted", self._on_muted)
        room.on("participant_permissions_changed", self._on_permissions)
        room.on("participant_disconnected", self._on_gone)

    async def publish(self) -> str:
        """Publishes it for the first time; gives its id.

        Raises:
            NotAllowedInRoom: the server refused it.
        """
        try:
            await trio_asyncio.aio_as_trio(self._publish)()
        except rtc.participant.PublishTrackError as error:
            raise NotAllowedInRoom(
                "LiveKit refused the agent's audio track", "its token must allow publishing (can_publish)"
            ) from error
        return "" if self._publication is None else self._publication.sid

    def stop(self) -> None:
        """Publishes no more."""
        self._tell = lambda _: None
        self._allowed = False
        if self._publishing is not None:
            self._publishing.cancel()
        if self._looking is not None:
            self._looking.cancel()

    async def _publish(self) -> None:
        track = rtc.LocalAudioTrack.create_audio_track(TRACK_NAME, self._source)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        self._subscribed = self._muted = False
        self._publication = await self._room.local_participant.publish_track(track, options)
        self._rename(self._publication.sid)
        self._tell_reach()

    def _publish_again(self) -> None:
        if self._publishing is None or self._publishing.done():
            self._publishing = self._loop.create_task(self._replace())

    async def _replace(self) -> None:
        for wait_s in _TRIED_AFTER_S:
            await asyncio.sleep(wait_s)
            if not self._allowed:
                return
            dropped, self._dropped = self._dropped, None
            if dropped is not None:
                with contextlib.suppress(Exception):  # it is gone already
                    unpublish = self._room.local_participant.unpublish_track
                    await asyncio.wait_for(unpublish(dropped.sid), _PUBLISH_WITHIN_S)
            try:
                await asyncio.wait_for(self._publish(), _PUBLISH_WITHIN_S)
            except Exception as error:  # the SDK raises a class of its own for each call, and bare ones
                _log.debug("the agent's track is not published (%s)", type(error).__name__)
                self._tell_reach()
            else:
                return

    def _on_subscribed(self, track: rtc.Track) -> None:
        if self._publication is not None and track is self._publication.track:
            self._subscribed = True
            self._tell_reach()
            # Who leaves before the agent was told that they came is never said to have left.
            self._looking = self._loop.call_later(_TOLD_WITHIN_S, self._look_for_people)

    def _on_unpublished(self, publication: rtc.LocalTrackPublication) -> None:
        if publication is self._publication:  # and not by us
            self._publication = None
            self._tell_reach()
            if self._allowed:
                self._publish_again()

    def _on_republished(self, publication: rtc.LocalTrackPublication, _former_sid: str) -> None:
        if publication is self._publication:
            self._subscribed = False
            self._rename(publication.sid)
            self._tell_reach()

    def _on_muted(self, participant: rtc.Participant, publication: rtc.TrackPublication) -> None:
        if participant is self._room.local_participant and publication is self._publication:
            self._muted = publication.muted
            self._tell_reach()

    def _on_permissions(self, participant: rtc.Participant, permissions: object) -> None:
        if participant is not self._room.local_participant:
            return
        before, self._allowed = self._allowed, _allows_voice(permissions)
        if before and not self._allowed:
            self._drop()
            self._tell_reach()
        elif self._allowed and not before:
            self._publish_again()

    def _on_gone(self, _: rtc.RemoteParticipant) -> None:
        self._look_for_people()

    def _look_for_people(self) -> None:
        present = self._room.remote_participants.values()
        nobody = all(kind_of(one) is not ParticipantKind.PERSON for one in present)
        if nobody and self._unheard() is None:
            self._subscribed = False
            self._tell_reach()
            self._drop()
            self._publish_again()

    def _drop(self) -> None:
        if self._publication is not None:
            self._dropped, self._publication = self._publication, None

    def _tell_reach(self) -> None:
        unheard = self._unheard()
        if unheard is not self._told:
            self._told = unheard
            self._tell(VoiceReach(unheard))

    def _unheard(self) -> Unheard | None:
        if not self._allowed:
            return Unheard.FORBIDDEN
        if self._publication is None:
            return Unheard.UNPUBLISHED
        if self._muted:
            return Unheard.MUTED
        return None if self._subscribed else Unheard.ALONE


def _allows_voice(permissions: object) -> bool:
    sources = getattr(permissions, "can_publish_sources", ())
    microphone = rtc.TrackSource.SOURCE_MICROPHONE
    return bool(getattr(permissions, "can_publish", True)) and (not sources or microphone in sources)
