"""The page's server on loopback: what it serves, to whom it gives a token, and what it survives."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import attrs
import pytest
import trio

from channels.errors import SettingsError
from channels.secret import Secret
from playground.page_server import Joining, PageUnavailable, page_server

TOKEN = "a.very.secret-token"


@attrs.frozen
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


def join(identity: str) -> Joining:
    return Joining("ws://127.0.0.1:7880", Secret(f"{TOKEN}-{identity}"))


@pytest.fixture
def client(tmp_path: Path) -> Path:
    module = tmp_path / "livekit-client.esm.mjs"
    module.write_text("export const Room = class {};")
    return module


@asynccontextmanager
async def serving(client: Path) -> AsyncIterator[str]:
    async with page_server(port=0, join=join, client=client) as url:
        yield url


async def ask(
    url: str, target: str, *, method: str = "GET", host: str | None = None, body: bytes = b"", **headers: str
) -> Answer:
    place = urlsplit(url)
    named = place.netloc if host is None else host
    head = f"{method} {target} HTTP/1.1\r\nHost: {named}\r\nConnection: close\r\n"
    for name, value in headers.items():
        head += f"{name.replace('_', '-')}: {value}\r\n"
    if body:
        head += f"Content-Length: {len(body)}\r\n"
    received = b""
    async with await trio.open_tcp_stream(place.hostname or "", place.port or 0) as stream:
        await stream.send_all(f"{head}\r\n".encode() + body)
        with trio.fail_after(30):
            async for chunk in stream:
                received += chunk
    told, _, content = received.partition(b"\r\n\r\n")
    status, *lines = told.decode().split("\r\n")
    fields = {n.lower(): v for n, v in (line.split(": ", 1) for line in lines)}
    return Answer(int(status.split()[1]), fields, content)


async def test_the_page_and_its_parts_come_with_their_types(client: Path) -> None:
    async with serving(client) as url:
        types = {
            "/": "text/html; charset=utf-8",
            "/main.js": "text/javascript; charset=utf-8",
            "/style/page.css": "text/css; charset=utf-8",
            "/icon.svg": "image/svg+xml",
            "/livekit-client.esm.mjs": "text/javascript; charset=utf-8",
        }
        for target, expected in types.items():
            answer = await ask(url, target)
            assert (answer.status, answer.headers["content-type"]) == (200, expected), target
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert "access-control-allow-origin" not in answer.headers


async def test_the_page_may_connect_to_its_server_and_to_livekit_only(client: Path) -> None:
    async with serving(client) as url:
        policy = (await ask(url, "/")).headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "connect-src 'self' ws://127.0.0.1:7880 http://127.0.0.1:7880;" in policy
    assert "unsafe" not in policy


async def test_an_unchanged_file_is_not_sent_again(client: Path) -> None:
    async with serving(client) as url:
        first = await ask(url, "/main.js")
        again = await ask(url, "/main.js", If_None_Match=first.headers["etag"])
    assert (again.status, again.body) == (304, b"")


async def test_joining_gives_a_token_for_a_fresh_identity_and_nobody_keeps_it(client: Path) -> None:
    async with serving(client) as url:
        answers = [await ask(url, "/join", method="POST", Origin=url) for _ in range(2)]
    first, second = (json.loads(answer.body) for answer in answers)
    assert first["url"] == "ws://127.0.0.1:7880"
    assert first["token"] == f"{TOKEN}-{first['identity']}"
    assert first["identity"] != second["identity"]
    assert answers[0].headers["cache-control"] == "no-store"
    assert "access-control-allow-origin" not in answers[0].headers


async def test_a_browser_that_comes_back_is_the_same_person(client: Path) -> None:
    keys = ["a" * 32, "a" * 32, "b" * 32, "person-1", "A" * 32, "a" * 33, "a" * 32 + "\n", ""]
    async with serving(client) as url:
        answers = [await ask(url, "/join", method="POST", body=key.encode(), Origin=url) for key in keys]
    first, again, *others = [json.loads(answer.body)["identity"] for answer in answers]
    assert first == again
    assert len({first, *others}) == len(keys) - 1, "what is no key is somebody new each time"
    assert "a" * 8 not in first, "it does not tell the key"


@pytest.mark.parametrize(
    "origin", [None, "null", "http://evil.example", "https://127.0.0.1", "http://127.0.0.1:1"]
)
async def test_another_page_gets_no_token(client: Path, origin: str | None) -> None:
    async with serving(client) as url:
        headers = {} if origin is None else {"Origin": origin}
        answer = await ask(url, "/join", method="POST", body=b"", **headers)
    assert answer.status == 403
    assert TOKEN.encode() not in answer.body


@pytest.mark.parametrize("method", ["GET", "OPTIONS", "PUT"])
async def test_only_a_post_joins(client: Path, method: str) -> None:
    async with serving(client) as url:
        answer = await ask(url, "/join", method=method, Origin=url)
    assert answer.status == 405


@pytest.mark.parametrize("host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", ""])
async def test_a_name_that_was_made_to_point_here_is_not_served(client: Path, host: str) -> None:
    async with serving(client) as url:
        named = host.format(port=urlsplit(url).port)
        for target, method in (("/", "GET"), ("/join", "POST")):
            answer = await ask(url, target, method=method, host=named, Origin=f"http://{named}")
            assert answer.status == 421


async def test_localhost_is_this_machine_too(client: Path) -> None:
    async with serving(client) as url:
        named = f"localhost:{urlsplit(url).port}"
        assert (await ask(url, "/", host=named)).status == 200
        assert (await ask(url, "/join", method="POST", host=named, Origin=f"http://{named}")).status == 200


@pytest.mark.parametrize(
    "target",
    [
        "/../page_server.py",
        "/%2e%2e/page_server.py",
        "/style/../../page_server.py",
        "//etc/passwd",
        "/.env",
        "/page_server.py",
        "/no-such-file.js",
        "/style",
        "/style/",
        "/main.js/",
        "/main.js%00",
        "/\x7f",
        "http://[/",
    ],
)
async def test_nothing_but_the_page_is_served(client: Path, target: str) -> None:
    async with serving(client) as url:
        assert (await ask(url, target)).status in {400, 404}


async def test_a_reason_why_nobody_can_join_is_told(client: Path) -> None:
    asked: list[str] = []

    def refuse(identity: str) -> Joining:
        asked.append(identity)
        if len(asked) == 1:
            return join(identity)
        raise SettingsError("the room is full", "come back later")

    async with page_server(port=0, join=refuse, client=client) as url:
        answer = await ask(url, "/join", method="POST", Origin=url)
    assert answer.status == 503
    assert json.loads(answer.body) == {"what": "the room is full", "fix": "come back later"}


async def test_a_taken_port_is_told_and_the_next_one_used(
    client: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    async with page_server(port=0, join=join, client=client) as taken:
        port = urlsplit(taken).port or 0
        monkeypatch.setattr("playground.page_server.DEFAULT_PORT", port)
        async with page_server(join=join, client=client, progress=told.append) as url:
            assert urlsplit(url).port != port
            assert (await ask(url, "/")).status == 200
        assert f"port {port} is taken" in told[0]
        with pytest.raises(PageUnavailable, match=f"port {port} is taken"):
            async with page_server(port=port, join=join, client=client):
                pass


async def test_a_crowd_of_stalled_clients_ends_and_does_not_stop_the_server(client: Path) -> None:
    async with serving(client) as url:
        place = urlsplit(url)
        crowd = [await trio.open_tcp_stream(place.hostname or "", place.port or 0) for _ in range(70)]
        for stream in crowd[:60]:
            await stream.send_all(b"GET / HTTP/1.1\r\nHo")
        for stream in crowd:
            await trio.aclose_forcefully(stream)
        await trio.sleep(0.1)
        assert (await ask(url, "/")).status == 200


async def test_nothing_of_the_server_is_left_when_the_block_ends(client: Path) -> None:
    async with serving(client) as url:
        place = urlsplit(url)
        stream = await trio.open_tcp_stream(place.hostname or "", place.port or 0)
    with trio.fail_after(30):
        with suppress(trio.BrokenResourceError):
            assert await stream.receive_some() == b""
        with pytest.raises(OSError, match="all attempts to connect"):
            await trio.open_tcp_stream(place.hostname or "", place.port or 0)
    await stream.aclose()
