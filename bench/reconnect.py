"""How long a person hears nothing when the socket to the service is killed while the agent speaks.

    .venv/bin/python -m bench.reconnect [--tries 50] [--json FILE]

One real LiveKit server; the agent is `python runner.py`, a process of its own; the service is the
playground's, over a real websocket, which takes as long as the live one to begin a session and refuses each
`session.resume`, as the live one does. In the middle of a reply the socket is reset. Measured is, at a
listener in the room, until the old sound has run out and until the agent speaks again, and at the service how
long its own part was: from the first `session.update` of the fresh session to `session.ready`. Two agents are
measured beside each other, each in a room of its own: one that tries to resume, and one that does not
(`api.resume = false`). The moments follow from the seed. A session runs for ten seconds before it is killed:
a service that breaks off sooner than that is given time on purpose.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import secrets
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random

import attrs
import trio

from bench.guest import Guest, join_as_guest
from bench.programs import AGENT, Program, count_up_to, environment, run_program, tell, until_signal
from bench.report import Machine, percentile
from channels.ending import end_with
from channels.wire.events import ReplyStarted, ServerEvent, SessionReady
from channels.wire.messages import ReplyCreate, SessionResume, SessionUpdate
from playground.livekit_build.binary import find_or_build
from playground.livekit_server import LiveKitServer, livekit_server
from playground.voice_agent.record import RecordedMessage
from playground.voice_agent_api import (
    ResumePolicy,
    ServerOptions,
    ToneSpeech,
    VoiceAgentServer,
    voice_agent_server,
)

__all__ = ["main"]

GREETING = " ".join(["Welcome, and let me tell you what we have for you today."] * 8)
"""Twenty seconds or so, hummed: the first reply is still going on when it is killed."""

_STEADY_S = 10.5
_INTO_S = (0.0, 3.0)
"""When the socket is killed, after the session is steady."""
_VOICE_FRAMES = 10
"""Of 10 ms: half a hummed word."""
_HEARD_WITHIN_S = 30.0
_KEPT = 5_000
"""Events of the service that are kept: half a minute of a reply."""
_CASES = {"one try to resume, refused": True, "no try (api.resume = false)": False}
_PARTS = {
    "silent_ms": "killed to silence",
    "ready_ms": "killed to session.ready",
    "service_ms": "  of that, the service's own",
    "again_ms": "killed to speaking again",
    "over_ms": "  over the service's own",
    "gap_ms": "  silence that is heard",
}


@attrs.frozen
class Try:
    """One socket that was killed; times in ms."""

    silent_ms: float
    """To the last sound of the old reply."""
    ready_ms: float
    """To `session.ready` of the fresh session."""
    service_ms: float
    """From its first `session.update` to `session.ready`."""
    again_ms: float
    """To the first sound of the new reply, at the listener."""
    resumes: int

    @property
    def over_ms(self) -> float:
        """What the agent, the room, and the service's way to a first sound took."""
        return self.again_ms - self.service_ms

    @property
    def gap_ms(self) -> float:
        """How long the person hears nothing."""
        return self.again_ms - self.silent_ms


async def measure(livekit: LiveKitServer, tries: int, seed: int, *, resume: bool) -> list[Try]:
    """Kills so many sockets.

    Raises:
        ProgramFailed: the agent does not do its part.
    """
    random = Random(seed)
    options = ServerOptions(
        speech=ToneSpeech, resume=ResumePolicy(refuse_with="session_not_found"), record=_KEPT
    )
    done: list[Try] = []
    room_name = f"bench-{secrets.token_hex(4)}"
    flags = ("--set", f"session.greeting={GREETING}", "--set", f"api.resume={str(resume).lower()}")
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        async with (
            voice_agent_server(options) as service,
            join_as_guest(livekit, room_name) as guest,
            run_program(
                (*AGENT, *flags), environment(livekit, room_name, service.url), Path(folder)
            ) as agent,
            trio.open_nursery() as nursery,
        ):

            async def keep_microphone_open() -> None:
                while True:
                    await guest.hush(10)

            nursery.start_soon(keep_microphone_open)
            for number in range(tries):
                try:
                    await guest.hear_sound(within_s=_HEARD_WITHIN_S)
                    await trio.sleep(_STEADY_S + random.uniform(*_INTO_S))
                    done.append(await _kill(service, guest, agent))
                    tell(f"{room_name}: {number + 1} of {tries}, {done[-1].again_ms:.0f} ms")
                except trio.TooSlowError:
                    raise agent.failure(f"it was not heard in try {number + 1}") from None
            nursery.cancel_scope.cancel()
    return done


async def _kill(service: VoiceAgentServer, guest: Guest, agent: Program) -> Try:
    offset_s = time.monotonic() - trio.current_time()
    guest.heard.clear()
    await guest.hear_sound(within_s=1)  # it speaks
    killed_at = time.monotonic()
    await service.drop_connections()
    since = killed_at - offset_s
    with trio.fail_after(_HEARD_WITHIN_S):
        # The fresh session is the only one that gets as far as this.
        while (begun := _first(service, ReplyStarted, since)) is None:  # noqa: ASYNC110
            await trio.sleep(0.02)
        while (again_at := _voice_since(guest, begun.at_s + offset_s)) is None:  # noqa: ASYNC110
            await trio.sleep(0.05)
    silent_at = guest.last_audible_at(before=begun.at_s + offset_s)
    ready = _first(service, SessionReady, since)
    asked = [entry for entry in service.received if entry.at_s >= since]
    update = next(entry for entry in asked if isinstance(entry.what, SessionUpdate))
    wishes = sum(isinstance(entry.what, ReplyCreate) for entry in asked)
    if ready is None or wishes != 1:
        raise agent.failure(f"it asked {wishes} times for a reply")
    return Try(
        silent_ms=(silent_at - killed_at) * 1000,
        ready_ms=(ready.at_s - since) * 1000,
        service_ms=(ready.at_s - update.at_s) * 1000,
        again_ms=(again_at - killed_at) * 1000,
        resumes=sum(isinstance(entry.what, SessionResume) for entry in asked),
    )


def _first(
    service: VoiceAgentServer, kind: type[ServerEvent], since: float
) -> RecordedMessage[ServerEvent] | None:
    return next((entry for entry in service.sent.of(kind) if entry.at_s >= since), None)


def _voice_since(guest: Guest, since: float) -> float | None:
    """When something began that goes on: the rest of the old reply's last frame is no voice."""
    frames = [frame for frame in guest.heard if frame.at > since]
    for place in range(len(frames) - _VOICE_FRAMES + 1):
        if all(frame.audible for frame in frames[place : place + _VOICE_FRAMES]):
            return frames[place].at
    return None


@attrs.frozen
class Figures:
    """One run."""

    machine: Machine
    seed: int
    load_before: float
    load_after: float
    lasted_s: float
    cases: dict[str, list[Try]]

    def as_text(self) -> str:
        """The table."""
        machine = self.machine
        packages = ", ".join(f"{name} {version}" for name, version in machine.packages.items())
        lines = [
            "Reconnecting: from a killed socket to the agent's next sound, at a listener in the room",
            "",
            f"  machine     {machine.cores} cores, {machine.processor}, {machine.system}; "
            f"load {self.load_before:.1f} before the run, {self.load_after:.1f} at its end",
            f"  versions    Python {machine.python}, {packages}, LiveKit server {machine.livekit_server}",
            "  conditions  the socket is reset in mid-reply; the service refuses each resume at once",
            f"  run         seed {self.seed}, {self.lasted_s:.0f} s",
        ]
        base = percentile([one.again_ms for one in next(iter(self.cases.values()))], 50)
        for name, tries in self.cases.items():
            resumes = max(one.resumes for one in tries)
            lines += ["", f"  {name}; at most {resumes} resume a drop"]
            lines.append(f"  {'ms':<30}{'tries':>6}{'p50':>8}{'p95':>8}{'max':>8}{'÷ p50':>8}")
            for part, title in _PARTS.items():
                values = [float(getattr(one, part)) for one in tries]
                cells = "".join(f"{percentile(values, percent):>8,.0f}" for percent in (50, 95, 100))
                ratio = percentile(values, 50) / base
                lines.append(f"  {title:<30}{len(values):>6}{cells}{ratio:>8.2f}")
        return "\n".join([*lines, ""])

    def as_json(self) -> dict[str, object]:
        """Everything, each try included."""
        return attrs.asdict(self)


async def _run(tries: int, seed: int) -> Figures:
    load_before, began = os.getloadavg()[0], time.monotonic()
    binary = await find_or_build(progress=tell)
    asked = await trio.run_process([str(binary), "--version"], capture_stdout=True, stderr=subprocess.DEVNULL)
    cases: dict[str, list[Try]] = {name: [] for name in _CASES}
    async with livekit_server(progress=tell) as livekit:

        async def measure_case(name: str, *, resume: bool) -> None:
            cases[name] = await measure(livekit, tries, seed, resume=resume)

        async with trio.open_nursery() as nursery:
            for name, resume in _CASES.items():
                nursery.start_soon(functools.partial(measure_case, name, resume=resume))
    return Figures(
        Machine.this(asked.stdout.decode().split()[-1]),
        seed,
        load_before,
        os.getloadavg()[0],
        time.monotonic() - began,
        cases,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; gives the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.reconnect", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "--tries", type=count_up_to(1000), default=50, help="sockets killed a case (default: 50)"
    )
    parser.add_argument("--seed", type=int, default=1, help="of the moments (default: 1)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures to a file")
    given = parser.parse_args(arguments)
    outcome = trio.run(until_signal, functools.partial(_run, given.tries, given.seed))
    if isinstance(outcome, int):
        return outcome
    print(outcome.as_text())
    if given.json is not None:
        given.json.write_text(json.dumps(outcome.as_json(), indent=1) + "\n")
    return 0


if __name__ == "__main__":
    end_with(main)
