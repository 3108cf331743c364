"""A real headless Chromium, driven by the Chrome DevTools Protocol over one websocket.

`chromium()` starts it with an empty profile and a microphone that plays a WAV file in a loop (or one that
is refused, or none at all, or one into which `Tab.say` speaks); `Browser.open` gives a `Tab`, which clicks
and types as a person does, with real input events. Whatever the page complains about (errors on the console,
exceptions, violations of its policy, failed loads) is kept in `Tab.complaints`. No process is left behind.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import subprocess
import tempfile
import wave
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import soxr
import trio
import trio_websocket

from channels.child import start_child
from sound.pcm import SAMPLE_RATE_HZ

__all__ = ["ABSENT", "ON_CUE", "REFUSED", "Browser", "Tab", "chromium", "executable", "microphone_file"]

REFUSED = "refused"
ABSENT = "absent"
ON_CUE = "on cue"

_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--remote-debugging-port=0",
    "--allow-loopback-in-peer-connection",
    "--window-size=1280,800",
)
# Chromium reads its microphone's file as it starts: what is said in answer to something comes by this. The
# browser's own microphone is opened all the same, so that the page is asked and told as by any.
_SPEAKS_ON_CUE = """(() => {
    const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
    let audio, mouth;
    navigator.mediaDevices.getUserMedia = async (constraints) => {
        (await open(constraints)).getTracks().forEach((track) => track.stop());
        audio ??= new AudioContext({ sampleRate: RATE });
        mouth ??= audio.createGain();
        const microphone = audio.createMediaStreamDestination();
        mouth.connect(microphone);
        await audio.resume();
        return microphone.stream;
    };
    window.sayIntoMicrophone = (base64) => new Promise((resolve) => {
        const samples = new Int16Array(Uint8Array.from(atob(base64), (each) => each.charCodeAt(0)).buffer);
        const sound = audio.createBuffer(1, samples.length, RATE);
        sound.copyToChannel(Float32Array.from(samples, (each) => each / 32768), 0);
        const source = new AudioBufferSourceNode(audio, { buffer: sound });
        source.connect(mouth);
        source.onended = resolve;
        source.start();
    });
})()""".replace("RATE", str(SAMPLE_RATE_HZ))
# A tab in the background draws none.
_NEXT_FRAME = "new Promise((done) => { requestAnimationFrame(done); setTimeout(done, 500) })"
_KEYS = {"Enter": (13, "\r"), "Tab": (9, ""), "Escape": (27, ""), " ": (32, " ")}


def microphone_file(path: Path, pcm: bytes) -> Path:
    """Writes what Chromium's microphone plays again and again (PCM16 mono 24 kHz)."""
    samples = soxr.resample(np.frombuffer(pcm, np.int16), SAMPLE_RATE_HZ, 48_000)
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(48_000)
        out.writeframes(samples.astype("<i2").tobytes())
    return path


def executable() -> str | None:
    """The path of Chromium, None if it is not on this machine."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class _Refused(Exception):
    """Chromium refused a command."""


_OF_ONE_WHO_LEFT = "Tried to add a track for a participant, that's not present."
"""What LiveKit's client says when a track arrives just after its owner has left: no fault of the page's."""


@attrs.define
class _Wire:
    """Commands there, answers and events back."""

    socket: trio_websocket.WebSocketConnection
    tabs: dict[str, Tab] = attrs.field(factory=dict)
    _waiting: dict[int, trio.Event] = attrs.field(factory=dict)
    _answers: dict[int, dict[str, Any]] = attrs.field(factory=dict)
    _last_id: int = 0

    async def read(self) -> None:
        while True:
            try:
                message = json.loads(await self.socket.get_message())
            except trio_websocket.ConnectionClosed:
                return
            if "id" in message:
                self._answers[message["id"]] = message
                self._waiting[message["id"]].set()
            elif message.get("sessionId") in self.tabs:
                self.tabs[message["sessionId"]].take(message["method"], message["params"])

    async def call(self, method: str, session: str | None = None, **params: Any) -> dict[str, Any]:
        self._last_id += 1
        number = self._last_id
        self._waiting[number] = trio.Event()
        message = {"id": number, "method": method, "params": params}
        await self.socket.send_message(json.dumps(message | ({"sessionId": session} if session else {})))
        with trio.fail_after(60):
            await self._waiting[number].wait()
        del self._waiting[number]
        answer = self._answers.pop(number)
        if "error" in answer:
            raise _Refused(f"{method}: {answer['error']}")
        result: dict[str, Any] = answer["result"]
        return result


@attrs.define(eq=False)
class Tab:
    """A page that is open."""

    wire: _Wire
    session: str
    target: str
    complaints: list[str] = attrs.field(factory=list)

    def take(self, event: str, params: dict[str, Any]) -> None:
        """Keeps an event that is a complaint."""
        match event:
            case "Runtime.exceptionThrown":
                details = params["exceptionDetails"]
                self.complaints.append(
                    f"{details['text']} {details.get('exception', {}).get('description', '')}"
                )
            case "Runtime.consoleAPICalled" if params["type"] in {"error", "assert"}:
                told = " ".join(str(a.get("value", a.get("description", ""))) for a in params["args"])
                if not told.startswith(_OF_ONE_WHO_LEFT):
                    self.complaints.append(f"console: {told}")
            case "Log.entryAdded" if params["entry"]["level"] == "error":
                entry = params["entry"]
                self.complaints.append(f"{entry['source']}: {entry['text']} {entry.get('url', '')}")

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        """A command of the protocol."""
        return await self.wire.call(method, self.session, **params)

    async def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression; promises are awaited."""
        answer = await self.call(
            "Runtime.evaluate",
            expression=expression,
            awaitPromise=True,
            returnByValue=True,
            userGesture=False,
        )
        if "exceptionDetails" in answer:
            raise AssertionError(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    async def until(self, expression: str, *, within_s: float = 30) -> Any:
        """Waits until a JavaScript expression is truthy, and gives its value.

        An element that is not there yet makes a TypeError of most expressions: that is to be waited for, too.
        """
        value = None
        patient = (
            f"(() => {{ try {{ return {expression} }}"
            " catch (error) { if (error instanceof TypeError) return null; throw error } })()"
        )
        with trio.move_on_after(within_s):
            while True:
                try:
                    value = await self.evaluate(patient)
                except _Refused as refused:
                    # The page that was asked is being left: the next one answers.
                    if "navigated" not in str(refused):
                        raise
                    value = None
                if value:
                    return value
                await trio.sleep(0.05)
        shown = await self.evaluate("document.body.innerText")
        raise AssertionError(
            f"not within {within_s} s: {expression}\nthe page shows:\n{shown}\n{self.complaints}"
        )

    async def shows(self, text: str, *, within_s: float = 30) -> None:
        """Waits until a text can be read on the page."""
        await self.until(f"document.body.innerText.includes({json.dumps(text)})", within_s=within_s)

    async def click(self, selector: str) -> None:
        """Clicks the middle of an element with the mouse."""
        where = (
            f"(() => {{ const e = document.querySelector({json.dumps(selector)});"
            "e?.scrollIntoViewIfNeeded(); const b = e?.getBoundingClientRect();"
            "return b?.width ? [b.x + b.width / 2, b.y + b.height / 2] : null })()"
        )
        box = await self.until(where)
        # Nobody clicks what is just being moved by something else.
        for _ in range(20):
            await self.evaluate(_NEXT_FRAME)
            before, box = box, await self.until(where)
            if box == before:
                break
        for kind in ("mousePressed", "mouseReleased"):
            await self.call(
                "Input.dispatchMouseEvent", type=kind, x=box[0], y=box[1], button="left", clickCount=1
            )

    async def press(self, key: str, *, shift: bool = False) -> None:
        """Presses a key on the keyboard."""
        code, text = _KEYS[key]
        about = {
            "key": key,
            "code": "Space" if key == " " else key,
            "windowsVirtualKeyCode": code,
            "modifiers": 8 if shift else 0,
        }
        await self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **about)
        await self.call("Input.dispatchKeyEvent", type="keyUp", **about)

    async def type(self, text: str) -> None:
        """Types into whatever has the focus."""
        await self.call("Input.insertText", text=text)

    async def say(self, pcm: bytes) -> None:
        """Says something (PCM16 mono 24 kHz) into a microphone that is `ON_CUE` and open, to its end."""
        await self.evaluate(f"sayIntoMicrophone({json.dumps(base64.b64encode(pcm).decode())})")

    async def screenshot(self, path: Path) -> None:
        """Keeps what is seen now as a PNG file."""
        picture = await self.call("Page.captureScreenshot", format="png")
        await trio.Path(path).write_bytes(base64.b64decode(picture["data"]))

    async def look(
        self, *, width: int = 1280, height: int = 800, dark: bool = False, calm: bool = False
    ) -> None:
        """Sees the page as on another device, or by another taste."""
        await self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=2,
            mobile=width < 600,
        )
        features = {
            "prefers-color-scheme": "dark" if dark else "light",
            "prefers-reduced-motion": "reduce" if calm else "no-preference",
        }
        await self.call(
            "Emulation.setEmulatedMedia", features=[{"name": n, "value": v} for n, v in features.items()]
        )

    async def close(self) -> None:
        """Closes it, as the cross on the tab does."""
        await self.wire.call("Target.closeTarget", targetId=self.target)


@attrs.define
class Browser:
    """A running Chromium."""

    wire: _Wire
    process: subprocess.Popen[bytes]
    _in_each_page: str = ""

    @contextmanager
    def asleep(self) -> Iterator[None]:
        """All of it stands still for the time of the block, as when a lid is closed."""
        os.killpg(self.process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.killpg(self.process.pid, signal.SIGCONT)

    async def open(self, url: str) -> Tab:
        """Opens a page in a new tab."""
        target = (await self.wire.call("Target.createTarget", url="about:blank"))["targetId"]
        session = (await self.wire.call("Target.attachToTarget", targetId=target, flatten=True))["sessionId"]
        tab = self.wire.tabs[session] = Tab(self.wire, session, target)
        for domain in ("Runtime", "Log", "Page"):
            await tab.call(f"{domain}.enable")
        await tab.call("Page.addScriptToEvaluateOnNewDocument", source=self._in_each_page)
        await tab.call("Page.navigate", url=url)
        await tab.until("document.readyState === 'complete' && location.href !== 'about:blank'")
        return tab


@asynccontextmanager
async def chromium(folder: Path, *, microphone: Path | str = ABSENT) -> AsyncIterator[Browser]:
    """Runs Chromium for the time of the block.

    Args:
        folder: an empty one, for its profile.
        microphone: a 48 kHz WAV file that it plays in a loop, or `ON_CUE`, or `REFUSED`, or `ABSENT`.
    """
    flags = [*_FLAGS, f"--user-data-dir={folder / 'profile'}"]
    if microphone == REFUSED:
        flags += ["--use-fake-device-for-media-stream", "--deny-permission-prompts"]
    elif microphone == ABSENT:
        flags += ["--use-fake-ui-for-media-stream"]
    else:
        flags += ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
        if microphone != ON_CUE:
            flags += [f"--use-file-for-fake-audio-capture={microphone}"]
    # What it leaves behind when it is killed goes with this folder, whose name is short: sockets lie in it.
    with tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as temporary:
        process = _start(flags, folder, temporary)
        try:
            address = await _address(trio.Path(folder) / "profile" / "DevToolsActivePort", process)
            async with (
                trio_websocket.open_websocket_url(address, max_message_size=2**26) as socket,
                trio.open_nursery() as nursery,
            ):
                wire = _Wire(socket)
                nursery.start_soon(wire.read)
                yield Browser(wire, process, _SPEAKS_ON_CUE if microphone == ON_CUE else "")
                nursery.cancel_scope.cancel()
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _start(flags: Sequence[str], folder: Path, temporary: str) -> subprocess.Popen[bytes]:
    program = executable()
    assert program is not None, "Chromium is not on this machine"
    with (folder / "chromium.log").open("wb") as log:
        return start_child(
            [program, *flags, "about:blank"],
            environ={**os.environ, "HOME": str(folder), "TMPDIR": temporary},
            stdout=log,
            stderr=log,
        )


async def _address(told: trio.Path, process: subprocess.Popen[bytes]) -> str:
    with trio.fail_after(60):
        while not await told.exists() or "\n" not in (await told.read_text()).strip():
            assert process.poll() is None, "Chromium ended by itself"
            await trio.sleep(0.05)
    port, path = (await told.read_text()).split()
    return f"ws://127.0.0.1:{port}{path}"
