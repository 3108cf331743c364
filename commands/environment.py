"""Says in one line what to run instead, where this Python cannot run the agent.

`runner.py` asks before it imports any package. So nothing here or in `runner.py` is newer than Python 3.7 can
read, and nothing but the standard library is imported.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import TracebackType

__all__ = ["OLDEST_PYTHON", "UNFINISHED", "expect_environment", "wrong_with"]

OLDEST_PYTHON = (3, 11)
"""As `requires-python` of pyproject.toml says."""
UNFINISHED = "unfinished"
"""A file that `make` keeps in an environment until all packages are there."""

_TREE = Path(__file__).resolve().parents[1]


def expect_environment() -> None:
    """Ends the process with one line if this Python cannot run the agent.

    It also has the process end so if a package turns out to be missing or broken later on.
    """
    wrong = wrong_with(sys.version_info[:3], Path(sys.prefix))
    if wrong is not None:
        sys.exit(wrong)
    sys.excepthook = _explain


def wrong_with(python: tuple[int, ...], prefix: Path, tree: Path = _TREE) -> str | None:
    """What is wrong, and what to run instead; None: nothing is.

    Args:
        python: the version of this Python.
        prefix: the environment's folder.
        tree: where `runner.py` is.
    """
    if python < OLDEST_PYTHON:
        version, oldest = (".".join(map(str, each)) for each in (python, OLDEST_PYTHON))
        return f"this is Python {version}, and the agent needs {oldest} or newer; {_instead(tree)}"
    if (prefix / UNFINISHED).exists():
        return f"the packages in {prefix} are not complete; {_instead(tree)}"
    return None


def _instead(tree: Path) -> str:
    """What to run; what was typed after `runner.py` may hold a token, so it is not repeated."""
    rest = " …" if sys.argv[1:] else ""
    is_here = Path.cwd() == tree
    ready = tree / ".venv" / "bin" / "python"
    if ready.exists() and not (tree / ".venv" / UNFINISHED).exists() and Path(sys.prefix) != tree / ".venv":
        python, runner = ready, tree / "runner.py"
        if is_here:
            python, runner = python.relative_to(tree), runner.relative_to(tree)
        return f"run `{python} {runner}{rest}`"
    if (tree / "Makefile").exists():
        folder = "" if is_here else f" -C {tree}"
        asked = ' ARGS="…"' if rest else ""
        return f"run `make{folder} run{asked}`, which installs what is missing"
    return "install it again"


def _explain(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    package = (getattr(error, "name", None) or "").partition(".")[0]
    of_ours = bool(package) and ((_TREE / package).exists() or (_TREE / f"{package}.py").exists())
    if not isinstance(error, ImportError) or of_ours:
        sys.__excepthook__(kind, error, trace)
        return
    what = f"{package or 'a package'} cannot be used ({error})"
    if isinstance(error, ModuleNotFoundError) and package:
        what = f"{package} is not installed for {sys.executable}"
    print(f"{what}; {_instead(_TREE)}", file=sys.stderr)
