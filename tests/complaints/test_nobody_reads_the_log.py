"""A full pipe, or Ctrl-S in the terminal: nobody reads the log; the call was silent and deaf to Ctrl-C."""

from __future__ import annotations

import fcntl
import io
import json
import logging
import os
import pty
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import cast

import attrs
import pytest
import structlog
import trio
from structlog.testing import capture_logs
from structlog.typing import FilteringBoundLogger

from actors.log import EventLog
from bench.guest import join_as_guest
from channels.bounded import Channel, Full
from channels.child import ended, start_child
from channels.happenings import (
    Happening,
    ParticipantJoined,
    PersonSaid,
    PersonTyped,
    ReplyEnded,
    ReplyOutcome,
    SessionConfigured,
    WordsHeard,
)
from channels.log import open_log
from channels.settings.catalogue import CATALOGUE
from channels.standard_streams import Unwaiting, standard_streams
from playground.livekit_server import LiveKitServer
from playground.voice_agent_api import ServerOptions, ToneSpeech, voice_agent_server
from tests.agent_process import ROOT, settings_for


@pytest.fixture(autouse=True)
def _leave_the_log_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@contextmanager
def stopped_pipe() -> Iterator[tuple[int, int]]:
    """Both ends of a pipe that is full to the last byte."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    os.set_blocking(writing, False)
    try:
        while True:
            os.write(writing, b".")
    except BlockingIOError:
        os.set_blocking(writing, True)
    try:
        yield reading, writing
    finally:
        os.close(reading)
        os.close(writing)


@contextmanager
def stopped_terminal() -> Iterator[tuple[int, int]]:
    """Both ends of a terminal whose window shows nothing any more."""
    window, terminal = pty.openpty()
    os.set_blocking(terminal, False)
    try:
        while True:
            os.write(terminal, b".")
    except BlockingIOError:
        os.set_blocking(terminal, True)
    try:
        yield window, terminal
    finally:
        os.close(window)
        os.close(terminal)


@pytest.mark.server
@pytest.mark.slow
@pytest.mark.parametrize(
    ("stopped", "shown"), [(stopped_pipe, "--verbose"), (stopped_terminal, "--log=conversation")]
)
async def test_the_agent_goes_on_talking_and_ctrl_c_ends_it(
    livekit: LiveKitServer, stopped: Callable[[], AbstractContextManager[tuple[int, int]]], shown: str
) -> None:
    async with voice_agent_server(ServerOptions(speech=ToneSpeech)) as service:
        room = f"nobody-reads-{stopped.__name__}"
        settings = settings_for(livekit, service.url, room)
        environ = {k: v for k, v in os.environ.items() if k not in {e.env for e in CATALOGUE.values()}}
        with stopped() as (_, full):
            process = start_child(
                [sys.executable, str(ROOT / "runner.py"), shown],
                environ={**environ, **settings, "TERM": "xterm"},
                stdout=full,
                stderr=full,
            )
            try:
                async with join_as_guest(livekit, room) as guest:
                    await guest.hear_sound(within_s=60)
                    process.send_signal(signal.SIGINT)
                    with trio.fail_after(30):
                        assert await ended(process) == 0
            finally:
                process.kill()
                process.wait()


def read_all(descriptor: int) -> str:
    os.set_blocking(descriptor, False)
    found = b""
    while True:
        try:
            chunk = os.read(descriptor, 65536)
        except BlockingIOError:
            return found.decode()
        found += chunk


def test_what_was_not_read_is_dropped_by_the_line_counted_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with stopped_pipe() as (reading, writing):
        stream = os.fdopen(os.dup(writing), "w", encoding="utf-8")
        monkeypatch.setattr(sys, "stderr", unwaiting := Unwaiting(stream))
        log = open_log("json")
        for number in range(5_000):
            log.info("line", number=number, text="x" * 100)
        assert 0 < unwaiting.lost < 5_000
        shown = ""
        while "log_lines_lost" not in shown:
            shown += read_all(reading)
        unwaiting.end()
        shown += read_all(reading)
        stream.close()
    lines = shown.lstrip(".").splitlines()
    assert all(line.startswith("{") and line.endswith("}") for line in lines)
    remarks = [json.loads(line) for line in lines if "log_lines_lost" in line]
    assert sum(remark["lines"] for remark in remarks) == 5_000 - (len(lines) - len(remarks))
    assert lines[-1] in map(json.dumps, remarks), "where the lines are missing"


def test_what_was_logged_last_is_written_before_the_process_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = io.StringIO()
    monkeypatch.setattr(sys, "stderr", kept)
    with standard_streams():
        print("the end", file=sys.stderr)
    assert kept.getvalue() == "the end\n"
    assert sys.stderr is kept


def log_of(*happenings: Happening) -> Channel[Happening]:
    channel = Channel[Happening]("log", capacity=64, unit="happenings", full=Full.FAIL, because="a test")
    sender = channel.sender()
    for happening in happenings:
        sender.send_nowait(happening)
    sender.close()
    return channel


class _Unspeakable:
    def __len__(self) -> int:
        raise RuntimeError("no length")


async def test_one_thing_that_cannot_be_logged_takes_nothing_along() -> None:
    broken = attrs.evolve(PersonSaid("", final=True), text=cast(str, _Unspeakable()))
    channel = log_of(broken, ParticipantJoined("alice"))
    with capture_logs() as logged:
        await EventLog(channel.receiver(), cast(FilteringBoundLogger, structlog.get_logger())).run()
    assert [line["event"] for line in logged] == ["not_logged", "participant_joined"]
    assert logged[0]["what"] == "PersonSaid"


SAID = "my number is 4471"


@pytest.mark.parametrize("speech", [False, True])
async def test_what_people_say_is_in_the_log_only_where_that_was_asked_for(speech: bool) -> None:
    channel = log_of(
        PersonSaid(SAID, final=True),
        PersonTyped("alice", SAID),
        WordsHeard("r1", SAID),
        ReplyEnded("r1", ReplyOutcome.PLAYED, 100, SAID, 1.0),
        SessionConfigured({"system_prompt": f"They said: {SAID}"}),
    )
    with capture_logs() as logged:
        log = cast(FilteringBoundLogger, structlog.get_logger())
        await EventLog(channel.receiver(), log, speech).run()
    assert len(logged) == 5
    assert [SAID in str(line) for line in logged] == [speech] * 5
    if not speech:
        assert logged[0]["text_characters"] == len(SAID)
        assert logged[1]["identity"] == "alice"
