"""Whether Ctrl-C ends the agent well, again and again.

    .venv/bin/python -m bench.ctrl_c [--tries 20] [--at-once 2] [--when reply] [--within 600]

A guest of a real LiveKit server hears the agent (`python runner.py` in a process of its own; the service is
the playground's, in this process), and somebody presses Ctrl-C at it: in mid-reply, or before it has joined,
or in mid-reply while nobody reads its log, whose pipe is full. Counted are the exit codes: a negative one is
a signal that ended it, -6 an abort. What an agent that ended badly, or late, had said is
printed.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import Random

import attrs
import trio

from bench.guest import join_as_guest
from bench.programs import AGENT, environment
from channels.child import ended, start_child
from channels.ending import end_with
from playground.livekit_server import LiveKitServer, livekit_server
from playground.voice_agent_api import (
    RealTime,
    ServerOptions,
    ToneSpeech,
    VoiceAgentServer,
    voice_agent_server,
)

__all__ = ["main"]

_HEARD_WITHIN_S = 60.0
_ENDED_WITHIN_S = 20.0
_FROM_S = {"reply": 0.0, "early": 0.3, "unread": 0.0}
_TO_S = {"reply": 0.5, "early": 4.5, "unread": 0.5}
"""Ctrl-C comes at random between them: counted from the first sound, or from the start of the process, whose
very first moments are Python's own."""
_RIGHT = {"reply": {0}, "early": {0, 130, -signal.SIGINT}, "unread": {0}}
"""While the agent is being loaded, the signal itself ends the process."""
_LATE_S = 4.0
_LINES_TOLD = 40


@attrs.define
class _Count:
    """What came of the tries."""

    codes: Counter[int | None] = attrs.field(factory=Counter)
    """By exit code; None: it had not ended in time."""
    longest_s: float = 0.0


async def _press(livekit: LiveKitServer, service: VoiceAgentServer, when: str, after_s: float) -> _Count:
    """One agent, one Ctrl-C."""
    room_name = f"bench-{secrets.token_hex(4)}"
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        log = Path(folder) / "log"
        reading, writing = _full_pipe() if when == "unread" else (-1, os.open(log, os.O_CREAT | os.O_WRONLY))
        process = start_child(
            AGENT,
            environ=environment(livekit, room_name, service.url),
            stdout=writing,
            stderr=writing,
            cwd=Path(folder),
        )
        try:
            if when == "early":
                await trio.sleep(after_s)
                return await _end(process, log)
            async with join_as_guest(livekit, room_name) as guest, trio.open_nursery() as nursery:
                nursery.start_soon(guest.hush, _HEARD_WITHIN_S)
                await guest.hear_sound(within_s=_HEARD_WITHIN_S)
                await trio.sleep(after_s)
                count = await _end(process, log)
                nursery.cancel_scope.cancel()
                return count
        finally:
            process.kill()
            process.wait()
            for descriptor in {reading, writing} - {-1}:
                os.close(descriptor)


async def _end(process: subprocess.Popen[bytes], log: Path) -> _Count:
    pressed_at = time.monotonic()
    process.send_signal(signal.SIGINT)
    with trio.move_on_after(_ENDED_WITHIN_S):
        await ended(process)
    took_s = time.monotonic() - pressed_at
    if process.returncode != 0 or took_s > _LATE_S:
        _tell_end_of(log)
    return _Count(Counter([process.returncode]), took_s)


def _tell_end_of(log: Path) -> None:
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    for line in lines[-_LINES_TOLD:]:
        print(f"    {line}", file=sys.stderr, flush=True)


def _full_pipe() -> tuple[int, int]:
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    os.write(writing, bytes(4096))
    return reading, writing


async def _run(tries: int, at_once: int, when: str, within_s: float, seed: int) -> _Count:
    count, random = _Count(), Random(seed)
    moments = iter([random.uniform(_FROM_S[when], _TO_S[when]) for _ in range(tries)])
    options = ServerOptions(speech=ToneSpeech, pacing=RealTime(), record=0)
    ends_at = trio.current_time() + within_s
    async with (
        livekit_server(progress=lambda line: None) as livekit,
        voice_agent_server(options) as service,
        trio.open_nursery() as nursery,
    ):

        async def press_on() -> None:
            for after_s in moments:
                if trio.current_time() > ends_at:
                    return
                one = await _press(livekit, service, when, after_s)
                count.codes += one.codes
                count.longest_s = max(count.longest_s, one.longest_s)

        for _ in range(at_once):
            nursery.start_soon(press_on)
    return count


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; gives the exit code: 1 if an agent ended badly."""
    parser = argparse.ArgumentParser(prog="python -m bench.ctrl_c", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--tries", type=int, default=20, help="how often (default: 20)")
    parser.add_argument("--at-once", type=int, default=2, help="agents at the same time (default: 2)")
    parser.add_argument("--when", choices=list(_TO_S), default="reply", help="default: reply")
    parser.add_argument("--within", type=float, default=600, help="begin none after so many s (default: 600)")
    parser.add_argument("--seed", type=int, default=1, help="of the moments (default: 1)")
    given = parser.parse_args(arguments)
    count = trio.run(_run, given.tries, given.at_once, given.when, given.within, given.seed)
    print(f"Ctrl-C, {given.when}: {count.codes.total()} tries, the slowest took {count.longest_s:.1f} s")
    for code, times in sorted(count.codes.items(), key=str):
        verdict = "right" if code in _RIGHT[given.when] else "WRONG"
        print(f"  exit code {'none in time' if code is None else code}: {times} ({verdict})")
    return 0 if set(count.codes) <= _RIGHT[given.when] else 1


if __name__ == "__main__":
    end_with(main)
