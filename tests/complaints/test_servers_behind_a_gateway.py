"""A gateway stands before the servers: they are below a path, or it redirects elsewhere."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest
import trio
import trio_asyncio
from livekit import rtc

from actors.api.connection import dial
from actors.api.token import fetch_temporary_token, token_url
from actors.room.livekit_edge.connecting import Connecting
from channels.errors import NotAllowedInRoom, RoomUnreachable
from channels.net.serving import Request, Response, serve_http
from channels.secret import Secret
from channels.settings import ApiAccount, LiveKitAccount
from commands.check.accounts import check_api_key, check_livekit_key
from commands.check.finding import Colour

KEY = Secret("0123456789abcdef0123456789abcdef")


@asynccontextmanager
async def gateway(answers: dict[str, Response]) -> AsyncIterator[tuple[str, list[str]]]:
    """Its address, and the paths that were asked for."""
    asked: list[str] = []

    async def answer(request: Request) -> Response:
        path = request.target.partition("?")[0]
        asked.append(path)
        return answers.get(path, Response(404))

    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, functools.partial(serve_http, handle=answer), [listener])
        yield f"127.0.0.1:{listener.socket.getsockname()[1]}", asked
        nursery.cancel_scope.cancel()


def livekit_at(url: str) -> LiveKitAccount:
    return LiveKitAccount(url, "APIkey", KEY)


LIST_ROOMS = "/twirp/livekit.RoomService/ListRooms"


async def test_check_asks_a_livekit_server_below_its_path() -> None:
    lists = Response(200, b"{}")
    async with gateway({f"/lk{LIST_ROOMS}": lists, f"/%C3%BC{LIST_ROOMS}": lists}) as (address, asked):
        for url in (f"ws://{address}/lk", f"ws://{address}/lk/", f"ws://{address}/ü"):
            finding, _ = await check_livekit_key(livekit_at(url), "tea")
            assert finding.colour is Colour.GREEN, (finding, asked)


async def test_check_and_tokens_ask_a_voice_agent_api_below_its_path() -> None:
    async with gateway({"/voice/v1/token": Response(200, b'{"token": "t"}')}) as (address, _):
        url = f"ws://{address}/voice/v1/ws"
        finding, _ = await check_api_key(ApiAccount(url, api_key=KEY))
        assert finding.colour is Colour.GREEN
        assert (await fetch_temporary_token(url, KEY, dial)).reveal() == "t"


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("wss://agents.assemblyai.com/v1/ws", "/v1/token"),
        ("ws://localhost", "/v1/token"),
        ("ws://localhost/", "/v1/token"),
        ("ws://localhost/lk/v1/ws/", "/lk/v1/token"),
        ("ws://localhost/lk", "/lk/v1/token"),
    ],
)
def test_a_token_comes_from_beside_the_websocket(url: str, path: str) -> None:
    assert urlsplit(token_url(url)).path == path


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_check_takes_the_key_to_nobody_else_when_it_is_sent_elsewhere(status: int) -> None:
    async with gateway({}) as (elsewhere, stolen):
        there = Response(status, headers={"Location": f"http://{elsewhere}/v1/token"})
        moved = {"/v1/token": there, LIST_ROOMS: there}
        async with gateway(moved) as (address, asked):
            service, _ = await check_api_key(ApiAccount(f"ws://{address}/v1/ws", api_key=KEY))
            livekit, _ = await check_livekit_key(livekit_at(f"ws://{address}"), "tea")
    assert len(asked) == 2
    assert stolen == []
    for finding in (service, livekit):
        assert finding.colour is Colour.RED
        assert "redirects elsewhere" in finding.said


async def test_a_date_that_is_none_is_no_end_of_check() -> None:
    async with gateway({"/v1/token": Response(200, b"{}", {"Date": "yesterday, or so"})}) as (address, _):
        finding, answer = await check_api_key(ApiAccount(f"ws://{address}/v1/ws", api_key=KEY))
    assert finding.colour is Colour.GREEN
    assert answer is not None
    assert answer.skew_s is None


class _Refuses:
    """The SDK's room, with the texts that it was seen to raise."""

    def __init__(self, said: str) -> None:
        self._said = said

    async def connect(self, *_: object) -> None:
        raise rtc.ConnectError(self._said)


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ("engine: signal failure: client error: 401 Unauthorized - permissions denied", NotAllowedInRoom),
        ("engine: signal failure: client error: 403 Forbidden - ", NotAllowedInRoom),
        ("engine: signal failure: client error: 404 Not Found - port 7403", RoomUnreachable),
        ("transport connection error: IO error: ws://127.0.0.1:7403 refused (os error 111)", RoomUnreachable),
        ("IO error: permission denied (os error 13) at 10.4.0.1:401", RoomUnreachable),
    ],
)
async def test_a_port_that_has_403_in_it_is_no_refusal(said: str, error: type[Exception]) -> None:
    async with trio_asyncio.open_loop():
        with pytest.raises(error):
            await Connecting().connect(_Refuses(said), "ws://127.0.0.1:7403", KEY)  # type: ignore[arg-type]
