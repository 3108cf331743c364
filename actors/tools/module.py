"""The tools of a module: its public functions.

A module with an `__all__` offers the functions named there; any other offers the functions that are defined
in it (not imported) and whose names do not begin with an underscore. Anything that is called like a function
counts: a cached or partial one, a method of an object, an object with a `__call__`. If something looks like a
tool but is not offered, there is a warning.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from actors.tools.declaration import declare
from channels.errors import SettingsError
from channels.tools import Tool

__all__ = ["load_tools"]

_OF_TYPES = ("types", "typing", "typing_extensions")
"""Objects of these modules can be called, such as `list[int]` and `NewType`, but they are types."""

MOST_ADVISED = 10
"""The limit that the service's documentation advises: models choose worse among many tools."""


def load_tools(modules: Sequence[str], warn: Callable[[str], None]) -> tuple[Tool, ...]:
    """Makes tools of the public functions of modules.

    Args:
        modules: a path of a Python file each, or a dotted name.
        warn: gets warnings about things that work but are unwise.

    Raises:
        SettingsError: a module cannot be imported, or a function cannot be a tool; one line for each.
    """
    tools: dict[str, Tool] = {}
    problems: list[SettingsError] = []
    for where in dict.fromkeys(modules):
        try:
            functions = _functions(_load(where), where, warn)
        except SettingsError as problem:
            problems.append(problem)
            continue
        for name, function in functions:
            try:
                found = declare(function, where, name)
            except SettingsError as problem:
                problems.append(problem)
                continue
            if found.name in tools:
                problems.append(
                    SettingsError(
                        f"{where}: {found.name}() is defined twice among the tools", "rename one of the two"
                    )
                )
            tools[found.name] = found
    if problems:
        *others, last = problems
        raise SettingsError("".join(f"{other}\n" for other in others) + last.what, last.fix)
    if len(tools) > MOST_ADVISED:
        warn(f"{len(tools)} tools are offered; with more than {MOST_ADVISED}, models choose worse")
    return tuple(tools.values())


def _load(where: str) -> ModuleType:
    by_path = where.endswith(".py") or "/" in where or "\\" in where
    try:
        return _load_file(Path(where)) if by_path else importlib.import_module(where)
    except (SettingsError, KeyboardInterrupt):
        raise
    except BaseException as error:
        what = f"--tools {where} cannot be imported ({type(error).__name__}: {error}{_line_of(error, where)})"
        if isinstance(error, ModuleNotFoundError) and error.name == where.partition(".")[0]:
            raise SettingsError(
                what, "give the path of a Python file, or the dotted name of a module"
            ) from error
        raise SettingsError(what, "fix the module, or install what it imports") from error


def _load_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise SettingsError(
            f"--tools {path}: there is no such file", "give the path of a Python file, or a dotted name"
        )
    path = path.resolve()
    # A unique name: a file called json.py must not hide anything.
    name = f"tools from {path}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise SettingsError(f"--tools {path} is not a Python file", "use a file that ends with .py")
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))  # modules beside it can be imported, as in a script
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _line_of(error: BaseException, where: str) -> str:
    """The line of the module that the error came from."""
    trace, line = error.__traceback__, 0
    while trace is not None:
        if Path(trace.tb_frame.f_code.co_filename).name == Path(where).name:
            line = trace.tb_lineno
        trace = trace.tb_next
    return f", line {line}" if line else ""


def _functions(
    module: ModuleType, where: str, warn: Callable[[str], None]
) -> list[tuple[str, Callable[..., Any]]]:
    named = getattr(module, "__all__", None)
    if named is not None:
        missing = [name for name in named if not hasattr(module, name)]
        if missing:
            raise SettingsError(
                f"--tools {where} has {missing[0]!r} in __all__ but does not define it",
                "remove it, or define it",
            )
        found = {name: getattr(module, name) for name in named}
    else:
        found = {name: value for name, value in vars(module).items() if not name.startswith("_")}
    functions: list[tuple[str, Callable[..., Any]]] = []
    for name, value in found.items():
        if inspect.isfunction(value):
            if named is not None or value.__module__ == module.__name__:
                functions.append((value.__name__, value))
            elif "<locals>" in value.__qualname__ and value.__name__ != name:
                warn(
                    f"{where}: {name} is hidden by a decorator of {value.__module__}, so it is not "
                    "offered as a tool. Use functools.wraps in the decorator, or name it in __all__"
                )
        elif not callable(value) or isinstance(value, type) or type(value).__module__ in _OF_TYPES:
            continue  # a constant, or the type of something
        elif named is not None or _is_made_in(module, value):
            functions.append((name, value))
        elif not inspect.isroutine(value):
            warn(
                f"{where}: {name} is a {type(value).__name__} of something defined elsewhere, so it is "
                "not offered as a tool unless __all__ names it"
            )
    if not functions:
        raise SettingsError(
            f"--tools {where} has no public function",
            "define one at its top level, with type hints and a docstring, or name it in __all__",
        )
    return functions


def _is_made_in(module: ModuleType, thing: Any) -> bool:
    """Whether something that can be called is of this module, and not merely imported into it."""
    if isinstance(thing, functools.partial):
        return _is_made_in(module, thing.func)
    return getattr(thing, "__module__", None) == module.__name__
