"""One session with the service, for a probe: an open microphone, a voice, and all that came, with its times.

It is the project's own connection and codec (`actors.api.connection`). Each session is ended by
`session.end`, whatever happens in it, and its length is added to the account's. What is written to a log
has no sound, no key and no session id: the log is one that `python -m playground.recording` reads.
"""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

import attrs
import numpy as np
import trio
from trio_websocket import wrap_client_stream

from actors.api.connection import Dialer, ServiceConnection, dial, open_connection
from bench.speech import spoken
from channels.net.http import host_header
from channels.secret import Secret
from channels.settings import ApiAccount
from channels.wire.events import ReplyAudio, ServerEvent, SessionEnded, SessionReady, SpeechStarted
from channels.wire.failures import ServiceError
from channels.wire.messages import ClientMessage, InputAudio, SessionEnd, SessionUpdate
from sound.pcm import SAMPLE_RATE_HZ, bytes_of_ms, ms_of_bytes

__all__ = ["Account", "Line", "NotAnswered", "PingsCounted", "is_loud", "session", "spoken_at"]

E = TypeVar("E")

FRAME_MS = 50
READY_WITHIN_S = 10.0
ENDED_WITHIN_S = 3.0
LONGEST_S = 120.0
"""No session of a probe is longer, whatever the service does."""


class NotAnswered(Exception):
    """The service did not do what the probe needs; the text says what."""


@attrs.define
class Account:
    """Whose sessions they are, and what they come to.

    Args:
        url: of the service.
        key: of the account.
        dialer: opens byte streams.
        log: is given a line for each message, without sound.
    """

    url: str
    key: Secret
    dialer: Dialer = dial
    log: Callable[[str], None] = lambda line: None
    session_s: float = 0.0
    """Of all sessions so far."""
    _began: float | None = None

    def note(self, direction: str, message: Mapping[str, Any]) -> None:
        """Writes a message down."""
        now = trio.current_time()
        self._began = now if self._began is None else self._began
        at_ms = round((now - self._began) * 1000, 1)
        self.log(json.dumps({"ms": at_ms, "d": direction, "m": dict(message)}))


@attrs.define
class Line:
    """A session."""

    account: Account
    connection: ServiceConnection
    stream: trio.abc.Stream | None
    came: list[tuple[float, ServerEvent]] = attrs.field(factory=list)
    """With the times, in s."""
    failure: ServiceError | None = None
    _to_say: bytearray = attrs.field(factory=bytearray)
    _said_at: float = 0.0
    _saying: trio.Event | None = None
    microphone_open: bool = True
    _news: trio.Event = attrs.field(factory=trio.Event)

    async def send(self, message: ClientMessage) -> float:
        """Sends a message; gives the time."""
        at = trio.current_time()
        if not isinstance(message, InputAudio):
            call_id = getattr(message, "call_id", None)
            self.account.note(">", {"type": message.type, **({"call_id": call_id} if call_id else {})})
        await self.connection.send(message)
        return at

    async def say(self, pcm: bytes) -> float:
        """Begins to speak into the microphone; gives the time of the first sample."""
        self._to_say += pcm
        self._saying = trio.Event()
        await self._saying.wait()
        return self._said_at

    async def until(
        self,
        kind: type[E],
        *,
        within_s: float,
        since: float = 0.0,
        where: Callable[[E], bool] = lambda e: True,
    ) -> tuple[float, E] | None:
        """The first event of a kind after a moment; None if none came in time, or the session is over."""
        with trio.move_on_after(within_s):
            while True:
                for at, event in self.came:
                    if at >= since and isinstance(event, kind) and where(event):
                        return at, event
                if self.failure is not None:
                    return None
                await self._news.wait()
        return None

    async def next_of(self, kinds: tuple[type[E], ...], known: int, *, within_s: float) -> E | None:
        """The first event of some kinds after so many events; None if none came in time."""
        with trio.move_on_after(within_s):
            while self.failure is None:
                for _, event in self.came[known:]:
                    if isinstance(event, kinds):
                        return event
                await self._news.wait()
        return None

    async def need(self, kind: type[E], *, within_s: float, since: float = 0.0) -> tuple[float, E]:
        """The same, for what a probe cannot do without.

        Raises:
            NotAnswered: it did not come.
        """
        found = await self.until(kind, within_s=within_s, since=since)
        if found is None:
            why = f": {self.failure}" if self.failure is not None else ""
            raise NotAnswered(f"no {getattr(kind, 'type', kind.__name__)} within {within_s:g} s{why}")
        return found

    async def audible(self, *, within_s: float, since: float = 0.0) -> float:
        """When the first sound came that is not silence.

        Raises:
            NotAnswered: none came.
        """
        found = await self.until(ReplyAudio, within_s=within_s, since=since, where=lambda e: is_loud(e.data))
        if found is None:
            raise NotAnswered(f"no sound within {within_s:g} s")
        return found[0]

    def all(self, kind: type[E], *, since: float = 0.0) -> list[tuple[float, E]]:
        """All events of a kind so far."""
        return [(at, event) for at, event in self.came if at >= since and isinstance(event, kind)]

    def sound_ms(
        self, *, since: float = 0.0, until: float = float("inf"), reply_id: str | None = None
    ) -> float:
        """How much of the replies came in a span of time."""
        return sum(
            ms_of_bytes(len(event.data))
            for at, event in self.all(ReplyAudio, since=since)
            if at < until and reply_id in (None, event.reply_id)
        )

    async def listen(self) -> None:
        """Keeps what comes until the connection is closed."""
        while True:
            try:
                event = await self.connection.receive()
            except ServiceError as failure:
                self.failure = failure
                self._tell()
                return
            self.came.append((trio.current_time(), event))
            if not isinstance(event, ReplyAudio):
                self.account.note("<", _shown(event))
            else:
                self.account.note("<", {"type": event.type, "bytes": len(event.data)})
            self._tell()

    async def keep_microphone_open(self) -> None:
        """Sends what is said, and silence else, at real time."""
        start = trio.current_time()
        size = bytes_of_ms(FRAME_MS)
        frames = 0
        while True:
            frames += 1
            await trio.sleep_until(start + frames * FRAME_MS / 1000)
            frame = bytes(self._to_say[:size])
            del self._to_say[:size]
            if frame and self._saying is not None and not self._saying.is_set():
                self._said_at = trio.current_time() - FRAME_MS / 1000
                self._saying.set()
            if self.microphone_open or frame:
                with suppress(ServiceError):
                    await self.connection.send(InputAudio(frame.ljust(size, b"\0")))

    def _tell(self) -> None:
        self._news.set()
        self._news = trio.Event()


@asynccontextmanager
async def session(
    account: Account,
    config: Mapping[str, Any],
    *,
    first: ClientMessage | None = None,
    token: Secret | None = None,
    ready: bool = True,
    ends: bool = True,
) -> AsyncIterator[Line]:
    """A session that the service is ready for, until the end of the block, or for two minutes.

    Args:
        account: whose it is.
        config: the `session` object of the first message.
        first: the first message, in place of `session.update`.
        token: opens the socket in place of the key, as a browser does.
        ready: whether to wait until the service is.
        ends: whether to end it by `session.end`; without, whoever leaves has dropped the socket.

    Raises:
        NotAnswered: the service is not ready in time.
        ServiceError: it cannot be reached, or refuses the key.
    """
    streams: list[trio.abc.Stream] = []

    async def keep(url: str) -> trio.abc.Stream:
        streams.append(await account.dialer(url))
        return streams[-1]

    with trio.move_on_after(LONGEST_S) as patience:
        async with trio.open_nursery() as nursery, _open(account, keep, nursery, token) as connection:
            line = Line(account, connection, streams[-1])
            began = trio.current_time()
            nursery.start_soon(line.listen)
            try:
                await line.send(first or SessionUpdate(config))
                if ready:
                    await line.need(SessionReady, within_s=READY_WITHIN_S)
                    nursery.start_soon(line.keep_microphone_open)
                yield line
            finally:
                with trio.CancelScope(shield=True):
                    await _end(line, ends=ends)
                account.session_s += trio.current_time() - began
                nursery.cancel_scope.cancel()
    if patience.cancelled_caught:
        raise NotAnswered(f"not over within {LONGEST_S:g} s")


async def _end(line: Line, *, ends: bool) -> None:
    if not ends:
        if line.stream is not None:
            await trio.aclose_forcefully(line.stream)
        return
    with trio.move_on_after(ENDED_WITHIN_S), suppress(ServiceError):
        if line.failure is None:
            await line.send(SessionEnd())
            await line.until(SessionEnded, within_s=ENDED_WITHIN_S)


@asynccontextmanager
async def _open(
    account: Account, dialer: Dialer, nursery: trio.Nursery, token: Secret | None
) -> AsyncIterator[ServiceConnection]:
    if token is None:
        async with open_connection(
            ApiAccount(account.url, api_key=account.key), dialer, nursery
        ) as connection:
            yield connection
        return
    path = f"{urlsplit(account.url).path or '/'}?token={quote(token.reveal(), safe='')}"
    stream = await dialer(account.url)
    websocket = await wrap_client_stream(nursery, stream, host_header(account.url), path)  # type: ignore[arg-type]
    try:
        yield ServiceConnection(websocket, (account.key, token))
    finally:
        with trio.move_on_after(1, shield=True):
            await websocket.aclose()
        with trio.CancelScope(shield=True):
            await trio.aclose_forcefully(stream)


def spoken_at(level: float, text: str) -> bytes:
    """The playground's voice, from its first sound on, with its peak at a part of full scale."""
    samples = np.frombuffer(spoken(text), "<i2").astype(float)
    step = SAMPLE_RATE_HZ // 100
    steps = samples[: len(samples) // step * step].reshape(-1, step)
    peaks = np.abs(steps).max(axis=1)
    first = int(np.argmax(peaks > 0.05 * peaks.max()))
    scaled = steps[first:] * (level * 32767 / peaks.max())
    return bytes(np.rint(scaled).clip(-32768, 32767).astype("<i2").tobytes())


def is_loud(pcm: bytes) -> bool:
    """Whether a person would hear it."""
    samples = np.frombuffer(pcm[: len(pcm) // 2 * 2], "<i2")
    return bool(len(samples)) and int(np.abs(samples.astype(int)).max()) > 300


def _shown(event: ServerEvent) -> dict[str, Any]:
    """For the log: nothing that opens or takes up a session."""
    fields = attrs.asdict(event)
    for name in ("resume_token", "session_id", "config"):
        fields.pop(name, None)
    if isinstance(event, SpeechStarted):
        return {"type": event.type}
    return {"type": event.type, **fields}


class PingsCounted(logging.Handler):
    """Counts the pings of the service, which the websocket library answers without a word."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.count = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.count += record.msg == "%s ping %r"

    def __enter__(self) -> PingsCounted:
        log = logging.getLogger("trio-websocket")
        self._before = log.level, log.propagate
        log.addHandler(self)
        log.setLevel(logging.DEBUG)
        log.propagate = False
        return self

    def __exit__(self, *_: object) -> None:
        log = logging.getLogger("trio-websocket")
        log.removeHandler(self)
        log.setLevel(self._before[0])
        log.propagate = self._before[1]
