"""`--actor FILE:CLASS` finds the class, or says what is wrong in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from channels.errors import SettingsError
from channels.streams import Streams
from commands.added import read_addition

ACTOR = """
from __future__ import annotations
import beside
import trio
from attrs import define
from channels.bounded import Receiver
from channels.happenings import Happening

@define
class Watcher:
    happenings: Receiver[Happening]
    greeting: str = beside.GREETING

    async def run(self) -> None: ...
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "beside.py").write_text("GREETING = 'hello'\n")
    # The name of a module of ours, on purpose: theirs is theirs.
    (tmp_path / "runner.py").write_text(ACTOR)
    return tmp_path


def test_a_class_is_loaded_with_its_values(folder: Path) -> None:
    addition = read_addition(f"{folder / 'runner.py'}:Watcher,greeting=good day")
    assert addition.kind.__name__ == "Watcher"
    assert addition.values == {"greeting": "good day"}
    assert read_addition(f"{folder / 'runner.py'}:Watcher").kind is addition.kind
    from channels.bounded import Receiver
    from channels.happenings import Happening
    from channels.taps import Taps

    watcher = Streams({Receiver[Happening]: Taps().tap}).compose(addition)
    assert getattr(watcher, "greeting", "") == "good day"


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("Watcher", "--actor Watcher does not name a file and a class; write --actor FILE.py:CLASS"),
        ("{0}/none.py:Watcher", "there is no file"),
        ("{0}/runner.py:Wacher", "has no class Wacher; check the spelling; its actors are Watcher"),
        ("{0}/runner.py:Watcher,loud", "'loud' is not field=value"),
        ("{0}/broken.py:Watcher", "broken.py cannot be loaded (ZeroDivisionError: division by zero)"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(folder: Path, written: str, said: str) -> None:
    (folder / "broken.py").write_text("1 / 0\n")
    with pytest.raises(SettingsError) as error:
        read_addition(written.format(folder))
    assert said in str(error.value)
