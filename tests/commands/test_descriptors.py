"""A worker that may not open enough sockets for its rooms says so before it takes one."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from bench.guest import join_as_guest
from commands.fleet.descriptors import descriptors_for
from playground.livekit_server import LiveKitServer
from playground.voice_agent_api import ServerOptions, ToneSpeech, voice_agent_server
from tests.agent_process import ROOT, run_agent, settings_for

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")

SCRIPT = """
import resource, sys
import structlog
from commands.fleet.descriptors import allow_descriptors
enough = allow_descriptors(int(sys.argv[1]), structlog.get_logger())
print(enough, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


def limited(soft: int, hard: int, rooms: int) -> str:
    """What a process with such limits prints."""
    # The soft one first: it may not be above the hard one.
    command = f'ulimit -S -n {soft} && ulimit -H -n {hard} && exec "$0" -c "$1" {rooms}'
    done = subprocess.run(
        ["sh", "-c", command, sys.executable, SCRIPT], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_the_limit_is_raised_as_far_as_the_rooms_need_it() -> None:
    needed = descriptors_for(2)
    assert limited(100, needed + 100, 2) == f"True {needed}\n"


def test_a_limit_that_is_high_enough_is_left_alone() -> None:
    enough = descriptors_for(2) + 1
    assert limited(enough, enough + 100, 2) == f"True {enough}\n"


def test_where_it_cannot_be_raised_far_enough_a_warning_says_how_many_rooms_fit_and_what_to_do() -> None:
    most = descriptors_for(3) + 1
    printed = limited(100, most, 40)
    assert printed.endswith(f"False {most}\n")
    assert "3 rooms of the 40" in printed
    assert f"LimitNOFILE={descriptors_for(40)}" in printed


@pytest.mark.server
@pytest.mark.skipif(sys.platform != "linux", reason="no other system tells of another process's descriptors")
async def test_a_room_with_a_call_has_no_more_than_is_reckoned_with(livekit: LiveKitServer) -> None:
    async with voice_agent_server(ServerOptions(speech=ToneSpeech)) as service:
        settings = settings_for(livekit, service.url, "descriptors")
        async with run_agent(settings) as agent, join_as_guest(livekit, "descriptors") as guest:
            await guest.hear_sound(within_s=60)
            descriptors = os.listdir(f"/proc/{agent.process.pid}/fd")
    assert 10 < len(descriptors) <= descriptors_for(1)
