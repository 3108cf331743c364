"""A real LiveKit server on this machine's loopback, while a `with` block runs.

`livekit_server()` finds or builds the binary, chooses free ports and fresh keys, and yields where to
connect once the server answers. `ServerConfig` and `run_server()` are its two halves: a test that kills
the server and starts the same one again runs the second half twice.

The secret goes to the child in its environment, never on its command line; it gets nothing else of ours.
The child leads a session of its own, so that Ctrl-C in a terminal reaches the agent only, which can then
leave its room before the server stops. It is terminated at the end of the block, cancelled or not, and on
Linux it dies with the process that started it. As a program, this module serves until Ctrl-C and prints
the lines for `.env`.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import trio

from channels.child import ended, start_child, stop_child
from channels.errors import PlaygroundFault, SettingsError, VoiceAgentError
from channels.secret import Secret
from channels.stopping import Stopped, until_told_to_stop
from playground.livekit_build.binary import find_or_build
from playground.livekit_build.step import Progress

__all__ = [
    "LiveKitServer",
    "PortUnavailable",
    "RunningServer",
    "ServerConfig",
    "ServerDied",
    "livekit_server",
    "run_server",
]

_HOST = "127.0.0.1"
_DEFAULT_PORT = 7880
_START_S = 20.0
_POLL_S = 0.02
# LiveKit waits for participants to leave at the first SIGTERM, and stops at once at the second.
_STOPPING = ((signal.SIGTERM, 0.5), (signal.SIGTERM, 2.0), (signal.SIGKILL, 5.0))
_LINES_TOLD = 3


class PortUnavailable(PlaygroundFault):
    """Something else listens on the port, or this user may not."""


class ServerDied(PlaygroundFault):
    """The LiveKit server ended by itself, or never answered.

    Attributes:
        output: the last lines of its log.
    """

    def __init__(self, what: str, log: Path) -> None:
        lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
        told = " | ".join(lines[-_LINES_TOLD:])
        super().__init__(
            f"{what}: {told}" if told else what,
            "start it again, or set LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET "
            "for a server elsewhere",
        )
        self.output = "\n".join(lines[-20:])


@attrs.frozen
class LiveKitServer:
    """Where a LiveKit server is, and the keys that make tokens for it."""

    url: str
    api_key: str
    api_secret: Secret


@attrs.frozen
class ServerConfig:
    """All that makes a server the same server after a restart."""

    binary: Path
    port: int
    """TCP port of its HTTP and signalling; everything is on 127.0.0.1."""
    udp_port: int
    """UDP port of all its media."""
    api_key: str
    api_secret: Secret
    log: Path
    """The server's own log is appended here."""
    redis: str | None = None
    """Address (host:port) of the Redis that the nodes of one LiveKit share; None: it is the only node."""

    @classmethod
    def choose(
        cls,
        binary: Path,
        log: Path,
        *,
        port: int | None = None,
        api_key: str = "playground",
        api_secret: Secret | None = None,
        redis: str | None = None,
    ) -> ServerConfig:
        """Fills in free ports (`port` too, if None) and a secret of this run only.

        Raises:
            PortUnavailable: `port` was given and is not free.
        """
        return cls(
            binary=binary,
            port=_free_port(socket.SOCK_STREAM, port),
            udp_port=_free_port(socket.SOCK_DGRAM),
            api_key=api_key,
            api_secret=Secret(secrets.token_urlsafe(32)) if api_secret is None else api_secret,
            log=log,
            redis=redis,
        )

    @property
    def server(self) -> LiveKitServer:
        """What a client needs to know."""
        return LiveKitServer(f"ws://{_HOST}:{self.port}", self.api_key, self.api_secret)

    def environment(self) -> dict[str, str]:
        """The child's whole environment; it holds the secret in clear."""
        body: dict[str, Any] = {
            "port": self.port,
            "bind_addresses": [_HOST],
            "keys": {self.api_key: self.api_secret.reveal()},
            "logging": {"json": False, "level": "info"},
            "room": {"enable_remote_unmute": True},
            "rtc": {
                "node_ip": _HOST,
                "use_external_ip": False,
                "enable_loopback_candidate": True,
                "interfaces": {"includes": ["lo" if sys.platform == "linux" else "lo0"]},
                "udp_port": self.udp_port,
                # Media over TCP would listen on every address of the machine, whatever is bound above.
                "tcp_port": 0,
                # With none, clients are told to ask public ones. Nobody needs to answer here; but at
                # `udp_port` the server itself would, and no client could connect any more.
                "stun_servers": [f"{_HOST}:3478"],
            },
        }
        if self.redis is not None:
            body["redis"] = {"address": self.redis}
        kept = {name: os.environ[name] for name in ("HOME", "LANG", "PATH", "TMPDIR") if name in os.environ}
        return kept | {"LIVEKIT_CONFIG": json.dumps(body)}


@attrs.frozen
class RunningServer:
    """A server that answers."""

    config: ServerConfig
    process: subprocess.Popen[bytes]

    def kill(self) -> None:
        """Ends it at once, as a crash would."""
        self.process.kill()
        self.process.wait()

    async def wait(self) -> int:
        """Waits until it ends, by whatever cause, and gives its exit code."""
        # The system tells of a child's end by a signal only, which is not ours to take.
        return await ended(self.process)


@asynccontextmanager
async def livekit_server(*, port: int | None = None, progress: Progress) -> AsyncIterator[LiveKitServer]:
    """Runs a LiveKit server on loopback for the time of the block.

    Args:
        port: of its HTTP and signalling; None has the system choose a free one.
        progress: is given a line now and then while the server is being built.

    Raises:
        BuildFailed: there is no server on this machine and none can be built.
        PortUnavailable: `port` is not free.
        ServerDied: the server ended by itself, or did not answer, before the block began.
    """
    binary = await find_or_build(progress=progress)
    with tempfile.TemporaryDirectory(prefix="livekit-server-") as folder:
        config = ServerConfig.choose(binary, Path(folder) / "server.log", port=port)
        async with run_server(config):
            yield config.server


@asynccontextmanager
async def run_server(config: ServerConfig) -> AsyncIterator[RunningServer]:
    """Runs the server that `config` describes for the time of the block.

    On the way out, cancelled or not, it is terminated, then killed; within 8 seconds it is gone.

    Raises:
        PortUnavailable: one of its ports is not free.
        ServerDied: it ended by itself, or did not answer within 20 seconds.
    """
    _free_port(socket.SOCK_STREAM, config.port)
    _free_port(socket.SOCK_DGRAM, config.udp_port)
    running = RunningServer(config, _start(config))
    try:
        with trio.move_on_after(_START_S):
            while running.process.poll() is None and not await _answers(config.port):  # noqa: ASYNC110
                await trio.sleep(_POLL_S)
        if running.process.poll() is not None:
            raise ServerDied("the LiveKit server did not start", config.log)
        if not await _answers(config.port):
            raise ServerDied(f"the LiveKit server did not answer within {_START_S:.0f} seconds", config.log)
        yield running
    finally:
        await stop_child(running.process, _STOPPING)


def _start(config: ServerConfig) -> subprocess.Popen[bytes]:
    with config.log.open("ab") as log:
        return start_child(
            [str(config.binary)], environ=config.environment(), stdout=log, stderr=subprocess.STDOUT
        )


async def _answers(port: int) -> bool:
    try:
        async with await trio.open_tcp_stream(_HOST, port) as stream:
            await stream.send_all(b"GET / HTTP/1.0\r\n\r\n")
            return b" 200 " in await stream.receive_some()
    except (OSError, trio.BrokenResourceError):
        return False


def _free_port(kind: socket.SocketKind, port: int | None = None) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        if kind is socket.SOCK_STREAM:
            # As the server does it: connections of a killed predecessor do not count.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port or 0))
        except OSError as error:
            raise PortUnavailable(
                f"port {port} on {_HOST} cannot be used ({os.strerror(error.errno or 0)})",
                "stop the program that listens there, or choose another port",
            ) from error
        chosen: int = probe.getsockname()[1]
        return chosen


def _keys(environ: Mapping[str, str]) -> tuple[str, Secret] | None:
    key, secret = environ.get("LIVEKIT_API_KEY"), environ.get("LIVEKIT_API_SECRET")
    if bool(key) != bool(secret):
        raise SettingsError(
            "only one of LIVEKIT_API_KEY and LIVEKIT_API_SECRET is set", "set both or neither"
        )
    return (key, Secret(secret)) if key and secret else None


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


async def _serve(port: int | None) -> None:
    keys = _keys(os.environ)
    binary = await find_or_build(progress=_tell)
    with tempfile.TemporaryDirectory(prefix="livekit-server-") as folder:
        config = ServerConfig.choose(binary, Path(folder) / "server.log", port=port)
        if keys is not None:
            config = attrs.evolve(config, api_key=keys[0], api_secret=keys[1])
        async with run_server(config) as running:
            print(f"LIVEKIT_URL={config.server.url}")
            print(f"LIVEKIT_API_KEY={config.api_key}")
            print(f"LIVEKIT_API_SECRET={config.api_secret.reveal()}", flush=True)
            _tell(f"LiveKit server on {_HOST}:{config.port} until Ctrl-C; its log is {config.log}")
            code = await running.wait()
            raise ServerDied(f"the LiveKit server ended with code {code}", config.log)


async def _until_told_to_stop(port: int | None) -> int:
    async def serve() -> int:
        try:
            await _serve(port)
        except VoiceAgentError as error:
            _tell(f"{error}")
            return 1
        return 0

    code = await until_told_to_stop(serve)
    return 0 if isinstance(code, Stopped) else code


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; gives the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m playground.livekit_server",
        description="Runs a LiveKit server on this machine's loopback until Ctrl-C, and prints the lines for "
        ".env. Builds it first if livekit-server is not on PATH. LIVEKIT_API_KEY and LIVEKIT_API_SECRET of "
        "the environment are used if set; otherwise the keys are for this run only.",
    )
    parser.add_argument(
        "--port", type=int, default=_DEFAULT_PORT, help="TCP port, 0 for any free one (default: %(default)s)"
    )
    options = parser.parse_args(arguments)
    if not 0 <= options.port <= 65535:
        parser.error("--port must be a number from 0 to 65535")
    return trio.run(_until_told_to_stop, options.port or None)


if __name__ == "__main__":
    sys.exit(main())
