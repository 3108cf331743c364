"""A person talks with the agent, and whoever looks from outside sees the turn, but no words and no names."""

from __future__ import annotations

import os
import re
import signal
import sys
from pathlib import Path

import pytest
import trio
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from bench.guest import join_as_guest
from bench.scraping import get, read_samples, value
from bench.speech import spoken
from channels.net.serving import Request, Response, serve_few, serve_http
from commands.serve.health import FRESH_S
from playground.dialogue import Dialogue
from playground.livekit_server import LiveKitServer
from playground.voice_agent_api import ServerOptions, voice_agent_server
from tests.agent_process import run_agent, settings_for

pytestmark = [pytest.mark.server, pytest.mark.slow]

ROOM = "the rooms own name"
TOOLS = Path(__file__).resolve().parents[2] / "examples" / "tools_of_a_shop.py"
COLLECTORS_KEY = "collectors-key-that-nobody-may-see"


async def test_a_turn_is_seen_in_the_metrics_and_in_a_trace_without_words_and_names(
    livekit: LiveKitServer,
) -> None:
    spans: list[Span] = []
    keys: list[str] = []

    async def collect(request: Request) -> Response:
        keys.append(request.headers.get("x-key", ""))
        batch = ExportTraceServiceRequest.FromString(request.body)
        spans.extend(span for of in batch.resource_spans for scope in of.scope_spans for span in scope.spans)
        return Response(200)

    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    async with (
        trio.open_nursery() as nursery,
        voice_agent_server(ServerOptions(endpointing_ms=None, brain=Dialogue)) as service,
    ):
        nursery.start_soon(lambda: serve_few(listener, lambda stream: serve_http(stream, collect), most=8))
        settings = {
            **settings_for(livekit, service.url, ROOM),
            "VOICE_AGENT_HEALTH_LISTEN": "127.0.0.1:0",
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}",
            "OTEL_EXPORTER_OTLP_HEADERS": f"x-key={COLLECTORS_KEY}",
            "OTEL_BSP_SCHEDULE_DELAY": "200",
        }
        async with run_agent(settings, "--tools", str(TOOLS)) as agent:
            await agent.prints("room_joined", within_s=60)
            url = re.search(r"http://127\.0\.0\.1:\d+", agent.printed.partition(" health")[2])
            assert url is not None
            assert (await get(url[0], "/livez")).status == 200
            async with join_as_guest(livekit, ROOM, "alice in wonderland") as guest:
                await guest.hear_sound(within_s=60)
                await guest.hear_silence(for_s=1.0, within_s=60)
                assert (await get(url[0], "/readyz")).status == 200
                asked = 0

                async def ask_until_understood() -> None:
                    nonlocal asked
                    while True:
                        asked += 1
                        await guest.say(spoken("Where is order four four seven one?"))
                        await guest.hush(30)

                async with trio.open_nursery() as asking:
                    asking.start_soon(ask_until_understood)
                    with trio.fail_after(120):
                        while True:
                            told = (await get(url[0], "/metrics")).body
                            samples = read_samples(told)
                            answered = value(samples, "voice_agent_turn_latency_seconds_count")
                            carried = value(samples, "voice_agent_channel_passed_total", channel="microphone")
                            traced = {span.name for span in spans}
                            if answered and carried and {"thinking", "tool order_status"} <= traced:
                                break
                            await trio.sleep(0.2)
                    asking.cancel_scope.cancel()
            await agent.leave()
            printed = agent.printed
        nursery.cancel_scope.cancel()

    # As the person noticed it; and no longer than the whole test.
    assert 0.1 < value(samples, "voice_agent_turn_latency_seconds_sum") / answered < 30
    assert value(samples, "voice_agent_replies_total", outcome="played") >= 2, "the greeting and the answer"
    assert value(samples, "voice_agent_sessions_started_total", how="fresh") == 1
    assert value(samples, "voice_agent_rooms_connected") == 1
    looked_up = value(samples, "voice_agent_tool_calls_total", tool="order_status")
    assert 1 <= looked_up <= asked
    assert value(samples, "voice_agent_tool_seconds_count", tool="order_status") == looked_up
    assert value(samples, "voice_agent_loop_lag_seconds_count") > 10

    turns = [span for span in spans if span.name == "turn" and span.parent_span_id == b""]
    turn = next(span for span in turns if latency(span))
    of_it = {span.name: span for span in spans if span.trace_id == turn.trace_id}
    assert {"endpointing", "thinking", "speaking"} <= of_it.keys()
    assert of_it["endpointing"].end_time_unix_nano == of_it["thinking"].start_time_unix_nano
    assert of_it["thinking"].end_time_unix_nano == of_it["speaking"].start_time_unix_nano
    assert all(span.parent_span_id == turn.span_id for name, span in of_it.items() if name != "turn")

    told_text, all_traced = told.decode(), " ".join(str(span) for span in spans)
    for private in ("alice", "order four", "4471", settings["ASSEMBLYAI_API_KEY"], livekit.api_key):
        assert private not in told_text
        assert private not in all_traced
    assert ROOM not in told_text
    assert set(keys) == {COLLECTORS_KEY}
    assert COLLECTORS_KEY not in printed


@pytest.mark.skipif(sys.platform != "linux", reason="finds the processes in /proc")
async def test_several_processes_are_one_worker_to_whoever_looks_and_one_that_dies_is_forgotten(
    livekit: LiveKitServer,
) -> None:
    settings = {
        **settings_for(livekit, "ws://127.0.0.1:9/v1/ws", "not this one"),
        "VOICE_AGENT_WORKER_MOST_LOAD": "1",
        "VOICE_AGENT_HEALTH_LISTEN": "127.0.0.1:0",
    }
    arguments = ("serve", "--agent", "many", "--processes", "2")
    async with run_agent(settings, *arguments) as agent:
        with trio.fail_after(60):
            while agent.printed.count("worker_registered") < 2:
                await trio.sleep(0.05)
        (url,) = set(re.findall(r"http://127\.0\.0\.1:\d+", agent.printed))

        async def counted(name: str, **labels: str) -> float:
            return value(read_samples((await get(url, "/metrics")).body), name, **labels)

        async def until(name: str, expected: float) -> None:
            with trio.fail_after(60):
                while await counted(name) != expected:
                    await trio.sleep(0.2)

        await until("voice_agent_processes", 2)
        with trio.fail_after(60):
            while (await get(url, "/readyz")).status != 200:
                await trio.sleep(0.1)
        before = await counted("voice_agent_loop_lag_seconds_count")
        (victim, _) = children_of(agent.process.pid)
        os.kill(victim, signal.SIGKILL)
        await agent.prints("process_died", within_s=60)
        with trio.fail_after(60):
            while agent.printed.count("worker_registered") < 3:
                await trio.sleep(0.05)
        assert victim not in children_of(agent.process.pid)
        await trio.sleep(FRESH_S)
        await until("voice_agent_processes", 2)
        assert await counted("voice_agent_loop_lag_seconds_count") > before, "counts are kept"
        await agent.leave()
        assert agent.process.returncode == 0
    assert "Traceback" not in agent.printed


def children_of(pid: int) -> list[int]:
    """The processes that this one has started."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()]


def latency(span: Span) -> int:
    return next(
        (each.value.int_value for each in span.attributes if each.key == "voice_agent.turn_latency_ms"), 0
    )
