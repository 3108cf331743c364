"""The tool runner at work: async functions in virtual time, all others in real threads."""

from __future__ import annotations

import json
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from actors.tools import ToolRunner
from actors.tools.declaration import declare
from channels.bounded import Channel, Full, Receiver, Sender
from channels.happenings import AskSent, Happening, ToolAnswered, ToolCalled, ToolDropped, TurnStarted
from channels.messages import ConnectionBroke, ToolEvent
from channels.settings import ToolSettings
from channels.taps import Taps
from channels.tools import tool
from channels.wire.events import AgentTranscript, ReplyDone, ReplyStarted, SessionReady, ToolCall
from channels.wire.messages import ClientMessage, ReplyCreate, ToolResult

KEY = "sk-0123456789abcdef"


@attrs.define
class Bench:
    """A runner and the two ends of its channels."""

    events: Sender[ToolEvent]
    requests: Receiver[ClientMessage]
    happenings: Receiver[Happening]
    taps: Taps

    def tell(self, *events: ToolEvent) -> None:
        for event in events:
            self.events.send_nowait(event)

    def call(self, name: str, call_id: str = "c1", /, **arguments: Any) -> None:
        self.tell(ToolCall(call_id, name, arguments))

    async def result(self) -> ToolResult:
        with trio.fail_after(1000):
            sent = await self.requests.receive()
        assert isinstance(sent, ToolResult)
        return sent

    async def nothing_is_sent(self, for_s: float) -> None:
        with trio.move_on_after(for_s):
            pytest.fail(f"{await self.requests.receive()} was sent")

    def told(self) -> list[Happening]:
        found: list[Happening] = []
        while True:
            try:
                found.append(self.happenings.receive_nowait())
            except trio.WouldBlock:
                return found


@asynccontextmanager
async def runner(
    *functions: Callable[..., Any], send_results: str = "at-once", requests_taken: bool = True
) -> AsyncIterator[Bench]:
    events = Channel[ToolEvent]("events", capacity=256, unit="events", full=Full.FAIL, because="as wired")
    requests = Channel[ClientMessage](
        "requests", capacity=16 if requests_taken else 1, unit="messages", full=Full.WAIT, because="as wired"
    )
    taps = Taps()
    settings = ToolSettings(
        send_results=send_results, functions=tuple(declare(function, "here") for function in functions)
    )
    happenings = taps.tap("test")
    async with trio.open_nursery() as nursery:
        actor = ToolRunner(settings, events.receiver(), taps.tap("tools"), requests.sender(), taps)
        nursery.start_soon(actor.run)
        bench = Bench(events.sender(), requests.receiver(), happenings, taps)
        bench.tell(SessionReady("sess_1"), ReplyStarted("r1"))
        yield bench
        bench.events.close()


async def test_a_function_answers_with_json(autojump_clock: MockClock) -> None:
    @dataclass
    class Order:
        number: str
        arrives: date

    async def order_status(order_id: str) -> Order:
        """The status of an order."""
        return Order(order_id, date(2026, 11, 4))

    async with runner(order_status) as bench:
        bench.call("order_status", order_id=4471)
        result = await bench.result()
        assert json.loads(result.result) == {"number": "4471", "arrives": "2026-11-04"}
        assert not result.is_error
        match bench.told():
            case [ToolCalled(call_id="c1", name="order_status"), ToolAnswered(call_id="c1", error=None)]:
                pass
            case other:
                pytest.fail(str(other))


async def test_a_text_is_sent_as_it_is_and_nothing_as_done(autojump_clock: MockClock) -> None:
    async def say() -> str:
        """Says."""
        return "Anna is near."

    async def act() -> None:
        """Acts."""

    async with runner(say, act) as bench:
        bench.call("say", "c1")
        assert (await bench.result()).result == "Anna is near."
        bench.call("act", "c2")
        assert (await bench.result()).result == "done"


async def test_a_plain_function_runs_beside_the_conversation() -> None:
    begun, may_end = threading.Event(), threading.Event()
    names: list[str] = []

    def count(to: int) -> int:
        """Counts."""
        names.append(threading.current_thread().name)
        begun.set()
        may_end.wait(30)
        return to

    async with runner(count) as bench:
        bench.call("count", to="3")
        while not begun.is_set():
            await trio.sleep(0.01)  # Trio goes on while the function does not
        may_end.set()
        assert (await bench.result()).result == "3"
    assert names[0] != threading.main_thread().name


async def test_two_tools_run_at_the_same_time(autojump_clock: MockClock) -> None:
    async def wait(seconds: float) -> float:
        """Waits."""
        await trio.sleep(seconds)
        return seconds

    async with runner(wait) as bench:
        began = trio.current_time()
        bench.call("wait", "c1", seconds=3)
        bench.call("wait", "c2", seconds=2)
        assert [(await bench.result()).call_id, (await bench.result()).call_id] == ["c2", "c1"]
        assert trio.current_time() - began < 3.1


async def test_what_a_function_raises_goes_to_the_model_in_a_line_and_to_the_log_in_full(
    autojump_clock: MockClock,
) -> None:
    async def fetch() -> None:
        """Fetches."""
        raise RuntimeError(
            f"401 for https://user:{KEY}@api.example/v1?key={KEY}#x with Bearer {KEY}\n" + "more " * 200
        )

    async with runner(fetch) as bench:
        bench.call("fetch")
        result = await bench.result()
        assert result.is_error
        assert result.result.startswith("RuntimeError: 401 for https://api.example/v1 with Bearer •••")
        assert KEY not in result.result
        assert len(result.result) < 400
        assert "\n" not in result.result
        answered = bench.told()[-1]
        assert isinstance(answered, ToolAnswered)
        assert answered.error == result.result
        assert answered.traceback is not None
        assert "in fetch" in answered.traceback


async def test_a_function_that_ends_the_process_ends_only_its_call() -> None:
    def leave() -> None:
        """Leaves."""
        raise SystemExit(3)

    async def leave_too() -> None:
        """Leaves."""
        raise SystemExit(3)

    async with runner(leave, leave_too) as bench:
        for name in ("leave", "leave_too"):
            bench.call(name, name)
            assert (await bench.result()).result == "SystemExit: 3"


@pytest.mark.parametrize(
    ("returned", "told"),
    [
        (object(), "a object that JSON cannot express"),
        ({"a": {object()}}, "a dict that JSON cannot express"),
        ("\ud800", "a str that JSON cannot express"),
        ("x" * 20_001, "20001 characters"),
        (list(range(10_000)), "characters, more than"),
    ],
    ids=["object", "inside", "surrogate", "long text", "long list"],
)
async def test_a_result_that_cannot_be_sent_is_an_error(
    returned: object, told: str, autojump_clock: MockClock
) -> None:
    async def get() -> object:
        """Gets."""
        return returned

    async with runner(get) as bench:
        bench.call("get")
        result = await bench.result()
        assert result.is_error
        assert told in result.result


async def test_a_result_that_contains_itself_is_an_error(autojump_clock: MockClock) -> None:
    async def get() -> list[Any]:
        """Gets."""
        endless: list[Any] = []
        endless.append(endless)
        return endless

    async with runner(get) as bench:
        bench.call("get")
        assert (await bench.result()).is_error


async def test_bad_arguments_are_told_to_the_model_and_the_function_is_not_called(
    autojump_clock: MockClock,
) -> None:
    calls: list[int] = []

    async def book(people: int) -> None:
        """Books a table."""
        calls.append(people)

    async with runner(book) as bench:
        bench.call("book", people="a few")
        result = await bench.result()
        assert result.is_error
        assert "people" in result.result
        assert calls == []


async def test_a_slow_tool_is_an_error_shortly_before_the_service_gives_up(
    autojump_clock: MockClock,
) -> None:
    ended: list[str] = []

    @tool(timeout_seconds=20)
    async def dream() -> None:
        """Dreams."""
        try:
            await trio.sleep_forever()
        finally:
            ended.append("dream")

    async with runner(dream) as bench:
        began = trio.current_time()
        bench.call("dream")
        result = await bench.result()
        assert 18 <= trio.current_time() - began < 20
        assert result.is_error
        assert "19 s" in result.result
        assert ended == ["dream"], "it was cancelled"


async def test_a_thread_that_never_ends_keeps_nobody_waiting() -> None:
    release = threading.Event()

    @tool(timeout_seconds=1)
    def hang(number: int) -> None:
        """Hangs."""
        release.wait(60)

    async def quick() -> str:
        """Is quick."""
        return "here"

    try:
        async with runner(hang, quick) as bench:
            for number in range(20):
                bench.call("hang", f"h{number}", number=number)
            bench.call("quick", "q")
            assert (await bench.result()).call_id == "q", "those in threads do not keep others waiting"
            for _ in range(20):
                assert (await bench.result()).is_error, "those too that waited for a thread"
    finally:
        release.set()


async def test_an_interrupted_tool_is_cancelled_and_says_nothing(autojump_clock: MockClock) -> None:
    ended: list[str] = []

    async def dream() -> None:
        """Dreams."""
        try:
            await trio.sleep(5)
        finally:
            ended.append("dream")

    async with runner(dream) as bench:
        bench.call("dream")
        await trio.sleep(1)
        bench.tell(AgentTranscript("One mo", "r1", interrupted=True), ReplyDone("r1"))
        await wait_all_tasks_blocked()
        assert ended == ["dream"]
        await bench.nothing_is_sent(200)
        assert isinstance(bench.told()[-1], ToolDropped)


async def test_the_result_of_an_interrupted_thread_is_dropped() -> None:
    begun, may_end, ended = threading.Event(), threading.Event(), threading.Event()

    def count() -> int:
        """Counts."""
        begun.set()
        may_end.wait(30)
        ended.set()
        return 3

    async with runner(count) as bench:
        bench.call("count")
        await trio.to_thread.run_sync(begun.wait, 30)
        bench.tell(ReplyDone("r1", "interrupted"))
        await wait_all_tasks_blocked(0.05)
        may_end.set()
        await trio.to_thread.run_sync(ended.wait, 30)
        await bench.nothing_is_sent(0.2)


async def test_a_result_that_still_waits_to_be_taken_can_be_dropped(autojump_clock: MockClock) -> None:
    async def say(what: str) -> str:
        """Says."""
        return what

    async with runner(say, requests_taken=False) as bench:
        bench.call("say", "c1", what="one")
        await wait_all_tasks_blocked()
        bench.call("say", "c2", what="two")  # has no room: nobody takes requests just now
        await wait_all_tasks_blocked()
        bench.tell(ReplyDone("r1", "interrupted"))
        await wait_all_tasks_blocked()
        assert (await bench.result()).call_id == "c1", "it was on its way already"
        await bench.nothing_is_sent(200)


async def test_a_result_waits_for_the_connection_and_goes_to_the_resumed_session(
    autojump_clock: MockClock,
) -> None:
    async def say() -> str:
        """Says."""
        await trio.sleep(2)
        return "late"

    async with runner(say) as bench:
        bench.call("say")
        await trio.sleep(1)
        bench.tell(ConnectionBroke())
        await bench.nothing_is_sent(5)
        bench.tell(SessionReady("sess_1"))
        assert (await bench.result()).result == "late"


async def test_a_fresh_session_ends_the_tools_of_the_old_one(autojump_clock: MockClock) -> None:
    ended: list[str] = []

    async def dream() -> None:
        """Dreams."""
        try:
            await trio.sleep(50)
        finally:
            ended.append("dream")

    async with runner(dream) as bench:
        bench.call("dream")
        await trio.sleep(1)
        bench.tell(ConnectionBroke(), SessionReady("sess_2"))
        await wait_all_tasks_blocked()
        assert ended == ["dream"]
        await bench.nothing_is_sent(200)


async def test_a_result_is_sent_without_the_end_of_its_reply_when_that_does_not_come(
    autojump_clock: MockClock,
) -> None:
    async def say() -> str:
        """Says."""
        return "here"

    async with runner(say, send_results="after-reply") as bench:
        bench.call("say")
        await bench.nothing_is_sent(3.9)
        assert (await bench.result()).result == "here"


async def test_the_runner_ends_though_a_thread_does_not() -> None:
    begun, release = threading.Event(), threading.Event()

    def hang() -> None:
        """Hangs."""
        begun.set()
        release.wait(60)

    try:
        with trio.fail_after(30):
            async with runner(hang) as bench:
                bench.call("hang")
                await trio.to_thread.run_sync(begun.wait, 30)
        assert not release.is_set()
    finally:
        release.set()


async def test_the_runner_ends_with_its_events_whatever_still_runs(autojump_clock: MockClock) -> None:
    async def dream() -> None:
        """Dreams."""
        await trio.sleep_forever()

    with trio.fail_after(1):
        async with runner(dream) as bench:
            bench.call("dream")
            await wait_all_tasks_blocked()


@attrs.define
class Shop:
    """Where what is ordered twice comes twice."""

    orders: list[str] = attrs.field(factory=list)

    async def order(self, what: str) -> str:
        """Orders."""
        self.orders.append(what)
        await trio.sleep(1)
        return f"order {len(self.orders)}"


async def test_what_the_model_calls_for_three_times_in_one_turn_is_done_once(
    autojump_clock: MockClock,
) -> None:
    shop = Shop()
    async with runner(shop.order) as bench:
        bench.taps.publish(TurnStarted(0.0, 1))
        await wait_all_tasks_blocked()
        bench.call("order", "c1", what="tea")
        bench.call("order", "c2", what="tea")
        results = [await bench.result() for _ in range(2)]
        bench.call("order", "c3", what="tea")
        bench.taps.publish(TurnStarted(3.0, 1))  # more of the same turn, which the service had split
        await wait_all_tasks_blocked()
        bench.call("order", "c4", what="tea")
        results += [await bench.result() for _ in range(2)]
        assert shop.orders == ["tea"]
        assert sorted(result.call_id for result in results) == ["c1", "c2", "c3", "c4"], "each is answered"
        assert {result.result for result in results} == {"order 1"}, "with what the first has returned"


@pytest.mark.parametrize("more", [TurnStarted(9.0, 2), AskSent(ReplyCreate("They typed: tea"), 0)])
async def test_in_another_turn_the_same_words_are_another_wish(
    more: Happening, autojump_clock: MockClock
) -> None:
    shop = Shop()
    async with runner(shop.order) as bench:
        bench.taps.publish(TurnStarted(0.0, 1))
        await wait_all_tasks_blocked()
        bench.call("order", "c1", what="tea")
        await bench.result()
        bench.taps.publish(more)
        await wait_all_tasks_blocked()
        bench.call("order", "c2", what="tea")
        assert (await bench.result()).result == "order 2"


async def test_a_tool_that_may_be_repeated_runs_each_time(autojump_clock: MockClock) -> None:
    rolled: list[int] = []

    @tool(repeatable=True)
    async def roll() -> int:
        """Rolls a die."""
        rolled.append(len(rolled) + 1)
        return rolled[-1]

    async with runner(roll) as bench:
        bench.call("roll", "c1")
        bench.call("roll", "c2")
        assert sorted([(await bench.result()).result, (await bench.result()).result]) == ["1", "2"]


async def test_who_calls_again_after_a_failure_tries_again(autojump_clock: MockClock) -> None:
    tries: list[str] = []

    async def fetch() -> str:
        """Fetches."""
        tries.append("")
        if len(tries) == 1:
            raise OSError("the line is bad")
        return "here it is"

    async with runner(fetch) as bench:
        bench.call("fetch", "c1")
        assert (await bench.result()).is_error
        bench.call("fetch", "c2")
        assert (await bench.result()).result == "here it is"
