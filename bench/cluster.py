"""One LiveKit of several nodes: a Redis, and the nodes that share it, each a process that can be killed.

All of it is on loopback. The Redis keeps nothing on disk, has a free port and a folder of its own, and ends
with the block. It is the system's `redis-server`, which is not installed by us and whose service is not
needed.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import attrs
import trio

from channels.child import start_child, stop_child
from channels.errors import VoiceAgentError
from channels.secret import Secret
from channels.settings import LiveKitAccount
from playground.livekit_build.binary import find_or_build
from playground.livekit_server import LiveKitServer, RunningServer, ServerConfig, run_server

__all__ = ["Cluster", "NoRedis", "Redis", "cluster", "keep_logs"]

_ANSWERS_WITHIN_S = 10.0
_NODE_SEEN_AFTER_S = 2.5
"""A node tells the others that it is there every two seconds."""

_NODE_ID = re.compile(r'"nodeID": "(\w+)"')


class NoRedis(VoiceAgentError):
    """This machine has no Redis server, or it does not start."""


@attrs.define
class Redis:
    """A Redis server that can be killed and started again at the same port."""

    port: int
    folder: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """As LiveKit wants it."""
        return f"127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Starts it, and waits until it answers.

        Raises:
            NoRedis: there is none, or it does not answer.
        """
        binary = shutil.which("redis-server")
        if binary is None:
            raise NoRedis(
                "this bench needs the program redis-server, and there is none on PATH",
                "install it (Debian and Ubuntu: apt-get install redis-server); its service need not run",
            )
        command = [binary, "--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self.folder)]
        command += ["--save", "", "--appendonly", "no"]
        with (self.folder / "redis.log").open("ab") as log:
            self.process = start_child(command, environ={}, stdout=log, stderr=subprocess.STDOUT)
        with trio.move_on_after(_ANSWERS_WITHIN_S):
            while not (await self.ask("PING")).startswith("+PONG"):  # noqa: ASYNC110
                await trio.sleep(0.02)
            return
        raise NoRedis(f"redis-server at {self.address} does not answer", f"see {self.folder}/redis.log")

    def kill(self) -> None:
        """Ends it at once, as a crash would; what it knew is lost."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    async def stop(self) -> None:
        """Ends it, cancelled or not."""
        if self.process is not None:
            await stop_child(self.process, ((signal.SIGTERM, 2.0), (signal.SIGKILL, 5.0)))

    async def ask(self, command: str) -> str:
        """Gives the answer to a command, as it comes over the wire; empty if nobody answers."""
        try:
            async with await trio.open_tcp_stream("127.0.0.1", self.port) as stream:
                await stream.send_all(command.encode() + b"\r\n")
                return (await stream.receive_some()).decode(errors="replace")
        except (OSError, trio.BrokenResourceError):
            return ""


@attrs.define
class Cluster:
    """The nodes of one LiveKit; each is a `LiveKitServer` of its own with the same key."""

    redis: Redis
    configs: list[ServerConfig]
    _nodes: dict[int, tuple[RunningServer, contextlib.AsyncExitStack]] = attrs.field(factory=dict)

    def node(self, number: int) -> LiveKitServer:
        """Where a node is."""
        return self.configs[number].server

    def account(self, number: int) -> LiveKitAccount:
        """The same, for our own clients."""
        server = self.node(number)
        return LiveKitAccount(server.url, server.api_key, server.api_secret)

    async def start(self, number: int) -> None:
        """Starts a node; waits until it answers."""
        stack = contextlib.AsyncExitStack()
        self._nodes[number] = await stack.enter_async_context(run_server(self.configs[number])), stack

    async def kill(self, number: int) -> None:
        """Ends a node at once, as a crash would."""
        running, stack = self._nodes.pop(number)
        running.kill()
        await stack.aclose()

    async def stop(self) -> None:
        """Ends all nodes."""
        while self._nodes:
            _, (_, stack) = self._nodes.popitem()
            await stack.aclose()

    async def host_of(self, room: str) -> int | None:
        """The number of the node that has a room, which Redis knows."""
        answer = await self.redis.ask(f"HGET room_node_map {room}")
        ids = (_NODE_ID.search(config.log.read_text(errors="replace")) for config in self.configs)
        return next((number for number, found in enumerate(ids) if found and found[1] in answer), None)


@contextlib.asynccontextmanager
async def cluster(folder: Path, nodes: int, progress: Callable[[str], None]) -> AsyncIterator[Cluster]:
    """Runs a Redis and so many LiveKit nodes for the time of the block.

    Raises:
        NoRedis: there is no `redis-server` on this machine.
    """
    binary = await find_or_build(progress=progress)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        redis = Redis(probe.getsockname()[1], folder)
    secret: Secret | None = None
    configs = list[ServerConfig]()
    for number in range(nodes):
        log = folder / f"node-{number}.log"
        configs.append(ServerConfig.choose(binary, log, api_secret=secret, redis=redis.address))
        secret = configs[-1].api_secret
    running = Cluster(redis, configs)
    try:
        await redis.start()
        for number in range(nodes):
            await running.start(number)
        await trio.sleep(_NODE_SEEN_AFTER_S)
        yield running
    finally:
        with trio.CancelScope(shield=True):
            await running.stop()
            await redis.stop()


def keep_logs(folder: Path, into: Path | None) -> None:
    """Copies the logs of all parts, with the names of their folders, before `folder` is removed."""
    if into is not None:
        for log in folder.rglob("*.log"):
            kept = into / log.relative_to(folder)
            kept.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(log, kept)
