"""The server itself: lets connections in, and gives each to a script or to a session.

`serve_stream` is the life of one connection and of the session that was begun on it: it returns when
both are over, up to 30 s after the client went, unless another connection took the session up. Whatever
goes wrong in it is logged and closes that one connection; the others do not notice.
"""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

import trio
from trio_websocket import ConnectionClosed, wrap_server_stream

from channels.errors import PlaygroundFault
from channels.net.serving import Request, Response, Upgrade, serve_http
from channels.wire.events import ServerEvent, SessionFailed
from channels.wire.messages import ClientMessage
from playground.ears import HearingEvent, SpeechOnset
from playground.voice_agent.accounts import Accounts, Admission
from playground.voice_agent.connection import MAX_FRAME_BYTES, ClientConnection, ConnectionGone, Goodbye
from playground.voice_agent.front_door import Caller, ReplayStream, answer, read_caller
from playground.voice_agent.host import Host
from playground.voice_agent.options import ServerOptions
from playground.voice_agent.record import Record
from playground.voice_agent.script import ScriptPlayer
from playground.voice_agent.session import SessionClosed

__all__ = ["VoiceAgentServer", "open_listeners", "voice_agent_server"]

_HOST = "127.0.0.1"
"""Never another interface: what this server hears and says is private."""
_HANDSHAKE_S = 10.0

_log = logging.getLogger("playground.voice_agent_api")


class VoiceAgentServer:
    """A Voice Agent API to talk to.

    Args:
        options: how it behaves.

    Attributes:
        received: the messages of the clients, kept for tests.
        sent: the events sent to them, each with the time at which its sending began.
        script: the player, in scripted mode: what it missed.
    """

    def __init__(self, options: ServerOptions | None = None) -> None:
        self.options = ServerOptions() if options is None else options
        self.received: Record[ClientMessage] = Record(self.options.record)
        self.sent: Record[ServerEvent] = Record(self.options.record)
        self.script = None if self.options.script is None else ScriptPlayer(self.options.script)
        self._faults = 0
        self._accounts = Accounts(self.options, trio.current_time)
        self._host = Host(self.options, self._accounts, self._clock)
        self._count = 0
        self._port = 0
        self._live: set[ClientConnection] = set()
        self._epoch_s: float | None = None

    @property
    def url(self) -> str:
        """Where clients connect: `ws://127.0.0.1:PORT/v1/ws`; port 0 before `serve`."""
        return f"ws://{_HOST}:{self._port}/v1/ws"

    @property
    def connections(self) -> int:
        """How many WebSockets are open."""
        return len(self._live)

    @property
    def sessions(self) -> int:
        """How many sessions there are, abandoned ones included."""
        return len(self._host.registry)

    @property
    def crashes(self) -> int:
        """Connections and sessions that ended by a fault of this server. Should be 0."""
        return self._faults + self._host.crashes

    def bind(self, listeners: Sequence[trio.SocketListener]) -> str:
        """Takes note of the port; gives the URL."""
        self._port = listeners[0].socket.getsockname()[1]
        return self.url

    async def serve(
        self,
        where: int | Sequence[trio.SocketListener] = 0,
        *,
        task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Serves on a TCP port of the loopback interface until cancelled; `started` with the URL.

        The models load meanwhile; a session that begins earlier waits for them.

        Args:
            where: a port, 0 for a free one, or listeners that are open already.
            task_status: of `nursery.start`.

        Raises:
            PlaygroundFault: the port is taken, or a model is not there.
        """
        listeners = await open_listeners(where) if isinstance(where, int) else where
        task_status.started(self.bind(listeners))
        fault: PlaygroundFault | None = None
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(trio.serve_listeners, self.serve_stream, list(listeners))
                if self.script is None:
                    try:
                        await self._host.speech()
                    except PlaygroundFault as error:
                        fault = error
                        nursery.cancel_scope.cancel()
        finally:
            await self._host.aclose()
        if fault is not None:
            raise fault

    async def serve_stream(self, stream: trio.abc.Stream) -> None:
        """Serves one connection over any stream, and the session that is begun on it."""
        try:
            await serve_http(stream, self._answer)
        # The wall between connections: a fault of ours ends this one, and is told in full.
        except Exception:
            self._faults += 1
            _log.exception("a connection ended because of a bug in the server")

    async def drop_connections(self) -> None:
        """Ends all WebSockets with no close frame, over TCP by a reset: their clients see 1006."""
        for connection in list(self._live):
            await connection.abort()

    async def send_event(self, event: ServerEvent) -> None:
        """Sends an event to every client, as if the service had thought of it.

        In a session, a `ToolCall` may then be answered; a script only sends it.
        """
        if self.script is not None:
            for connection in list(self._live):
                with suppress(ConnectionGone):
                    await connection.send(event)
        for session in self._host.registry.all():
            with suppress(SessionClosed):
                await session.inject(event)

    async def hear(self, event: HearingEvent) -> None:
        """Lets every session hear something, whatever its ears do."""
        for session in self._host.registry.all():
            with suppress(SessionClosed):
                await session.take(event)

    async def interrupt_now(self) -> None:
        """Lets every session hear somebody begin to speak."""
        await self.hear(SpeechOnset())

    async def _answer(self, request: Request) -> Response | Upgrade:
        try:
            caller = read_caller(request)
        except ValueError:
            return answer(400, {"detail": "The address is malformed"})
        match caller:
            case Caller(from_a_page=True):
                # Any page that somebody visits can ask this machine's ports, by websocket too.
                return answer(403, {"detail": "Web pages are not let in here"})
            case Caller(path="/v1/ws", upgrade=True):
                return functools.partial(self._serve_websocket, caller)
            case Caller(path="/v1/ws"):
                return answer(426, {"detail": "Upgrade Required"})
            case Caller(path="/v1/token"):
                return self._accounts.token(caller)
        return answer(404, {"detail": "Not Found"})

    async def _serve_websocket(self, caller: Caller, stream: trio.abc.Stream, read: bytes) -> None:
        self._count += 1
        admission = self._accounts.admit(caller.credential)
        async with trio.open_nursery() as nursery:
            with trio.move_on_after(_HANDSHAKE_S) as patience:
                request = await wrap_server_stream(
                    nursery, ReplayStream(read, stream), max_message_size=MAX_FRAME_BYTES
                )
                try:
                    websocket = await request.accept()
                except ConnectionClosed:
                    return
            if patience.cancelled_caught:
                nursery.cancel_scope.cancel()
                return
            connection = ClientConnection(
                websocket,
                stream,
                number=self._count,
                options=self.options,
                clock=self._clock,
                received=self.received,
                sent=self.sent,
            )
            nursery.start_soon(self._talk, connection, admission, nursery)
            self._live.add(connection)
            try:
                await connection.run()
            finally:
                self._live.discard(connection)
            # The session may live on; its socket does not.
            await stream.aclose()

    async def _talk(
        self, connection: ClientConnection, admission: Admission | None, nursery: trio.Nursery
    ) -> None:
        # What nobody takes any more is thrown away, so that the reader goes on and sees the close.
        async with connection.messages:
            with suppress(ConnectionGone):
                if admission is None:
                    failed = SessionFailed("unauthorized", "Authentication failed")
                    await connection.send(failed, Goodbye(1008))
                elif self.script is not None:
                    await self.script.play(connection)
                else:
                    await self._host.take_in(connection, admission, nursery)

    def _clock(self) -> float:
        """Seconds since the epoch; goes with Trio's clock, be it virtual."""
        now_s = trio.current_time()
        if self._epoch_s is None:
            self._epoch_s = time.time() - now_s
        return self._epoch_s + now_s


async def open_listeners(port: int) -> Sequence[trio.SocketListener]:
    """Opens a port of the loopback interface.

    Raises:
        PlaygroundFault: it is taken, or not a port.
    """
    try:
        return await trio.open_tcp_listeners(port, host=_HOST)
    except (OSError, OverflowError) as error:
        raise PlaygroundFault(
            f"port {port} cannot be opened for the Voice Agent API server ({error})",
            "stop the program that uses it, or choose another with --port",
        ) from error


@asynccontextmanager
async def voice_agent_server(
    options: ServerOptions | None = None, port: int | None = 0
) -> AsyncIterator[VoiceAgentServer]:
    """A server that runs while the block does.

    Args:
        options: how it behaves.
        port: TCP port, 0 for a free one; None: no socket, for `serve_stream` only.

    Raises:
        PlaygroundFault: the port is taken.
    """
    server = VoiceAgentServer(options)
    listeners = None if port is None else await open_listeners(port)
    async with trio.open_nursery() as nursery:
        if listeners is not None:
            await nursery.start(server.serve, listeners)
        yield server
        nursery.cancel_scope.cancel()
