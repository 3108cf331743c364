"""Which spans a turn becomes, and that sending them holds up nobody and tells nothing."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import structlog
import trio
from attrs import define, field
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from actors.traces.actor import TraceActor
from actors.traces.turns import MOST, Event, Span, TurnSpans
from channels.errors import SettingsError
from channels.happenings import (
    CallBegan,
    Happening,
    Interrupted,
    PersonSaid,
    ReplyBegan,
    ReplyEnded,
    ReplyOutcome,
    ToolAnswered,
    ToolCalled,
    TurnTimed,
    VoiceHeld,
    VoiceResumed,
)
from channels.settings.health import HealthSettings
from channels.taps import Taps
from commands.serve.observed import observe

KEY = "collectors-key-that-nobody-may-see"


def turns_of(*happened: tuple[float, Happening]) -> list[Span]:
    """The turns of what happened at these times."""
    spans = TurnSpans({"order_status"})
    return [turn for at, happening in happened if (turn := spans.take(happening, at)) is not None]


def timed(reply_id: str, at: float, latency: int | None = None, endpointing: int | None = None) -> TurnTimed:
    ended = ReplyEnded(reply_id, ReplyOutcome.PLAYED, 2000, "Words that were heard.", at)
    return TurnTimed(1, latency, None, endpointing, ended)


def test_a_turn_is_endpointing_thinking_and_speaking_one_after_the_other() -> None:
    (turn,) = turns_of((10.0, ReplyBegan("r", 10.0)), (12.0, timed("r", 12.0, latency=900, endpointing=500)))
    assert turn.began == pytest.approx(9.1)
    assert (turn.name, turn.ended) == ("turn", 12.0)
    expected: list[Any] = [
        ("endpointing", pytest.approx(9.1), pytest.approx(9.6)),
        ("thinking", pytest.approx(9.6), 10.0),
        ("speaking", 10.0, 12.0),
    ]
    assert [(each.name, each.began, each.ended) for each in turn.children] == expected
    assert turn.attributes["voice_agent.turn_latency_ms"] == 900
    assert turn.attributes["voice_agent.outcome"] == "played"


def test_a_greeting_is_only_spoken() -> None:
    (turn,) = turns_of((1.0, ReplyBegan("r", 1.0)), (3.0, timed("r", 3.0)))
    assert [each.name for each in turn.children] == ["speaking"]
    assert turn.began == 1.0


def test_holds_are_in_the_speaking_and_say_whether_the_voice_was_given_back() -> None:
    (turn,) = turns_of(
        (10.0, ReplyBegan("r", 10.0)),
        (11.0, VoiceHeld(11.0)),
        (11.5, VoiceResumed(11.5, 500)),
        (12.0, VoiceHeld(12.0)),
        (13.0, Interrupted("r", 13.0)),
        (13.0, timed("r", 13.0, latency=900, endpointing=500)),
    )
    speaking = turn.children[-1]
    assert [(each.began, each.ended, each.attributes) for each in speaking.children] == [
        (11.0, 11.5, {"voice_agent.given_back": True}),
        (12.0, 13.0, {"voice_agent.given_back": False}),
    ]
    assert speaking.events == (Event("interrupted", 13.0),)


def test_a_tool_belongs_to_the_turn_in_which_it_answers() -> None:
    first, second = turns_of(
        (9.5, ToolCalled("c", "order_status")),
        (10.0, ReplyBegan("wait", 10.0)),
        (11.0, timed("wait", 11.0, latency=900, endpointing=300)),
        (11.5, ToolAnswered("c", "order_status", 2000, error="ValueError: order 4471")),
        (12.0, ReplyBegan("r", 12.0)),
        (13.0, timed("r", 13.0)),
    )
    assert "tool order_status" not in [each.name for each in first.children]
    tool = second.children[0]
    assert (tool.name, tool.began, tool.ended, tool.failed) == ("tool order_status", 9.5, 11.5, True)
    assert second.began == 9.5, "a child lies within its parent"


def test_a_tool_that_a_model_made_up_has_no_name() -> None:
    (turn,) = turns_of(
        (9.0, ToolAnswered("c", "steal_the_key", 100, error="there is no such tool")),
        (10.0, ReplyBegan("r", 10.0)),
        (11.0, timed("r", 11.0)),
    )
    assert turn.children[0].name == "tool unknown"


def test_a_reply_that_nobody_heard_is_no_turn_and_a_new_call_begins_afresh() -> None:
    assert turns_of((11.0, timed("unheard", 11.0))) == []
    (turn,) = turns_of(
        (5.0, ToolAnswered("c", "order_status", 100)),
        (6.0, CallBegan()),
        (10.0, ReplyBegan("r", 10.0)),
        (11.0, timed("r", 11.0)),
    )
    assert [each.name for each in turn.children] == ["speaking"]


def every(span: Span) -> Iterator[Span]:
    yield span
    for child in span.children:
        yield from every(child)


_TIMES = st.floats(0, 100)
_HAPPENED = st.one_of(
    st.builds(ReplyBegan, st.sampled_from("ab"), _TIMES),
    st.builds(ToolCalled, st.sampled_from("cd"), st.just("order_status")),
    st.builds(ToolAnswered, st.sampled_from("cd"), st.just("order_status"), st.integers(0, 9000)),
    st.builds(VoiceHeld, _TIMES),
    st.builds(VoiceResumed, _TIMES, st.just(1)),
    st.builds(Interrupted, st.sampled_from("ab"), _TIMES),
    st.just(CallBegan()),
    st.builds(
        timed,
        st.sampled_from("ab"),
        _TIMES,
        st.none() | st.integers(0, 9000),
        st.none() | st.integers(0, 9000),
    ),
)


@given(st.lists(st.tuples(_TIMES, _HAPPENED), max_size=40))
def test_no_order_of_things_makes_a_span_that_ends_before_it_begins(
    happened: list[tuple[float, Happening]],
) -> None:
    for turn in turns_of(*happened):
        for span in every(turn):
            assert span.began <= span.ended + 1e-9


def test_what_is_kept_is_bounded() -> None:
    spans = TurnSpans(set())
    for number in range(10 * MOST):
        at = float(number)
        for happening in (
            ReplyBegan(str(number), at),
            ToolCalled(str(number), "x"),
            ToolAnswered(str(-number), "x", 1),
            VoiceHeld(at),
            VoiceResumed(at, 1),
            Interrupted(str(number), at),
        ):
            spans.take(happening, at)
    kept = [spans._replies, spans._called, spans._answered, spans._holds, spans._interrupted]
    assert all(len(each) <= MOST for each in kept)


async def test_the_actor_hands_on_each_turn_and_no_words() -> None:
    sent: list[Span] = []
    taps = Taps()
    actor = TraceActor(
        TurnSpans(set()), lambda turn, room, now: sent.append(turn), "room", taps.tap("traces")
    )
    for happening in (
        PersonSaid("my secret", final=True),
        ReplyBegan("r", 1.0),
        timed("r", 2.0, latency=500, endpointing=200),
    ):
        taps.publish(happening)
    taps.close()
    await actor.run()
    (turn,) = sent
    assert "secret" not in str(turn)
    assert "heard." not in str(turn)


@define
class Collector:
    """A collector that answers as it is told."""

    status: int
    stalls: threading.Event = field(factory=threading.Event)
    asked: list[str] = field(factory=list)
    url: str = ""

    @classmethod
    def running(cls, status: int, *, stalls: bool = False) -> Iterator[Collector]:
        collector = cls(status)
        if not stalls:
            collector.stalls.set()

        class Answer(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                collector.asked.append(self.headers.get("x-key", ""))
                collector.stalls.wait(120)
                self.send_response(collector.status)
                self.send_header("Location", "http://127.0.0.1:1/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *said: object) -> None: ...

        server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        server.daemon_threads = True
        collector.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield collector
        finally:
            collector.stalls.set()
            server.shutdown()
            server.server_close()


@pytest.fixture
def collector(request: pytest.FixtureRequest) -> Iterator[Collector]:
    yield from Collector.running(**getattr(request, "param", {"status": 200}))


@pytest.fixture(autouse=True)
def their_log_as_before() -> Iterator[None]:
    theirs = logging.getLogger("opentelemetry")
    before = theirs.propagate, theirs.handlers
    yield
    theirs.propagate, theirs.handlers = before


async def send_a_turn(
    monkeypatch: pytest.MonkeyPatch, endpoint: str, turns: int = 1, proxy: str = "", timeout_s: int = 30
) -> tuple[float, float]:
    """Sends turns; gives how long handing them on took, and the end of it, in seconds."""
    variables = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTEL_EXPORTER_OTLP_HEADERS": f"x-key={KEY}",
        "OTEL_BSP_SCHEDULE_DELAY": "50",
        "OTEL_EXPORTER_OTLP_TIMEOUT": str(timeout_s),
        "OTEL_BSP_MAX_QUEUE_SIZE": "600",
        "HTTP_PROXY": proxy,
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    traces = observe(HealthSettings(), structlog.get_logger(), variables).traces
    assert traces is not None
    async with traces.sending():
        began = time.monotonic()
        for _ in range(turns):
            traces.send(Span("turn", 1.0, 2.0, {}, (Span("speaking", 1.0, 2.0),)), "room", 3.0)
        handed_on = time.monotonic()
        await trio.sleep(0.3)
        ending = time.monotonic()
    return handed_on - began, time.monotonic() - ending


async def test_turns_arrive_with_the_owners_headers(
    monkeypatch: pytest.MonkeyPatch, collector: Collector
) -> None:
    await send_a_turn(monkeypatch, collector.url)
    assert set(collector.asked) == {KEY}  # its two spans may go one after the other


async def test_a_collector_elsewhere_is_reached_through_the_proxy_and_one_on_this_machine_is_not(
    monkeypatch: pytest.MonkeyPatch, collector: Collector
) -> None:
    await send_a_turn(monkeypatch, "http://collector.example:4318", proxy=collector.url)
    assert set(collector.asked) == {KEY}
    collector.asked.clear()
    await send_a_turn(monkeypatch, collector.url, proxy="http://127.0.0.1:9")
    assert set(collector.asked) == {KEY}


@pytest.mark.parametrize("collector", [{"status": 401}, {"status": 307}], indirect=True)
async def test_a_collector_that_refuses_is_told_once_without_the_headers_and_is_not_followed(
    monkeypatch: pytest.MonkeyPatch, collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    with capture_logs() as lines:
        await send_a_turn(monkeypatch, collector.url, turns=300)
    assert [line["event"] for line in lines] == ["traces", "traces_not_sent"]
    assert KEY not in f"{lines} {caplog.text}"
    assert set(collector.asked) == {KEY}


@pytest.mark.parametrize("collector", [{"status": 200, "stalls": True}], indirect=True)
async def test_a_collector_that_does_not_answer_holds_up_nobody(
    monkeypatch: pytest.MonkeyPatch, collector: Collector
) -> None:
    with capture_logs():
        handing_on, ending = await send_a_turn(monkeypatch, collector.url, turns=2000, timeout_s=1)
    assert handing_on < 60, "it waits for the machine alone"
    assert ending < 60, "not for the two minutes of this collector"


async def test_a_header_that_cannot_be_read_is_not_quoted(
    monkeypatch: pytest.MonkeyPatch, collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_HEADERS", f"{KEY} {KEY}, =, x-key: {KEY}\x01")
    with capture_logs() as lines:
        await send_a_turn(monkeypatch, collector.url)
    assert KEY not in f"{lines} {caplog.text}"


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "localhost:4318"}, "OTEL_EXPORTER_OTLP_ENDPOINT is not an http"),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://[x"}, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT is not"),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://here:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            "OTEL_EXPORTER_OTLP_PROTOCOL names a protocol that is not spoken here; set it to http/protobuf",
        ),
    ],
)
def test_what_cannot_be_sent_to_is_named(variables: dict[str, str], says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        observe(HealthSettings(), structlog.get_logger(), variables)


@pytest.mark.parametrize("off", [{"OTEL_SDK_DISABLED": "true"}, {"OTEL_TRACES_EXPORTER": "none"}])
def test_opentelemetrys_own_switches_turn_it_off(off: dict[str, str]) -> None:
    variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318", **off}
    assert observe(HealthSettings(), structlog.get_logger(), variables).traces is None


def test_headers_that_cross_a_network_unencrypted_are_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    variables = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector.example:4318",
        "OTEL_EXPORTER_OTLP_HEADERS": f"x-key={KEY}",
    }
    with capture_logs() as lines:
        observe(HealthSettings(), structlog.get_logger(), variables)
    assert [line["event"] for line in lines] == ["traces_unencrypted", "traces"]
    assert KEY not in str(lines)


def test_packages_that_are_missing_are_named_with_how_to_get_them() -> None:
    code = (
        "import sys; sys.modules['opentelemetry'] = None\n"
        "import structlog; from commands.serve.observed import observe\n"
        "from channels.settings.health import HealthSettings\n"
        "observe(HealthSettings(), structlog.get_logger(), {'OTEL_EXPORTER_OTLP_ENDPOINT': 'http://localhost:4318'})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).resolve().parents[2],
        capture_output=True,
        text=True,
    )
    assert "SettingsError: OTEL_EXPORTER_OTLP_ENDPOINT is set, and a package" in done.stderr
    assert "run `make traces`" in done.stderr
