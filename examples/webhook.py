"""Posts what happens in a call to a URL: signed, in order, and again until it is accepted.

    WEBHOOK_SECRET=whsec_… python runner.py \
        --actor examples/webhook.py:Webhook,url=https://example.com/calls,spool=spool

Each event is a JSON object of `type`, `timestamp` and `data`, with the headers of Standard Webhooks
(standardwebhooks.com, whose libraries verify them): `webhook-id`, `webhook-timestamp` and
`webhook-signature`, an HMAC-SHA256 over all three. An event is on the disk before it is posted, and stays
there until it is answered with a 2xx. So nothing is lost if the receiver is down or the agent is killed: the
next start continues with what is there. An event may therefore come twice, with the same id. The spool is
bounded: beyond `most` events the oldest is dropped, and the log says so. If the disk is full, events wait in
memory, a hundred at most. Give each running agent its own spool; only its owner can read it.

Posts use the same route as all requests of the project: through the environment's proxy, if there is one.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import hmac
import json
import math
import os
import re
import time
import uuid
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from random import Random
from typing import Any, TypeVar
from urllib.parse import SplitResult, urlsplit

import attrs
import structlog
import trio
from attrs import define, field

from channels import private_files
from channels.backoff import Backoff
from channels.bounded import Receiver
from channels.errors import SettingsError
from channels.happenings import (
    Happening,
    Leaving,
    ParticipantJoined,
    ParticipantLeft,
    PersonSaid,
    ReplyEnded,
    RoomJoined,
    SessionClosed,
    SessionStarted,
    ToolAnswered,
    ToolCalled,
    TurnTimed,
)
from channels.net.dialling import obstacle_to, open_stream
from channels.net.http import asking
from channels.net.proxies import is_loopback, proxy_for
from channels.secret import Secret
from channels.settings.dotenv import unquoted

_T = TypeVar("_T")

ANSWERS_WITHIN_S = 20.0

MOST_IN_MEMORY = 100
"""How many events wait in memory while the disk takes none."""

LONGEST_WAIT_S = 300.0
"""Between two tries."""

POSTED = (
    RoomJoined,
    ParticipantJoined,
    ParticipantLeft,
    SessionStarted,
    PersonSaid,
    ReplyEnded,
    TurnTimed,
    ToolCalled,
    ToolAnswered,
    Leaving,
    SessionClosed,
)


REFUSED = (400, 413, 422)
"""Answers that a retry will not change: the event is put aside."""


@define
class Webhook:
    """Posts happenings.

    Args:
        url: where to; `https`, or `http` on this machine.
        spool: the folder where events wait.
        most: how many may wait.
        first_wait_s: before the second try; it doubles from then on, up to five minutes.
    """

    happenings: Receiver[Happening]
    url: str
    spool: Path
    most: int = 10_000
    first_wait_s: float = 1.0
    _spool: Spool = field(init=False)
    _receiver: WebhookClient = field(init=False)
    _unkept: deque[bytes] = field(factory=deque, init=False)
    """What the disk did not take, the oldest first."""
    _stuck: set[str] = field(factory=set, init=False)
    """Finished files that could not be deleted yet."""
    # Its own thread: if a slow disk holds it, nothing else misses it.
    _disk: trio.CapacityLimiter = field(factory=lambda: trio.CapacityLimiter(1), init=False)
    _news: trio.Event = field(factory=trio.Event, init=False)
    _over: trio.Event = field(factory=trio.Event, init=False)
    _log: Any = field(factory=structlog.get_logger, init=False)

    def __attrs_post_init__(self) -> None:
        self._spool = Spool(self.spool, self.most)
        self._receiver = WebhookClient(
            _read_url(self.url), _read_secret(os.environ.get("WEBHOOK_SECRET", ""))
        )

    async def run(self) -> None:
        """Posts until the call is over; events not accepted by then wait for the next start."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._post_all)
            async with self.happenings:
                async for happening in self.happenings:
                    if isinstance(happening, POSTED) and getattr(happening, "final", True):
                        await self._keep(happening)
            if self._unkept:
                await self._keep_all(full=True)
            if self._unkept:
                how_many = len(self._unkept)
                self._log.error("webhook_lost_events", how_many=how_many, fix="make room on the disk")
            self._over.set()
            self._news.set()

    async def _keep(self, happening: Happening) -> None:
        full = bool(self._unkept)
        self._unkept.append(_event(happening))
        await self._keep_all(full)
        if len(self._unkept) > MOST_IN_MEMORY:
            self._unkept.popleft()
            self._log.error("webhook_lost_events", how_many=1, fix="make room on the disk")
        self._news.set()

    async def _keep_all(self, full: bool) -> None:
        """Writes waiting events to the disk; `full`: that failed the last time."""
        while self._unkept:
            try:
                lost = await self._on_disk(self._spool.put, self._unkept[0])
            except OSError as error:
                if not full:
                    fix = "make room on the disk; the next events wait in memory"
                    self._log.error("webhook_cannot_keep_events", why=str(error.strerror), fix=fix)
                break
            self._unkept.popleft()
            if lost:
                self._log.error(
                    "webhook_lost_events", how_many=lost, fix="find out why the receiver accepts none"
                )
        if full and not self._unkept:
            self._log.info("webhook_keeps_events_again")

    async def _on_disk(self, work: Callable[..., _T], *arguments: Any) -> _T:
        return await trio.to_thread.run_sync(work, *arguments, abandon_on_cancel=True, limiter=self._disk)

    async def _let_go(self, event: Path, work: Callable[..., object], *arguments: Any) -> None:
        """Takes an event out of those that wait, if need be by heart."""
        try:
            await self._on_disk(work, *arguments)
        except OSError as error:
            self._stuck.add(event.name)
            self._log.error("webhook_cannot_remove_an_event", file=event.name, why=str(error.strerror))

    async def _post_all(self) -> None:
        while True:
            self._news = trio.Event()
            try:
                waiting = await self._on_disk(self._spool.waiting)
            except OSError:
                waiting = []
            waiting = [event for event in waiting if event.name not in self._stuck]
            for event in waiting:
                if not await self._post_until_taken(event):
                    return
            if not waiting:
                if self._over.is_set():
                    return
                await self._news.wait()

    async def _post_until_taken(self, event: Path) -> bool:
        backoff = Backoff(Random(), math.inf, self.first_wait_s, LONGEST_WAIT_S)
        complained = False
        while (answer := await self._post(event)) is not None:
            if isinstance(answer, int) and 200 <= answer < 300:
                await self._let_go(event, event.unlink, True)
                if complained:
                    self._log.info("webhook_takes_events_again", host=self._receiver.host)
                return True
            if answer in REFUSED:
                self._log.error(
                    "webhook_refused_an_event", host=self._receiver.host, file=event.name, why=answer
                )
                await self._let_go(event, event.rename, event.with_suffix(".refused"))
                return True
            if not complained:
                self._log.warning("webhook_takes_no_events", host=self._receiver.host, why=answer)
            complained = True
            if self._over.is_set():
                return False
            # Until the call is over: the event is on the disk, and the next start goes on with it.
            with trio.move_on_after(backoff.next_s(trio.current_time()) or 0.0):
                await self._over.wait()
        return True

    async def _post(self, event: Path) -> int | str | None:
        """The status of the answer, or why there is none; None: the event has given way to newer ones."""
        with trio.move_on_after(ANSWERS_WITHIN_S):
            try:
                body = await self._on_disk(event.read_bytes)
            except FileNotFoundError:
                return None
            except OSError as error:
                return f"it cannot be read ({error.strerror})"
            return await self._receiver.post(event.stem.partition("-")[2], body)
        return f"no answer within {ANSWERS_WITHIN_S:.0f} s"


@define
class Spool:
    """Events on the disk, a file each. Blocking: used in a thread."""

    folder: Path
    most: int
    _last: int = 0

    def waiting(self) -> list[Path]:
        """Those that were not taken yet, the oldest first."""
        return sorted(self.folder.glob("*.json"))

    def put(self, event: bytes) -> int:
        """Brings an event to the disk; gives how many had to give way."""
        private_files.folder(self.folder)
        # By wall-clock time, so that an earlier run's events come first.
        self._last = max(self._last + 1, time.time_ns())
        path = self.folder / f"{self._last:020}-msg_{uuid.uuid4().hex}.json"
        part = path.with_suffix(".part")
        try:
            with private_files.create(part) as file:
                unwritten = event
                while unwritten:
                    unwritten = unwritten[file.write(unwritten) :]
                os.fsync(file.fileno())
            part.rename(path)
        except OSError:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)  # half an event is useless, and takes space
            raise
        too_many = sorted(self.folder.glob("*-msg_*"))[: -self.most]
        for old in too_many:
            old.unlink(missing_ok=True)
        return len(too_many)


@define
class WebhookClient:
    """The way to the receiver."""

    url: SplitResult
    key: Secret
    """Base64 of the shared secret."""

    @property
    def host(self) -> str:
        """For the log: the rest of the address may be a secret."""
        return self.url.hostname or ""

    async def post(self, event_id: str, body: bytes) -> int | str:
        """Posts an event; gives the status of the answer, or why there is none."""
        url = self.url._replace(fragment="").geturl()
        headers = {"Content-Type": "application/json", **self._signed(event_id, body)}
        try:
            stream = await open_stream(url)
        except (OSError, UnicodeError) as error:
            obstacle = obstacle_to(url, error)
            return f"it {obstacle.what}" + (f"; {obstacle.fix}" if obstacle.fix else "")
        try:
            # The rest of the answer does not matter.
            async with asking(stream, url, headers, body) as answer:
                return answer.status
        except OSError as error:
            return str(error)

    def _signed(self, event_id: str, body: bytes) -> dict[str, str]:
        at = str(int(time.time()))
        key = base64.b64decode(self.key.reveal())
        digest = hmac.new(key, b".".join((event_id.encode(), at.encode(), body)), hashlib.sha256).digest()
        return {
            "webhook-id": event_id,
            "webhook-timestamp": at,
            "webhook-signature": "v1," + base64.b64encode(digest).decode(),
        }


def _event(happening: Happening) -> bytes:
    # Trio's clock means nothing elsewhere, and a traceback is nobody else's.
    data = attrs.asdict(
        happening,
        filter=lambda attribute, _: attribute.name not in ("at", "traceback"),
        value_serializer=lambda _, __, value: value.value if isinstance(value, Enum) else value,
    )
    kind = re.sub(r"(?<!^)(?=[A-Z])", ".", type(happening).__name__).lower()
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    return json.dumps({"type": kind, "timestamp": now, "data": data}, ensure_ascii=False).encode()


def _read_url(written: str) -> SplitResult:
    url = urlsplit(written)
    sendable = written.isascii() and written.isprintable() and " " not in written
    safe = url.scheme == "https" or (url.scheme == "http" and is_loopback(url.hostname or ""))
    if not url.hostname or not safe or not sendable or url.username is not None:
        raise SettingsError(
            f"Webhook.url is not an address that events may be sent to (it begins with {url.scheme[:8]!r})",
            "use one that begins with https:// and contains no password; http:// is for this machine only",
        )
    proxy_for(written)  # reports a bad address before anything starts
    return url


def _read_secret(written: str) -> Secret:
    key = unquoted(written).removeprefix("whsec_")
    try:
        if len(base64.b64decode(key, validate=True)) >= 24:
            return Secret(key)
    except binascii.Error:
        pass
    raise SettingsError(
        "WEBHOOK_SECRET is not set"
        if not written
        else "WEBHOOK_SECRET is not whsec_ and base64 of 24 bytes or more",
        "set it in the environment to the receiver's secret; `openssl rand -base64 32` makes one",
    )
