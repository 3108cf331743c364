"""What probes and Prometheus are told, also while others do their worst at the same address."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import attrs
import pytest
import structlog
import trio
from structlog.testing import capture_logs

from bench.scraping import get, read_samples, value
from channels.errors import HealthUnavailable, SettingsError
from channels.settings.health import HealthSettings
from commands.serve.health import MOST_CONNECTIONS, health_server
from commands.serve.held import LoopWatch
from commands.serve.observed import UNOBSERVED, observe
from tests.channels.configuring import Person

HERE = "127.0.0.1:0"


@asynccontextmanager
async def served(
    ready: Callable[[], str | None] = lambda: None, exposition: Callable[[], bytes] = lambda: b"up 1\n"
) -> AsyncIterator[str]:
    async with health_server(HERE, structlog.get_logger(), ready=ready, exposition=exposition) as url:
        yield url


def address(url: str) -> tuple[str, int]:
    host, _, port = url.removeprefix("http://").rpartition(":")
    return host, int(port)


async def send(url: str, data: bytes) -> bytes:
    """All that is answered to raw bytes."""
    stream = await trio.open_tcp_stream(*address(url))
    got = b""
    async with stream:
        await stream.send_all(data)
        await stream.send_eof()
        async for chunk in stream:
            got += chunk
    return got


async def test_a_live_process_says_so() -> None:
    async with served() as url:
        answer = await get(url, "/livez")
        assert (answer.status, answer.body) == (200, b"alive\n")


async def test_a_process_that_wants_no_calls_says_why_and_stays_alive() -> None:
    reasons: list[str | None] = ["draining", None]
    async with served(ready=lambda: reasons[0]) as url:
        answer = await get(url, "/readyz")
        assert (answer.status, answer.body) == (503, b"draining\n")
        assert (await get(url, "/livez")).status == 200
        del reasons[0]
        assert (await get(url, "/readyz")).status == 200


async def test_metrics_are_told_as_prometheus_reads_them() -> None:
    async with served() as url:
        answer = await get(url, "/metrics?x=y")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert value(read_samples(answer.body), "up") == 1


async def test_whoever_asks_for_metrics_again_and_again_costs_one_answer() -> None:
    made: list[None] = []

    def exposition() -> bytes:
        made.append(None)
        return b"up 1\n"

    async with served(exposition=exposition) as url:
        answers = await send(url, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 100)
    assert answers.count(b"up 1\n") == 100
    assert len(made) < 50


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        ("GET / HTTP/1.1", 404),
        ("GET /metrics/../livez HTTP/1.1", 404),
        ("GET http://elsewhere/metrics HTTP/1.1", 404),
        ("POST /metrics HTTP/1.1", 405),
        ("DELETE /livez HTTP/1.1", 405),
        ("hello", 400),
    ],
)
async def test_what_nobody_should_ask_is_refused(request_line: str, status: int) -> None:
    async with served() as url:
        answer = await send(url, f"{request_line}\r\nHost: x\r\n\r\n".encode())
        assert answer.startswith(f"HTTP/1.1 {status}".encode())
        assert (await get(url, "/livez")).status == 200


async def test_clients_that_connect_and_wait_keep_nobody_out_and_give_way_to_whoever_comes() -> None:
    async with served() as url:
        idle = [await trio.open_tcp_stream(*address(url)) for _ in range(3 * MOST_CONNECTIONS)]
        assert (await get(url, "/livez")).status == 200
        with trio.fail_after(60):
            for stream in idle[: 2 * MOST_CONNECTIONS]:
                with suppress(trio.BrokenResourceError):
                    assert await stream.receive_some() == b"", "the oldest are let go"
        for stream in idle:
            await stream.aclose()


async def test_an_answer_that_fails_ends_one_connection_and_is_logged() -> None:
    def fails() -> bytes:
        raise ValueError("no metrics today")

    with capture_logs() as lines:
        async with served(exposition=fails) as url:
            assert b"200" not in await send(url, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
            assert (await get(url, "/livez")).status == 200
    assert [line["event"] for line in lines] == ["health", "health_failed"]


async def test_a_port_that_is_taken_is_named_with_what_to_do() -> None:
    async with served() as url:
        taken = url.removeprefix("http://")
        with pytest.raises(HealthUnavailable, match=rf"health\.listen: {taken} .*; choose another port"):
            async with health_server(
                taken, structlog.get_logger(), ready=lambda: None, exposition=lambda: b""
            ):
                pass


async def test_an_address_that_others_can_reach_is_warned_of() -> None:
    with capture_logs() as lines:
        async with health_server(
            "0.0.0.0:0", structlog.get_logger(), ready=lambda: None, exposition=lambda: b""
        ):
            pass
    assert [line["log_level"] for line in lines] == ["warning"]
    assert "other machines" in lines[0]["why"]


async def test_a_process_is_ready_as_soon_as_a_room_of_it_is_connected() -> None:
    observed = observe(HealthSettings(HERE), structlog.get_logger(), {})
    assert observed.metrics is not None
    with capture_logs() as lines:
        async with observed.shown(structlog.get_logger(), LoopWatch()):
            url = lines[0]["url"]
            assert (await get(url, "/readyz")).body == b"no room is connected\n"
            with observed.metrics.room(list) as room:
                observed.metrics.connected(room, True)
                assert (await get(url, "/readyz")).status == 200
            assert (await get(url, "/readyz")).status == 503
            assert value(read_samples((await get(url, "/metrics")).body), "voice_agent_processes") == 1


async def test_a_second_worker_on_a_machine_runs_although_the_first_tells_of_health() -> None:
    async with served() as url:
        second = attrs.evolve(
            observe(HealthSettings(), structlog.get_logger(), {}, is_worker=True),
            listen=url.removeprefix("http://"),
        )
        with capture_logs() as lines:
            async with second.shown(structlog.get_logger()):
                assert second.metrics is not None
    assert [line["event"] for line in lines] == ["health_unavailable"]


def test_a_worker_tells_of_its_health_on_this_machine_unless_it_is_told_otherwise() -> None:
    log = structlog.get_logger()
    assert observe(HealthSettings(), log, {}, is_worker=True).listen == "127.0.0.1:8081"
    assert observe(HealthSettings(""), log, {}, is_worker=True) == UNOBSERVED
    assert observe(HealthSettings("0.0.0.0:1"), log, {}, is_worker=True).listen == "0.0.0.0:1"


def test_nothing_is_told_unless_it_is_asked_for() -> None:
    assert observe(HealthSettings(), structlog.get_logger(), {}) == attrs.evolve(
        UNOBSERVED, must_listen=False
    )


def test_a_folder_for_several_processes_that_is_not_there_is_named(tmp_path: Path) -> None:
    for folder in (str(tmp_path / "missing"), ""):
        missing = {"PROMETHEUS_MULTIPROC_DIR": folder}
        with pytest.raises(SettingsError, match=r"PROMETHEUS_MULTIPROC_DIR names no folder; .* unset it"):
            observe(HealthSettings(HERE), structlog.get_logger(), missing)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("127.0.0.1:8081", "127.0.0.1:8081"),
        (" localhost:0 ", "127.0.0.1:0"),
        ("0.0.0.0:8081", "0.0.0.0:8081"),
        ("[::1]:8081", "[::1]:8081"),
        ("off", ""),
    ],
)
def test_where_to_listen_is_read(tmp_path: Path, written: str, read: str) -> None:
    person = Person(tmp_path)
    assert person.configure(env={"VOICE_AGENT_HEALTH_LISTEN": written}).health() == HealthSettings(read)
    assert person.configure({"health": {"listen": written}}).health() == HealthSettings(read)


def test_where_to_listen_is_not_said_unless_somebody_says_it(tmp_path: Path) -> None:
    assert Person(tmp_path).configure().health().listen is None
    assert Person(tmp_path).configure({"health": {"listen": ""}}).health().listen == ""


WRONG = """8081 :8081 127.0.0.1 127.0.0.1:x 127.0.0.1:65536 127.0.0.1:-1 ::1:8081 [127.0.0.1]:80
example.org:80 127.0.0.1:٣ [::1%eth0]x:80 [::1:80 [[::1]]:80 http://127.0.0.1:80""".split()


@pytest.mark.parametrize("written", [*WRONG, "1" * 5000 + ":80", "127.0.0.1:" + "9" * 5000])
def test_a_wrong_place_to_listen_is_named_with_what_to_write(tmp_path: Path, written: str) -> None:
    with pytest.raises(SettingsError) as wrong:
        Person(tmp_path).configure({"health": {"listen": written}})
    assert str(wrong.value).startswith("health.listen")
    assert "write ADDRESS:PORT, e.g. 127.0.0.1:8081" in str(wrong.value)
    assert len(str(wrong.value)) < 300


def test_a_job_cannot_choose_where_the_process_listens(tmp_path: Path) -> None:
    with pytest.raises(SettingsError):
        Person(tmp_path).configure(job={"health": {"listen": "0.0.0.0:80"}})
