"""A name, a typed text or a tool with escape sequences: the terminal of whoever ran the agent obeyed them."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from actors.log import EventLog
from channels.bounded import Channel, Full
from channels.happenings import (
    BystanderFailed,
    Happening,
    ParticipantJoined,
    PersonSaid,
    PersonTyped,
    ServiceComplained,
    ToolAnswered,
    ToolCalled,
)
from channels.log import LogFormat, open_log
from channels.printable import printable, printable_json, tell, tell_json
from commands.check.clients import judge_clients
from commands.check.finding import Colour, Finding, as_json, print_finding
from commands.graph.counters import Flow, Reading
from commands.graph.live import as_table

NASTY = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202eevil\r\x00"
"""Sets the title, clears the screen, an 8-bit CSI, turns the line around, and goes back to its beginning."""

OBEYED = "\x1b\x07\x9b\u202e\r\x00"


@pytest.fixture(autouse=True)
def _leave_the_log_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def obeyed_in(shown: str) -> set[str]:
    return set(OBEYED) & set(shown)


@pytest.mark.parametrize("form", ["conversation", "text", "json"])
async def test_nothing_that_anybody_says_or_is_called_makes_the_log_do_anything(
    form: LogFormat, capsys: pytest.CaptureFixture[str]
) -> None:
    channel = Channel[Happening]("log", capacity=16, unit="happenings", full=Full.FAIL, because="a test")
    sender = channel.sender()
    for happening in (
        ParticipantJoined(NASTY),
        PersonTyped(NASTY, NASTY),
        PersonSaid(NASTY, final=True),
        ToolCalled("1", NASTY),
        ToolAnswered("1", NASTY, 3, NASTY, "Traceback\n  here\n" + NASTY),
        ServiceComplained(NASTY, NASTY, ""),
        BystanderFailed("Mine", NASTY),
    ):
        sender.send_nowait(happening)
    sender.close()
    log = open_log(form)
    await EventLog(channel.receiver(), log).run()
    logging.getLogger("livekit").warning(NASTY)
    shown = capsys.readouterr().err
    assert obeyed_in(shown) == set()
    assert "  here" in shown
    if form == "json":
        lines = [json.loads(line) for line in shown.splitlines()]
        assert lines[0]["identity"] == NASTY, "a machine gets what was written"


def test_check_shows_a_clients_name_and_does_not_obey_it() -> None:
    finding = judge_clients({NASTY: '{"echoCancellation": false}'})
    out = io.StringIO()
    print_finding(finding, Console(file=out, force_terminal=False))
    assert obeyed_in(out.getvalue()) == set()
    assert "off for \\x1b]0;owned" in out.getvalue()


def test_check_as_json_has_the_name_and_nothing_that_a_terminal_obeys(
    capsys: pytest.CaptureFixture[str],
) -> None:
    tell_json(as_json([Finding("room", Colour.RED, NASTY)]), indent=2)
    shown = capsys.readouterr().out
    assert obeyed_in(shown) == set()
    assert json.loads(shown)[0]["said"] == NASTY


def test_check_does_not_die_of_an_attribute_of_brackets() -> None:
    assert judge_clients({"alice": "[" * 60_000}).colour is Colour.YELLOW


def test_what_an_agent_answers_is_shown_and_not_obeyed(capsys: pytest.CaptureFixture[str]) -> None:
    tell(f'{{"done":false,"why":"{NASTY}"}}\nnext')
    shown = capsys.readouterr().out
    assert obeyed_in(shown) == set()
    assert len(shown.splitlines()) == 2
    console = Console(width=120, file=io.StringIO(), force_terminal=False)
    with console.capture() as drawn:
        console.print(as_table([Flow(f"[red]{NASTY}", 1.0, Reading(1, 0, 0, 0, 1))]))
    assert obeyed_in(drawn.get()) == set()
    assert "[red]" in drawn.get()


@given(st.text())
def test_what_is_made_printable_is_and_what_was_printable_is_as_it_was(text: str) -> None:
    shown = printable(text)
    assert not any(ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 or 0xD800 <= ord(c) < 0xE000 for c in shown)
    assert printable(shown) == shown
    assert json.loads(printable_json(json.dumps(text, ensure_ascii=False))) == text


def test_names_of_all_languages_are_left_alone() -> None:
    for name in ("Zoë", "نرم\u200cافزار", "👩\u200d👧", "M.\u00a0Dupont", "क्\u200dष", "王小明"):
        assert printable(name) == name


def test_what_somebody_writes_without_end_is_cut() -> None:
    assert len(printable("x" * 10**6)) < 21_000
