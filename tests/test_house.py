"""Dependencies point one way, and an actor knows no other."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

MAY_IMPORT = {
    "sound": set[str](),
    "channels": {"sound"},
    "actors": {"channels", "sound"},
    "playground": {"channels", "sound"},
    "commands": {"actors", "channels", "playground", "sound"},
    "runner": {"actors", "channels", "commands", "sound"},
    "docs": {"actors", "channels", "commands", "playground", "runner", "sound"},
    "bench": {"actors", "channels", "commands", "playground", "runner", "sound"},
}


def imports(path: Path) -> Iterator[str]:
    """The modules that a file names, those under TYPE_CHECKING and in functions included."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Import(names=names):
                yield from (one.name for one in names)
            case ast.ImportFrom(module=str(module)):
                yield module


def files(place: str) -> list[Path]:
    folder = ROOT / place
    return sorted(folder.rglob("*.py")) if folder.is_dir() else [folder.with_suffix(".py")]


@pytest.mark.parametrize("place", MAY_IMPORT)
def test_a_place_imports_only_what_lies_below_it(place: str) -> None:
    ours = {*MAY_IMPORT, "tests", "examples"} - {place}
    wrong = [
        f"{path.relative_to(ROOT)} imports {module}"
        for path in files(place)
        for module in imports(path)
        if module.partition(".")[0] in ours - MAY_IMPORT[place]
    ]
    assert not wrong


def test_no_actor_imports_another() -> None:
    def actor_of(module: str) -> str:
        return ".".join(module.split(".")[:2])

    found = {
        (f"actors.{path.relative_to(ROOT / 'actors').parts[0].removesuffix('.py')}", actor_of(module))
        for path in files("actors")
        for module in imports(path)
        if module.startswith("actors.")
    }
    assert not [(a, b) for a, b in found if a != b]


def test_what_is_wrong_is_found(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text("if x:\n    from actors.mic import MicPump\n\ndef late():\n    import channels.child\n")
    assert list(imports(module)) == ["actors.mic", "channels.child"]
