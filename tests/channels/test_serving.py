"""One connection of the page's server, in virtual time: browsers, nonsense, and clients that stall."""

from __future__ import annotations

import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.net.serving import Handler, Request, Response, Upgrade, serve_http

GET = b"GET /page HTTP/1.1\r\nHost: here\r\n\r\n"


async def echo(request: Request) -> Response:
    return Response(200, f"{request.method} {request.target} ".encode() + request.body)


async def talk(*sent: bytes, then_close: bool = True, handle: Handler = echo) -> bytes:
    """All that a client receives until the server closes, or has nothing more to say."""
    ours, theirs = trio.testing.memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve_http, theirs, handle)
        for piece in sent:
            await ours.send_all(piece)
            await trio.testing.wait_all_tasks_blocked()
        if then_close:
            await ours.send_eof()
        received = b""
        async for chunk in ours:
            received += chunk
    return received


async def test_a_request_is_answered_and_the_next_one_on_the_same_connection_too() -> None:
    answers = await talk(GET, GET.replace(b"/page", b"/other"))
    assert answers.count(b"HTTP/1.1 200") == 2
    assert b"GET /page " in answers
    assert b"GET /other " in answers


async def test_requests_that_were_sent_ahead_are_answered_in_their_order() -> None:
    answers = await talk(GET + GET.replace(b"/page", b"/other"))
    assert answers.index(b"GET /page ") < answers.index(b"GET /other ")


async def test_a_body_arrives_with_its_request() -> None:
    answer = await talk(b"POST /join HTTP/1.1\r\nHost: here\r\nContent-Length: 5\r\n\r\n", b"he", b"llo")
    assert answer.endswith(b"POST /join hello")


async def test_the_answer_to_head_has_the_length_and_no_body() -> None:
    answer = await talk(GET.replace(b"GET", b"HEAD"))
    assert b"Content-Length: 11\r\n" in answer
    assert answer.endswith(b"\r\n\r\n")


async def test_a_client_that_waits_to_be_told_to_go_on_is_told() -> None:
    head = b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
    answer = await talk(head, b"ok")
    assert answer.startswith(b"HTTP/1.1 100")
    assert answer.endswith(b"POST / ok")


async def test_what_is_not_http_is_refused_and_let_go() -> None:
    assert (await talk(b"\x16\x03\x01\x02\x00 nonsense\r\n\r\n", then_close=False)).startswith(
        b"HTTP/1.1 400"
    )


async def test_a_head_without_end_is_refused() -> None:
    answer = await talk(b"GET / HTTP/1.1\r\n", b"X: " + b"y" * 20_000, then_close=False)
    assert answer.startswith(b"HTTP/1.1 431")


async def test_a_body_that_is_too_big_is_refused() -> None:
    head = b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 100000\r\n\r\n"
    assert b"HTTP/1.1 413" in await talk(head, b"x" * 20_000, then_close=False)


async def test_a_client_that_says_nothing_is_let_go(autojump_clock: trio.testing.MockClock) -> None:
    assert await talk(then_close=False) == b""
    assert trio.current_time() <= 10


async def test_a_client_that_stalls_in_its_head_is_told_and_let_go(
    autojump_clock: trio.testing.MockClock,
) -> None:
    assert (await talk(b"GET / HT", then_close=False)).startswith(b"HTTP/1.1 408")
    assert trio.current_time() <= 10


async def test_a_client_that_stalls_in_its_body_is_told_and_let_go(
    autojump_clock: trio.testing.MockClock,
) -> None:
    head = b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 5\r\n\r\nhe"
    assert (await talk(head, then_close=False)).startswith(b"HTTP/1.1 408")
    assert trio.current_time() <= 15


async def test_a_client_that_is_done_is_let_go_after_a_while(autojump_clock: trio.testing.MockClock) -> None:
    assert (await talk(GET, then_close=False)).startswith(b"HTTP/1.1 200")
    assert trio.current_time() <= 40


async def test_a_client_that_does_not_take_its_answer_is_let_go(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async def never() -> None:
        await trio.sleep_forever()

    ours, theirs = trio.testing.memory_stream_pair()
    theirs.send_stream.send_all_hook = never
    await ours.send_all(GET)
    await serve_http(theirs, echo)
    assert trio.current_time() <= 40


async def test_a_client_that_vanishes_is_no_fault() -> None:
    ours, theirs = trio.testing.memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve_http, theirs, echo)
        await ours.send_all(GET[:10])
        await ours.aclose()


async def test_a_connection_is_handed_on_with_the_request_that_asked_for_it_and_none_before() -> None:
    async def speak(stream: trio.abc.Stream, read: bytes) -> None:
        more = await stream.receive_some()
        await stream.send_all(b"<" + read + bytes(more) + b">")

    async def answer(request: Request) -> Response | Upgrade:
        return await echo(request) if request.target == "/page" else speak

    switch = GET.replace(b"/page", b"/talk").replace(b"\r\n\r\n", b"\r\nUpgrade: talk\r\n\r\n")
    answers = await talk(GET + switch[:9], switch[9:] + b"early ", b"late", handle=answer)
    assert answers.endswith(b"<" + switch + b"early late>")


async def test_a_small_body_in_huge_wrappings_takes_no_memory() -> None:
    kept: list[int] = []

    async def measure(stream: trio.abc.Stream, read: bytes) -> None:
        kept.append(len(read))

    async def answer(request: Request) -> Upgrade:
        return measure

    head = b"POST / HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n"
    wrapped = b"1;" + b"x" * 10_000 + b"\r\ny\r\n"
    await talk(head, *[wrapped] * 50, b"0\r\n\r\n", then_close=False, handle=answer)
    assert kept == [len(head)]


_LINES = st.lists(
    st.one_of(
        st.sampled_from(
            [
                b"GET / HTTP/1.1",
                b"POST /join HTTP/1.0",
                b"CONNECT here:1 HTTP/1.1",
                b"OPTIONS * HTTP/1.1",
                b"GET http://[/ HTTP/1.1",
                b"Host: here",
                b"Upgrade: websocket",
                b"Connection: upgrade, close",
                b"Expect: 100-continue",
                b"Content-Length: 3",
                b"Content-Length: -1",
                b"Transfer-Encoding: chunked",
                b"3",
                b"abc",
                b"0",
                b"",
            ]
        ),
        st.binary(max_size=20),
    ),
    max_size=12,
)


@given(lines=_LINES, separator=st.sampled_from([b"\r\n", b"\n"]))
@settings(deadline=None)
def test_no_nonsense_gets_through_to_the_caller(lines: list[bytes], separator: bytes) -> None:
    sent = separator.join(lines)
    trio.run(talk, sent, clock=trio.testing.MockClock(autojump_threshold=0))
