"""Who is at the other end, and what their tracks carry, as far as an agent cares."""

from __future__ import annotations

from livekit import rtc

from channels.ports import ParticipantKind, TrackSource

__all__ = ["SOURCES", "kind_of"]

_PEOPLE = (
    rtc.ParticipantKind.PARTICIPANT_KIND_STANDARD,
    rtc.ParticipantKind.PARTICIPANT_KIND_SIP,
    rtc.ParticipantKind.PARTICIPANT_KIND_CONNECTOR,
)
SOURCES = {
    rtc.TrackSource.SOURCE_MICROPHONE: TrackSource.MICROPHONE,
    rtc.TrackSource.SOURCE_SCREENSHARE_AUDIO: TrackSource.SCREEN_SHARE,
}
"""All others are `OTHER`."""


def kind_of(participant: rtc.RemoteParticipant) -> ParticipantKind:
    """Whether somebody is to be listened to."""
    return ParticipantKind.PERSON if participant.kind in _PEOPLE else ParticipantKind.MACHINE
