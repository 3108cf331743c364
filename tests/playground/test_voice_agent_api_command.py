"""The program: its first line, its port, its end. Real processes, real TCP."""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpcore
import pytest
import trio
from trio_websocket import open_websocket_url

from actors.api.token import token_url
from channels.child import tied
from playground.voice_agent.flags import add_behaviour, behaviour
from playground.voice_agent_api import (
    QUICK,
    ServerOptions,
    ToneSpeech,
    VoiceAgentServer,
    main,
    voice_agent_server,
)

PROGRAM = [sys.executable, "-m", "playground.voice_agent_api"]


@contextmanager
def running(*arguments: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The program and the first line that it prints."""
    program = subprocess.Popen(
        tied([*PROGRAM, "--port", "0", *arguments]), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert program.stdout is not None
    assert program.stderr is not None
    with program.stdout, program.stderr:
        try:
            yield program.stdout.readline().strip(), program
        finally:
            program.kill()
            program.wait()


def test_its_first_line_is_its_url_and_ctrl_c_ends_it_without_a_word() -> None:
    with running("--tones") as (url, program):
        parts = urlsplit(url)
        assert (parts.scheme, parts.hostname, parts.path) == ("ws", "127.0.0.1", "/v1/ws")
        assert program.stdout is not None
        name, _, made = program.stdout.readline().strip().partition("=")
        assert name == "ASSEMBLYAI_API_KEY"
        key = {"Authorization": f"Bearer {made}"}
        answer = httpcore.request("GET", token_url(url), headers=[*key.items()])
        assert json.loads(answer.content)["expires_in_seconds"] == 60
        assert httpcore.request("GET", f"http://{parts.netloc}/").status == 404
        program.send_signal(signal.SIGINT)
        rest, errors = program.communicate(timeout=60)
        assert (program.returncode, rest, errors) == (0, "", "")


@pytest.mark.parametrize("after_s", [0.0, 0.3, 0.6])
def test_it_can_be_ended_while_its_models_load(after_s: float) -> None:
    with running() as (url, program):
        assert url.startswith("ws://127.0.0.1:")
        time.sleep(after_s)
        program.send_signal(signal.SIGINT)
        _, errors = program.communicate(timeout=60)
        assert (program.returncode, errors) == (0, "")


def test_a_port_that_is_taken_is_named_in_one_line() -> None:
    with running("--tones") as (url, _):
        port = urlsplit(url).port
        second = subprocess.run(
            [*PROGRAM, "--tones", "--port", str(port)], capture_output=True, text=True, timeout=60
        )
        assert second.returncode == 2
        assert second.stdout == ""
        assert str(port) in second.stderr
        assert "--port" in second.stderr
        assert second.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["--pacing", "0x"],
        ["--pacing", "fast"],
        ["--chunk-ms", "0"],
        ["--personality", "mine"],
        ["--interruption", "never"],
        ["--from-peak", "1.1"],
        ["--from-peak", "nan"],
        ["--empty-every", "0"],
        ["--tool-calls-sent", "7"],
    ],
)
def test_an_argument_that_makes_no_sense_is_refused(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert arguments[0] in capsys.readouterr().err


def the_options(*arguments: str) -> ServerOptions:
    parser = argparse.ArgumentParser()
    add_behaviour(parser)
    return ServerOptions(**behaviour(parser.parse_args(arguments)))


def test_without_flags_the_personality_decides_and_nobody_waits() -> None:
    assert the_options() == ServerOptions()
    assert the_options().delays == QUICK


def test_every_flag_of_behaviour_changes_the_options() -> None:
    flags = {
        "--interruption": "at_once",
        "--speech-started": "onset",
        "--back-channels": "answered",
        "--split-turns": "cut",
        "--over-hold": "muted",
        "--agent-transcripts": "one",
        "--final-transcript": "missing",
        "--reply-create": "queued",
        "--resume": "yes",
        "--conversation-message": "yes",
        "--delays": "recorded",
        "--thinking": "silence",
        "--from-peak": "0.66",
        "--empty-every": "3",
        "--tool-calls-sent": "2",
    }
    changed = [the_options(flag, value) for flag, value in flags.items()]
    assert all(options != ServerOptions() for options in changed)
    assert all(changed.count(options) == 1 for options in changed)


def test_a_person_can_be_spared_the_service_s_slow_start_too() -> None:
    options = the_options("--delays", "none")
    assert (options.start_ms, options.ready_gap_ms, options.preamble_ms, options.delays) == (0, 0, 0, QUICK)


def test_help_says_of_each_behaviour_where_it_is_known_from(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    told = " ".join(capsys.readouterr().out.split())
    for words in ("[live: 18 of 18]", "[documentation]", "no more is known", "[both live]"):
        assert words in told


def test_a_script_that_is_missing_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--script", "/no/such/file"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


async def test_a_script_is_played_over_real_tcp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "script.jsonl"
    script.write_text(
        '{"d":"<","m":{"type":"session.ready","session_id":"sess_1"}}\n{"d":"<","close":1000}\n'
    )
    monkeypatch.setenv("ASSEMBLYAI_API_KEY", "k")
    with running("--script", str(script)) as (url, _), trio.fail_after(60):
        async with open_websocket_url(url, extra_headers=[(b"authorization", b"Bearer k")]) as ws:
            assert json.loads(await ws.get_message())["session_id"] == "sess_1"


async def test_a_server_in_a_test_has_a_port_of_its_own_and_gives_it_back() -> None:
    options = ServerOptions(speech=ToneSpeech, start_ms=0)
    async with voice_agent_server(options) as server:
        port = urlsplit(server.url).port
        assert port
        async with open_websocket_url(server.url, extra_headers=[(b"authorization", b"Bearer k")]) as ws:
            await ws.send_message('{"type":"session.update","session":{}}')
            assert json.loads(await ws.get_message())["type"] == "session.updated"
    async with voice_agent_server(options, port) as again:
        assert isinstance(again, VoiceAgentServer)
