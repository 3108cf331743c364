"""LiveKit's side of the dispatch, played by hand over memory streams: honest or not."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import attrs
import jwt
import trio
from livekit.protocol import agent, models
from trio.testing import memory_stream_pair
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_server_stream

from actors.dispatch import DispatchActor
from channels.bounded import Channel, Full, Receiver, Sender
from channels.errors import reason_of
from channels.jobs import WorkerEvent, WorkerOrder
from channels.secret import Secret
from channels.settings import LiveKitAccount, WorkerSettings
from tests.actors.test_api_support import Line

__all__ = ["ACCOUNT", "SECRET", "Dispatch", "Worker", "assignment", "offer", "termination", "worker"]

SECRET = "a-secret-of-livekit-that-nobody-may-see-0123456789"
ACCOUNT = LiveKitAccount("ws://127.0.0.1:7880", "APIkey", Secret(SECRET))


def offer(job_id: str, room: str = "tea", **fields: Any) -> agent.ServerMessage:
    """Takes anybody this job?"""
    job = agent.Job(id=job_id, room=models.Room(name=room), **fields)
    return agent.ServerMessage(availability=agent.AvailabilityRequest(job=job))


def assignment(job_id: str, token: str = "a.b.c", url: str = "") -> agent.ServerMessage:
    """The job is yours."""
    return agent.ServerMessage(
        assignment=agent.JobAssignment(job=agent.Job(id=job_id), token=token, url=url or None)
    )


def termination(job_id: str) -> agent.ServerMessage:
    """End it."""
    return agent.ServerMessage(termination=agent.JobTermination(job_id=job_id))


@attrs.define
class Dispatch:
    """A server at every address that a worker dials."""

    answers: Mapping[str, int] = attrs.field(factory=dict)
    """Addresses that refuse, with their HTTP status; 0: nobody answers there; -1: it hangs up."""
    registers: bool = True
    heard: list[agent.WorkerMessage] = attrs.field(factory=list)
    dialled: list[tuple[float, str]] = attrs.field(factory=list)
    headers: list[Mapping[bytes, bytes]] = attrs.field(factory=list)
    paths: list[str] = attrs.field(factory=list)
    lines: list[Line] = attrs.field(factory=list)
    websockets: list[WebSocketConnection] = attrs.field(factory=list)
    nursery: trio.Nursery | None = None

    async def dial(self, url: str) -> trio.abc.Stream:
        assert self.nursery is not None
        assert len(self.dialled) < 1000, "it dials in a loop that takes no time"
        self.dialled.append((trio.current_time(), url))
        await trio.lowlevel.checkpoint()
        if self.answers.get(url) == 0:
            raise ConnectionRefusedError(111, "refused")
        ours, theirs = memory_stream_pair()
        if self.answers.get(url) == -1:
            await theirs.aclose()
            return ours
        self.nursery.start_soon(self._serve, theirs, url)
        self.lines.append(Line(ours))
        return self.lines[-1]

    async def _serve(self, stream: trio.abc.Stream, url: str) -> None:
        async with trio.open_nursery() as nursery:
            request = await wrap_server_stream(nursery, stream)
            self.headers.append(dict(request.headers))
            self.paths.append(request.path)
            if status := self.answers.get(url):
                await request.reject(status)
                nursery.cancel_scope.cancel()
                return
            websocket = await request.accept()
            self.websockets.append(websocket)
            try:
                while True:
                    message = agent.WorkerMessage()
                    frame = await websocket.get_message()
                    assert isinstance(frame, bytes)
                    message.ParseFromString(frame)
                    self.heard.append(message)
                    if message.HasField("register") and self.registers:
                        number = len(self.websockets)
                        await self.say(
                            agent.ServerMessage(
                                register=agent.RegisterWorkerResponse(worker_id=f"AW_{number}")
                            )
                        )
            except ConnectionClosed:
                return  # its reader still says goodbye

    async def say(self, message: agent.ServerMessage | bytes | str) -> None:
        """On the latest connection."""
        raw = message.SerializeToString() if isinstance(message, agent.ServerMessage) else message
        await self.websockets[-1].send_message(raw)

    async def hang_up(self) -> None:
        """Closes the latest connection."""
        await self.websockets[-1].aclose()

    def said(self, kind: str) -> list[Any]:
        """What it was told of that kind."""
        return [getattr(message, kind) for message in self.heard if message.HasField(kind)]

    async def is_told(self, kind: str, times: int = 1) -> Any:
        """Waits until it was told so often; gives the last."""
        with trio.fail_after(120):
            while len(self.said(kind)) < times:
                await trio.sleep(0.01)
        return self.said(kind)[-1]

    def claims(self) -> dict[str, Any]:
        """Of the last token that it was shown."""
        bearer = self.headers[-1][b"authorization"].decode().removeprefix("Bearer ")
        read: dict[str, Any] = jwt.decode(bearer, SECRET, algorithms=["HS256"])
        return read


@attrs.define
class Worker:
    """A `DispatchActor` at work."""

    actor: DispatchActor
    orders: Sender[WorkerOrder]
    events: Receiver[WorkerEvent]
    failure: BaseException | None = None
    over: trio.Event = attrs.field(factory=trio.Event)

    async def next(self, kind: type[Any]) -> Any:
        """The next event, which must be of this kind."""
        with trio.fail_after(120):
            event = await self.events.receive()
        assert isinstance(event, kind), event
        return event

    async def next_of(self, kind: type[Any]) -> Any:
        """The next event of this kind."""
        with trio.fail_after(120):
            while not isinstance(event := await self.events.receive(), kind):
                pass
        return event


@asynccontextmanager
async def worker(
    dispatch: Dispatch,
    settings: WorkerSettings | None = None,
    *,
    on_event: Callable[[WorkerEvent], None] = lambda event: None,
) -> AsyncIterator[Worker]:
    """Runs one."""
    orders = Channel[WorkerOrder]("orders", 64, "orders", Full.FAIL, "of a test")
    events = Channel[WorkerEvent]("events", 1024, "events", Full.FAIL, "of a test")
    events.overhear(on_event)
    actor = DispatchActor(
        account=ACCOUNT,
        settings=settings or WorkerSettings(),
        orders=orders.receiver(),
        events=events.sender(),
        random=Random(1),
        dialer=dispatch.dial,
    )
    it = Worker(actor, orders.sender(), events.receiver())

    async def run() -> None:
        try:
            await actor.run()
        except BaseExceptionGroup as group:
            it.failure = reason_of(group)
            if it.failure is None:
                raise
        finally:
            it.over.set()

    async with trio.open_nursery() as nursery:
        dispatch.nursery = nursery
        nursery.start_soon(run)
        yield it
        nursery.cancel_scope.cancel()
