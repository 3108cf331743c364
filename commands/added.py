"""`--actor FILE:CLASS`: adds the user's own actor to the conversation."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

from channels.errors import SettingsError
from channels.streams import Addition

__all__ = ["read_addition"]

FORM = "write --actor FILE.py:CLASS or --actor FILE.py:CLASS,field=value"


def read_addition(written: str) -> Addition:
    """The actor's class of `FILE.py:CLASS[,field=value …]`, loaded.

    Raises:
        SettingsError: it is not of that form, or the file or the class is not there or cannot be loaded.
    """
    place, *settings = written.split(",")
    path, colon, name = place.rpartition(":")
    if not colon or not name.isidentifier():
        raise SettingsError(f"--actor {written[:80]} does not name a file and a class", FORM)
    values = {}
    for setting in settings:
        field, equals, value = setting.partition("=")
        if not equals or not field.isidentifier():
            raise SettingsError(f"--actor {place}: {setting[:40]!r} is not field=value", FORM)
        values[field] = value
    module = _load(Path(path))
    kind = getattr(module, name, None)
    if not isinstance(kind, type):
        named = vars(module).items()
        classes = [key for key, value in named if isinstance(value, type) and hasattr(value, "run")]
        raise SettingsError(
            f"{path} has no class {name}",
            f"check the spelling; its actors are {', '.join(classes) or 'none'}",
        )
    return Addition(kind, values)


def _load(path: Path) -> object:
    if not path.is_file():
        raise SettingsError(f"--actor: there is no file {path}", "check the path")
    name = f"added:{path.resolve()}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise SettingsError(f"--actor: {path} is not a Python file", FORM)
    module = importlib.util.module_from_spec(spec)
    # The types of fields are looked up by the module's name; what lies beside the file can be imported.
    sys.modules[name] = module
    sys.path.append(str(path.parent.resolve()))
    try:
        spec.loader.exec_module(module)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        del sys.modules[name]
        raise SettingsError(
            f"--actor: {path} cannot be loaded ({type(error).__name__}: {error})", "fix the file"
        ) from error
    return module
