"""A real call is recorded, by `python runner.py --record`, and runs again as it was."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
import trio

from actors.record.notes import PlayingRun, ReplyAudioRun
from actors.record.reading import read_record
from actors.record.sound import read_sound
from channels.happenings import ReplyEnded, SessionClosed, SoundStarted, TurnTimed
from channels.wire.events import UserTranscript
from playground.livekit_server import LiveKitServer
from playground.voice_agent_api import RealTime, ServerOptions, voice_agent_server
from tests.agent_process import ROOT, run_agent, settings_for
from tests.guest import join_as_guest
from tests.speech import spoken

pytestmark = [pytest.mark.server, pytest.mark.slow]

# Of a machine that does other things at the same time.
TOLERANCE_MS = 400


def replay(path: Path, *more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "runner.py"), "replay", str(path), *more],
        capture_output=True,
        encoding="utf-8",
        cwd=path.parent,
        timeout=120,
    )


async def test_a_real_call_with_an_interruption_and_its_sound_replays_as_it_was(
    livekit: LiveKitServer, tmp_path: Path
) -> None:
    path = tmp_path / "call.jsonl"
    options = ServerOptions(pacing=RealTime(), endpointing_ms=None)
    async with voice_agent_server(options) as service:
        settings = settings_for(livekit, service.url, "recorded")
        async with run_agent(settings, "--record", str(path), "--record-audio") as agent:
            async with join_as_guest(livekit, "recorded") as guest:
                await guest.hear_sound(within_s=60)
                await guest.hear_silence(for_s=0.8, within_s=20)
                await guest.say(spoken("The weather is very nice today, and the birds sing in the garden."))
                asked = time.monotonic()
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(guest.hush, 60)
                    await guest.hear_sound(within_s=20, since=asked)
                    nursery.cancel_scope.cancel()
                await guest.say(spoken("No, stop it please, I have heard enough of that now."))
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(guest.hush, 60)
                    await agent.prints("outcome=cut", within_s=10)
                    await guest.hear_sound(within_s=20)
                    await guest.hear_silence(for_s=1.0, within_s=30)
                    nursery.cancel_scope.cancel()
                assert await agent.leave() < 4
            assert agent.process.returncode == 0
            assert "bystander_failed" not in agent.printed

    written = path.read_text("utf-8")
    assert not any(settings[name] in written for name in ("LIVEKIT_API_SECRET", "ASSEMBLYAI_API_KEY"))
    assert "resume_token" not in written
    record = read_record(path)
    assert record.remarks == []
    kinds = {type(entry.what) for entry in record.entries}
    assert kinds >= {
        SoundStarted,
        UserTranscript,
        ReplyAudioRun,
        PlayingRun,
        ReplyEnded,
        TurnTimed,
        SessionClosed,
    }
    both = read_sound(path.with_suffix(".wav"))
    assert abs(len(both) / 24_000 - record.length_s) < 0.5
    assert all(abs(both[:, voice].astype(int)).max() > 1000 for voice in (0, 1))

    for more in ([], ["--without-sound"]):
        replayed = replay(path, "--tolerance-ms", str(TOLERANCE_MS), *more)
        print(replayed.stdout, replayed.stderr)
        assert replayed.returncode == 0
        assert "1 × reply cut" in replayed.stdout
        assert ("first sound" in replayed.stdout) == (not more), "with its sound, that is listened to anew"
    assert path.with_suffix(".html").read_text("utf-8").startswith("<!doctype html>")


async def test_a_record_that_is_there_is_not_written_over(livekit: LiveKitServer, tmp_path: Path) -> None:
    path = tmp_path / "call.jsonl"
    path.write_text("precious")
    settings = settings_for(livekit, "ws://127.0.0.1:1/v1/ws", "not-recorded")
    async with run_agent(settings, "--record", str(path)) as agent:
        with trio.fail_after(30):
            assert await agent.ended() == 2
        await trio.sleep(0.2)
        assert "exists already" in agent.printed
        assert len(agent.printed.strip().splitlines()) == 1
    assert path.read_text() == "precious"
