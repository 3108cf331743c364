"""What becomes of a Python function: what the model reads of it, and what it gets from the model."""

from __future__ import annotations

import enum
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, Optional, TypedDict

import attrs
import pytest

from actors.tools import load_tools
from actors.tools.declaration import declare
from channels.errors import SettingsError
from channels.tools import BadArguments, tool


class Crust(enum.Enum):
    THIN = "thin"
    DEEP = "deep"


@dataclass
class Address:
    """Where to."""

    street: str
    number: int = 1


@attrs.frozen
class Guest:
    name: str


class Extras(TypedDict, total=False):
    olives: bool


@dataclass
class Family:
    members: list[Family]


def order_pizza(
    name: str,
    count: int,
    crust: Crust,
    size: Literal["small", "large"],
    weight_kg: float,
    to: Address,
    guests: list[Guest],
    extras: Extras,
    day: date,
    notes: Annotated[str, "anything else"] = "",
    table: int | None = None,
    tip: Optional[float] = None,  # noqa: UP045
    prices: dict[str, float] | None = None,
    warm: bool = True,
) -> str:
    """Orders a pizza.

    It is baked at once.

    Args:
        name: of the pizza,
            as on the menu.
        count: how many.
    """
    return name


def properties(function: Callable[..., Any]) -> dict[str, Any]:
    parameters = dict(declare(function, "here").parameters)
    return dict(parameters["properties"])


def test_the_docstring_is_what_the_model_reads() -> None:
    declared = declare(order_pizza, "here").as_wire()
    assert declared["type"] == "function"
    assert declared["name"] == "order_pizza"
    assert declared["description"] == "Orders a pizza. It is baked at once."
    assert properties(order_pizza)["name"] == {
        "type": "string",
        "description": "of the pizza, as on the menu.",
    }
    assert properties(order_pizza)["notes"]["description"] == "anything else"


def test_docstrings_of_other_styles_are_read_too() -> None:
    def rest(city: str) -> None:
        """The weather.

        :param city: where.
        """

    def numpy(city: str) -> None:
        """The weather.

        Parameters
        ----------
        city : str
            where.
        """

    for function in (rest, numpy):
        assert declare(function, "here").description == "The weather."
        assert properties(function)["city"] == {"type": "string", "description": "where."}


def test_every_kind_of_hint_has_its_schema() -> None:
    found = properties(order_pizza)
    assert found["count"]["type"] == "integer"
    assert found["crust"] == {"type": "string", "enum": ["thin", "deep"]}
    assert found["size"] == {"type": "string", "enum": ["small", "large"]}
    assert found["weight_kg"] == {"type": "number"}
    assert found["day"] == {"type": "string", "format": "date"}
    assert found["guests"] == {
        "type": "array",
        "items": {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]},
    }
    assert found["to"]["properties"]["number"] == {"type": "integer", "default": 1}
    assert found["extras"] == {
        "type": "object",
        "properties": {"olives": {"type": "boolean"}},
        "required": [],
    }
    assert found["prices"] == {"type": "object", "additionalProperties": {"type": "number"}}
    assert found["table"] == {"type": "integer"}, "what may be None is left out by whoever does not know it"
    assert found["warm"] == {"type": "boolean", "default": True}


def test_what_has_a_default_or_may_be_none_is_not_required() -> None:
    def find(a: str, b: int | None, c: int = 3) -> None:
        """Finds."""

    assert declare(find, "here").parameters["required"] == ["a"]
    assert declare(find, "here").read_arguments({"a": "x"}) == {"a": "x", "b": None}


def test_arguments_arrive_as_the_types_of_the_hints() -> None:
    read = declare(order_pizza, "here").read_arguments
    given = {
        "name": "Margherita",
        "count": "2",
        "crust": "thin",
        "size": "large",
        "weight_kg": 1,
        "to": {"street": "Elm"},
        "guests": [{"name": "Anna"}],
        "extras": {"olives": True},
        "day": "2026-11-03",
        "table": None,
    }
    assert read(given) == {
        "name": "Margherita",
        "count": 2,
        "crust": Crust.THIN,
        "size": "large",
        "weight_kg": 1.0,
        "to": Address("Elm", 1),
        "guests": [Guest("Anna")],
        "extras": {"olives": True},
        "day": date(2026, 11, 3),
    }, "what was not given is left to the function's own defaults"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, "`people`"),
        ({"people": "many"}, "people"),
        ({"people": 2.5}, "people"),
        ({"people": None}, "people"),
        ({"people": 2, "colour": "red"}, "`colour`"),
        ({"people": 2, "seat": "roof"}, "seat"),
        ({"people": 2, "times": [1, "x"]}, "times[1]"),
    ],
)
def test_a_wrong_argument_is_refused_by_its_name(given: dict[str, Any], told: str) -> None:
    def book(
        people: int, seat: Literal["inside", "outside"] = "inside", times: list[int] | None = None
    ) -> None:
        """Books a table."""

    with pytest.raises(BadArguments) as refused:
        declare(book, "here").read_arguments(given)
    assert told in str(refused.value)


def test_a_number_is_a_text_where_a_text_is_asked_for() -> None:
    def order_status(order_id: str) -> None:
        """The status of an order."""

    assert declare(order_status, "here").read_arguments({"order_id": 4471}) == {"order_id": "4471"}


def test_the_functions_own_default_holds_whatever_it_is() -> None:
    nobody = object()

    def call(who: str = nobody) -> object:  # type: ignore[assignment]
        """Calls somebody."""
        return who

    declared = declare(call, "here")
    assert declared.function(**declared.read_arguments({})) is nobody
    assert "default" not in declared.parameters["properties"]["who"]


def test_a_parameter_may_have_any_name() -> None:
    def odd(self: str, cls: str, __struct_fields__: str = "") -> None:
        """Is odd."""

    assert declare(odd, "here").read_arguments({"self": "a", "cls": "b"}) == {"self": "a", "cls": "b"}


def test_options_come_from_the_decorator() -> None:
    @tool(timeout_seconds=7, execution_mode="hold")
    def pay(amount: float) -> None:
        """Pays."""

    declared = declare(pay, "here").as_wire()
    assert (declared["timeout_seconds"], declared["execution_mode"]) == (7, "hold")
    assert declare(order_pizza, "here").as_wire()["timeout_seconds"] == 120


def _refused() -> list[tuple[str, Any, tuple[str, ...]]]:
    def no_docstring(a: str) -> None: ...

    def no_hint(a) -> None:  # type: ignore[no-untyped-def]
        """Does."""

    def several(*args: str) -> None:
        """Does."""

    def anything(**rest: str) -> None:
        """Does."""

    def by_place(a: str, /) -> None:
        """Does."""

    def strange(a: Path) -> None:
        """Does."""

    def callback(a: Callable[[], int]) -> None:
        """Does."""

    def endless(a: Family) -> None:
        """Does."""

    def unknown(a: Nowhere) -> None:  # type: ignore[name-defined]  # noqa: F821
        """Does."""

    def stream(a: int):  # type: ignore[no-untyped-def]
        """Does."""
        yield a

    @tool(timeout_seconds=301)
    def too_long() -> None:
        """Does."""

    @tool(execution_mode="Hold")  # type: ignore[arg-type]
    def wrong_mode() -> None:
        """Does."""

    def größe(a: str) -> None:
        """Does."""

    return [
        ("no docstring", no_docstring, ("no_docstring()", "docstring")),
        ("no hint", no_hint, ("no_hint()", "'a'", "a: str")),
        ("*args", several, ("several()", "'args'")),
        ("**rest", anything, ("anything()", "'rest'")),
        ("positional only", by_place, ("by_place()", "'a'")),
        ("a class", strange, ("strange()", "'a'", "Path", "dataclass")),
        ("a callable", callback, ("callback()", "'a'")),
        ("recursive", endless, ("endless()", "'a'", "Family")),
        ("unresolved", unknown, ("unknown()", "Nowhere")),
        ("a generator", stream, ("stream()", "generator")),
        ("timeout", too_long, ("too_long()", "301", "1 to 300")),
        ("mode", wrong_mode, ("wrong_mode()", "'Hold'")),
        ("name", größe, ("größe()", "a-z")),
    ]


@pytest.mark.parametrize(
    ("function", "told"), [(f, t) for _, f, t in _refused()], ids=[i for i, _, _ in _refused()]
)
def test_what_cannot_be_a_tool_is_told_with_its_place_and_the_fix(
    function: Callable[..., Any], told: tuple[str, ...]
) -> None:
    with pytest.raises(SettingsError) as refused:
        declare(function, "shop.py")
    assert "\n" not in str(refused.value)
    for word in ("shop.py", *told):
        assert word in str(refused.value)
    assert refused.value.fix


def module(folder: Path, text: str, name: str = "shop.py") -> str:
    path = folder / name
    path.write_text(inspect.cleandoc(text))
    return str(path)


def loaded(*modules: str) -> list[str]:
    return [found.name for found in load_tools(modules, lambda line: None)]


def test_the_public_functions_that_a_module_defines_are_its_tools(tmp_path: Path) -> None:
    path = module(
        tmp_path,
        '''
        from __future__ import annotations
        from dataclasses import dataclass
        from os.path import join
        import json

        @dataclass
        class Order:
            number: int

        def place(order: Order) -> str:
            """Places an order."""
            return _kept(order)

        async def cancel(order: Order) -> None:
            """Cancels an order."""

        def _kept(order):
            return str(order)
        ''',
    )
    assert loaded(path) == ["place", "cancel"]


def test_all_names_them_if_it_is_there(tmp_path: Path) -> None:
    path = module(
        tmp_path,
        '''
        __all__ = ["second", "Order"]

        class Order: ...

        def first() -> None:
            """Is not named."""

        def second() -> None:
            """Is named."""
        ''',
    )
    assert loaded(path) == ["second"]


def test_a_module_can_be_named_and_imports_what_lies_beside_it(tmp_path: Path) -> None:
    module(tmp_path, "PRICE = 3", "prices_of_this_test.py")
    path = module(
        tmp_path,
        '''
        from prices_of_this_test import PRICE

        def price() -> int:
            """The price."""
            return PRICE
        ''',
    )
    assert loaded(path) == ["price"]
    assert "order_status" in loaded("examples.tools_of_a_shop")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("import there_is_no_such_module", ("there_is_no_such_module", "line 1")),
        ("x = 1\nraise ValueError('no key')", ("ValueError", "no key", "line 2")),
        ("def broken(:", ("SyntaxError",)),
        ("raise SystemExit(3)", ("SystemExit",)),
        ("x = 1", ("no public function",)),
        ("__all__ = ['a']", ("'a'", "__all__")),
    ],
)
def test_a_module_that_is_none_is_told_in_one_line(tmp_path: Path, text: str, told: tuple[str, ...]) -> None:
    path = module(tmp_path, text)
    with pytest.raises(SettingsError) as refused:
        loaded(path)
    assert len(str(refused.value).splitlines()) == 1
    for word in (path, *told):
        assert word in str(refused.value)


@pytest.mark.parametrize("where", ["nowhere/at_all.py", "no_such.module_anywhere", "/"])
def test_a_module_that_is_not_there_is_told(where: str) -> None:
    with pytest.raises(SettingsError, match=where.partition(".")[0]) as refused:
        loaded(where)
    assert "path of a Python file" in refused.value.fix


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    path = module(
        tmp_path,
        '''
        def first(a):
            """Does."""

        def second(*b: int):
            """Does."""
        ''',
    )
    with pytest.raises(SettingsError) as refused:
        loaded(path, "nowhere.py")
    assert len(str(refused.value).splitlines()) == 3


def test_two_tools_of_one_name_are_refused(tmp_path: Path) -> None:
    text = '''
    def price() -> int:
        """The price."""
        return 1
    '''
    with pytest.raises(SettingsError, match=r"price\(\) is defined twice"):
        loaded(module(tmp_path, text, "a.py"), module(tmp_path, text, "b.py"))


def test_many_tools_are_warned_about(tmp_path: Path) -> None:
    functions = [f'def tool_{n}() -> None:\n    """Does {n}."""\n' for n in range(11)]
    (tmp_path / "many.py").write_text("\n".join(functions))
    warnings: list[str] = []
    assert len(load_tools([str(tmp_path / "many.py")], warnings.append)) == 11
    assert len(warnings) == 1
    assert "11" in warnings[0]
