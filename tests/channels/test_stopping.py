"""A program that is told to stop says so by its exit code, and has cleaned up before."""

from __future__ import annotations

import os
import signal

import pytest
import trio

from channels.stopping import Stopped, until_told_to_stop


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_cancels_what_runs_and_is_what_comes_of_it(number: signal.Signals) -> None:
    cleaned_up = False

    async def run() -> str:
        nonlocal cleaned_up
        try:
            os.kill(os.getpid(), number)
            await trio.sleep(600)
        finally:
            cleaned_up = True
        return "done"

    with trio.fail_after(60):
        outcome = await until_told_to_stop(run)
    assert outcome == Stopped(number)
    assert outcome.code == 128 + number
    assert cleaned_up


@pytest.mark.parametrize("result", [None, 0, "done"])
async def test_what_ends_by_itself_gives_its_result(result: object) -> None:
    async def run() -> object:
        await trio.lowlevel.checkpoint()
        return result

    assert await until_told_to_stop(run) == result


async def test_what_fails_fails_as_in_any_nursery() -> None:
    async def run() -> None:
        await trio.lowlevel.checkpoint()
        raise OSError("no room left")

    with pytest.RaisesGroup(pytest.RaisesExc(OSError, match="no room left")):
        await until_told_to_stop(run)
