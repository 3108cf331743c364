"""What voicebench, a benchmark of others, makes of this agent from its sound alone, beside our own timers.

    .venv/bin/python -m bench.from_outside [answers interruptions short_sounds] [--repeat 1] [--json FOLDER]
        [--python PYTHON] [--as-it-is]

voicebench (github.com/superintelligenceco/voicebench) joins a room of a real LiveKit server as a person who
plays a scenario of `bench/voicebench/`; the agent is `python runner.py` in a process of its own, and the
service the playground's, as an agent without an account has them. It comes with `make dev`; `--python` names
the Python of another environment that has it.

The figures of ours are the agent's own, from its log (`turn_timed`). bench/README.md says what each measures.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import subprocess
import sys
import tempfile
import tomllib
import wave
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

import attrs
import trio

from bench.noises import fetch_recordings, noise_of
from bench.programs import AGENT, environment, run_program, tell, until_signal
from bench.report import Machine, percentile
from bench.speech import spoken
from channels.ending import end_with
from channels.errors import VoiceAgentError
from playground.livekit_build.binary import find_or_build
from playground.livekit_server import LiveKitServer
from playground.local import local_services
from sound.pcm import SAMPLE_BYTES, SAMPLE_RATE_HZ

__all__ = ["main"]

_SCENARIOS = Path(__file__).parent / "voicebench"
_ADAPTER = "punctual:PunctualLiveKit"
_LONGEST_S = 180.0
_LOGGED_WITHIN_S = 1.0
"""A reply is timed when it is over."""


class VoicebenchFailed(VoiceAgentError):
    """It is not there, or could not measure."""


@attrs.frozen
class Judged:
    """One run of a scenario."""

    scenario: str
    told: str
    """voicebench's own report."""
    report: Mapping[str, Any]
    ours: Sequence[Mapping[str, Any]]
    """The agent's timers, a reply each."""

    @property
    def answers_ms(self) -> list[float]:
        """By voicebench, of turns that interrupt nothing."""
        return self._of("response_latency_ms", "respond")

    @property
    def answers_after_ms(self) -> list[float]:
        """By voicebench, of those that interrupt: its table has them, its summary does not."""
        return self._of("response_latency_ms", "stop")

    @property
    def stops_ms(self) -> list[float]:
        """By voicebench."""
        return self._of("stop_latency_ms", "stop")

    @property
    def our_answers_ms(self) -> list[float]:
        """By the agent."""
        return [one["turn_latency_ms"] for one in self.ours if one["turn_latency_ms"] is not None]

    @property
    def our_stops_ms(self) -> list[float]:
        """By the agent."""
        return [one["barge_in_ms"] for one in self.ours if one["barge_in_ms"] is not None]

    @property
    def _turns(self) -> list[Mapping[str, Any]]:
        return [turn for session in self.report["sessions"] for turn in session["turns"]]

    def _of(self, what: str, expect: str) -> list[float]:
        found = (turn[what] for turn in self._turns if turn["expect"] == expect)
        return [value for value in found if value is not None]

    def as_text(self) -> str:
        """Both reports."""
        lines = [self.told, "", f"  {'ms':<44}{'n':>4}{'p50':>8}{'p95':>8}{'max':>8}"]
        for title, values in (
            ("voicebench: answer", self.answers_ms),
            ("voicebench: answer to an interruption", self.answers_after_ms),
            ("the agent: answer, of either kind", self.our_answers_ms),
            ("voicebench: stop", self.stops_ms),
            ("the agent: stop", self.our_stops_ms),
        ):
            cells = [f"{percentile(values, percent):>8,.0f}" for percent in (50, 95, 100)] if values else []
            lines.append(f"  {title:<44}{len(values):>4}{''.join(cells)}")
        cut = sum(one["interrupted"] for one in self.ours)
        lines.append(f"  the agent: replies that were interrupted    {cut:>4} of {len(self.ours)}")
        return "\n".join([*lines, ""])


async def _judge(names: Sequence[str], python: str, repeat: int, adapter: str) -> list[Judged]:
    await _check(python)
    await fetch_recordings()
    judged = []
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        await trio.to_thread.run_sync(_make_sounds, Path(folder))
        for name in names:
            tell(f"{name} …")
            judged.append(await _play(name, Path(folder), python, repeat, adapter))
    return judged


async def _check(python: str) -> None:
    try:
        done = await trio.run_process(
            [python, "-c", "import voicebench, livekit.api"], check=False, capture_stderr=True
        )
    except OSError:
        raise VoicebenchFailed(f"{python} cannot be run", "give the Python of an environment") from None
    if done.returncode:
        why = (done.stderr.decode(errors="replace").strip().splitlines() or ["?"])[-1]
        raise VoicebenchFailed(
            f"voicebench is not there for {python}: {why}",
            "run `make dev`, or name the Python of an environment that has voicebench[livekit]",
        )


def _make_sounds(folder: Path) -> None:
    (folder / "sounds").mkdir()
    for name, sound in tomllib.loads((_SCENARIOS / "sounds.toml").read_text()).items():
        pcm = (
            spoken(sound["says"], sound["voice"])
            if "says" in sound
            else noise_of(sound["noise"], Random(sound["seed"]))
        )
        with wave.open(str(folder / "sounds" / f"{name}.wav"), "wb") as file:
            file.setparams((1, SAMPLE_BYTES, SAMPLE_RATE_HZ, 0, "NONE", ""))
            file.writeframes(pcm)


async def _play(name: str, folder: Path, python: str, repeat: int, adapter: str) -> Judged:
    scenario = folder / f"{name}.yaml"
    scenario.write_text((_SCENARIOS / scenario.name).read_text())
    room_name = f"bench-{secrets.token_hex(4)}"
    with tempfile.TemporaryDirectory(prefix="bench-") as own:
        async with local_services(progress=tell) as accounts:
            livekit = accounts.livekit
            server = LiveKitServer(livekit.url, livekit.api_key, livekit.api_secret)
            env = environment(server, room_name, accounts.api.url) | {
                "ASSEMBLYAI_API_KEY": accounts.api.api_key.reveal()
            }
            async with run_program([*AGENT, "--log", "json"], env, Path(own)):
                command = [python, "-m", "voicebench", "run", str(scenario), "-a", adapter]
                command += ["-o", f"room={room_name}", "-n", str(repeat)]
                command += ["--format", "json", "--out", str(folder / name)]
                with trio.move_on_after(repeat * _LONGEST_S + 60):
                    done = await trio.run_process(
                        command,
                        check=False,
                        capture_stdout=True,
                        env=env | {"PYTHONPATH": str(_SCENARIOS), "PYTHONDONTWRITEBYTECODE": "1"},
                        cwd=folder,
                    )
                await trio.sleep(_LOGGED_WITHIN_S)
            log = (Path(own) / "program.log").read_text(errors="replace")
    report = folder / name / "report.json"
    if not report.is_file():
        raise VoicebenchFailed(f"voicebench did not measure {name!r}", "see what it says above")
    told = done.stdout.decode(errors="replace").partition("\nreports written to")[0]
    return Judged(name, told.rstrip(), json.loads(report.read_text()), _timers(log))


def _timers(log: str) -> list[Mapping[str, Any]]:
    lines = (json.loads(line) for line in log.splitlines() if line.startswith("{"))
    return [line for line in lines if line["event"] == "turn_timed"]


async def _run(names: Sequence[str], python: str, repeat: int, adapter: str) -> tuple[Machine, list[Judged]]:
    binary = await find_or_build(progress=tell)
    asked = await trio.run_process([str(binary), "--version"], capture_stdout=True, stderr=subprocess.DEVNULL)
    judged = await _judge(names, python, repeat, adapter)
    return Machine.this(asked.stdout.decode().split()[-1]), judged


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; gives the exit code."""
    known = sorted(path.stem for path in _SCENARIOS.glob("*.yaml"))
    parser = argparse.ArgumentParser(prog="python -m bench.from_outside", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "scenarios", nargs="*", metavar="SCENARIO", help=f"of {', '.join(known)} (default: all)"
    )
    parser.add_argument("--repeat", type=int, default=1, help="sessions for each scenario (default: 1)")
    parser.add_argument("--python", default=sys.executable, help="of the environment that has voicebench")
    parser.add_argument(
        "--as-it-is",
        action="store_true",
        help="with voicebench's own way into the room, which is late by as long as it takes to join",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures to a file")
    given = parser.parse_args(arguments)
    names = given.scenarios or known
    if unknown := sorted(set(names) - set(known)):
        parser.error(f"{', '.join(unknown)}: give some of {', '.join(known)}")
    load_before = os.getloadavg()[0]
    adapter = "livekit" if given.as_it_is else _ADAPTER
    outcome = trio.run(until_signal, lambda: _run(names, given.python, given.repeat, adapter))
    if isinstance(outcome, int):
        return outcome
    machine, judged = outcome
    print(
        f"Judged from outside, by voicebench\n\n  machine   {machine.cores} cores, {machine.processor}, "
        f"{machine.system}; load {load_before:.1f} before, {os.getloadavg()[0]:.1f} after\n"
        f"  versions  Python {machine.python}, LiveKit server {machine.livekit_server}\n"
    )
    for one in judged:
        print(one.as_text())
    if given.json is not None:
        given.json.write_text(json.dumps([attrs.asdict(one) for one in judged], indent=1) + "\n")
    return 0


if __name__ == "__main__":
    end_with(main)
