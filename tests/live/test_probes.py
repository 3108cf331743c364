"""The probes, asked of the playground's server: what they say, and what they never print."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing

from channels.secret import Secret
from playground.recording import read_log, script_of
from playground.voice_agent_api import ServerOptions, ToneSpeech, VoiceAgentServer
from tests.live.__main__ import ask_all, main
from tests.live.line import Account
from tests.live.probes import PROBES

KEY = "0123456789abcdef0123456789abcdef"


@asynccontextmanager
async def account_of(server: VoiceAgentServer, log: list[str]) -> AsyncIterator[Account]:
    async with trio.open_nursery() as network:

        async def dial(url: str) -> trio.abc.Stream:
            await trio.lowlevel.checkpoint()
            near, far = trio.testing.memory_stream_pair()
            network.start_soon(server.serve_stream, far)
            return near

        yield Account("ws://127.0.0.1:8787/v1/ws", Secret(KEY), dial, log.append)
        network.cancel_scope.cancel()


@pytest.mark.slow
async def test_every_question_is_answered_by_the_playground_and_every_session_is_ended(
    autojump_clock: trio.testing.MockClock, capsys: pytest.CaptureFixture[str]
) -> None:
    server = VoiceAgentServer(ServerOptions(speech=ToneSpeech, ping_s=10))
    log: list[str] = []
    async with account_of(server, log) as account:
        table = await ask_all(account, PROBES)
        await trio.sleep(31)  # the session whose socket the resume probe dropped
        assert server.sessions == server.connections == 0
    rows = [line.split(" | ") for line in table.splitlines() if line.startswith("| ")][1:]
    assert len(rows) == len(PROBES)
    for _, seen, _ in rows:
        assert not seen.startswith(("failed", "the probe itself failed", "not over")), seen
    changes = next(seen for question, seen, _ in rows if "mid-call" in question)
    assert "system_prompt" in changes.split("refused")[0]
    assert "greeting (immutable_field)" in changes.split("refused")[1]
    assert account.session_s < sum(probe.session_s for probe in PROBES), "no more than was announced"
    shown = table + "".join(capsys.readouterr()) + "".join(log)
    assert KEY not in shown
    assert "sess_" not in shown
    assert server.crashes == 0


async def test_what_a_probe_logs_can_be_played_again(autojump_clock: trio.testing.MockClock) -> None:
    server = VoiceAgentServer(ServerOptions(speech=ToneSpeech))
    log: list[str] = []
    async with account_of(server, log) as account:
        pace = next(probe for probe in PROBES if probe.name == "pace")
        await ask_all(account, [pace])
    script = "\n".join(script_of(read_log(io.BytesIO("\n".join(log).encode()))))
    assert "reply.started" in script
    assert '"sound"' in script


async def test_a_service_that_is_not_there_is_an_answer_too(autojump_clock: trio.testing.MockClock) -> None:
    async def dial(url: str) -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        raise OSError("nobody answers")

    table = await ask_all(Account("ws://127.0.0.1:1/v1/ws", Secret(KEY), dial), PROBES[:2])
    assert table.count("failed: ") == 2


def test_without_a_key_it_is_skipped(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("ASSEMBLYAI_API_KEY", raising=False)
    assert main(["--yes"]) == 0
    assert capsys.readouterr().out.startswith("skipped: ASSEMBLYAI_API_KEY is not set")


def test_nothing_is_begun_until_somebody_agrees(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ASSEMBLYAI_API_KEY", KEY)
    monkeypatch.setenv("VOICE_AGENT_URL", "ws://127.0.0.1:1/v1/ws")
    monkeypatch.setattr("sys.stdin", open("/dev/null"))  # noqa: SIM115
    assert main([]) == 2
    said = capsys.readouterr().out
    assert "minutes of sessions" in said
    assert "$" in said
    assert "not begun" in said
    assert KEY not in said
