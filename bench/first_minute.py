"""The first minute of somebody who has just typed `python runner.py`: address, first sound, answers, silence.

    .venv/bin/python -m bench.first_minute [--tries N] [--json FILE] [--in CHECKOUT]

What runs is `python runner.py` with an empty environment, and a real Chromium that opens the address it
prints and clicks "Talk". Its microphone asks four things, then for a story, and talks over it. Times are
those of the person in front of the browser. Nothing of the agent or of its page is asked for them: the
browser's own microphone and the sound that arrives are listened to beside the page, in frames of 10 ms.

- address: from the start of the command to the line with the address
- first sound: from the click to the first sound of the agent's greeting
- answer: from the last sound of a question in the microphone to the first of the agent
- silence: from the first sound over the story to the agent's last before the person has finished

With `--in`, another checkout of the project is run (one that is set up), to compare with.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import tempfile
import time
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import attrs
import trio

from bench.chromium import Tab, chromium, microphone_file
from bench.programs import Program, count_up_to, run_program, tell, until_signal
from bench.report import heading, percentile
from bench.speech import silence, spoken
from channels.ending import end_with
from sound.pcm import ms_of_bytes

__all__ = ["main"]

QUESTIONS = (
    "What is twelve times seven?",
    "When I came home yesterday evening, the door was open.",
    "What day is it today?",
    "I would like to know how you spell lighthouse.",
)
_STORY = "Tell me a story."
_STOP = "No, stop, I have heard enough of that now."
_FOR_AN_ANSWER_MS = 7000
_INTO_THE_STORY_MS = 6000
_READS_THE_PAGE_S = 1.0

_AUDIBLE_DB = -45.0
_STILL_AUDIBLE_DB = -51.0
_PAUSE_S = {"agent": 0.2, "you": 1.0}
"""Shorter ones are part of a sound. Somebody who pauses at a comma has not finished."""

_EARS = """
(() => {
  window.frames = { you: [], agent: [] };
  const worklet = `registerProcessor("frames", class extends AudioWorkletProcessor {
    power = 0; count = 0;
    process([[samples]]) {
      for (const sample of samples ?? new Float32Array(128)) {
        this.power += sample * sample;
        if (++this.count < 480) continue;
        this.port.postMessage([currentTime, 10 * Math.log10(this.power / this.count + 1e-12)]);
        this.power = this.count = 0;
      }
      return true;
    }
  })`;
  let context = null;
  async function listen(who, stream) {
    context ??= (async () => {
      const made = new AudioContext({ sampleRate: 48000 });
      const script = new Blob([worklet], { type: "text/javascript" });
      await made.audioWorklet.addModule(URL.createObjectURL(script));
      return made;
    })();
    const here = await context;
    const node = new AudioWorkletNode(here, "frames", { numberOfOutputs: 0 });
    node.port.onmessage = ({ data: [at, db] }) => {
      if (who === "agent" && db > -45) window.firstSound ??= Date.now();
      window.frames[who].push([at, db]);
    };
    here.createMediaStreamSource(stream).connect(node);
  }
  const devices = navigator.mediaDevices;
  const open = devices.getUserMedia.bind(devices);
  devices.getUserMedia = async (wanted) => {
    const stream = await open(wanted);
    listen("you", stream.clone());
    return stream;
  };
  window.RTCPeerConnection = class extends RTCPeerConnection {
    constructor(...all) {
      super(...all);
      this.addEventListener("track", ({ track }) => {
        if (track.kind === "audio") listen("agent", new MediaStream([track]));
      });
    }
  };
})();
"""


@attrs.frozen
class Sound:
    """One sound of somebody, in seconds of the browser's clock for sound."""

    began: float
    ended: float


@attrs.frozen
class Minute:
    """One try. All in ms; an answer or a silence that was not heard is missing."""

    address: float
    first_sound: float
    answers: tuple[float, ...]
    silence: float | None


def sounds(frames: Sequence[tuple[float, float]], pause_s: float) -> list[Sound]:
    """The sounds among frames of a time (s) and a level (dB)."""
    found: list[Sound] = []
    for at, db in frames:
        goes_on = bool(found) and at - found[-1].ended < pause_s
        if db <= (_STILL_AUDIBLE_DB if goes_on else _AUDIBLE_DB):
            continue
        if goes_on:
            found[-1] = attrs.evolve(found[-1], ended=at)
        else:
            found.append(Sound(at - 0.01, at))
    return [sound for sound in found if sound.ended - sound.began > 0.03]


def timed(you: Sequence[Sound], agent: Sequence[Sound]) -> tuple[tuple[float, ...], float | None]:
    """The answers to all but the last sound of the person, and the silence that the last one made."""
    answers = []
    for question, next_one in pairwise(you[: len(QUESTIONS) + 2]):
        heard = [each.began for each in agent if question.ended < each.began < next_one.began]
        answers += [(heard[0] - question.ended) * 1000] if heard else []
    interruption = you[len(QUESTIONS) + 1] if len(you) > len(QUESTIONS) + 1 else None
    if interruption is None:
        return tuple(answers), None
    # A voice that comes back while the person still talks was not silent.
    over = [each for each in agent if each.began < interruption.ended and each.ended > interruption.began]
    talked = bool(over) and over[0].began < interruption.began
    return tuple(answers), (over[-1].ended - interruption.began) * 1000 if talked else None


def _microphone() -> bytes:
    asked = b"".join(spoken(each) + silence(_FOR_AN_ANSWER_MS) for each in QUESTIONS)
    story = spoken(_STORY) + silence(_INTO_THE_STORY_MS) + spoken(_STOP)
    # The file begins again behind the last silence: nobody listens any more by then.
    return silence(7000) + asked + story + silence(_FOR_AN_ANSWER_MS)


async def _try(checkout: Path) -> Minute:
    command = [str(checkout / ".venv" / "bin" / "python"), str(checkout / "runner.py")]
    kept = {name: os.environ[name] for name in ("HOME", "LANG", "PATH", "TMPDIR") if name in os.environ}
    said = _microphone()
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        (folder / "agent").mkdir()
        microphone = microphone_file(folder / "microphone.wav", said)
        began = time.monotonic()
        async with run_program(command, kept, folder / "agent") as program:
            url = await _address(program)
            address = (time.monotonic() - began) * 1000
            async with chromium(folder, microphone=microphone) as browser:
                tab = await browser.open("about:blank#")
                await tab.call("Page.setBypassCSP", enabled=True)
                await tab.call("Page.addScriptToEvaluateOnNewDocument", source=_EARS)
                await tab.call("Page.navigate", url=url)
                await tab.until(
                    "document.readyState === 'complete' && document.querySelector('#talk') !== null"
                )
                await trio.sleep(_READS_THE_PAGE_S)
                clicked_ms = await tab.evaluate("Date.now()")
                await tab.click("#talk")
                await trio.sleep(ms_of_bytes(len(said)) / 1000)
                return await _read(tab, program, address, clicked_ms)


async def _address(program: Program) -> str:
    with trio.fail_after(600):
        while (  # noqa: ASYNC110 - it is in a file
            shown := re.search(r"http://127\.0\.0\.1:\d+\S*", program.printed)
        ) is None:
            await trio.sleep(0.01)
    return shown[0]


async def _read(tab: Tab, program: Program, address: float, clicked_ms: float) -> Minute:
    frames: Mapping[str, Any] = await tab.evaluate("window.frames")
    first_ms: float | None = await tab.evaluate("window.firstSound ?? null")
    if first_ms is None:
        raise program.failure("no sound of the agent arrived")
    you, agent = (sounds(frames[who], _PAUSE_S[who]) for who in ("you", "agent"))
    answers, silence_ms = timed(you, agent)
    return Minute(address, first_ms - clicked_ms, answers, silence_ms)


async def _run(tries: int, checkout: Path) -> list[Minute]:
    minutes = []
    for number in range(tries):
        tell(f"try {number + 1} of {tries} (load {os.getloadavg()[0]:.1f})")
        minutes.append(await _try(checkout))
    return minutes


def _table(minutes: Sequence[Minute]) -> str:
    rows = {
        "address": [each.address for each in minutes],
        "first sound": [each.first_sound for each in minutes],
        "answer": [answer for each in minutes for answer in each.answers],
        "silence": [each.silence for each in minutes if each.silence is not None],
    }
    lines = [f"  {'ms, in the browser':<20}{'n':>4}{'p50':>8}{'p95':>8}{'max':>8}"]
    for name, values in rows.items():
        cells = (
            "".join(f"{percentile(values, percent):>8,.0f}" for percent in (50, 95, 100)) if values else ""
        )
        lines.append(f"  {name:<20}{len(values):>4}{cells}")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; gives the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.first_minute", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--tries", type=count_up_to(20), default=5, help="of a minute each (default: 5)")
    parser.add_argument("--in", type=Path, dest="checkout", metavar="CHECKOUT", help="run another checkout")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures to a file")
    given = parser.parse_args(arguments)
    checkout = (given.checkout or Path(__file__).parent.parent).resolve()
    before = os.getloadavg()[0]
    minutes = trio.run(until_signal, lambda: _run(given.tries, checkout))
    if isinstance(minutes, int):
        return minutes
    print(heading("The first minute", before))
    print(_table(minutes))
    if given.json is not None:
        given.json.write_text(json.dumps([attrs.asdict(each) for each in minutes], indent=1) + "\n")
    return 0


if __name__ == "__main__":
    end_with(main)
