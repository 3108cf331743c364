"""Somebody talks to the agent through the computer's own microphone: a participant like any other."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import attrs
import pytest
import trio
from livekit import rtc

from bench.guest import join_as_guest
from channels.errors import NoAudioDevice, reason_of
from channels.settings import Accounts, LiveKitAccount
from commands.console import with_person
from commands.wired import NOBODYS
from playground.livekit_server import LiveKitServer
from tests.fake_audio import AT_A_FAKE_MICROPHONE

pytestmark = [pytest.mark.server]


@pytest.mark.slow
async def test_who_talks_at_this_computer_is_heard_in_the_room_until_the_agent_ends(
    livekit: LiveKitServer, capsys: pytest.CaptureFixture[str]
) -> None:
    account = LiveKitAccount(livekit.url, livekit.api_key, livekit.api_secret)

    @asynccontextmanager
    async def prepare() -> AsyncIterator[Accounts]:
        yield attrs.evolve(NOBODYS, livekit=account)

    async with join_as_guest(livekit, "console", publish=False) as guest:
        left = trio.Event()
        why = list[object]()

        def leave(person: rtc.RemoteParticipant) -> None:
            why.append(person.disconnect_reason)
            left.set()

        guest.room.on("participant_disconnected", leave)
        async with with_person(prepare, "console", "me", AT_A_FAKE_MICROPHONE):
            await guest.hear_sound(within_s=60)
            (person,) = guest.room.remote_participants.values()
            assert person.identity == "me"
        with trio.fail_after(60):
            await left.wait()
        assert why == [rtc.DisconnectReason.CLIENT_INITIATED], "it says goodbye, and nobody has to miss it"
    told = capsys.readouterr().out
    assert "listens to A microphone and speaks through A \\x1b[2Jloudspeaker" in told


@pytest.mark.parametrize(
    ("program", "what"),
    [
        ("print('hello')", "stopped working"),
        ("", "stopped working"),
        ("""print('{"type": "failed", "what": "no ear", "fix": "grow one"}')""", "no ear"),
    ],
)
async def test_a_microphone_that_cannot_be_used_is_an_error_before_anything_else_is_started(
    program: str, what: str
) -> None:
    def prepare() -> AbstractAsyncContextManager[Accounts]:
        raise AssertionError("services were started")

    with pytest.raises(NoAudioDevice) as raised:
        async with with_person(prepare, "console", "me", (sys.executable, "-c", program)):
            pass
    assert what in str(reason_of(raised.value))
