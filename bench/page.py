"""The two timers as a browser hears them, beside the agent's own, and what the browser's jitter buffer costs.

    .venv/bin/python -m bench.page [--rounds N] [--seconds S] [--json FILE]
    .venv/bin/python -m bench.page --questions 20
    .venv/bin/python -m bench.page --picture docs/page.png

A real Chromium opens the playground's page and talks with the offline agent: its microphone asks for a story
and talks over it, again and again. The figures are those that the page shows (playground/page/listener.js):
from the person's last sound in the microphone's track to the agent's first audible sound in its track, and
from the person's first sound to the agent's silence. The jitter buffer's are RTCInboundRtpStreamStats', over
the whole call.

Each way is a call of its own, in turn with the others:

- as it is: the page as people get it
- target 0: with `RTCRtpReceiver.jitterBufferTarget = 0` for the agent's sound
- no DTX: the microphone sends its silences, too (LiveKit's client leaves them out by default)

With `--questions` nobody interrupts: the microphone asks so many things, in several voices, every other one
with a pause of 300 to 900 ms at a comma (`bench.pauses`), and waits for each answer. More turns than
questions are questions that were parted: the agent took the pause for the end.

With `--picture` it measures nothing: it keeps what is seen when the agent is interrupted for the fourth time.

In a headless Chromium the microphone is a file and the loudspeaker nothing; the way between is loopback. On a
network of yours, its time comes on top.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import attrs
import trio

from actors.room.actor import mint_client_token
from bench.chromium import Tab, chromium, microphone_file
from bench.offline_turn import QUESTIONS
from bench.pauses import paused
from bench.programs import AGENT, environment, run_program, tell, until_signal
from bench.report import Machine, percentile
from bench.speech import silence, spoken
from bench.word_errors import VOICES
from playground.livekit_build.binary import find_or_build
from playground.livekit_server import LiveKitServer
from playground.local import local_services
from playground.page_server import Joining, page_server
from sound.pcm import ms_of_bytes

__all__ = ["main"]

_WAYS = {
    "as it is": "",
    "target 0": "receiver.jitterBufferTarget = 0;",
    "no DTX": "window.withoutDtx = true;",
}

_BEFORE_QUESTIONS_MS = 7000
"""For joining, and the greeting."""
_FOR_AN_ANSWER_MS = 7000

_HOOK = """
window.receivers = [];
window.RTCPeerConnection = class extends RTCPeerConnection {
  constructor(...all) {
    super(...all);
    this.addEventListener("track", ({ receiver }) => { window.receivers.push(receiver); %s });
  }
  setRemoteDescription(told) {
    const sdp = window.withoutDtx ? told.sdp.replaceAll("usedtx=1", "usedtx=0") : told.sdp;
    return super.setRemoteDescription({ type: told.type, sdp });
  }
};
"""

_TIMERS = """[...document.querySelectorAll("#chart-rows tr")].map((row) =>
  [...row.cells].slice(1, 5).map((cell) => cell.textContent))"""

_STATS = """(async () => {
  const all = await Promise.all(window.receivers.map(async (each) => [...(await each.getStats()).values()]));
  return all.flat().filter(({ type, kind }) => type === "inbound-rtp" && kind === "audio");
})()"""


@attrs.frozen
class Call:
    """What one call gave."""

    way: str
    timers: list[dict[str, float | None]]
    """ms of each turn: `answer`, `answer_agent`, `silence`, `silence_agent`."""
    stats: dict[str, float]
    told: str
    """What the page says of the jitter buffer and the loudspeaker."""
    asked: int | None = None
    """So many questions; None: the person interrupts again and again."""
    turns: int = 0
    """What the agent took them for."""


def _what_is_said() -> bytes:
    """A request, and into the story that answers it a word; Chromium plays it again and again."""
    return (
        silence(5000)
        + spoken("Tell me a story, please.")
        + silence(6000)
        + spoken("No, stop it please, I have heard enough of that now.")
    )


def _what_is_asked(count: int) -> tuple[bytes, float]:
    """So many questions with time for their answers, and how long it all takes (s)."""
    with_pauses = paused(count // 2)
    sound = silence(_BEFORE_QUESTIONS_MS)
    for number in range(count):
        if number % 2:
            each = next(with_pauses)
            question = each.before + silence(each.pause_ms) + each.after
        else:
            question = spoken(QUESTIONS[number // 2 % len(QUESTIONS)], VOICES[number % len(VOICES)])
        sound += question + silence(_FOR_AN_ANSWER_MS)
    # Chromium plays the file again and again: nothing of the second time is wanted.
    return sound + silence(60_000), ms_of_bytes(len(sound)) / 1000


async def _call(
    way: str, seconds: float, *, questions: int | None = None, picture: Path | None = None
) -> Call:
    said = _what_is_said()
    if questions is not None:
        said, seconds = _what_is_asked(questions)
    room_name = f"bench-{secrets.token_hex(4)}"
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        (folder / "agent").mkdir()
        async with local_services(progress=tell) as accounts:
            account = accounts.livekit
            server = LiveKitServer(account.url, account.api_key, account.api_secret)
            env = environment(server, room_name, accounts.api.url)
            env["ASSEMBLYAI_API_KEY"] = accounts.api.api_key.reveal()

            def join(identity: str) -> Joining:
                token = mint_client_token(account, room_name, identity, timedelta(hours=1))
                return Joining(account.url, token)

            async with (
                run_program(AGENT, env, folder / "agent"),
                page_server(port=0, join=join) as url,
                chromium(folder, microphone=microphone_file(folder / "microphone.wav", said)) as browser,
            ):
                tab = await browser.open("about:blank#")
                await tab.call("Page.addScriptToEvaluateOnNewDocument", source=_HOOK % _WAYS[way])
                await tab.call("Page.navigate", url=url)
                await tab.until("document.readyState === 'complete' && 'state' in document.body.dataset")
                await tab.click("#talk")
                await tab.until("document.querySelector('#captions li') !== null", within_s=60)
                if picture is None:
                    await trio.sleep(seconds)
                else:
                    await _interrupted_again_and_again(tab)
                    await tab.screenshot(picture)
                return await _read(way, tab, questions)


async def _interrupted_again_and_again(tab: Tab) -> None:
    shape = {"width": 1280, "height": 860, "deviceScaleFactor": 1.25, "mobile": False}
    await tab.call("Emulation.setDeviceMetricsOverride", **shape)
    for timed in range(4):
        # So many turns are in the chart already, and their numbers below.
        await tab.until(f"document.querySelectorAll('#chart-rows tr').length >= {timed}", within_s=60)
        await tab.until("document.body.dataset.state === 'speaking'", within_s=60)
        await tab.until("document.body.dataset.state === 'interrupted'", within_s=60)


async def _read(way: str, tab: Tab, asked: int | None) -> Call:
    rows: list[list[str]] = await tab.evaluate(_TIMERS)
    names = ("answer", "answer_agent", "silence", "silence_agent")
    timers = [dict(zip(names, map(_ms, row), strict=True)) for row in rows]
    stats: list[dict[str, Any]] = await tab.evaluate(_STATS)
    agent = max(stats, key=lambda each: float(each.get("jitterBufferEmittedCount", 0)))
    numbers = {name: float(value) for name, value in agent.items() if isinstance(value, int | float)}
    told: str = await tab.evaluate("document.querySelector('#way').textContent")
    turns: int = await tab.evaluate("document.querySelectorAll('#captions .you[data-final=true]').length")
    return Call(way, timers, numbers, told, asked, turns)


def _ms(text: str) -> float | None:
    shown = re.fullmatch(r"([\d.]+) (m?s)", text)
    return None if shown is None else float(shown[1]) * (1 if shown[2] == "ms" else 1000)


def _table(calls: Sequence[Call]) -> str:
    lines = [f"  {'ms, p50 p95 (max)':18}{'n':>8}{'here':>22}{'in the agent':>22}{'the way':>22}"]
    for way in dict.fromkeys(call.way for call in calls):
        timers = [each for call in calls if call.way == way for each in call.timers]
        lines.append(f"{way}")
        for name in ("answer", "silence"):
            told = [each for each in timers if each[f"{name}_agent"] is not None]
            both = [(each[name], each[f"{name}_agent"]) for each in told if each[name] is not None]
            pairs = [(here, agent) for here, agent in both if here is not None and agent is not None]
            columns = [
                [here for here, _ in pairs],
                [agent for _, agent in pairs],
                [here - agent for here, agent in pairs],
            ]
            figures = "".join(f"{_figures(values):>22}" for values in columns)
            lines.append(f"  {name:18}{f'{len(pairs)}/{len(told)}':>8}{figures}")
        lines += [
            f"  {call.asked} questions, {call.turns} turns"
            for call in calls
            if call.way == way and call.asked is not None
        ]
        lines += [f"  {_buffer(call)}" for call in calls if call.way == way]
    return "\n".join(lines)


def _figures(values: Sequence[float]) -> str:
    if not values:
        return "–"
    return f"{percentile(values, 50):,.0f} {percentile(values, 95):,.0f} ({max(values):,.0f})"


def _buffer(call: Call) -> str:
    told = call.stats
    emitted = told.get("jitterBufferEmittedCount", 0) or 1

    def mean(name: str) -> str:
        return f"{told.get(name, 0) / emitted * 1000:.0f} ms"

    made_up = told.get("concealedSamples", 0) - told.get("silentConcealedSamples", 0)
    share = made_up / (told.get("totalSamplesReceived", 0) or 1)
    return (
        f"jitter buffer {mean('jitterBufferDelay')}, its target {mean('jitterBufferTargetDelay')}, "
        f"least {mean('jitterBufferMinimumDelay')}; made up {share:.2%} of the sound"
    )


async def _run(
    rounds: int, seconds: float, ways: Sequence[str], questions: int | None
) -> tuple[Machine, list[Call]]:
    binary = await find_or_build(progress=tell)
    asked = await trio.run_process([str(binary), "--version"], capture_stdout=True, stderr=subprocess.DEVNULL)
    calls = []
    for number in range(rounds):
        for way in ways:
            tell(f"round {number + 1} of {rounds}: {way}, {seconds:.0f} s (load {os.getloadavg()[0]:.1f})")
            calls.append(await _call(way, seconds, questions=questions))
    return Machine.this(asked.stdout.decode().split()[-1]), calls


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; gives the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.page", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--rounds", type=int, default=1, help="calls of each way (default: 1)")
    parser.add_argument("--seconds", type=float, default=120, help="of each call (default: 120)")
    parser.add_argument("--questions", type=int, help="ask so many questions, and interrupt nothing")
    parser.add_argument("--way", choices=[*_WAYS], action="append", help="only this one; may be repeated")
    parser.add_argument("--picture", type=Path, help="only keep a picture, a PNG file")
    parser.add_argument("--json", type=Path, help="write everything to this file")
    options = parser.parse_args(arguments)
    if options.picture is not None:
        picture = options.picture
        shown = trio.run(until_signal, lambda: _call("as it is", 0, picture=picture))
        return shown if isinstance(shown, int) else 0
    before = os.getloadavg()[0]
    ways = options.way or ([*_WAYS] if options.questions is None else ["as it is"])
    outcome = trio.run(until_signal, lambda: _run(options.rounds, options.seconds, ways, options.questions))
    if isinstance(outcome, int):
        return outcome
    machine, calls = outcome
    load = f"load {before:.1f} before and {os.getloadavg()[0]:.1f} after"
    print(f"{machine.processor}, {machine.cores} cores, {load}")
    print(_table(calls))
    if options.json is not None:
        content = {"machine": attrs.asdict(machine), "calls": [attrs.asdict(call) for call in calls]}
        options.json.write_text(json.dumps(content, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
