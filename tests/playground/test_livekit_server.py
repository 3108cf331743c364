"""The LiveKit server of the playground, run for real; its build is exercised by the set-up itself."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import httpcore
import pytest
import trio
from livekit import api, rtc

from channels.child import tied
from channels.secret import Secret
from playground.livekit_build.binary import find_or_build
from playground.livekit_build.step import BuildFailed
from playground.livekit_server import (
    LiveKitServer,
    PortUnavailable,
    ServerConfig,
    ServerDied,
    livekit_server,
    run_server,
)

pytestmark = pytest.mark.server
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc, or relies on a call of Linux")


def quiet(line: str) -> None:
    """Progress that nobody reads."""


def token(server: LiveKitServer, *, identity: str = "someone", room: str = "a room") -> str:
    grants = api.VideoGrants(room_join=True, room=room)
    made = api.AccessToken(server.api_key, server.api_secret.reveal())
    return made.with_identity(identity).with_grants(grants).to_jwt()


def admission(server: LiveKitServer, jwt: str) -> int:
    """The HTTP status with which the server answers a token."""
    address = f"http://{urlsplit(server.url).netloc}/rtc/validate?access_token={jwt}"
    return httpcore.request("GET", address, extensions={"timeout": {"read": 60.0}}).status


def accepts_connections(host: str, port: int) -> bool:
    with socket.socket() as client:
        client.settimeout(20)
        return client.connect_ex((host, port)) == 0


@pytest.fixture
async def config(tmp_path: Path) -> ServerConfig:
    return ServerConfig.choose(await find_or_build(progress=quiet), tmp_path / "server.log")


def test_a_token_made_with_its_keys_is_admitted(livekit: LiveKitServer) -> None:
    assert admission(livekit, token(livekit)) == 200


def test_a_token_made_with_another_secret_is_refused(livekit: LiveKitServer) -> None:
    stranger = LiveKitServer(livekit.url, livekit.api_key, Secret("x" * 40))
    assert admission(livekit, token(stranger)) == 401


def test_two_participants_hear_each_other(livekit: LiveKitServer) -> None:
    async def meet() -> None:
        speaker, listener = rtc.Room(), rtc.Room()
        heard = asyncio.Event()

        async def listen(track: rtc.Track) -> None:
            async for event in rtc.AudioStream.from_track(track=track, sample_rate=24000, num_channels=1):
                if any(event.frame.data):
                    heard.set()
                    return

        listening: list[asyncio.Task[None]] = []
        listener.on(
            "track_subscribed", lambda track, *_: listening.append(asyncio.create_task(listen(track)))
        )
        await listener.connect(livekit.url, token(livekit, identity="listener", room="two"))
        await speaker.connect(livekit.url, token(livekit, identity="speaker", room="two"))
        source = rtc.AudioSource(24000, 1)
        await speaker.local_participant.publish_track(rtc.LocalAudioTrack.create_audio_track("voice", source))
        frame = rtc.AudioFrame(b"\x00\x10\x00\xf0" * 600, 24000, 1, 1200)
        while not heard.is_set():
            await source.capture_frame(frame)
        source.clear_queue()
        await asyncio.gather(*listening)
        await speaker.disconnect()
        await listener.disconnect()

    async def within_seconds() -> None:
        await asyncio.wait_for(meet(), timeout=60)

    asyncio.run(within_seconds())


@linux_only
async def test_every_socket_of_the_server_is_on_loopback(config: ServerConfig) -> None:
    async with run_server(config) as running:
        addresses = list(local_addresses(running.process.pid))
    assert "0100007F" in addresses
    assert set(addresses) == {"0100007F"}


def local_addresses(pid: int) -> Iterator[str]:
    """Where the unconnected sockets of a process are bound, as the kernel writes it."""
    own = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # it was closed just now
            target = os.readlink(descriptor)
            if target.startswith("socket:["):
                own.add(target.removeprefix("socket:[").removesuffix("]"))
    for table in ("tcp", "tcp6", "udp", "udp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            _, local, remote, *rest = line.split()
            if rest[6] in own and remote.endswith(":0000"):
                yield local.split(":")[0]


@linux_only
async def test_another_address_of_the_machine_is_refused(config: ServerConfig) -> None:
    async with run_server(config):
        assert accepts_connections("127.0.0.1", config.port)
        assert not accepts_connections("127.0.0.2", config.port)


@linux_only
async def test_the_secret_is_not_on_the_command_line(config: ServerConfig) -> None:
    async with run_server(config) as running:
        command = command_line(running.process.pid)
    assert config.api_secret.reveal() not in command


def command_line(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text()


async def test_a_killed_server_comes_back_on_the_same_port_with_the_same_keys(config: ServerConfig) -> None:
    async with run_server(config) as running:
        before = token(config.server)
        running.kill()
        assert await running.wait() == -signal.SIGKILL
        assert not accepts_connections("127.0.0.1", config.port)
    async with run_server(config):
        assert admission(config.server, before) == 200


async def test_it_stops_even_when_its_block_is_cancelled(config: ServerConfig) -> None:
    with trio.CancelScope() as scope:
        async with run_server(config) as running:
            scope.cancel()
            await trio.sleep_forever()
    assert running.process.returncode is not None
    assert not accepts_connections("127.0.0.1", config.port)


@linux_only
async def test_it_dies_with_its_owner(config: ServerConfig) -> None:
    owner = program("--port", str(config.port))
    with owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == f"LIVEKIT_URL={config.server.url}\n"
        owner.kill()
    with trio.fail_after(60):
        while accepts_connections("127.0.0.1", config.port):
            await trio.sleep(0.02)


def program(*arguments: str, **environ: str) -> subprocess.Popen[str]:
    """The module as a person starts it, without the keys that their environment may hold."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LIVEKIT_")}
    return subprocess.Popen(
        tied([sys.executable, "-m", "playground.livekit_server", *arguments]),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=kept | environ,
        start_new_session=True,
    )


def test_the_program_uses_the_keys_of_the_environment_and_ends_with_0_at_ctrl_c() -> None:
    secret = "s" * 32
    running = program("--port", "0", LIVEKIT_API_KEY="mine", LIVEKIT_API_SECRET=secret)
    with running:
        assert running.stdout is not None
        assert running.stderr is not None
        lines = [running.stdout.readline() for _ in range(3)]
        assert lines[1:] == ["LIVEKIT_API_KEY=mine\n", f"LIVEKIT_API_SECRET={secret}\n"]
        os.killpg(running.pid, signal.SIGINT)
        assert running.wait(timeout=60) == 0
        assert "Traceback" not in running.stderr.read()


def test_the_program_says_which_key_is_missing() -> None:
    with program("--port", "0", LIVEKIT_API_KEY="mine") as running:
        out, told = running.communicate(timeout=60)
    assert running.returncode == 1
    assert out == ""
    assert "only one of LIVEKIT_API_KEY and LIVEKIT_API_SECRET is set" in told


async def test_a_port_that_is_taken_is_an_error_of_its_own() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(PortUnavailable, match=f"port {port} on 127.0.0.1 cannot be used"):
            async with livekit_server(port=port, progress=quiet):
                pytest.fail("it started on a port that is taken")


async def test_a_server_that_ends_at_once_tells_its_last_words(tmp_path: Path) -> None:
    broken = tmp_path / "livekit-server"
    broken.write_text("#!/bin/sh\necho first words\necho could not parse config >&2\n")
    broken.chmod(0o755)
    config = ServerConfig.choose(broken, tmp_path / "server.log")
    with pytest.raises(ServerDied, match=r"did not start: first words \| could not parse config"):
        async with run_server(config):
            pytest.fail("a broken server started")


async def test_a_server_on_the_path_is_used_as_it_is(tmp_path: Path) -> None:
    installed = tmp_path / "livekit-server"
    installed.touch(mode=0o755)
    assert await find_or_build(progress=quiet, environ={"PATH": str(tmp_path)}) == installed


def machine_with(tmp_path: Path, *commands: str, **environ: str) -> dict[str, str]:
    """The environment of a machine with an empty cache, these commands, and no way to any registry."""
    commands_folder = tmp_path / "bin"
    commands_folder.mkdir()
    for command in commands:
        (commands_folder / command).symlink_to(shutil.which(command) or f"/missing/{command}")
    return {
        "PATH": str(commands_folder),
        "HOME": str(tmp_path),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "GOPROXY": "off",
        "PIP_NO_INDEX": "1",
        **environ,
    }


@pytest.mark.skipif(shutil.which("go") is None, reason="needs a Go on PATH")
async def test_a_build_without_the_modules_says_what_failed_and_what_to_do(tmp_path: Path) -> None:
    told: list[str] = []
    environ = machine_with(tmp_path, "go", GOFLAGS="-mod=vendor", GOWORK="/nowhere", GOOS="plan9")
    with pytest.raises(BuildFailed, match="fetching the modules") as failure:
        await find_or_build(progress=told.append, environ=environ)
    assert "module lookup disabled by GOPROXY=off" in str(failure.value)
    assert "get online" in failure.value.fix
    assert "LIVEKIT_URL" in failure.value.fix
    assert "\n" not in str(failure.value)
    assert "building it once" in told[0]
    assert not list((tmp_path / "cache" / "voice-agent").glob("livekit-server-*"))


async def test_a_machine_without_go_or_registry_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(BuildFailed, match=r"fetching Go \S+ .* failed"):
        await find_or_build(progress=quiet, environ=machine_with(tmp_path))
    assert not list((tmp_path / "cache" / "voice-agent" / "build").glob("go-1*"))


async def test_a_cache_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    environ = {"PATH": "", "XDG_CACHE_HOME": str(tmp_path / "file")}
    with pytest.raises(BuildFailed, match="cannot be built in"):
        await find_or_build(progress=quiet, environ=environ)


async def test_a_second_build_waits_for_the_first_and_uses_what_it_built(tmp_path: Path) -> None:
    environ = machine_with(tmp_path, "sh")
    # A stand-in for Go that "builds" into the file after -o.
    (tmp_path / "bin" / "go").write_text(
        "#!/bin/sh\n"
        'case "$*" in\n'
        '"env GOVERSION") echo go1.99 ;;\n'
        '"env -json"*) echo "{}" ;;\n'
        "list*) echo package ;;\n"
        'build*) while [ "$1" != -o ]; do shift; done; echo built >"$2" ;;\n'
        "esac\n"
    )
    (tmp_path / "bin" / "go").chmod(0o755)
    told: list[str] = []
    built: list[Path] = []

    async def build() -> None:
        built.append(await find_or_build(progress=told.append, environ=environ))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(build)
        nursery.start_soon(build)
    assert built[0] == built[1]
    assert built[0].read_text() == "built\n"
    assert sum("compiling" in line and line.endswith("...") for line in told) == 1
    assert sum("waiting for it" in line for line in told) == 1
    assert [entry.name for entry in built[0].parent.iterdir() if entry.is_dir()] == []
