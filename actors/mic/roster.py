"""Who is in the room to be listened to, with which tracks, and whose turn it is.
No I/O, no clock: time is passed in.

Machines (agents, recorders, ingress) are never listened to. People stand in the order in which they came. The
person whose turn it is keeps it for `GRACE_S` without a track: in that time microphones are swapped, pages
reloaded and connections rebuilt (the same identity comes back with other ids), and nobody should lose the
floor for that. One track per person is listened to: a microphone rather than a shared screen's sound, and of
equals the one that came first. Only a mix takes both. Where several people are listened to at once, their
number is limited: an open track costs CPU whoever speaks, and nobody should be able to open hundreds.
"""

from __future__ import annotations

import math

from attrs import define, field

from channels.ports import MicrophoneTrack, ParticipantKind, TrackSource
from channels.settings import ListenMode, ListenSettings

__all__ = ["GRACE_S", "Roster"]

GRACE_S = 2.0
"""A full reconnection of a client takes 0.12 s on loopback (measured); a page that is reloaded, 1 to 2 s."""

_PREFERENCE = {TrackSource.MICROPHONE: 0, TrackSource.OTHER: 1, TrackSource.SCREEN_SHARE: 2}


@define
class Roster:
    """The people who can be listened to.

    Args:
        settings: whom to listen to.
    """

    settings: ListenSettings
    turn: str | None = field(default=None, init=False)
    """Whose turn it is: who is listened to, except in a mix."""
    _tracks: dict[str, dict[str, MicrophoneTrack]] = field(factory=dict, init=False)
    """By identity, then by track id, both in the order of coming."""
    _gone_at: dict[str, float] = field(factory=dict, init=False)
    """Since when somebody has had no track (s)."""

    def came(self, track: MicrophoneTrack, now: float) -> None:
        """A track is there."""
        if track.kind is not ParticipantKind.PERSON:
            return
        if self.settings.identity is not None and track.identity != self.settings.identity:
            return
        self._tracks.setdefault(track.identity, {})[track.sid] = track
        self._gone_at.pop(track.identity, None)
        self.pass_time(now)

    def went(self, sid: str, now: float) -> str | None:
        """A track is gone; returns its owner if they have no other."""
        gone = None
        for identity, tracks in self._tracks.items():
            if tracks.pop(sid, None) is not None and not tracks:
                self._gone_at[identity] = now
                gone = identity
        self.pass_time(now)
        return gone

    def give_turn(self, identity: str) -> None:
        """Somebody who has a track is listened to from now on."""
        self.turn = identity

    def pass_time(self, now: float) -> None:
        """Forgets those who have been gone for too long; the next person's turn comes."""
        for identity, gone_at in list(self._gone_at.items()):
            if now >= gone_at + GRACE_S:
                del self._gone_at[identity], self._tracks[identity]
        if self.turn not in self._tracks:
            self.turn = next((identity for identity, tracks in self._tracks.items() if tracks), None)

    @property
    def due_at(self) -> float:
        """When to call `pass_time` (s); infinity if nobody is being waited for."""
        return min(self._gone_at.values(), default=math.inf) + GRACE_S

    def heard(self) -> list[MicrophoneTrack]:
        """The tracks to listen to now."""
        if self.settings.mode is ListenMode.MIX:
            return [track for who in self._first() for track in (*self._preferred(who), *self._beside(who))]
        return self._preferred(self.turn)

    def opened(self) -> list[MicrophoneTrack]:
        """The tracks whose sound is needed now: more than are heard where somebody else may come to speak."""
        if self.settings.mode is ListenMode.ACTIVE:
            return [track for who in self._first() for track in self._preferred(who)]
        return self.heard()

    def _first(self) -> list[str]:
        # The person with the turn keeps their place, even if others came earlier.
        order = dict.fromkeys([*([self.turn] if self.turn is not None else []), *self._tracks])
        return [who for who in order if self._tracks[who]][: self.settings.most_people]

    def _preferred(self, identity: str | None) -> list[MicrophoneTrack]:
        tracks = self._tracks.get(identity or "", {}).values()
        return sorted(tracks, key=lambda track: _PREFERENCE[track.source])[:1]

    def _beside(self, identity: str) -> list[MicrophoneTrack]:
        """The shared screen's sound, of somebody who is listened to by another track."""
        shares = [t for t in self._tracks[identity].values() if t.source is TrackSource.SCREEN_SHARE]
        return shares[:1] if shares and shares[:1] != self._preferred(identity) else []
