"""Tools that raise, wait for or return what no tool should: the model gets an error, and the call goes on."""

from __future__ import annotations

import asyncio
import contextlib
import enum
import functools
import json
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import attrs
import pytest
import trio
import trio.lowlevel
from trio.testing import MockClock

from actors.record.secrecy import blotter
from actors.tools import load_tools
from actors.tools.calling import _harmless, call_tool
from actors.tools.declaration import declare
from channels.errors import SettingsError
from channels.happenings import ToolAnswered
from channels.tools import BadArguments, tool
from channels.wire.codec import EventReader
from channels.wire.events import SessionReady, SessionUpdated, ToolCall, Unrecognised
from playground.sentences import sentences
from tests.actors.test_tools_runner import Bench, runner


class Own(BaseException):
    """An exception class of somebody's own."""


class Unprintable(Exception):
    def __str__(self) -> str:
        raise Own


def group() -> BaseExceptionGroup[BaseException]:
    return BaseExceptionGroup("several", [Own("one"), ValueError("two")])


RAISED: list[Callable[[], BaseException]] = [
    asyncio.CancelledError,
    GeneratorExit,
    KeyboardInterrupt,
    StopIteration,
    StopAsyncIteration,
    Own,
    Unprintable,
    group,
    lambda: SystemExit(3),
    lambda: trio.Cancelled._create(source="unknown"),  # one that it kept, say
    lambda: BaseExceptionGroup("kept", [trio.Cancelled._create(source="unknown")]),
]


async def work() -> str:
    """Works."""
    return "it works"


async def goes_on(bench: Bench) -> None:
    bench.call("work", "afterwards")
    assert (await bench.result()).result == "it works"


@pytest.mark.parametrize("raised", RAISED)
@pytest.mark.parametrize("kind", ["sync", "async", "half"])
async def test_whatever_a_tool_raises_is_told_to_the_model_and_the_call_goes_on(
    raised: Callable[[], BaseException], kind: str
) -> None:
    def fail() -> None:
        """Fails."""
        raise raised()

    async def fail_async() -> None:
        """Fails."""
        raise raised()

    def fail_half() -> Awaitable[None]:
        """Fails once it is awaited."""
        return fail_async()

    function = {"sync": fail, "async": fail_async, "half": fail_half}[kind]
    async with runner(function, work) as bench:
        bench.call(function.__name__)
        assert (await bench.result()).is_error
        await goes_on(bench)


async def test_a_tool_whose_call_is_cancelled_is_cancelled(autojump_clock: MockClock) -> None:
    ended: list[str] = []

    @tool(timeout_seconds=5)
    async def wait() -> None:
        """Waits, and fails in many ways when it is stopped."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(trio.sleep_forever)
                try:
                    await trio.sleep_forever()
                finally:
                    raise Own
        finally:
            ended.append("wait")

    async with runner(wait, work) as bench:
        bench.call("wait")
        result = await bench.result()
        assert result.is_error
        assert "took longer than" in result.result
        assert ended == ["wait"]
        await goes_on(bench)


@dataclass
class Order:
    number: int

    def __post_init__(self) -> None:
        raise {1: KeyError("no such shop"), 2: AttributeError("x"), 3: Own(), 4: SystemExit()}[self.number]


@pytest.mark.parametrize("number", [1, 2, 3, 4])
async def test_an_argument_that_cannot_be_made_is_told_to_the_model(number: int) -> None:
    def place(order: Order) -> None:
        """Places an order."""

    async with runner(place, work) as bench:
        bench.call("place", order={"number": number})
        result = await bench.result()
        assert result.is_error
        assert result.result.startswith("bad arguments: ")
        await goes_on(bench)


async def test_asyncio_in_a_tool_is_told_what_to_use_instead() -> None:
    async def sleeps() -> None:
        """Sleeps."""
        await asyncio.sleep(1)

    async def passes() -> None:
        """Lets others run."""
        await asyncio.sleep(0)

    async def insists() -> None:
        """Does not listen."""
        while True:
            with contextlib.suppress(RuntimeError):
                await asyncio.sleep(0)

    async def among_others() -> None:
        """Does it in a task."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(asyncio.sleep, 0)

    async with runner(sleeps, passes, insists, among_others, work) as bench:
        for name in ("sleeps", "passes", "insists"):
            bench.call(name, name)
            result = await bench.result()
            assert result.is_error
            for word in ("trio.sleep()", "plain function", "asyncio.run()"):
                assert word in result.result
        bench.call("among_others", "4")
        assert (await bench.result()).is_error
        await goes_on(bench)


async def test_a_plain_function_around_an_async_one_is_awaited() -> None:
    def log_it(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def logged(*args: Any, **kwargs: Any) -> Any:
            return function(*args, **kwargs)

        return logged

    @log_it
    async def price(count: int) -> int:
        """The price."""
        await trio.lowlevel.checkpoint()
        return count * 3

    async with runner(price) as bench:
        bench.call("price", count=2)
        assert (await bench.result()).result == "6"


@dataclass
class Line:
    count: int
    sizes: list[str]


class Size(enum.Enum):
    SMALL = "small"
    LARGE = "large"


@dataclass
class Pizza:
    crust: Literal["thin", "deep", "cheese"]


class Model:
    """As pydantic's are."""

    def __init__(self, **values: Any) -> None:
        self.values = values

    def model_dump(self, *, mode: str = "python") -> dict[str, Any]:
        assert mode == "json"
        return self.values


class Colour(enum.Enum):
    RED = "red"


@attrs.frozen
class Price:
    amount: Decimal
    at: datetime


@pytest.mark.parametrize(
    ("returned", "told"),
    [
        (Model(a=1), {"a": 1}),
        ([Model(a=1), Model(a=2)], [{"a": 1}, {"a": 2}]),
        ({"found": Model(a=[1])}, {"found": {"a": [1]}}),
        (
            Price(Decimal("1.50"), datetime(2026, 1, 2, tzinfo=UTC)),
            {"amount": "1.50", "at": "2026-01-02T00:00:00Z"},
        ),
        ([Colour.RED], ["red"]),
        ({Colour.RED: uuid.UUID(int=1)}, {"red": "00000000-0000-0000-0000-000000000001"}),
        (Path("a/b"), "a/b"),
        ({"a": 1}.keys(), ["a"]),
        ({None: 1, True: 2}, {"null": 1, "true": 2}),
    ],
)
async def test_what_programs_are_made_of_reaches_the_model_as_json(returned: Any, told: Any) -> None:
    def look() -> Any:
        """Looks."""
        return returned

    async with runner(look) as bench:
        bench.call("look")
        result = await bench.result()
        assert not result.is_error
        assert json.loads(result.result) == told


def test_arguments_that_come_as_a_text_of_json_are_arguments() -> None:
    def place(
        tags: list[str],
        lines: list[Line] | None,
        note: str | None = "?",
        text: str = "",
        by: dict[str, int] | None = None,
    ) -> None:
        """Places."""

    read = declare(place, "here").read_arguments
    assert read(
        {
            "tags": '["a"]',
            "lines": '[{"count": "2", "sizes": "[\\"l\\"]"}]',
            "note": "null",
            "text": "[1]",
            "by": '{"a": 1}',
        }
    ) == {"tags": ["a"], "lines": [Line(2, ["l"])], "text": "[1]", "by": {"a": 1}}
    with pytest.raises(BadArguments):
        read({"tags": "a, b"})


@pytest.mark.parametrize(
    ("written", "read"),
    [('{"a": "b"}', {"a": "b"}), ({"a": "b"}, {"a": "b"}), ("", {}), ("[1]", {}), ("[" * 100_000, {})],
)
def test_the_arguments_of_a_call_may_be_a_text(written: Any, read: Any) -> None:
    frame = json.dumps({"type": "tool.call", "call_id": "c", "name": "n", "arguments": written})
    assert EventReader().read(frame) == ToolCall("c", "n", read)


def test_choices_keep_the_order_of_their_author() -> None:
    def order(
        pizza: Pizza, size: Size, when: Literal["today", "later", "now"] | None, n: Literal[3, 1]
    ) -> None:
        """Orders."""

    found = declare(order, "here").parameters["properties"]
    assert found["pizza"]["properties"]["crust"]["enum"] == ["thin", "deep", "cheese"]
    assert found["size"]["enum"] == ["small", "large"]
    assert found["when"]["enum"] == ["today", "later", "now"]
    assert found["n"]["enum"] == [3, 1]


@pytest.mark.parametrize("number", ["1" + "0" * 400, "1" + "0" * 5000, "-1" + "0" * 400, "1e400", "300.5"])
async def test_no_number_of_the_service_ends_the_call(number: str) -> None:
    def slow() -> str:
        """Is slow."""
        return "done at last"

    declared = f'[{{"type": "function", "name": "slow", "timeout_seconds": {number}}}]'
    read = EventReader().read
    updated = read(f'{{"type": "session.updated", "config": {{"tools": {declared}}}}}')
    assert isinstance(updated, SessionUpdated)
    ready = read(f'{{"type": "session.ready", "session_id": "s", "expires_at": {number}, "config": {{}}}}')
    assert isinstance(ready, SessionReady)
    async with runner(slow) as bench:
        bench.tell(updated, SessionUpdated({"tools": [{"name": "slow", "timeout_seconds": 10**400}]}))
        bench.call("slow")
        assert (await bench.result()).result == "done at last"


@pytest.mark.parametrize("depth", [100, 900, 100_000])
def test_no_nesting_of_the_service_runs_out_of_stack(depth: int) -> None:
    config = '{"a":' * depth + "[]" + "}" * depth
    read = EventReader().read(f'{{"type": "session.updated", "config": {config}}}')
    assert isinstance(read, Unrecognised)


def test_a_long_number_of_a_customer_is_left_as_it_is() -> None:
    frame = '{"type": "tool.call", "call_id": "c", "name": "n", "arguments": {"card": 49927398716123456789}}'
    assert EventReader().read(frame) == ToolCall("c", "n", {"card": 49927398716123456789})


def seconds_for(text: str, work: Callable[[str], object]) -> float:
    """Of this thread's own, so that a busy machine makes no difference."""
    took = []
    for _ in range(3):
        began = time.thread_time()
        work(text)
        took.append(time.thread_time() - began)
    return min(took)


ATOMS = ["a", "eyJ", "eyJaaaaaaaa.", "://", "://a:", "bearer ", "Bearer\t", "token=", "sk-", "@", "."]


@pytest.mark.parametrize("atom", ATOMS)
@pytest.mark.parametrize("work", [_harmless, blotter([]), sentences], ids=["errors", "records", "sentences"])
def test_a_text_of_a_megabyte_takes_as_much_longer_as_it_is_longer(
    atom: str, work: Callable[[str], object]
) -> None:
    long = (atom * 1_000_000)[:1_000_000]
    short = long[: len(long) // 16]
    # 16 times as long; with a square in it, 256 times.
    assert seconds_for(long, work) < 64 * max(seconds_for(short, work), 0.0005)


async def test_an_error_of_a_megabyte_is_a_line(autojump_clock: MockClock) -> None:
    async def fail() -> None:
        """Fails."""
        raise ValueError("https" * 200_000)

    async with runner(fail) as bench:
        bench.call("fail")
        assert len((await bench.result()).result) < 400
        bench.call("fail", "c2", **{"x" * 1_000_000: 1})
        assert len((await bench.result()).result) < 400
        answered = bench.told()[-1]
        assert isinstance(answered, ToolAnswered)


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ("x eyJhbGciOiJI.eyJzdWIiOiIx.c2ln y", "x ••• y"),
        ("neyJhbGciOiJI.eyJzdWIiOiIx. y", "n••• y"),
        ("eyJhbGciOiJI.eyJhbGciOiJI.eyJzdWIiOiIx.c2ln", "•••.c2ln"),
        ("eyJabc.def", "eyJabc.def"),
        ("eyJhbGciOiJI and no more", "eyJhbGciOiJI and no more"),
    ],
)
def test_tokens_are_still_blotted_out_of_records(line: str, kept: str) -> None:
    assert blotter([])(line) == kept


MODULE = '''
import functools
from os.path import join
from functools import partial

class Shop:
    def __init__(self, name): self.name = name
    def status(self, order: str) -> str:
        """The state of an order."""
        return self.name + order
    async def later(self, order: str) -> str:
        """The state of an order, later."""
        return self.name + order

class Price:
    """The price of a thing."""
    def __call__(self, thing: str) -> str:
        return thing + " is 3"

@functools.cache
def hours(day: str) -> str:
    """The opening hours."""
    return day + " 9 to 5"

def _at(shop: str, count: int) -> str:
    """How many there are at a shop."""
    return shop * count

shop = Shop("S")
order_status = shop.status
order_later = shop.later
price = Price()
at_home = partial(_at, "h")
at_work = partial(_at, shop="w")
joined = partial(join, "a")
'''


async def test_tools_need_not_be_plain_functions(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(MODULE)
    warned: list[str] = []
    tools = {found.name: found for found in load_tools([str(tmp_path / "shop.py")], warned.append)}
    assert list(tools) == ["hours", "order_status", "order_later", "price", "at_home", "at_work"]
    assert len(warned) == 1
    assert "joined" in warned[0]
    assert list(tools["at_work"].parameters["properties"]) == ["count"]
    assert list(tools["order_status"].parameters["properties"]) == ["order"]
    assert tools["order_later"].is_async
    assert tools["price"].description == "The price of a thing."
    called: dict[str, tuple[dict[str, Any], str]] = {
        "hours": ({"day": "Mon"}, "Mon 9 to 5"),
        "order_status": ({"order": "1"}, "S1"),
        "order_later": ({"order": "1"}, "S1"),
        "price": ({"thing": "tea"}, "tea is 3"),
        "at_home": ({"count": 2}, "hh"),
        "at_work": ({"count": 2}, "ww"),
    }
    for name, (arguments, told) in called.items():
        answer = await call_tool(tools[name], arguments, trio.CapacityLimiter(1))
        assert (name, answer.text) == (name, told)


def test_a_cached_async_tool_is_refused_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(
        'import functools\n@functools.cache\nasync def hours() -> str:\n    """Hours."""\n    return ""\n'
    )
    with pytest.raises(SettingsError, match=r"hours\(\) is async and cached"):
        load_tools([str(tmp_path / "shop.py")], print)


async def test_what_a_tool_leaves_open_harms_nobody(autojump_clock: MockClock) -> None:
    async def leaves() -> str:
        """Leaves something open."""
        trio.CancelScope().__enter__()
        return "left"

    async with runner(leaves, work) as bench:
        bench.call("leaves")
        await bench.result()
        await goes_on(bench)
