"""The streams that a user's own actor can have: it subscribes by the types of its fields.

An actor that is added to a room is an attrs class with a `run`. A field of a type in the wiring's table of
streams (`Receiver[Happening]`, `Receiver[MicrophoneFrame]`, `Sender[ClientMessage]`, …) is given that
stream; every other field is an option, with a default or set by the user. Each stream is a
bounded copy: a slow actor loses its oldest messages, counted, and nobody in the conversation notices.
"""

from __future__ import annotations

import difflib
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from types import UnionType
from typing import Any, Protocol, Union, cast, get_args, get_origin, get_type_hints

import attrs

from channels.bounded import Receiver, Sender
from channels.errors import SettingsError, VoiceAgentError

__all__ = ["Actor", "Addition", "Streams", "numbered"]


class Actor(Protocol):
    """Anything that runs."""

    async def run(self) -> None:
        """Runs until its input ends."""


@attrs.frozen
class Addition:
    """An actor's class, and the values for its fields as somebody wrote them."""

    kind: type[Actor]
    values: Mapping[str, str] = attrs.field(factory=dict)


@attrs.frozen
class Streams:
    """The table of streams of one room.

    Args:
        by_type: what makes the end for a field of a type; it is given the name of the actor.
        path: the path that somebody means, who may have named the room in it (`channels.named_paths`).
    """

    by_type: Mapping[Any, Callable[[str], Any]]
    path: Callable[[str], Path] = Path
    _made: Counter[str] = attrs.field(factory=Counter, init=False)
    """How many of each class, whose streams are named after them."""

    def compose(self, addition: Addition) -> Actor:
        """Makes the actor, joined to what it asks for.

        Raises:
            SettingsError: it is not an actor, asks for a stream that does not exist, or a value is missing,
                unknown or malformed.
        """
        kind, name = addition.kind, addition.kind.__name__
        if not attrs.has(kind) or not callable(getattr(kind, "run", None)):
            raise SettingsError(
                f"{name} is not an actor", "an actor is an attrs class with an async `run(self)`"
            )
        try:
            hints = get_type_hints(kind)
        except NameError as error:
            raise SettingsError(
                f"the fields of {name} cannot be read ({error})",
                "import the types of its fields outside `if TYPE_CHECKING`",
            ) from None
        fields = {field.alias or field.name: field for field in attrs.fields(kind) if field.init}
        self._refuse_unknown(name, fields.keys(), addition.values)
        given: dict[str, Any] = {}
        named = numbered(name, self._made)
        for alias, field in fields.items():
            hint = hints[field.name]
            if hint in self.by_type:
                given[alias] = self.by_type[hint](named)
            elif alias in addition.values:
                given[alias] = _value(f"{name}.{alias}", hint, addition.values[alias], self.path)
            elif getattr(hint, "__origin__", None) in (Receiver, Sender):
                raise SettingsError(
                    f"{name}.{alias} asks for {_shown(hint)}, which is not a stream of a room",
                    "the streams are " + ", ".join(sorted(_shown(known) for known in self.by_type)),
                )
            elif field.default is attrs.NOTHING:
                raise SettingsError(f"{name}.{alias} is not set", f"add it as --actor …:{name},{alias}=VALUE")
        try:
            return cast(Actor, kind(**given))
        except (VoiceAgentError, KeyboardInterrupt):
            raise
        except BaseException as error:
            raise SettingsError(
                f"{name} cannot be created ({type(error).__name__}: {error})", "fix it"
            ) from error

    @staticmethod
    def _refuse_unknown(name: str, fields: Any, values: Mapping[str, str]) -> None:
        for unknown in values.keys() - fields:
            nearest = difflib.get_close_matches(unknown, fields, n=1)
            raise SettingsError(
                f"{name} has no field {unknown!r}",
                f"did you mean {nearest[0]!r}?" if nearest else f"its fields are {', '.join(fields)}",
            )


def numbered(name: str, so_far: Counter[str]) -> str:
    """The name of one more of its kind: the second, and each after it, has a number."""
    so_far[name] += 1
    return name if so_far[name] == 1 else f"{name} {so_far[name]}"


def _value(path: str, hint: Any, written: str, as_path: Callable[[str], Path]) -> Any:
    wanted = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    kinds = [kind for kind in wanted if kind in _READ]
    if not kinds:
        raise SettingsError(
            f"{path} has the type {_shown(hint)}, which cannot be given on a command line",
            "make it a str, int, float, bool or Path, or give it a default",
        )
    try:
        return as_path(written) if kinds[0] is Path else _READ[kinds[0]](written)
    except (ValueError, KeyError):
        raise SettingsError(
            f"{path} is not {_CALLED[kinds[0]]} (found {written[:40]!r})",
            f"write {path.split('.')[-1]}=VALUE",
        ) from None


_READ: Mapping[Any, Callable[[str], Any]] = {
    str: str,
    int: int,
    float: float,
    bool: lambda written: {"true": True, "false": False}[written.lower()],
    Path: Path,
}
_CALLED: Mapping[Any, str] = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    Path: "a path",
}


def _shown(hint: Any) -> str:
    origin = get_origin(hint)
    if origin is None:
        return getattr(hint, "__name__", str(hint))
    if origin in (Union, UnionType):
        return _alias(hint) or " | ".join(_shown(kind) for kind in get_args(hint))
    return f"{origin.__name__}[{', '.join(_shown(kind) for kind in get_args(hint))}]"


def _alias(union: Any) -> str | None:
    """The name under which a module of its members knows a union."""
    modules = {sys.modules[kind.__module__] for kind in get_args(union) if kind.__module__ in sys.modules}
    known = [item for module in modules for item in vars(module).items()]
    return next(
        (name for name, kind in known if get_origin(kind) in (Union, UnionType) and kind == union), None
    )
