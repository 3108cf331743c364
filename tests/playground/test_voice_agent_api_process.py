"""The server beside the agent: a process that is there when it is needed and never when it is not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import trio
from trio_websocket import open_websocket_url

from channels.errors import PlaygroundFault
from playground.voice_agent_process import voice_agent_process

ROOT = Path(__file__).resolve().parents[2]
KEY = [(b"authorization", b"Bearer k")]


def is_there(pid: int) -> bool:
    """Whether a process runs; one that has ended and was not asked for its code does not."""
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False


async def test_it_serves_wherever_its_owner_works_and_is_gone_after_the_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "queue.py").write_text("raise SystemExit('not mine')")
    monkeypatch.setenv("ASSEMBLYAI_API_KEY", "never-to-be-seen")
    with trio.fail_after(60):
        async with voice_agent_process("--tones") as server:
            key = [(b"Authorization", b"Bearer " + server.api_key.reveal().encode())]
            async with open_websocket_url(await server.url(), extra_headers=key) as ws:
                await ws.send_message('{"type":"session.update","session":{}}')
                assert "session.updated" in await ws.get_message()
            if sys.platform == "linux":
                environ = await trio.Path(f"/proc/{server.process.pid}/environ").read_bytes()
                assert b"never-to-be-seen" not in environ
        assert server.process.returncode == 0


async def test_a_mistake_in_its_settings_is_told_in_its_own_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_BASE_URL", "not an address")
    with trio.fail_after(60):
        async with voice_agent_process("--tones") as server:
            with pytest.raises(PlaygroundFault, match="OPENAI_BASE_URL"):
                await server.url()


async def test_its_end_is_noticed() -> None:
    with trio.fail_after(60):
        async with voice_agent_process("--tones") as server:
            await server.url()
            server.process.kill()
            with pytest.raises(PlaygroundFault, match="stopped unexpectedly"):
                await server.watch()


async def test_cancelled_before_it_listens_it_is_gone_all_the_same() -> None:
    with trio.fail_after(60):
        async with voice_agent_process("--tones") as server:
            with trio.move_on_after(0.05):
                await server.url()
        assert server.process.poll() is not None


@pytest.mark.skipif(sys.platform != "linux", reason="only there the kernel ties a child to its owner")
def test_it_does_not_outlive_an_owner_that_was_killed() -> None:
    owner = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import trio\n"
            "from playground.voice_agent_process import voice_agent_process\n"
            "async def main():\n"
            "    async with voice_agent_process('--tones') as server:\n"
            "        await server.url()\n"
            "        print(server.process.pid, flush=True)\n"
            "        await trio.sleep_forever()\n"
            "trio.run(main)\n",
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert owner.stdout is not None
    with owner.stdout:
        pid = int(owner.stdout.readline())
        assert is_there(pid)
        owner.send_signal(signal.SIGKILL)
        owner.wait()
        for _ in range(3000):
            if not is_there(pid):
                return
            time.sleep(0.02)
    raise AssertionError("the server has outlived its owner")
