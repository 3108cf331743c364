"""The log: for a person or a machine, on stderr, and with the tokens of libraries blotted out."""

from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Iterator

import pytest
import structlog

from channels.log import open_log, warnings_alone
from channels.secret import Secret

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZ2VudCJ9.c2lnbmF0dXJlLV8"


@pytest.fixture(autouse=True)
def _leave_the_log_as_it_was() -> Iterator[None]:
    root, sdk = logging.getLogger(), logging.getLogger("livekit")
    handlers, level, sdk_level = root.handlers[:], root.level, sdk.level
    sdk.setLevel(logging.NOTSET)  # as a process begins; `check` says less of it
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    sdk.setLevel(sdk_level)
    structlog.reset_defaults()


def test_as_json_every_line_is_an_object_with_a_level_and_a_time(capsys: pytest.CaptureFixture[str]) -> None:
    log = open_log("json")
    log.info("started", room="tea")
    log.warning("lost", why='with "quotes" and\nlines and ü')
    logging.getLogger("livekit").warning("a library says %s", "hello")
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = [json.loads(line) for line in captured.err.splitlines()]
    assert [line["event"] for line in lines] == ["started", "lost", "library"]
    assert [line["level"] for line in lines] == ["info", "warning", "warning"]
    assert all(line["timestamp"].endswith("Z") for line in lines)
    assert lines[1]["why"] == 'with "quotes" and\nlines and ü'
    assert lines[2]["said"] == "a library says hello"


def test_as_text_every_event_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    log = open_log("text")
    log.info("started", room="tea")
    log.warning("lost", why="two\nlines")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.splitlines()) == 2
    assert "\x1b" not in captured.err


def test_what_is_for_those_who_ask_for_more_is_left_out_unless_they_do(
    capsys: pytest.CaptureFixture[str],
) -> None:
    open_log("json").debug("partial")
    assert capsys.readouterr().err == ""
    open_log("json", verbose=True).debug("partial")
    assert "partial" in capsys.readouterr().err


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize(
    "said",
    [
        f"connecting to wss://x.livekit.cloud/rtc?access_token={TOKEN}&auto_subscribe=1",
        f"GET /v1/ws?token={TOKEN}",
        f"Authorization: Bearer {TOKEN}",
    ],
)
def test_a_token_that_a_library_quotes_is_blotted_out(
    capsys: pytest.CaptureFixture[str], form: str, said: str
) -> None:
    log = open_log("json" if form == "json" else "text")
    logging.getLogger("livekit").error(said)
    log.warning("lost", why=said)
    shown = capsys.readouterr().err
    assert TOKEN not in shown
    assert TOKEN.split(".")[2] not in shown
    assert shown.count("•••") == 2


def test_a_secret_that_is_logged_by_mistake_is_dots(capsys: pytest.CaptureFixture[str]) -> None:
    open_log("text").info("started", key=Secret(TOKEN))
    assert TOKEN not in capsys.readouterr().err


@pytest.mark.parametrize("form", ["text", "json"])
def test_what_the_service_tells_of_the_secrets_of_a_session_is_dots(
    capsys: pytest.CaptureFixture[str], form: str
) -> None:
    tools = [{"name": "order", "http": {"headers": {"X-Shop": TOKEN}}}]
    config = {"webhook": {"url": "https://shop.example", "secret": TOKEN}, "tools": tools}
    open_log("json" if form == "json" else "text", verbose=True).debug("configured", config=config)
    shown = capsys.readouterr().err
    assert TOKEN not in shown
    assert "https://shop.example" in shown


class _Gone(io.StringIO):
    """What `| head` leaves behind, or a full disk."""

    def write(self, text: str) -> int:
        raise BrokenPipeError

    def flush(self) -> None:
        raise OSError("no space left on the device")


def test_a_log_that_nobody_can_read_any_more_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    log = open_log("text")
    monkeypatch.setattr(sys, "stderr", _Gone())
    log.info("started", room="tea")
    logging.getLogger("livekit").warning("a library says %s", "hello")


def test_beside_a_conversation_the_log_is_sentences_without_what_helps_nobody_who_talks(
    capsys: pytest.CaptureFixture[str],
) -> None:
    log = open_log("conversation")
    log.info("port 8080 is taken")
    log.warning("session_lost", why="the connection broke", retry_in_s=0.5, no_place=False, room="tea")
    log.error("ended", why="no server", fix="start one", room="tea")
    log.warning("loop_held", by="actor Mine", ms=120, fix="f")
    log.warning("loop_held", by="tool look", ms=120, fix="run it in a thread")
    logging.getLogger("livekit").warning("signal connection failed")
    warnings_alone().info("reply_began")
    warnings_alone().warning("room_lost", fix="wait")
    assert capsys.readouterr().err.splitlines() == [
        "Port 8080 is taken",
        "! Session lost: the connection broke (retry in 0.5 s)",
        "! Ended: no server",
        "  start one",
        "! Loop held (by tool look, 120 ms)",
        "  run it in a thread",
        "! Room lost",
        "  wait",
    ]
