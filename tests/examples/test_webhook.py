"""What a receiver gets, over real HTTP, from a sender that is signed, patient and forgets nothing."""

from __future__ import annotations

import base64
import errno
import functools
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
from standardwebhooks import Webhook as Verifier
from standardwebhooks import WebhookVerificationError
from structlog.testing import capture_logs

from channels import private_files
from channels.bounded import Receiver
from channels.child import tied
from channels.errors import SettingsError
from channels.happenings import (
    Happening,
    PersonSaid,
    ReplyEnded,
    ReplyOutcome,
    SoundStarted,
    ToolAnswered,
    TurnTimed,
)
from channels.net.serving import Request, Response, serve_http
from channels.streams import Addition, Streams
from channels.taps import Taps
from examples.webhook import Spool, Webhook

ROOT = Path(__file__).parents[2]
KEY = "whsec_" + base64.b64encode(b"a key of the tests, 32 bytes long").decode()


@attrs.define
class Taken:
    """What came."""

    path: str
    headers: dict[str, str]
    body: bytes

    def event(self) -> dict[str, Any]:
        """The event, if the reference's own library finds the signature right."""
        verified: dict[str, Any] = Verifier(KEY).verify(self.body, self.headers)
        return verified


@attrs.define
class Site:
    """A receiver of webhooks."""

    answers: list[int] = attrs.field(factory=list)
    """The next ones; then 204."""
    came: list[Taken] = attrs.field(factory=list)
    port: int = 0
    _socket: trio.socket.SocketType | None = None

    @asynccontextmanager
    async def down(self) -> AsyncIterator[None]:
        """Nobody is there, and nobody else comes to its port."""
        with trio.socket.socket() as kept:
            await kept.bind(("127.0.0.1", 0))
            self.port = kept.getsockname()[1]
            self._socket = kept
            yield
            self._socket = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/calls?key=of-the-address"

    @asynccontextmanager
    async def up(self) -> AsyncIterator[None]:
        async with trio.open_nursery() as nursery:
            if self._socket is None:
                (listener,) = await trio.open_tcp_listeners(self.port, host="127.0.0.1")
            else:
                self._socket.listen()
                listener = trio.SocketListener(self._socket)
            self.port = listener.socket.getsockname()[1]
            serve = functools.partial(serve_http, handle=self._answer)
            nursery.start_soon(trio.serve_listeners, serve, [listener])
            yield
            nursery.cancel_scope.cancel()

    async def _answer(self, request: Request) -> Response:
        self.came.append(Taken(request.target, dict(request.headers), request.body))
        return Response(self.answers.pop(0) if self.answers else 204)

    async def has_taken(self, count: int) -> list[Taken]:
        with trio.fail_after(20):
            while len(self.came) < count:
                await trio.sleep(0.01)
        return self.came

    def said(self) -> list[str]:
        return [json.loads(taken.body)["data"]["text"] for taken in self.came]


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBHOOK_SECRET", KEY)


def compose(taps: Taps, **values: str) -> Webhook:
    webhook = Streams({Receiver[Happening]: taps.tap}).compose(Addition(Webhook, values))
    assert isinstance(webhook, Webhook)
    return webhook


@asynccontextmanager
async def posting(site: Site, spool: Path, **more: str) -> AsyncIterator[Taps]:
    """A webhook at work, which then sees the call end."""
    taps = Taps()
    webhook = compose(taps, url=site.url, spool=str(spool), **{"first_wait_s": "0.02", **more})
    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(webhook.run)
            yield taps
            taps.close()


def said(text: str) -> PersonSaid:
    return PersonSaid(text, final=True)


async def test_an_event_comes_signed_in_the_way_of_standard_webhooks(tmp_path: Path) -> None:
    site = Site()
    async with site.up(), posting(site, tmp_path) as taps:
        taps.publish(said("one tea, “please”"))
        (taken,) = await site.has_taken(1)
    event = taken.event()
    assert taken.path == "/calls?key=of-the-address"
    assert taken.headers["content-type"] == "application/json"
    assert event["type"] == "person.said"
    assert event["data"]["text"] == "one tea, “please”"
    assert event["timestamp"].endswith("+00:00")
    with pytest.raises(WebhookVerificationError):
        attrs.evolve(taken, body=taken.body.replace(b"one", b"two")).event()
    with pytest.raises(WebhookVerificationError):
        attrs.evolve(taken, headers={**taken.headers, "webhook-timestamp": "1790000000"}).event()
    with pytest.raises(WebhookVerificationError):
        attrs.evolve(taken, headers={**taken.headers, "webhook-id": "msg_another"}).event()
    assert list(tmp_path.iterdir()) == []  # noqa: ASYNC240


async def test_chatter_and_what_is_nobody_elses_stays_here(tmp_path: Path) -> None:
    site = Site()
    reply = ReplyEnded("r1", ReplyOutcome.CUT, 700, "One euro", at=12.5)
    async with site.up(), posting(site, tmp_path) as taps:
        taps.publish(PersonSaid("one t", final=False))
        taps.publish(SoundStarted(1.0))
        taps.publish(TurnTimed(1, 900, None, 700, reply))
        taps.publish(ToolAnswered("c1", "price", 12, "no such tea", "Traceback: /home/me/tools.py"))
        await site.has_taken(2)
    timed, answered = (taken.event() for taken in site.came)
    assert timed["data"] == {
        "turn": 1,
        "turn_latency_ms": 900,
        "barge_in_ms": None,
        "endpointing_ms": 700,
        "reply": {
            "reply_id": "r1",
            "outcome": "cut",
            "heard_ms": 700,
            "heard_text": "One euro",
            "underruns": 0,
        },
        "interrupted": False,
    }
    assert answered["type"] == "tool.answered"
    assert "traceback" not in answered["data"]


async def test_what_fails_at_first_is_tried_again_in_order_and_under_the_same_id(tmp_path: Path) -> None:
    site = Site(answers=[500, 503, 302, 204])
    async with site.up(), posting(site, tmp_path) as taps:
        taps.publish(said("first"))
        taps.publish(said("second"))
        await site.has_taken(5)
    assert site.said() == ["first", "first", "first", "first", "second"]
    assert len({taken.headers["webhook-id"] for taken in site.came[:4]}) == 1
    assert [taken.event()["data"]["text"] for taken in site.came[3:]] == ["first", "second"]


async def test_nothing_is_lost_while_the_receiver_is_down(tmp_path: Path) -> None:
    site = Site()
    async with site.down(), posting(site, tmp_path) as taps:
        for number in range(5):
            taps.publish(said(f"number {number}"))
        await trio.sleep(0.3)
        async with site.up():
            await site.has_taken(5)
            await trio.sleep(0.1)
    assert site.said() == [f"number {number}" for number in range(5)]


async def test_what_was_not_taken_by_the_end_of_the_call_is_posted_by_the_next(tmp_path: Path) -> None:
    site = Site()
    async with site.down(), posting(site, tmp_path) as taps:
        taps.publish(said("of the first call"))
        await trio.sleep(0.1)
    assert len(list(tmp_path.glob("*.json"))) == 1  # noqa: ASYNC240
    site = Site()
    async with site.up(), posting(site, tmp_path) as taps:
        taps.publish(said("of the second call"))
        await site.has_taken(2)
    assert site.said() == ["of the first call", "of the second call"]


KILLED = """
import sys, trio
from pathlib import Path
from channels.happenings import PersonSaid
from channels.taps import Taps
from examples.webhook import Spool, Webhook
from channels.child import tied
from channels.net.serving import Request, Response, serve_http

async def main():
    taps = Taps()
    webhook = Webhook(taps.tap("webhook"), "http://127.0.0.1:9/", Path(sys.argv[1]))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(webhook.run)
        taps.publish(PersonSaid("the last words", final=True))
        await trio.sleep_forever()

trio.run(main)
"""


async def test_what_was_spooled_survives_kill_9(tmp_path: Path) -> None:
    program = subprocess.Popen(  # noqa: ASYNC220 (it is to be killed)
        tied([sys.executable, "-c", KILLED, str(tmp_path)]), cwd=ROOT, stderr=subprocess.DEVNULL
    )
    try:
        with trio.fail_after(60):
            while not list(tmp_path.glob("*.json")):  # noqa: ASYNC240
                await trio.sleep(0.05)
    finally:
        os.kill(program.pid, signal.SIGKILL)
        program.wait()
    site = Site()
    async with site.up(), posting(site, tmp_path):
        await site.has_taken(1)
    assert site.said() == ["the last words"]


async def test_a_spool_that_is_full_gives_up_its_oldest(tmp_path: Path) -> None:
    site = Site()
    async with site.down(), posting(site, tmp_path, most="3") as taps:
        for number in range(8):
            taps.publish(said(f"number {number}"))
        await trio.sleep(0.5)
    assert len(list(tmp_path.iterdir())) == 3  # noqa: ASYNC240
    site = Site()
    async with site.up(), posting(site, tmp_path):
        await site.has_taken(3)
    assert site.said() == ["number 5", "number 6", "number 7"]


async def test_an_event_that_is_refused_for_what_it_is_does_not_hold_up_the_others(tmp_path: Path) -> None:
    site = Site(answers=[422])
    async with site.up(), posting(site, tmp_path) as taps:
        taps.publish(said("odd"))
        taps.publish(said("fine"))
        await site.has_taken(2)
    assert site.said() == ["odd", "fine"]
    (aside,) = tmp_path.iterdir()  # noqa: ASYNC240
    assert aside.suffix == ".refused"


async def test_a_receiver_that_never_answers_does_not_keep_the_call_from_ending(tmp_path: Path) -> None:
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    site = Site(port=listeners[0].socket.getsockname()[1])
    taps = Taps()
    webhook = compose(taps, url=site.url, spool=str(tmp_path))
    with trio.fail_after(60), trio.CancelScope() as call:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(webhook.run)
            taps.publish(said("hello?"))
            taps.close()
            waits = await listeners[0].accept()
            call.cancel()
    assert call.cancelled_caught
    assert len(list(tmp_path.glob("*.json"))) == 1  # noqa: ASYNC240
    await waits.aclose()
    await listeners[0].aclose()


class _FullDisk(FileIO):
    """Takes ten bytes, then no more."""

    def write(self, content: Any) -> int:
        if self.tell() >= 10:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(bytes(content)[:10])


async def test_a_full_disk_ends_nothing_and_loses_nothing_once_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = Site()
    full = [True]
    create = private_files.create

    def create_on_the_disk(path: Path) -> FileIO:
        if not full[0]:
            return create(path)
        create(path).close()
        return _FullDisk(path, "w")

    monkeypatch.setattr(private_files, "create", create_on_the_disk)
    with capture_logs() as logged:
        async with site.up(), posting(site, tmp_path) as taps:
            taps.publish(said("one"))
            taps.publish(said("two"))
            with trio.fail_after(20):
                while not logged:
                    await trio.sleep(0.01)
            assert list(tmp_path.iterdir()) == []  # noqa: ASYNC240
            full[0] = False
            taps.publish(said("three"))
            await site.has_taken(3)
    assert site.said() == ["one", "two", "three"]
    assert [line["event"] for line in logged] == ["webhook_cannot_keep_events", "webhook_keeps_events_again"]


async def test_what_a_full_disk_never_took_is_counted_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def create(path: Path) -> FileIO:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(private_files, "create", create)
    site = Site()
    with capture_logs() as logged:
        async with site.up(), posting(site, tmp_path) as taps:
            for number in range(3):
                taps.publish(said(f"number {number}"))
    assert [line["event"] for line in logged] == ["webhook_cannot_keep_events", "webhook_lost_events"]
    assert logged[-1]["how_many"] == 3


async def test_an_event_that_the_disk_does_not_let_go_of_is_posted_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, missing_ok: bool = False) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(type(tmp_path), "unlink", refuse)
    site = Site()
    with capture_logs() as logged:
        async with site.up(), posting(site, tmp_path) as taps:
            taps.publish(said("one"))
            taps.publish(said("two"))
            await site.has_taken(2)
    monkeypatch.undo()
    assert site.said() == ["one", "two"]
    assert {line["event"] for line in logged} == {"webhook_cannot_remove_an_event"}


async def test_a_disk_that_holds_its_thread_leaves_all_others_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, let_go = threading.Event(), threading.Event()

    def hold(self: Spool, event: bytes) -> int:
        held.set()
        let_go.wait()
        return 0

    monkeypatch.setattr(Spool, "put", hold)
    webhook = compose(taps := Taps(), url="http://127.0.0.1:9/", spool=str(tmp_path))
    others = trio.to_thread.current_default_thread_limiter()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(webhook.run)
        taps.publish(said("hello?"))
        with trio.fail_after(60):
            while not held.is_set():
                await trio.sleep(0.01)
        borrowed = others.borrowed_tokens
        nursery.cancel_scope.cancel()
    let_go.set()
    assert borrowed == 0


async def test_an_answer_without_end_is_not_waited_for(tmp_path: Path) -> None:
    async def answer(stream: trio.SocketStream) -> None:
        async with stream:
            await stream.receive_some()
            await stream.send_all(b"HTTP/1.1 200 OK\r\n\r\nwait for it")
            with suppress(trio.BrokenResourceError):
                while True:
                    await stream.send_all(bytes(2**20))

    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    site = Site(port=listeners[0].socket.getsockname()[1])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, answer, listeners)
        async with posting(site, tmp_path) as taps:
            taps.publish(said("one"))
        assert list(tmp_path.iterdir()) == []  # noqa: ASYNC240
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("url", "secret", "wrong"),
    [
        ("http://example.com/calls", KEY, "Webhook.url is not an address that events may be sent to"),
        ("https://me:hush-hush@example.com/", KEY, "Webhook.url is not an address"),
        ("https://example.com/a call", KEY, "Webhook.url is not an address"),
        ("example.com", KEY, "Webhook.url is not an address"),
        ("https://example.com/", "", "WEBHOOK_SECRET is not set; set it in the environment"),
        ("https://example.com/", "whsec_hush-hush", "WEBHOOK_SECRET is not whsec_ and base64"),
        ("https://example.com/", "aHVzaC1odXNo", "WEBHOOK_SECRET is not whsec_ and base64"),
    ],
)
def test_what_is_set_wrong_is_said_and_no_secret_quoted(
    url: str, secret: str, wrong: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEBHOOK_SECRET", secret)
    with pytest.raises(SettingsError) as error:
        compose(Taps(), url=url, spool=str(tmp_path))
    assert str(error.value).startswith(wrong)
    assert "hush" not in str(error.value)


def test_the_secret_is_not_shown(tmp_path: Path) -> None:
    webhook = compose(Taps(), url="https://example.com/", spool=str(tmp_path))
    assert KEY.removeprefix("whsec_") not in repr(webhook)
