"""Who is at the other end, and what their tracks carry, as far as an agent cares."""

from __future__ import annotations

from livekit import rtc

from channels.ports import ParticipantKind, TrackSource

__all__ = ["SOURCES", "has_hung_up", "is_on_the_line", "kind_of"]

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

_CALL_STATUS = "sip.callStatus"
"""Attribute of a SIP leg: dialing or ringing, automation (it still dials keys), active, then hangup."""
_NOT_YET = ("dialing", "ringing", "automation")


def kind_of(participant: rtc.RemoteParticipant) -> ParticipantKind:
    """Whether somebody is to be listened to."""
    return ParticipantKind.PERSON if participant.kind in _PEOPLE else ParticipantKind.MACHINE


def is_on_the_line(participant: rtc.RemoteParticipant) -> bool:
    """False for a phone that nobody has picked up yet, or that was hung up; true for everybody else."""
    return _status(participant) not in (*_NOT_YET, "hangup")


def has_hung_up(participant: rtc.RemoteParticipant) -> bool:
    """Whether this phone call is over, though its leg may stay in the room for a while."""
    return _status(participant) == "hangup"


def _status(participant: rtc.RemoteParticipant) -> str:
    # Of anybody else the attribute is what they themselves wrote.
    is_phone = participant.kind == rtc.ParticipantKind.PARTICIPANT_KIND_SIP
    return participant.attributes.get(_CALL_STATUS, "") if is_phone else ""
