"""How many rooms one worker bears, and what people notice on the way there.

    .venv/bin/python -m bench.saturation [--processes N] [--rooms 1,2,5,8,10,12,15,20] [--seconds 8]

One run on one machine, all on loopback: a real LiveKit server, the playground's Voice Agent API server, and
`python runner.py serve`. Rooms are added until the p99 of the loop's lag (the worker's own, from `/metrics`)
passes 20 ms, and at least to ten, with `worker.most_load = 1`. In every second room the agent speaks all the
time; in the others a person makes a noise that never stops.

Both have a click in them once a second, whose way is timed from outside, without touching the worker:

- in: from the person's microphone to the `input.audio` that has it, in all rooms where a person is heard;
- out: from the `reply.audio` that has it to the ear of the first listener. What the service sends ahead
  (150 ms) hides a worker that is a little late, here as for people;
- first: from the first `reply.audio` of a reply to its first sound at the ear: nothing lies ahead of it.

A network, LiveKit and a jitter buffer are in these times, so what counts is the difference to one room, and
for `in` to two, as the agent speaks in the first.

In the first room a person interrupts the agent, 10 times with one room and 10 times with ten: from the first
sound of the person to silence. Fewer tries are counted if there was no voice to interrupt, or their time was
up (90 s). At the end, a worker with the default `worker.most_load` gets rooms until it declines one.

To leave the processors to the worker, the people are cheap: one listens, the others only join; they speak in
pieces of 100 ms. What they and LiveKit take is in the table.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import itertools
import json
import logging
import os
import secrets
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import trio

from bench.caller import Caller
from bench.cost import cpu_s
from bench.fleet import TEMPLATE, health_of, lags, processes_of, quantile_ms
from bench.guest import Guest, join_as_guest
from bench.noises import beginnings
from bench.programs import AGENT, Program, environment, run_program, tell, until_signal
from bench.report import heading, percentile
from channels.settings import LiveKitAccount
from channels.wire.events import ReplyAudio
from channels.wire.messages import InputAudio
from commands.dispatch import create_dispatch
from playground.livekit_server import LiveKitServer, livekit_server
from playground.voice_agent_api import ServerOptions, ToneSpeech, VoiceAgentServer, voice_agent_server
from sound.pcm import SAMPLE_RATE_HZ, bytes_of_ms

__all__ = ["main"]

NAME = "bench"
LATE_MS = 20.0
_SEEN_AFTER_S = 2.5
_COMES_WITHIN_S = 20.0
_DECLINED_WITHIN_S = 8.0
_SETTLES_S = 4.0
_TRIES = 10
_TRIED_AT = (1, 10)
_PHRASE_MS = 1000
_ANSWERS_WITHIN_S = 12.0
_TRIES_WITHIN_S = 90.0
_PIECE_MS = 100
_AHEAD_MS = 120
_CLICK_MS = 40
_CLICK_EVERY_S = 1.0
_LOUD = 4000
"""Of 32767. A click is 12,000; the rest is below 2,000."""
_GAP_S = 0.1
_QUIET_S = 0.4
_REPLY_S = 300
_GREETING = "Once upon a time there was a robot."


@attrs.frozen
class Scale:
    """So many rooms."""

    rooms: int
    lag_p50_ms: float
    lag_p99_ms: float
    in_ms: Sequence[float]
    out_ms: Sequence[float]
    worker_cores: float
    people_cores: float
    """With the service."""
    livekit_cores: float
    people_lag_p99_ms: float
    """Of the loop in which the people and the service run: what the times cannot be better than."""


@attrs.frozen
class Tries:
    """Interruptions with so many rooms."""

    rooms: int
    silence_ms: Sequence[float]
    first_ms: Sequence[float]


@attrs.frozen
class Admitted:
    """What a worker with the default `worker.most_load` took."""

    rooms: int
    declined: bool
    lag_p50_ms: float
    lag_p99_ms: float


@attrs.frozen
class Figures:
    """What one run gave."""

    scales: Sequence[Scale]
    tries: Sequence[Tries]
    admitted: Admitted


def _with_clicks(seconds: float) -> bytes:
    samples = np.random.default_rng(1).normal(0, 500, int(seconds * SAMPLE_RATE_HZ)).clip(-2000, 2000)
    time_s = np.arange(len(samples)) / SAMPLE_RATE_HZ
    clicks = time_s % _CLICK_EVERY_S < _CLICK_MS / 1000
    samples[clicks] = 12_000 * np.sin(2 * np.pi * 1000 * time_s[clicks])
    return bytes(samples.astype("<i2").tobytes())


def _click_begins_at(pcm: bytes) -> float | None:
    """How far into it (s) it gets loud."""
    loud = np.flatnonzero(np.abs(np.frombuffer(pcm, "<i2").astype(np.int32)) > _LOUD)
    return None if not len(loud) else float(loud[0]) / SAMPLE_RATE_HZ


def _clicks(sounds: Sequence[tuple[float, bytes]]) -> Iterator[float]:
    """When the pieces of sound in which clicks begin were there."""
    last = float("-inf")
    for at, pcm in sounds:
        if _click_begins_at(pcm) is not None:
            if at - last > _CLICK_EVERY_S / 2:
                yield at
            last = at


def _took_ms(began: Sequence[float], ended: Sequence[float]) -> list[float]:
    """From each click to the same one at the other end, which is less than a second later."""
    took = []
    for at in ended:
        before = [start for start in began if start <= at]
        if before and at - before[-1] < _CLICK_EVERY_S:
            took.append((at - before[-1]) * 1000)
    return took


@attrs.define
class _Room:
    """A person in a room of their own, with an agent."""

    guest: Guest
    speaks: bool
    connection: int
    """At the service."""
    caller: Caller
    """Who interrupts, in the first room."""
    clicked_at: list[float] = attrs.field(factory=list)
    """When clicks were in the microphone."""

    async def speak(self) -> None:
        """A noise that never stops, with a click each second; or silence, where the agent speaks."""
        sound = bytes(bytes_of_ms(1000)) if self.speaks else _with_clicks(1.0)
        step = bytes_of_ms(_PIECE_MS)
        await self.guest.capture(bytes(bytes_of_ms(_AHEAD_MS)))
        start, number = time.monotonic() + secrets.randbelow(1000) / 1000, 0
        while True:
            await trio.sleep(max(0.0, start + number * _PIECE_MS / 1000 - time.monotonic()))
            at = number * step % len(sound)
            if not at and not self.speaks:
                self.clicked_at.append(time.monotonic() + _AHEAD_MS / 1000)
            await self.guest.capture(sound[at : at + step])
            number += 1


@attrs.define
class _Stage:
    """The servers, a worker, and the rooms so far."""

    livekit: LiveKitServer
    service: VoiceAgentServer
    program: Program
    url: str
    """Of its metrics."""
    rooms: list[_Room] = attrs.field(factory=list)

    @property
    def account(self) -> LiveKitAccount:
        """Of the LiveKit server."""
        return LiveKitAccount(self.livekit.url, self.livekit.api_key, self.livekit.api_secret)

    @contextlib.asynccontextmanager
    async def room(self, within_s: float = _COMES_WITHIN_S) -> AsyncIterator[_Room | None]:
        """One more; None: no agent came."""
        speaks, listens = len(self.rooms) % 2 == 0, not self.rooms
        known = _latest_connection(self.service)
        name = f"saturation-{secrets.token_hex(4)}"
        async with join_as_guest(self.livekit, name) as guest, trio.open_nursery() as nursery:
            metadata = json.dumps({"template": "speaks"}) if speaks else ""
            await create_dispatch(self.account, name, NAME, metadata)
            with trio.move_on_after(within_s) as patience:
                while not guest.agent_tracks or _latest_connection(self.service) == known:  # noqa: ASYNC110
                    await trio.sleep(0.02)
            if patience.cancelled_caught:
                yield None
                return
            if not listens:
                guest.listen(to_it=False)
            room = _Room(guest, speaks, _latest_connection(self.service), Caller(guest))
            self.rooms.append(room)
            nursery.start_soon(room.caller.run if listens else room.speak)
            yield room
            nursery.cancel_scope.cancel()


def _latest_connection(service: VoiceAgentServer) -> int:
    latest = tuple(service.received)[-400:]
    return max((entry.connection for entry in latest), default=0)


async def _lateness(late_s: list[float]) -> None:
    while True:
        due = trio.current_time() + 0.02
        await trio.sleep_until(due)
        late_s.append(trio.current_time() - due)


def _cores(pids: Sequence[int]) -> float:
    total = 0.0
    for pid in pids:
        with contextlib.suppress(OSError):
            total += cpu_s(pid)
    return total


async def _scale(stage: _Stage, seconds: float) -> Scale:
    await trio.sleep(_SETTLES_S)
    worker = processes_of(stage.program.pid)
    others = [pid for pid in processes_of(os.getpid()) if pid not in worker and pid != os.getpid()]
    groups = {"worker": worker, "people": [os.getpid()], "livekit": others}
    late_s = list[float]()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_lateness, late_s)
        before, used = await lags(stage.url), {name: _cores(pids) for name, pids in groups.items()}
        began, began_trio = time.monotonic(), trio.current_time()
        await trio.sleep(seconds)
        lasted = time.monotonic() - began
        cores = {name: (_cores(pids) - used[name]) / lasted for name, pids in groups.items()}
        nursery.cancel_scope.cancel()
    after = await lags(stage.url)
    offset = time.monotonic() - trio.current_time()
    received = list(stage.service.received)
    in_ms = list[float]()
    for room in stage.rooms:
        heard = [
            (entry.at_s + offset, entry.what.audio)
            for entry in received
            if entry.connection == room.connection
            and entry.at_s >= began_trio
            and isinstance(entry.what, InputAudio)
        ]
        in_ms += _took_ms(room.clicked_at, list(_clicks(heard)))
    first = stage.rooms[0]
    sent = [
        (entry.at_s + offset, entry.what.data)
        for entry in stage.service.sent
        if entry.connection == first.connection
        and entry.at_s >= began_trio
        and isinstance(entry.what, ReplyAudio)
    ]
    arrived = [(frame.at, frame.pcm) for frame in first.guest.heard if frame.at >= began]
    out_ms = _took_ms(list(_clicks(sent)), list(_clicks(arrived)))
    first.guest.heard.clear()
    return Scale(
        len(stage.rooms),
        quantile_ms(before, after, 0.5),
        quantile_ms(before, after, 0.99),
        in_ms,
        out_ms,
        cores["worker"],
        cores["people"],
        cores["livekit"],
        percentile(late_s, 99) * 1000,
    )


async def _interrupt(stage: _Stage) -> Tries:
    silence_ms, first_ms = list[float](), list[float]()
    people = beginnings()
    with trio.move_on_after(_TRIES_WITHIN_S):
        for number in range(_TRIES):
            phrase = people[number * 7 % len(people)][: bytes_of_ms(_PHRASE_MS)]
            with contextlib.suppress(trio.TooSlowError):  # which shows in the number of tries
                await _try(stage, phrase, number % 3 * 0.3, silence_ms, first_ms)
            del stage.rooms[0].guest.heard[:-50]
    return Tries(len(stage.rooms), silence_ms, first_ms)


async def _try(
    stage: _Stage,
    phrase: bytes,
    later_s: float,
    silence_ms: list[float],
    first_ms: list[float],
) -> None:
    first = stage.rooms[0]
    guest = first.guest
    await guest.hear_sound(within_s=_ANSWERS_WITHIN_S)
    await trio.sleep(1.2 + later_s)
    began = await first.caller.sound(phrase)
    await guest.hear_silence(for_s=_QUIET_S, within_s=_ANSWERS_WITHIN_S)
    if began - guest.last_audible_at(before=began) < _GAP_S:  # else there was nothing to interrupt
        silence_ms.append((_silent_from(guest, began) - began) * 1000)
    # The next reply comes when the person's turn is over.
    await guest.hear_silence(for_s=0.5, within_s=_ANSWERS_WITHIN_S)
    heard = await guest.hear_sound(within_s=_ANSWERS_WITHIN_S)
    offset = time.monotonic() - trio.current_time()
    sent = [
        entry.at_s + offset
        for entry in stage.service.sent
        if entry.connection == first.connection and isinstance(entry.what, ReplyAudio)
    ]
    begun = [at for was, at in itertools.pairwise(sent) if at - was > _GAP_S and at <= heard.at]
    if begun:
        first_ms.append((heard.at - begun[-1]) * 1000)


def _silent_from(guest: Guest, since: float) -> float:
    """When the last audible 10 ms before the first silence arrived."""
    last = since
    for frame in guest.heard:
        if frame.at < since:
            continue
        if frame.audible:
            last = frame.at
        elif frame.at - last >= _GAP_S:
            break
    return last


@contextlib.asynccontextmanager
async def _worker(
    livekit: LiveKitServer, service: VoiceAgentServer, processes: int, most_load: float | None
) -> AsyncIterator[_Stage]:
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        (folder / "prompts").mkdir()
        (folder / "prompts/speaks.toml").write_text(TEMPLATE.format(greeting=_GREETING))
        (folder / "agent.toml").write_text(
            "" if most_load is None else f"[worker]\nmost_load = {most_load}\n"
        )
        env = {**environment(livekit, "none", service.url), "VOICE_AGENT_HEALTH_LISTEN": "127.0.0.1:0"}
        command = [*AGENT, "--config", str(folder / "agent.toml")]
        command += ["serve", "--agent", NAME, "--processes", str(processes)]
        async with run_program(command, env, folder) as program:
            url = await health_of(program)
            await trio.sleep(_SEEN_AFTER_S)
            yield _Stage(livekit, service, program, url)


async def _climb(stage: _Stage, counts: Sequence[int], seconds: float) -> tuple[list[Scale], list[Tries]]:
    scales, tries = list[Scale](), list[Tries]()
    async with contextlib.AsyncExitStack() as stack:
        for count in counts:
            while len(stage.rooms) < count:
                room = await stack.enter_async_context(stage.room())
                if room is None:
                    tell(f"no agent came to room {len(stage.rooms) + 1} within {_COMES_WITHIN_S:.0f} s")
                    return scales, tries
            scales.append(await _scale(stage, seconds))
            tell(f"{count} rooms: p99 lag {scales[-1].lag_p99_ms:.0f} ms")
            if count in _TRIED_AT:
                tries.append(await _interrupt(stage))
            if scales[-1].lag_p99_ms > LATE_MS and count >= max(_TRIED_AT):
                break
    return scales, tries


async def _admit(stage: _Stage, most: int, seconds: float) -> Admitted:
    declined = False
    async with contextlib.AsyncExitStack() as stack:
        while len(stage.rooms) < most and not declined:
            # A worker that says that it is full is not even asked.
            declined = await stack.enter_async_context(stage.room(_DECLINED_WITHIN_S)) is None
        await trio.sleep(_SETTLES_S)
        before = await lags(stage.url)
        await trio.sleep(seconds)
        after = await lags(stage.url)
        rooms = len(stage.rooms)
    return Admitted(rooms, declined, quantile_ms(before, after, 0.5), quantile_ms(before, after, 0.99))


async def run(counts: Sequence[int], processes: int, seconds: float) -> Figures:
    """All measurements."""
    options = ServerOptions(
        speech=ToneSpeech,
        endpointing_ms=None,
        canned_reply=_with_clicks(_REPLY_S),
        leading_silence_ms=0,
        record=60_000,
        # Past the knee a worker may be late to read; that is to be seen, not to end.
        ping_s=None,
        slow_client_s=60.0,
    )
    async with livekit_server(progress=tell) as livekit, voice_agent_server(options) as service:
        async with _worker(livekit, service, processes, 1) as stage:
            scales, tries = await _climb(stage, counts, seconds)
        tell("admission")
        async with _worker(livekit, service, processes, None) as stage:
            admitted = await _admit(stage, max(counts), seconds)
    return Figures(scales, tries, admitted)


def table(figures: Figures) -> list[str]:
    """What is printed."""

    def shown(times: Sequence[float]) -> str:
        if not times:
            return f"{'–':>7}{'–':>7}"
        return f"{statistics.median(times):>7,.0f}{percentile(times, 99):>7,.0f}"

    lines = [
        f"  {'':>5}{'loop lag, ms':>14}{'in, ms':>14}{'out, ms':>14}{'cores taken by':>30}{'their lag':>11}",
        f"  {'rooms':>5}"
        + f"{'p50':>7}{'p99':>7}" * 3
        + f"{'worker':>9}{'people':>9}{'LiveKit':>12}{'p99, ms':>11}",
    ]
    lines += [
        f"  {one.rooms:>5}{one.lag_p50_ms:>7,.0f}{one.lag_p99_ms:>7,.0f}{shown(one.in_ms)}{shown(one.out_ms)}"
        f"{one.worker_cores:>9.2f}{one.people_cores:>9.2f}{one.livekit_cores:>12.2f}{one.people_lag_p99_ms:>11,.0f}"
        for one in figures.scales
    ]
    knee = next((one.rooms for one in figures.scales if one.lag_p99_ms > LATE_MS), None)
    past = "never" if knee is None else f"with {knee} rooms"
    lines += [
        "",
        f"  The p99 of the lag passed {LATE_MS:.0f} ms {past}; a lag is the upper end of its bucket.",
    ]
    lines += [
        "",
        f"  {'interrupted':<14}{'tries':>6}{'silence p50':>13}{'max, ms':>9}{'first p50':>11}{'max, ms':>9}",
    ]
    for tried in figures.tries:
        line = f"  {tried.rooms:>3} rooms     {len(tried.silence_ms):>6}"
        if tried.silence_ms:
            line += f"{statistics.median(tried.silence_ms):>13,.0f}{max(tried.silence_ms):>9,.0f}"
        if tried.first_ms:
            line += f"{statistics.median(tried.first_ms):>11,.0f}{max(tried.first_ms):>9,.0f}"
        lines.append(line)
    admitted = figures.admitted
    how = "then declined" if admitted.declined else "declined none"
    lines += [
        "",
        f"  With the default worker.most_load: took {admitted.rooms} rooms, {how}; "
        f"lag p50 {admitted.lag_p50_ms:.0f} ms, p99 {admitted.lag_p99_ms:.0f} ms",
    ]
    return lines


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; gives the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.saturation",
        description="Measures how many rooms a worker bears. Takes about 5 minutes.",
    )
    parser.add_argument(
        "--rooms", default="1,2,5,8,10,12,15,20", metavar="N,N,…", help="so many (default: %(default)s)"
    )
    parser.add_argument("--processes", type=int, default=1, help="of the worker (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=8.0, help="of each count (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to a file")
    options = parser.parse_args(arguments)
    counts = sorted({int(each) for each in options.rooms.split(",")})
    # It reports each room that ends under its guest, which is how they end here.
    logging.getLogger("livekit").setLevel(logging.CRITICAL)
    load, began = os.getloadavg()[0], time.monotonic()
    figures: Any = trio.run(until_signal, functools.partial(run, counts, options.processes, options.seconds))
    if isinstance(figures, int):
        return figures
    what = f"{options.processes} process(es)"
    head = heading("Saturation: one worker, every second room speaking", load, what)
    print(f"{head}; {time.monotonic() - began:.0f} s\n")
    print("\n".join(table(figures)))
    if options.json is not None:
        options.json.write_text(json.dumps(attrs.asdict(figures), indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
