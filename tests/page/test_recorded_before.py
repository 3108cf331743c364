"""What a browser records before the agent is there can be read: Chromium's own recording of speech."""

from __future__ import annotations

import base64
import io
import wave
from pathlib import Path

import pytest

from bench.chromium import chromium
from bench.speech import at_16_khz, spoken, word_errors
from sound.loudness import QUIET_DB, level_db
from sound.pcm import SAMPLE_RATE_HZ, bytes_of_ms
from sound.recogniser import Recogniser
from sound.recordings import Recording

SAID = "I would like to order a large pizza with mushrooms."

RECORD = """(async () => {
  const wav = Uint8Array.from(atob("%s"), (c) => c.charCodeAt(0));
  const context = new AudioContext();
  const sound = context.createBufferSource();
  sound.buffer = await context.decodeAudioData(wav.buffer);
  const there = context.createMediaStreamDestination();
  sound.connect(there);
  // As livekit-client's preConnectBuffer does it.
  const recorder = new MediaRecorder(there.stream, { mimeType: "audio/webm;codecs=opus" });
  const pieces = [];
  recorder.ondataavailable = (event) => pieces.push(event.data);
  const stopped = new Promise((resolve) => { recorder.onstop = resolve; });
  recorder.start(100);
  sound.start();
  await new Promise((resolve) => { sound.onended = resolve; });
  recorder.stop();
  await stopped;
  const bytes = new Uint8Array(await new Blob(pieces).arrayBuffer());
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
})()"""


def wav_of(pcm: bytes) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as written:
        written.setnchannels(1)
        written.setsampwidth(2)
        written.setframerate(SAMPLE_RATE_HZ)
        written.writeframes(pcm)
    return file.getvalue()


def from_first_to_last_word_ms(pcm: bytes) -> int:
    step_ms = 20
    step = bytes_of_ms(step_ms)
    loud = [at for at in range(0, len(pcm), step) if level_db(pcm[at : at + step]) > QUIET_DB]
    return (loud[-1] - loud[0]) // step * step_ms


@pytest.mark.browser
@pytest.mark.slow
async def test_what_chromium_recorded_is_understood(tmp_path: Path) -> None:
    said = spoken(SAID)
    async with chromium(tmp_path) as browser:
        tab = await browser.open("data:text/html,<p>here</p>")
        # Sound may begin only after a gesture.
        answer = await tab.call(
            "Runtime.evaluate",
            expression=RECORD % base64.b64encode(wav_of(said)).decode(),
            awaitPromise=True,
            returnByValue=True,
            userGesture=True,
        )
        webm = base64.b64decode(answer["result"]["value"])
    recording = Recording.of(
        "audio/webm;codecs=opus", {"trackId": "TR_alice", "sampleRate": "48000", "channels": "1"}
    )
    assert len(webm) < recording.most_bytes
    read = recording.read(webm)
    # How long the browser takes to stop recording is no matter.
    assert from_first_to_last_word_ms(read) == pytest.approx(from_first_to_last_word_ms(said), abs=300)
    assert word_errors(SAID, Recogniser().transcribe(at_16_khz(read))) < 0.2
    broken_off = recording.read(webm[: len(webm) // 2])
    assert 0 < len(broken_off) < len(read)
