"""The image has all that a call needs, and needs no right that it does not get."""

from __future__ import annotations

import http.server
import json
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from bench.guest import join_as_guest
from playground.livekit_server import LiveKitServer
from playground.voice_agent_api import ServerOptions, ToneSpeech, voice_agent_server
from tests.agent_process import ROOT, settings_for
from tests.deploy.image import (
    DESCRIPTORS,
    Image,
    build,
    needs_namespaces,
    of_the_last_stage,
    reaches_the_builder,
    stages,
)

SEEN_WITHIN_S = 3.0
"""LiveKit does not ask a worker that has come this moment, and a job that nobody takes comes to nothing."""

WRONG = ("Traceback", "Errno", "failed", "Read-only", "Permission")
"""What the log of a call in which all went well has not."""


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    needs_namespaces()
    return build(tmp_path_factory.mktemp("image"))


def ran(image: Image, *command: str) -> str:
    """What a command prints in it."""
    done = subprocess.run(image.command(command), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_nobody_can_write_in_it_and_it_has_no_right_at_all(image: Image) -> None:
    told = ran(
        image, "sh", "-c", "id -u; ulimit -n; touch x /x /root/x; touch $TMPDIR/x && echo but there; pwd"
    )
    assert told.split("\n")[:4] == ["65532", "1024", "but there", str(image.folder / "app")]
    status = ran(image, "cat", "/proc/self/status")
    assert "CapEff:\t0000000000000000" in status
    assert "NoNewPrivs:\t1" in status


def test_its_models_load_and_what_the_playground_needs_is_not_there(image: Image) -> None:
    script = (
        "from sound.recogniser import Recogniser; from sound.vad import Vad; Vad(); Recogniser().warm()\n"
        "from importlib.util import find_spec\n"
        "print([name for name in ('playground', 'hibari', 'scipy', 'tests') if find_spec(name)])"
    )
    assert ran(image, "python", "-c", script) == "[]\n"


def test_it_tells_its_version(image: Image) -> None:
    assert re.fullmatch(r"\S+ \d+\.\d+\.\d+\n", ran(image, "python", "runner.py", "--version"))


def test_every_module_finds_its_packages_in_it(image: Image) -> None:
    script = """
import importlib, pkgutil
for place in ("actors", "channels", "commands", "sound"):
    for module in pkgutil.walk_packages([place], place + "."):
        try:
            importlib.import_module(module.name)
        except ModuleNotFoundError as missing:
            print(module.name, missing.name)
"""
    # What there is of the playground is imported without an account only.
    assert ran(image, "python", "-c", script).splitlines() == [
        "commands.check.language_model playground",
        "commands.here playground",
    ]


@pytest.mark.parametrize("command", ["serve", "check"])
async def test_without_an_account_it_says_what_is_missing(image: Image, command: str) -> None:
    async with image.run(command, settings={}) as container:
        with trio.fail_after(60):
            assert await container.ended() == 2
        for name in ("LIVEKIT_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET", "ASSEMBLYAI_API_KEY"):
            await container.prints(f"{name} is not set", within_s=30)
    assert "Traceback" not in container.printed


@pytest.mark.server
async def test_all_that_a_call_needs_is_found_in_it(image: Image, livekit: LiveKitServer) -> None:
    async with (
        voice_agent_server(ServerOptions(speech=ToneSpeech)) as service,
        image.run("check", "--json", settings=settings_for(livekit, service.url, "image-check")) as container,
    ):
        with trio.fail_after(60):
            code = await container.ended()
        assert code == 0
        await container.prints("\n]", within_s=30)
    findings = json.loads(container.printed[container.printed.index("[\n") :])
    assert {each["colour"] for each in findings} <= {"green", "yellow"}
    (packages,) = (each for each in findings if each["check"] == "packages")
    assert packages["colour"] == "green"


@pytest.mark.server
@pytest.mark.slow
async def test_its_worker_serves_the_room_that_it_is_sent_to_and_told_to_end_lets_the_call_go_on(
    image: Image, livekit: LiveKitServer
) -> None:
    async with voice_agent_server(ServerOptions(speech=ToneSpeech)) as service:
        settings = {
            **settings_for(livekit, service.url, "unused"),
            "VOICE_AGENT_WORKER_AGENT_NAME": "waiter",
            "VOICE_AGENT_HEALTH_LISTEN": "127.0.0.1:0",  # the usual port may be somebody else's
            "VOICE_AGENT_WORKER_MOST_LOAD": "1",  # a busy machine is no reason here
        }
        async with image.run(settings=settings) as worker:
            await worker.prints('"worker_registered"', within_s=60)
            await trio.sleep(SEEN_WITHIN_S)
            with trio.fail_after(120):
                # On a busy machine, LiveKit may still have taken the worker for one that has just come.
                while '"image-job"' not in worker.printed:
                    ask = image.run("dispatch", "image-job", "--agent", "waiter", settings=settings)
                    async with ask as asking:
                        assert await asking.ended() == 0
                    with trio.move_on_after(20):
                        await worker.prints('"image-job"', within_s=60)
            async with join_as_guest(livekit, "image-job") as guest:
                await guest.hear_sound(within_s=60)
                worker.stop()
                await worker.prints('"draining"', within_s=30)
                await trio.sleep(2)
                assert '"left"' not in worker.printed
            # A call that has nobody any more is over soon.
            with trio.fail_after(90):
                assert await worker.ended() == 0
    for wrong in WRONG:
        assert wrong not in worker.printed
    assert f"this process may open {DESCRIPTORS} files and sockets" in worker.printed


@pytest.mark.server
@pytest.mark.parametrize("command", [[], ["serve", "--processes", "2"]], ids=["as it is", "two processes"])
async def test_its_health_is_told(image: Image, livekit: LiveKitServer, command: list[str]) -> None:
    port = free_port()
    async with voice_agent_server(ServerOptions(speech=ToneSpeech)) as service:
        settings = {
            **settings_for(livekit, service.url, "unused"),
            "VOICE_AGENT_HEALTH_LISTEN": f"127.0.0.1:{port}",
            "VOICE_AGENT_WORKER_MOST_LOAD": "1",
        }
        async with image.run(*command, settings=settings) as worker:
            with trio.fail_after(60):
                while not await answers(port, "/readyz"):
                    await trio.sleep(0.2)
            environ = {"VOICE_AGENT_HEALTH_LISTEN": f"0.0.0.0:{port}"}
            assert await trio.to_thread.run_sync(healthy, environ) == 0
            worker.stop()
            with trio.fail_after(60):
                assert await worker.ended() == 0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def answers(port: int, path: str) -> bool:
    try:
        async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
            await stream.send_all(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            return b" 200 " in await stream.receive_some()
    except (OSError, trio.BrokenResourceError):
        return False


@pytest.mark.server
@pytest.mark.slow
async def test_somebody_talks_with_it_and_its_process_1_ends_the_call_when_it_is_told_to(
    image: Image, livekit: LiveKitServer
) -> None:
    async with voice_agent_server(ServerOptions(speech=ToneSpeech)) as service:
        settings = settings_for(livekit, service.url, "image-call")
        # No command: one room, without a dispatcher.
        async with (
            image.run("--verbose", settings=settings) as container,
            join_as_guest(livekit, "image-call") as guest,
        ):
            await guest.hear_sound(within_s=60)
            container.stop()
            with trio.fail_after(60):
                assert await container.ended() == 0
            await container.prints('"event": "left"', within_s=30)
    for wrong in WRONG:
        assert wrong not in container.printed


def test_no_key_history_or_test_reaches_the_builder() -> None:
    for path in (".env", ".git/config", "deploy/.env", "tests/conftest.py", "playground/ears.py", ".venv/x"):
        assert not reaches_the_builder(path)


def test_the_last_stage_is_the_base_image_with_what_was_built_and_nothing_more() -> None:
    base, building, last = stages()
    assert "@sha256:" in base[0].value
    assert base[0].value.startswith("python:3.11.")
    assert building[0].value.startswith("base")
    assert last[0].value == "base"
    names = {each.name for each in last}
    assert "RUN" not in names
    assert all(each.value.startswith("--from=build ") for each in last if each.name == "COPY")


def test_it_is_told_who_it_is_and_how_it_ends() -> None:
    assert of_the_last_stage("USER").value == "65532:65532"
    assert of_the_last_stage("ENTRYPOINT").value.startswith('["python"')
    assert of_the_last_stage("CMD").words == ["serve"]


@pytest.fixture
def health() -> Iterator[http.server.HTTPServer]:
    class Health(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(
                200 if self.path == "/livez" and not getattr(self.server, "ill", False) else 503
            )
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with http.server.HTTPServer(("127.0.0.1", 0), Health) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def healthy(environ: dict[str, str]) -> int:
    words = json.loads(of_the_last_stage("HEALTHCHECK").value.split("CMD ")[1])
    assert words[0] == "python"
    return subprocess.run([sys.executable, *words[1:]], cwd=ROOT, env=environ, timeout=60).returncode


def test_the_health_check_asks_the_worker_and_no_proxy(
    health: http.server.HTTPServer, tmp_path: Path
) -> None:
    there = {"VOICE_AGENT_HEALTH_LISTEN": f"0.0.0.0:{health.server_port}", "http_proxy": "http://127.0.0.1:1"}
    assert healthy(there) == 0
    health.ill = True  # type: ignore[attr-defined]
    assert healthy(there) == 1
    assert healthy({"VOICE_AGENT_HEALTH_LISTEN": "127.0.0.1:1"}) == 1
