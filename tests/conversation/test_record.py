"""A real call is recorded, by `python runner.py --record`, and runs again as it was."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import trio
import trio_asyncio

from actors.record.notes import PlayingRun, ReplyAudioRun
from actors.record.reading import read_record
from actors.record.sound import read_sound
from bench.guest import join_as_guest
from bench.speech import spoken
from channels.happenings import (
    OperatorActed,
    PersonTyped,
    ReplyEnded,
    SessionClosed,
    SoundJudged,
    SoundStarted,
    ToolAnswered,
    TurnTimed,
    VoiceHeld,
)
from channels.secret import Secret
from channels.texts import CHAT_TOPIC
from playground.dialogue import Dialogue
from playground.livekit_server import LiveKitServer
from playground.voice_agent_api import RealTime, ServerOptions, voice_agent_server
from tests.agent_process import LEAVES_WITHIN_S, ROOT, run_agent, settings_for
from tests.conversation.test_operator import operate, token_of

pytestmark = [pytest.mark.server, pytest.mark.slow]

TOOLS = '''
async def library_hours(day: str) -> str:
    """The opening hours of the library on a day."""
    return f"On {day} it is open from nine to five."
'''


def replay(path: Path, *more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "runner.py"), "replay", str(path), *more],
        capture_output=True,
        encoding="utf-8",
        cwd=path.parent,
        timeout=300,
    )


async def stutter(process: subprocess.Popen[bytes]) -> None:
    """As on a machine whose cores have other things to do: now and again it stands still."""
    while True:
        process.send_signal(signal.SIGSTOP)
        try:
            await trio.sleep(0.15)
        finally:
            process.send_signal(signal.SIGCONT)
        await trio.sleep(0.35)


async def take_place(livekit: LiveKitServer, path: Path) -> None:
    """Typed questions, a tool, an "mm-hm", an operator's sentence and an interruption, recorded."""
    (path.parent / "library.py").write_text(TOOLS)
    async with voice_agent_server(ServerOptions(brain=Dialogue, pacing=RealTime())) as service:
        settings = settings_for(livekit, service.url, "recorded")
        token = token_of(settings, "--identity", "bob", "--operator")
        arguments = ("--record", str(path), "--record-audio", "--tools", str(path.parent / "library.py"))
        async with (
            run_agent(settings, *arguments) as agent,
            join_as_guest(livekit, "recorded") as alice,
            join_as_guest((livekit.url, Secret(token)), "", publish=False) as bob,
        ):

            async def say_over_it(sound: bytes, until: str) -> None:
                """Speaks into what is heard next, and is silent until something more is told."""
                await alice.hear_sound(within_s=60, since=time.monotonic())
                told = agent.printed.count(until)
                await alice.hush(0.5)
                await alice.say(sound)
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(alice.hush, 60)
                    # A held voice is silent too: how long a busy machine takes to decide is nobody's to say.
                    with trio.fail_after(60):
                        while agent.printed.count(until) == told:
                            await trio.sleep(0.05)
                    nursery.cancel_scope.cancel()

            async with trio.open_nursery() as machine:
                machine.start_soon(stutter, agent.process)
                send_text = trio_asyncio.aio_as_trio(alice.room.local_participant.send_text)
                await say_over_it(spoken("Mm-hm.")[: 48 * 400], until="reply_ended")
                await send_text("What are the library hours on Monday?", topic=CHAT_TOPIC)
                await agent.prints("tool_answered", within_s=60)
                await say_over_it(spoken("Mm-hm.")[: 48 * 400], until="reply_ended")
                say = {"do": "say", "text": "The library closes in ten minutes, so please hurry up."}
                assert await operate(bob, {"token": token}, say) == [{"done": True}]
                await say_over_it(
                    spoken("No, stop it please, I have heard enough of that now."), until="reply_ended"
                )
                machine.cancel_scope.cancel()
            assert await agent.leave() < LEAVES_WITHIN_S
        assert agent.process.returncode == 0
        assert "bystander_failed" not in agent.printed


async def test_a_real_call_on_a_busy_machine_replays_as_it_was_and_shows_what_a_setting_would_change(
    livekit: LiveKitServer, tmp_path: Path
) -> None:
    path = tmp_path / "call.jsonl"
    await take_place(livekit, path)
    await trio.to_thread.run_sync(check_replays, path)


def check_replays(path: Path) -> None:
    assert "resume_token" not in path.read_text("utf-8")
    record = read_record(path)
    assert record.remarks == []
    seen = {type(entry.what) for entry in record.entries}
    assert seen >= {SoundStarted, ReplyAudioRun, PlayingRun, ReplyEnded, TurnTimed, SessionClosed}
    assert seen >= {ToolAnswered, OperatorActed, PersonTyped, VoiceHeld, SoundJudged}
    both = read_sound(path.with_suffix(".wav"))
    # Longer, where silence was put in for sound that a busy machine had late.
    assert len(both) / 24_000 > record.length_s - 0.5
    assert all(abs(both[:, voice].astype(int)).max() > 1000 for voice in (0, 1))
    replayed = replay(path)
    print(replayed.stdout, replayed.stderr)
    assert replayed.returncode == 0
    heard_again = replay(path, "--listen-again")
    # How a busy machine's echo lay in time is not in the record: a difference there is no fault.
    assert heard_again.returncode in (0, 1)
    assert "first sound" in heard_again.stdout
    assert path.with_suffix(".html").read_text("utf-8").startswith("<!doctype html>")
    unheld = replay(path, "--hold-ms", "0")
    assert unheld.returncode == 1
    assert "voice held: recorded at" in unheld.stdout


async def test_a_record_that_is_there_is_not_written_over(livekit: LiveKitServer, tmp_path: Path) -> None:
    path = tmp_path / "call.jsonl"
    path.write_text("precious")
    settings = settings_for(livekit, "ws://127.0.0.1:1/v1/ws", "not-recorded")
    async with run_agent(settings, "--record", str(path)) as agent:
        with trio.fail_after(60):
            assert await agent.ended() == 2
        assert "exists already" in agent.printed
        assert len(agent.printed.strip().splitlines()) == 1
    assert path.read_text() == "precious"
