"""The clients in the room: whether their microphones cancel echo, as they say themselves.

A client reports it in a participant attribute, as our page does. Only clients in the room at this moment can
be asked: LiveKit itself does not keep it.
"""

from __future__ import annotations

import json

from livekit import api

from channels.errors import VoiceAgentError
from channels.settings import LiveKitAccount
from channels.texts import MICROPHONE
from commands.check.accounts import ask_livekit
from commands.check.finding import Colour, Finding

__all__ = ["check_clients", "judge_clients"]

ON_MOBILE = (
    "open the microphone with echoCancellation and autoGainControl true and noiseSuppression false; "
    "on iOS with AVAudioSession's mode voiceChat, on Android with AudioManager's MODE_IN_COMMUNICATION"
)


_LONGEST_TOLD = 4_000
"""Characters of an attribute that are read; its writer may write anything."""


async def check_clients(account: LiveKitAccount, room_name: str) -> Finding:
    """Asks LiveKit who is in the room, and reads what they tell of their microphones."""
    grants = api.VideoGrants(room_admin=True, room=room_name)
    try:
        answer = await ask_livekit(account, "ListParticipants", grants, {"room": room_name})
        told = _told(answer.body) if answer.status == 200 else {}
    except (VoiceAgentError, ValueError, RecursionError, AttributeError, KeyError, TypeError):
        told = {}
    return judge_clients(told)


def _told(answer: bytes) -> dict[str, str | None]:
    people = json.loads(answer).get("participants", [])
    return {
        str(person["identity"]): person.get("attributes", {}).get(MICROPHONE)
        for person in people
        if person.get("kind", "STANDARD") in ("STANDARD", "SIP")
    }


def judge_clients(told: dict[str, str | None]) -> Finding:
    """Judges what clients report: by identity, the attribute's JSON, or None."""
    if not told:
        return Finding(
            "echo cancellation",
            Colour.YELLOW,
            "nobody is in the room to ask",
            f"in clients, {ON_MOBILE}",
        )
    without, silent = [], []
    for identity, written in told.items():
        try:
            settings = json.loads((written or "null")[:_LONGEST_TOLD])
        except (ValueError, RecursionError, TypeError):
            settings = None
        if not isinstance(settings, dict) or "echoCancellation" not in settings:
            silent.append(identity)
        elif settings["echoCancellation"] is not True:
            without.append(identity)
    if without:
        return Finding(
            "echo cancellation",
            Colour.RED,
            f"off for {', '.join(without)}: the agent will hear itself and interrupt itself",
            ON_MOBILE,
        )
    if silent:
        return Finding(
            "echo cancellation",
            Colour.YELLOW,
            f"{', '.join(silent)} say nothing about their microphones (attribute {MICROPHONE})",
            ON_MOBILE,
        )
    return Finding("echo cancellation", Colour.GREEN, f"on for {', '.join(told)}")
