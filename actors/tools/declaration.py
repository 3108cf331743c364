"""Turns a Python function into a tool: its hints give the JSON Schema, its docstring the descriptions.

msgspec knows the types (built-in ones, `Literal`, `Enum`, dataclasses, attrs, `TypedDict`, dates …): it
writes their schema and reads arguments by the same rules, so that the two cannot differ. What it cannot
express is refused here, before any connection, with the name of the function and of the parameter.
"""

from __future__ import annotations

import functools
import inspect
import re
import types
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import attrs
import docstring_parser
import msgspec

from actors.tools.json_schema import in_authors_order, unpacked
from channels.errors import SettingsError
from channels.tools import LONGEST_TIMEOUT_S, BadArguments, Tool, ToolOptions, options_of

__all__ = ["declare"]

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""What language models generally accept in function calling; the service publishes no rule."""

_TYPES = (
    "use str, int, float, bool, Literal, Enum, list, dict[str, …], X | None, a date or time, "
    "or a dataclass, attrs class or TypedDict of these"
)
_PREFIX = "argument_"

MOST_LAYERS = 32
"""Decorators, partials and the like around one function."""


@attrs.frozen
class _Parameter:
    """One parameter of a function."""

    name: str
    hint: Any
    default: Any
    """`inspect.Parameter.empty`: none."""
    schema: Mapping[str, Any]

    @property
    def required(self) -> bool:
        return self.default is inspect.Parameter.empty and not self.nullable

    @property
    def nullable(self) -> bool:
        return _takes_none(self.hint)

    def as_field(self) -> tuple[str, Any] | tuple[str, Any, Any]:
        """The field of the struct that reads it."""
        if self.default is not inspect.Parameter.empty:
            # The function's own default applies; JSON need not be able to express it.
            return self.name, Union[self.hint, msgspec.UnsetType], msgspec.UNSET  # noqa: UP007
        return (self.name, self.hint, None) if self.nullable else (self.name, self.hint)


def declare(function: Callable[..., Any], where: str, name: str | None = None) -> Tool:
    """Makes a tool of a function, or of anything that can be called like one.

    Args:
        function: sync or async, with hints and a docstring; a cached, partial or bound one, or an object
            with a `__call__`, has those of the function that it is made of.
        where: the module, as the user named it.
        name: what the tool is called; its own name by default.

    Raises:
        SettingsError: it cannot be one; the text names the function, the parameter and the fix.
    """
    inner = _inner(function)
    name = name or inner.__name__
    place = f"{where}: {name}()"
    _check_kind(function, inner, name, place)
    written = docstring_parser.parse(_docstring(function, inner))
    if not written.description:
        raise SettingsError(f"{place} has no docstring", "describe what the tool is for: the model reads it")
    described = {one.arg_name: one.description for one in written.params}
    parameters = _parameters(function, inner, place, described)
    return Tool(
        name,
        _one_line(written.description),
        {
            "type": "object",
            "properties": {one.name: one.schema for one in parameters},
            "required": [one.name for one in parameters if one.required],
        },
        function,
        _reader(parameters),
        _options(function, inner, place),
        inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(_called(function)),
    )


def _inner(function: Any) -> Any:
    """The function that somebody wrote, below what was put around it."""
    for _ in range(MOST_LAYERS):
        if isinstance(function, functools.partial):
            function = function.func
        elif hasattr(function, "__wrapped__"):
            function = function.__wrapped__
        elif inspect.ismethod(function):
            function = function.__func__
        elif inspect.isroutine(function) or isinstance(function, type):
            break
        else:
            function = _called(function)
    return function


def _called(thing: Any) -> Any:
    """What runs when an object is called; for a function, the function itself."""
    return thing if inspect.isroutine(thing) else getattr(type(thing), "__call__", thing)  # noqa: B004


def _docstring(function: Any, inner: Any) -> str:
    written = inner.__doc__ or ""
    if not written and not isinstance(function, functools.partial):
        # An object's class says what it is for, and a method may have the text of the one that it replaces.
        written = inspect.getdoc(function if inspect.isroutine(function) else type(function)) or ""
    return inspect.cleandoc(written)


def _check_kind(function: Any, inner: Any, name: str, place: str) -> None:
    if not _NAME.fullmatch(name):
        raise SettingsError(
            f"{place} has a name that a tool cannot have",
            "use up to 64 of the characters a-z, A-Z, 0-9 and _",
        )
    if inspect.isgeneratorfunction(inner) or inspect.isasyncgenfunction(inner):
        raise SettingsError(
            f"{place} is a generator", "return the whole result at once, for example as a list"
        )
    if hasattr(function, "cache_info") and inspect.iscoroutinefunction(inner):
        raise SettingsError(
            f"{place} is async and cached, but its result can be awaited only once",
            "remove the cache, or keep the results in your own dict",
        )


def _options(function: Any, inner: Any, place: str) -> ToolOptions:
    options = options_of(function) or options_of(inner) or ToolOptions()
    seconds = options.timeout_seconds
    if isinstance(seconds, bool) or not isinstance(seconds, int) or not 1 <= seconds <= LONGEST_TIMEOUT_S:
        raise SettingsError(
            f"{place} has timeout_seconds={seconds!r}", f"use a whole number from 1 to {LONGEST_TIMEOUT_S}"
        )
    if options.execution_mode not in ("interactive", "hold"):
        raise SettingsError(
            f"{place} has execution_mode={options.execution_mode!r}", 'use "interactive" or "hold"'
        )
    return options


def _parameters(
    function: Any, inner: Any, place: str, described: Mapping[str, str | None]
) -> list[_Parameter]:
    try:
        hints = _hints(inner)
    except Exception as error:
        raise SettingsError(
            f"{place} has a type hint that cannot be resolved ({error})",
            "import the type at the top of the module, outside `if TYPE_CHECKING`",
        ) from error
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError) as error:
        raise SettingsError(
            f"{place} does not declare its parameters ({error})", "wrap it in a function with type hints"
        ) from error
    # A partial's keyword arguments are fixed: the model may not choose them.
    settled = function.keywords if isinstance(function, functools.partial) else {}
    found = []
    for name, parameter in signature.parameters.items():
        if name in settled:
            continue
        at = f"{place}, parameter {name!r}"
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
            raise SettingsError(
                f"{at} cannot be passed by name", "give the function plain parameters, without *, ** or /"
            )
        if name not in hints:
            raise SettingsError(f"{at} has no type hint", f"give it one, e.g. {name}: str")
        hint, said = _without_text(hints[name])
        schema = _schema(hint, at)
        said = said or described.get(name)
        if said:
            schema = {**schema, "description": _one_line(said)}
        found.append(_Parameter(name, hint, parameter.default, _with_default(schema, parameter.default)))
    return found


def _hints(inner: Any) -> dict[str, Any]:
    # The return type does not matter here, and may exist for type checkers only.
    written = {name: hint for name, hint in inspect.get_annotations(inner).items() if name != "return"}
    holder = types.SimpleNamespace(__annotations__=written)
    return get_type_hints(holder, globalns=getattr(inner, "__globals__", {}), include_extras=True)


def _without_text(hint: Any) -> tuple[Any, str | None]:
    """A hint with the plain texts of its `Annotated` taken out, and the first of these."""
    if get_origin(hint) is not Annotated:
        return hint, None
    bare, *notes = get_args(hint)
    texts = [note for note in notes if isinstance(note, str)]
    for note in notes:
        if not isinstance(note, str):
            bare = Annotated[bare, note]
    return bare, texts[0] if texts else None


def _schema(hint: Any, at: str) -> dict[str, Any]:
    try:
        schema = msgspec.json.schema(hint)
    except Exception as error:
        why = str(error).splitlines()[-1]
        raise SettingsError(f"{at} has a type that JSON cannot be converted to ({why})", _TYPES) from error
    shared = schema.pop("$defs", {})
    plain: dict[str, Any] = in_authors_order(_inlined(schema, shared, at, ()), hint)
    if _takes_none(hint):
        # Optional: hosts that do not know it ignore it.
        plain = _without_null(plain)
    return plain


def _inlined(schema: Any, shared: Mapping[str, Any], at: str, inside: tuple[str, ...]) -> Any:
    """The schema with every `$ref` replaced: not every model's host follows references."""
    match schema:
        case {"$ref": str(reference), **rest}:
            name = reference.rpartition("/")[2]
            if name in inside:
                raise SettingsError(f"{at} has a type that contains itself ({name})", _TYPES)
            target = _inlined(shared[name], shared, at, (*inside, name))
            return {**target, **{key: _inlined(value, shared, at, inside) for key, value in rest.items()}}
        case dict():
            inlined = {key: _inlined(value, shared, at, inside) for key, value in schema.items()}
            inlined.pop("title", None) if isinstance(inlined.get("title"), str) else None
            values = inlined.get("enum")
            if isinstance(values, list) and values and all(isinstance(value, str) for value in values):
                inlined.setdefault("type", "string")
            return inlined
        case list():
            return [_inlined(value, shared, at, inside) for value in schema]
        case _:
            return schema


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    choices = schema.get("anyOf")
    if not isinstance(choices, list):
        return schema
    left = [choice for choice in choices if choice != {"type": "null"}]
    rest = {key: value for key, value in schema.items() if key != "anyOf"}
    return {**left[0], **rest} if len(left) == 1 else {**rest, "anyOf": left}


def _takes_none(hint: Any) -> bool:
    origin = get_origin(hint)
    if origin is Annotated:
        return _takes_none(get_args(hint)[0])
    if origin in (Union, types.UnionType):
        return any(_takes_none(one) for one in get_args(hint))
    if origin is Literal:
        return None in get_args(hint)
    return hint is type(None) or hint is Any


def _with_default(schema: dict[str, Any], default: Any) -> dict[str, Any]:
    if default is inspect.Parameter.empty or default is None:
        return schema
    try:
        return {**schema, "default": msgspec.to_builtins(default)}
    except Exception:
        return schema  # a default that JSON cannot express stays with the function


def _reader(parameters: list[_Parameter]) -> Callable[[Mapping[str, Any]], Mapping[str, Any]]:
    struct = msgspec.defstruct(
        "Arguments",
        # Any name that a parameter may have is taken, those of a struct's own methods too.
        [(_PREFIX + field[0], *field[1:]) for one in parameters if (field := one.as_field())],
        rename={_PREFIX + one.name: one.name for one in parameters},
        kw_only=True,
        forbid_unknown_fields=True,
    )

    def read(given: Mapping[str, Any]) -> Mapping[str, Any]:
        known = {one.name: one for one in parameters}
        try:
            read = msgspec.convert(
                {
                    name: value
                    for name, value in (
                        (name, _unpacked(value, known.get(name))) for name, value in given.items()
                    )
                    # A model without a value often sends null instead of leaving it out.
                    if value is not None or name not in known or known[name].required
                },
                struct,
                strict=False,
            )
        except msgspec.ValidationError as error:
            raise BadArguments(str(error).replace("$.", "")) from None
        values = {name: getattr(read, _PREFIX + name) for name in known}
        return {name: value for name, value in values.items() if value is not msgspec.UNSET}

    return read


def _unpacked(value: Any, parameter: _Parameter | None) -> Any:
    return value if parameter is None else unpacked(value, parameter.schema, nullable=parameter.nullable)


def _one_line(text: str) -> str:
    return " ".join(text.split())
