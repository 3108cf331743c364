"""What is generated for the site leaves nothing out, and the index leads everywhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from actors.metrics.series import Series
from channels import texts
from channels.happenings import __all__ as happenings
from channels.settings.catalogue import CATALOGUE, Setting
from channels.wire.events import EVENTS
from channels.wire.failures import CODES
from channels.wire.messages import MESSAGES
from docs._ext.checks import read_checks
from docs._ext.contents import read_parts
from docs._ext.errors import kinds_of_errors
from docs._ext.generated import GENERATED

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
BLOCKS = re.compile(r"^```\{generated\} (.+)\n.+\n```$", re.MULTILINE)


@pytest.mark.parametrize("setting", CATALOGUE.values(), ids=lambda setting: setting.path)
def test_each_setting_is_listed_with_its_variable(setting: Setting) -> None:
    (row,) = re.findall(
        rf"^\| `{re.escape(setting.path)}` \| (.+) \|$", GENERATED["settings"](), re.MULTILINE
    )
    assert f"`{setting.env}`" in row


def test_each_metric_is_listed() -> None:
    page = GENERATED["metrics"]()
    for family in Series().registry.collect():
        assert page.count(f"| `{family.name}{'_total' * (family.type == 'counter')}` |") == 1


def test_everything_that_is_written_into_the_room_is_listed_with_its_meaning() -> None:
    rows = re.findall(r"^\| `(.+?)` \| (.+?) \| (.+) \|$", GENERATED["texts of the room"](), re.MULTILINE)
    named = {getattr(texts, name) for name in texts.__all__ if name.isupper()} - {texts.EVERYBODY}
    assert {name for name, _, _ in rows} == named
    assert all(re.match("Participant attribute|Text stream|RPC method", kind) for _, kind, _ in rows)


def test_each_error_and_each_code_is_listed() -> None:
    page = GENERATED["errors"]() + GENERATED["codes"]()
    for name in (*(kind.__name__ for kind in kinds_of_errors()), *CODES):
        if name != "ServiceError":
            assert f"| `{name}` |" in page


def test_each_happening_and_each_message_of_the_protocol_is_listed_with_its_meaning() -> None:
    page = "\n".join(GENERATED[name]() for name in ("happenings", "wire messages", "wire events"))
    heads = re.findall(r"^### `(\w+)`.*\n\n(.*)", page, re.MULTILINE)
    said = dict(heads)
    types = {"Happening", "FloorHolder", "ReplyOutcome"}  # what it is called, and what fields of one are
    assert set(happenings) - types <= said.keys()
    assert {kind.__name__ for kind in (*EVENTS.values(), *MESSAGES.values())} <= said.keys()
    assert all(said.values())


def test_each_check_is_listed_with_what_may_be_wrong() -> None:
    functions = set(re.findall(r"\b(check_\w+)\(", (ROOT / "commands/check/command.py").read_text("utf-8")))
    checks = read_checks()
    assert {check.function for check in checks} == functions
    assert all(check.names and check.findings and check.doc for check in checks)


def test_each_command_is_listed_with_its_flags() -> None:
    page = GENERATED["command line"]()
    for command in ("config", "token", "check", "serve", "dispatch", "graph", "operate", "replay"):
        assert f"## `{command}`" in page
    assert "`--record-audio`" in page
    assert "`--version`" in page
    assert "`--reports`" not in page


def test_each_drawing_of_a_page_is_one_that_can_be_made_and_none_is_left_over() -> None:
    used = [name for path in DOCS.rglob("*.md") for name in BLOCKS.findall(path.read_text("utf-8"))]
    assert set(used) - GENERATED.keys() == set()
    assert GENERATED.keys() - set(used) <= {"floor", "life of a reply"}  # on their page as they are


def test_the_drawings_of_conversations_are_what_the_machine_does() -> None:
    assert "Hold" in GENERATED["flow of an mm-hm"]()
    assert "ReplyEnded (played" in GENERATED["flow of an mm-hm"]()
    assert "ReplyEnded (cut" in GENERATED["flow of an interruption"]()


def test_the_index_leads_to_every_page_once() -> None:
    parts = list(read_parts((DOCS / "index.md").read_text("utf-8")))
    listed = [entry.docname for part in parts for entry in part.entries]
    assert len(listed) == len(set(listed))
    pages = {path.relative_to(ROOT).with_suffix("").as_posix() for path in DOCS.rglob("*.md")}
    assert pages - {"docs/index"} <= set(listed)
    assert [part.title for part in parts] == ["Tutorials", "Guides", "Explanation", "Reference"]
