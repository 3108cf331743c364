"""A worker that may not open enough sockets for its rooms says so before it takes one."""

from __future__ import annotations

import subprocess
import sys

import pytest

from commands.fleet.descriptors import A_PROCESS, A_ROOM, descriptors_for
from tests.agent_process import ROOT

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
    assert limited(256, 4096, 10) == f"True {descriptors_for(10)}\n"


def test_a_limit_that_is_high_enough_is_left_alone() -> None:
    assert limited(2048, 4096, 10) == "True 2048\n"


def test_where_it_cannot_be_raised_far_enough_a_warning_says_how_many_rooms_fit_and_what_to_do() -> None:
    printed = limited(256, 1024, 40)
    assert printed.endswith("False 1024\n")
    assert f"{(1024 - A_PROCESS) // A_ROOM} rooms of the 40" in printed
    assert f"LimitNOFILE={descriptors_for(40)}" in printed
