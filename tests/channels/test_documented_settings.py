"""What the pages and the examples say of a setting is what its declaration says: defaults, ranges, names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from channels.settings.catalogue import CATALOGUE, Setting
from channels.settings.profiles import OUR_FOLDER, files_of
from channels.settings.rules import Choice, Number, OneLine, Texts, Whole
from commands.arguments import parse

PAGES = [OUR_FOLDER / "README.md", *sorted((OUR_FOLDER / "docs").rglob("*.md"))]
UNITS_MS = {"ms": 1, "s": 1000, "minutes": 60_000}
RANGE = re.compile(r"\b([\d.]+) to ([\d.]+)\b")


def example_file() -> Iterator[tuple[Setting, str, str]]:
    """Each setting in the example, with the value and the comment there, whether it is set or not."""
    table = ""
    for line in (OUR_FOLDER / "docs" / "agent.example.toml").read_text(encoding="utf-8").splitlines():
        if header := re.fullmatch(r"\[(.*)\]", line):
            table = f"{header[1]}."
        elif (found := re.match(r"#?(\w+) = (\[.*?\]|\".*?\"|\S+)(.*)", line)) and table != "variables.":
            yield CATALOGUE[table + found[1]], found[2], found[3]


def example_environment() -> Iterator[tuple[Setting, str, str]]:
    """Each setting in `.env.example`, with its value and the comment above it."""
    by_env = {setting.env: setting for setting in CATALOGUE.values()}
    comment = ""
    for line in (OUR_FOLDER / ".env.example").read_text(encoding="utf-8").splitlines():
        if found := re.fullmatch(r"#?([A-Z_]+)=(.*)", line):
            if not found[1].startswith(("VOICE_AGENT_VAR_", "OPENAI_")):
                yield by_env[found[1]], found[2], comment
        else:
            comment = line


EXAMPLES = [*example_file(), *example_environment()]
NUMBERS = [each for each in EXAMPLES if isinstance(each[0].rule, Whole | Number)]


def ids(value: object) -> str:
    return value.path if isinstance(value, Setting) else ""


@pytest.mark.parametrize(("setting", "value", "comment"), NUMBERS, ids=ids)
def test_a_number_in_an_example_is_the_default_and_its_range_is_the_one_that_holds(
    setting: Setting, value: str, comment: str
) -> None:
    assert isinstance(setting.rule, Whole | Number)
    assert setting.rule.parse(value) is not None
    if setting.default is not None:
        assert float(value) == setting.default
    for low, high in RANGE.findall(comment):
        assert (float(low), float(high)) == (setting.rule.low, setting.rule.high)


def test_the_examples_do_say_ranges_and_defaults() -> None:
    said = [setting.path for setting, _, comment in NUMBERS if RANGE.search(comment)]
    assert {"speaker.queue_size_ms", "barge_in.longest_hold_ms", "session.output.volume"} <= set(said)
    assert len([setting for setting, _, _ in NUMBERS if setting.default is not None]) > 10


def test_lists_and_choices_in_the_example_are_those_that_hold() -> None:
    checked = []
    for setting, _, comment in EXAMPLES:
        match setting.rule:
            case Choice(names=names) if "," in comment:
                assert comment.strip(" #") == ", ".join(names)
                checked.append(setting.path)
            case Texts(most=most, item=OneLine(longest=longest)) if "up to" in comment:
                assert f"up to {most} of up to {longest} characters" in comment
                checked.append(setting.path)
    assert {"session.input.keyterms", "session.input.transcription_mode"} <= set(checked)


@pytest.mark.parametrize("env", ["ROOM_NAME", "VOICE_AGENT_URL"])
def test_a_name_or_an_address_in_the_example_of_an_environment_is_the_default(env: str) -> None:
    (found,) = [(setting, value) for setting, value, _ in example_environment() if setting.env == env]
    assert found[1] == found[0].default


def figures(page: Path) -> Iterator[tuple[str, float]]:
    """What a page says of defaults, as `linger_ms` (0.8 s): a setting's name, and the number in its unit."""
    text = page.read_text(encoding="utf-8")
    for name, number, unit in re.findall(r"`([\w.]+)`\s+\(([\d.]+)(?: (ms|s|minutes))?[;)]", text):
        yield name, float(number) * UNITS_MS.get(unit, 1)


def test_a_default_on_a_page_is_the_one_that_holds() -> None:
    said = [each for page in PAGES for each in figures(page)]
    names = {name.rpartition(".")[2] for name, _ in said}
    assert {"decision_ms", "linger_ms", "longest_hold_ms", "queue_size_ms", "idle_ms", "most_people"} <= names
    for name, value in said:
        of_that_name = [path for path in CATALOGUE if f".{path}".endswith(f".{name}")]
        assert value in [CATALOGUE[path].default for path in of_that_name], name


def test_no_page_says_a_default_in_another_form_which_nobody_would_check() -> None:
    for page in PAGES:
        for name in re.findall(r"\d (?:ms|s|minutes)[\w ]* \(`([\w.]+)`\)", page.read_text(encoding="utf-8")):
            assert not any(f".{path}".endswith(f".{name}") for path in CATALOGUE), f"{name} in {page.name}"


def test_the_table_of_the_page_has_the_right_variables_flags_and_names() -> None:
    page = (OUR_FOLDER / "docs" / "configuration.md").read_text(encoding="utf-8")
    rows = re.findall(r"(?m)^\| `([a-z_.]+)` \| `(\w+)` \| `--(\w+)(.*?)` \| (.*) \|$", page)
    assert {"profile", "template", "session.output.voice", "log.speech"} <= {row[0] for row in rows}
    for path, env, flag, rest, what in rows:
        assert CATALOGUE[path].env == env
        if flag == "set":
            assert rest.startswith(f" {path}=")
        else:
            assert getattr(parse([f"--{flag}", "x"]), flag) == "x"
        folder = {"profile": "profiles", "template": "prompts"}.get(path)
        if folder is not None:
            assert set(re.findall("`(.*?)`", what)) == set(files_of([OUR_FOLDER], folder))
    assert f"`{CATALOGUE['profile'].default}` (the default)" in page


def test_the_table_of_a_workers_settings_has_each_of_them() -> None:
    page = (OUR_FOLDER / "docs" / "fleet.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"(?m)^\| `(worker\.\w+)` \| `(\w+)` \|", page))
    assert rows == {path: each.env for path, each in CATALOGUE.items() if path.startswith("worker.")}


def test_the_help_names_the_default_of_whom_to_listen_to(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert f"first, identity:NAME, active, mix (default: {CATALOGUE['listen.to'].default})" in said


@pytest.mark.parametrize("setting", CATALOGUE.values(), ids=ids)
def test_the_default_of_each_setting_is_one_that_may_be_set(setting: Setting) -> None:
    if setting.default is not None:
        written = list(setting.default) if isinstance(setting.default, tuple) else setting.default
        assert setting.rule.read(written) == setting.default
