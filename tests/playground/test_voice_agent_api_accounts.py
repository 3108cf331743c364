"""Keys, temporary tokens and plain HTTP on the port of the WebSocket."""

from __future__ import annotations

import json
from typing import Any

import pytest
import trio
import trio.testing

from channels.secret import Secret
from playground.voice_agent_api import ServerOptions, ToneSpeech, VoiceAgentServer
from tests.playground.caller import calling


def a_server(**options: Any) -> VoiceAgentServer:
    return VoiceAgentServer(ServerOptions(speech=ToneSpeech, **options))


async def asked(server: VoiceAgentServer, request: bytes) -> tuple[int, Any]:
    """The status and the JSON body that a raw request is answered with."""
    ours, theirs = trio.testing.memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.serve_stream, theirs)
        await ours.send_all(request)
        answer = b"".join([bytes(part) async for part in ours])
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


async def token(
    server: VoiceAgentServer, query: str = "expires_in_seconds=60", key: str | None = "k"
) -> tuple[int, Any]:
    authorization = "" if key is None else f"Authorization: Bearer {key}\r\n"
    return await asked(server, f"GET /v1/token?{query} HTTP/1.1\r\nHost: x\r\n{authorization}\r\n".encode())


@pytest.mark.parametrize("authorization", [b"Bearer good", b"bearer good", b"good"])
async def test_a_key_is_taken_with_or_without_its_scheme(
    autojump_clock: trio.testing.MockClock, authorization: bytes
) -> None:
    server = a_server(keys=[Secret("good")])
    async with calling(server, authorization=authorization) as caller:
        await caller.start()


async def test_a_key_is_taken_from_the_address_too(autojump_clock: trio.testing.MockClock) -> None:
    async with calling(a_server(keys=[Secret("good")]), key=None, path="/v1/ws?token=good") as caller:
        await caller.start()


@pytest.mark.parametrize(
    ("authorization", "path"),
    [
        (b"Bearer bad", "/v1/ws"),
        (b"Bearer", "/v1/ws"),
        (b"Basic good", "/v1/ws"),
        (None, "/v1/ws"),
        (None, "/v1/ws?token="),
        (None, "/v1/ws?token=bad"),
    ],
)
async def test_a_wrong_key_is_let_in_told_and_closed_with_1008(
    autojump_clock: trio.testing.MockClock, authorization: bytes | None, path: str
) -> None:
    server = a_server(keys=[Secret("good")])
    async with calling(server, key=None, authorization=authorization, path=path) as caller:
        assert await caller.until_closed() == 1008
    (error,) = caller.of("session.error")
    assert {name: error[name] for name in ("code", "message", "session_id", "param")} == {
        "code": "unauthorized",
        "message": "Authentication failed",
        "session_id": None,
        "param": None,
    }


async def test_without_a_list_of_keys_any_that_is_not_blank_is_let_in(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with calling(a_server(), key="whatever") as caller:
        await caller.start()
    async with calling(a_server(), authorization=b"Bearer") as caller:
        assert await caller.until_closed() == 1008


async def test_a_token_opens_a_socket_within_its_window(autojump_clock: trio.testing.MockClock) -> None:
    server = a_server()
    status, answer = await token(server)
    assert status == 200
    assert answer["expires_in_seconds"] == 60
    assert 2460 <= len(answer["token"]) <= 2580
    await trio.sleep(59)
    async with calling(server, key=None, path=f"/v1/ws?token={answer['token']}") as caller:
        await caller.start()


async def test_a_token_is_worth_nothing_after_its_window(autojump_clock: trio.testing.MockClock) -> None:
    server = a_server()
    _, answer = await token(server)
    await trio.sleep(61)
    async with calling(server, key=None, path=f"/v1/ws?token={answer['token']}") as caller:
        assert await caller.until_closed() == 1008


@pytest.mark.parametrize(
    ("options", "works"), [({}, True), ({"personality": "docs"}, False), ({"tokens_reusable": False}, False)]
)
async def test_whether_a_token_opens_a_second_socket_depends_on_whom_one_believes(
    autojump_clock: trio.testing.MockClock, options: Any, works: bool
) -> None:
    server = a_server(**options)
    _, answer = await token(server)
    async with calling(server, key=answer["token"]) as caller:
        await caller.start()
    async with calling(server, key=answer["token"]) as caller:
        await caller.send("session.update", session={})
        if works:
            await caller.until("session.ready")
        else:
            assert await caller.until_closed() == 1008


async def test_a_token_caps_the_session_where_the_documentation_holds(
    autojump_clock: trio.testing.MockClock,
) -> None:
    server = a_server(personality="docs", ping_s=None)
    _, answer = await token(server, "expires_in_seconds=60&max_session_duration_seconds=60")
    async with calling(server, key=answer["token"]) as caller:
        await caller.start()
        await trio.sleep(59)
        assert caller.close_code is None
        assert await caller.until_closed() == 1008
    assert caller.of("session.error")[0]["code"] == "session_expired"


@pytest.mark.parametrize(
    "query",
    [
        "",
        "expires_in_seconds=0",
        "expires_in_seconds=601",
        "expires_in_seconds=x",
        "expires_in_seconds=60&max_session_duration_seconds=59",
    ],
)
async def test_a_token_with_bad_parameters_is_refused(
    autojump_clock: trio.testing.MockClock, query: str
) -> None:
    status, answer = await token(a_server(), query)
    assert status == 422
    assert answer["detail"][0]["loc"][0] == "query"
    status, answer = await token(a_server(personality="docs"), query)
    assert status == 400
    assert set(answer) == {"error", "code", "details"}


async def test_a_token_for_a_wrong_key_or_none_is_refused_as_it_is_live(
    autojump_clock: trio.testing.MockClock,
) -> None:
    server = a_server(keys=[Secret("good")])
    assert await token(server, key="bad") == (404, {"detail": "Invalid API key"})
    assert (await token(server, key=None))[0] == 422
    assert (await token(a_server(keys=[Secret("good")], personality="docs"), key="bad"))[0] == 401


async def test_other_addresses_are_not_found(autojump_clock: trio.testing.MockClock) -> None:
    server = a_server()
    assert (await asked(server, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"))[0] == 404
    assert (await asked(server, b"GET /v1/ws HTTP/1.1\r\nHost: x\r\n\r\n"))[0] == 426
    assert (await asked(server, b"POST /v1/token HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"))[0] == 405


async def test_a_head_that_is_too_long_malformed_or_slow_is_turned_away(
    autojump_clock: trio.testing.MockClock,
) -> None:
    server = a_server()
    assert (await asked(server, b"GET /" + b"x" * 20_000))[0] == 431
    assert (await asked(server, b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n"))[0] == 400
    assert (await asked(server, b"GET //[::1 HTTP/1.1\r\nHost: x\r\n\r\n"))[0] == 400
    assert (await asked(server, b"GET / HTTP/1.1\r\n"))[0] == 408
    assert trio.current_time() == pytest.approx(10)
    assert server.crashes == 0


async def test_keys_and_tokens_are_in_no_log_and_no_record(
    autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", logger="playground")
    server = a_server(keys=[Secret("a-very-secret-key")])
    async with calling(server, key="a-very-secret-key") as caller:
        ready = await caller.start()
    async with calling(server, key="another-secret-key") as caller:
        await caller.until_closed()
    seen = caplog.text + repr(server.options) + repr(list(server.sent)) + repr(list(server.received))
    assert "secret-key" not in seen
    assert ready["resume_token"] not in seen


async def test_a_malformed_header_is_not_quoted_back(autojump_clock: trio.testing.MockClock) -> None:
    request = b"GET /v1/token HTTP/1.1\r\nHost: x\r\nAuthorization : Bearer my-secret\r\n\r\n"
    assert await asked(a_server(), request) == (400, {"detail": "Bad Request"})
