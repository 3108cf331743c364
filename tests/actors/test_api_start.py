"""How a session with the service begins, and how it fails to."""

from __future__ import annotations

import math

import pytest
import trio
from trio.testing import MockClock

from actors.api.connection import dial
from channels.happenings import ServiceComplained, SessionLost, SessionStarted
from channels.messages import BeginSession, ConnectionBroke
from channels.secret import Secret
from channels.settings import OutputSettings, SessionSettings, Webhook
from channels.wire.events import SessionFailed, SessionReady, SessionUpdated, SpeechStarted, Unrecognised
from channels.wire.failures import (
    ConfigurationRefused,
    KeyRefused,
    MessageRefused,
    ServiceBusy,
    ServiceError,
    ServiceFault,
    ServiceUnreachable,
)
from channels.wire.messages import InputAudio, SessionUpdate
from playground.voice_agent_api import (
    Close,
    Drop,
    Expect,
    Script,
    Send,
    SendRaw,
    ServerOptions,
    Wait,
)
from tests.actors.test_api_support import RESUME, START, URL, conversation, ready


def one_line(error: BaseException | None) -> str:
    """The text of an error as a person sees it: one line with a fix."""
    assert isinstance(error, ServiceError)
    text = str(error)
    assert text.isprintable()
    assert "; " in text
    assert error.fix
    return text


async def test_the_first_word_is_a_session_update_with_what_was_configured(autojump_clock: MockClock) -> None:
    config = SessionSettings("Be brief.", "Hello!", output=OutputSettings(voice="alba"))
    async with conversation(START, config=config) as talk:
        await talk.until(SessionStarted)
        (update,) = talk.server.received
        assert update.what == SessionUpdate(
            {"system_prompt": "Be brief.", "greeting": "Hello!", "output": {"voice": "alba"}}
        )


async def test_what_was_not_configured_is_not_sent_so_that_the_services_defaults_hold(
    autojump_clock: MockClock,
) -> None:
    async with conversation(START, config=SessionSettings(greeting=None)) as talk:
        await talk.until(SessionStarted)
        (update,) = talk.sent(SessionUpdate)
        assert set(update.what.session) == {"system_prompt"}


async def test_the_webhook_of_the_account_is_told_to_the_service_with_its_secret(
    autojump_clock: MockClock,
) -> None:
    webhook = Webhook("https://example.com/calls", ("session.ended",), Secret("hook-secret"))
    async with conversation(START, webhook=webhook) as talk:
        await talk.until(SessionStarted)
        (update,) = talk.sent(SessionUpdate)
        assert update.what.session["webhook"] == {
            "url": "https://example.com/calls",
            "events": ["session.ended"],
            "secret": "hook-secret",
        }


async def test_nobody_pays_for_an_empty_room(autojump_clock: MockClock) -> None:
    async with conversation(START, empty_room=True) as talk:
        await trio.sleep(3600)
        assert talk.network.dialled == []
        talk.orders.send_nowait(BeginSession())
        await talk.until(SessionStarted)
        assert trio.current_time() == 3600


async def test_a_room_that_ends_before_anybody_came_is_no_error(autojump_clock: MockClock) -> None:
    async with conversation(START, empty_room=True) as talk:
        talk.orders.close()
        assert await talk.over(within_s=1) is None
        assert talk.network.dialled == []
        assert talk.events_ended


async def test_a_second_person_begins_no_second_session(autojump_clock: MockClock) -> None:
    async with conversation(START) as talk:
        await talk.until(SessionStarted)
        for _ in range(100):
            talk.orders.send_nowait(BeginSession())
            await trio.sleep(1)
        assert len(talk.network.dialled) == 1


async def test_the_configured_address_is_dialled(autojump_clock: MockClock) -> None:
    async with conversation(START) as talk:
        await talk.until(SessionStarted)
        assert talk.network.dialled == [URL]


async def test_it_is_told_that_the_session_began(autojump_clock: MockClock) -> None:
    async with conversation(START) as talk:
        assert await talk.until(SessionStarted) == SessionStarted("sess_1", resumed=False)


async def test_no_sound_is_sent_before_the_service_listens(autojump_clock: MockClock) -> None:
    async with conversation([Expect("session.update"), Wait(3), ready()]) as talk:
        await talk.speak_for(5)
        sounds = talk.sent(InputAudio)
        assert min(entry.at_s for entry in sounds) >= 3
        assert len(sounds) > 30


async def test_a_service_that_is_ready_after_nine_seconds_is_waited_for(autojump_clock: MockClock) -> None:
    async with conversation([Expect("session.update"), Wait(9), ready()]) as talk:
        assert await talk.until(SessionStarted)


async def test_a_service_that_never_gets_ready_is_an_error_with_a_mend_and_not_a_wait_for_ever(
    autojump_clock: MockClock,
) -> None:
    silent = [Expect("session.update"), Wait(math.inf)]
    async with conversation(*[silent] * 20) as talk:
        error = await talk.over(within_s=30)
        assert "did not say session.ready within 10 s" in one_line(error)
        assert isinstance(error, ServiceFault)
        assert len(talk.network.dialled) == 2


async def test_a_complaint_in_place_of_the_answer_is_the_reason_that_is_given(
    autojump_clock: MockClock,
) -> None:
    # Live, `"greeting": null` is answered so, and nothing more comes, not even a close.
    refused = [
        Expect("session.update"),
        Send(SessionFailed("invalid_format", "Invalid message format for type 'session.update'")),
    ]
    async with conversation(*[refused] * 20) as talk:
        error = await talk.over(within_s=30)
        assert isinstance(error, MessageRefused)
        assert "Invalid message format for type 'session.update'" in one_line(error)


async def test_the_second_try_may_succeed(autojump_clock: MockClock) -> None:
    async with conversation([Expect("session.update"), Drop()], START) as talk:
        assert await talk.until(SessionStarted) == SessionStarted("sess_1", resumed=False)
        assert talk.first_messages() == ["session.update", "session.update"]
        assert talk.happened(SessionLost)


async def test_nobody_answers_and_that_is_said_after_ten_seconds(autojump_clock: MockClock) -> None:
    async with conversation(down=True) as talk:
        error = await talk.over(within_s=12)
        assert isinstance(error, ServiceUnreachable)
        assert URL in one_line(error)
        assert 3 < len(talk.network.dialled) < 10


async def test_a_network_that_swallows_everything_is_noticed_too(autojump_clock: MockClock) -> None:
    async def swallow(stream: trio.abc.Stream) -> None:
        await trio.sleep_forever()

    async with conversation(answer=swallow) as talk:
        assert isinstance(await talk.over(within_s=30), ServiceUnreachable)


async def test_a_peer_that_hangs_up_at_once_is_not_waited_for(autojump_clock: MockClock) -> None:
    async with conversation(answer=lambda stream: stream.aclose()) as talk:
        assert isinstance(await talk.over(within_s=12), ServiceUnreachable)
        assert len(talk.network.dialled) > 3


async def test_a_peer_that_hangs_up_in_the_middle_of_the_handshake_is_not_waited_for(
    autojump_clock: MockClock,
) -> None:
    async def half(stream: trio.abc.Stream) -> None:
        await stream.receive_some()
        await stream.send_all(b"HTTP/1.1 101 Switching Proto")
        await stream.aclose()

    async with conversation(answer=half) as talk:
        assert isinstance(await talk.over(within_s=12), ServiceUnreachable)


@pytest.mark.parametrize(
    "said",
    [b"SSH-2.0-OpenSSH_9.6\r\n", b"\0" * 100, b"HTTP/1.1 2OO OK\r\n\r\n", b"HTTP/1.1 101 Yes\r\n\r\n"],
    ids=["ssh", "zeros", "nearly HTTP", "no websocket"],
)
async def test_a_peer_that_speaks_something_else_is_an_error_not_a_crash(
    autojump_clock: MockClock, said: bytes
) -> None:
    async def other(stream: trio.abc.Stream) -> None:
        await stream.send_all(said)
        await trio.sleep_forever()

    async with conversation(answer=other) as talk:
        one_line(await talk.over(within_s=30))


async def test_a_wrong_path_is_an_error_that_names_the_right_one(autojump_clock: MockClock) -> None:
    async with conversation(START, url="ws://127.0.0.1:4711/v1/wss") as talk:
        error = await talk.over(within_s=12)
        assert isinstance(error, ServiceFault)
        assert "HTTP 404" in one_line(error)
        assert "/v1/ws" in error.fix


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_gateway_with_nobody_behind_it_is_tried_again_and_not_taken_for_a_wrong_path(
    autojump_clock: MockClock, status: int
) -> None:
    async def gateway(stream: trio.abc.Stream) -> None:
        await stream.receive_some()
        await stream.send_all(b"HTTP/1.1 %d No\r\nContent-Length: 4\r\n\r\nbusy" % status)

    async with conversation(answer=gateway) as talk:
        error = await talk.over(within_s=12)
        assert isinstance(error, ServiceFault)
        assert f"HTTP {status}" in one_line(error)
        assert "VOICE_AGENT_URL" not in error.fix
        assert len(talk.network.dialled) > 3


@pytest.mark.parametrize("status", [401, 403])
async def test_a_gateway_that_refuses_the_key_is_not_asked_again(
    autojump_clock: MockClock, status: int
) -> None:
    async def gateway(stream: trio.abc.Stream) -> None:
        await stream.receive_some()
        await stream.send_all(b"HTTP/1.1 %d No\r\nContent-Length: 0\r\n\r\n" % status)

    async with conversation(answer=gateway) as talk:
        error = await talk.over(within_s=1)
        assert isinstance(error, KeyRefused)
        assert "ASSEMBLYAI_API_KEY" in one_line(error)
        assert len(talk.network.dialled) == 1


async def test_a_wrong_key_is_said_at_once_and_not_tried_again(autojump_clock: MockClock) -> None:
    options = ServerOptions(script=Script([START]), keys=(Secret("another-key"),))
    async with conversation(options=options) as talk:
        error = await talk.over(within_s=1)
        assert isinstance(error, KeyRefused)
        assert "Authentication failed" in one_line(error)
        assert "ASSEMBLYAI_API_KEY" in error.fix
        assert len(talk.network.dialled) == 1


@pytest.mark.parametrize("key", ["ends with a line\n", "has\rcontrol", "has ümlauts", " blank before", ""])
async def test_a_key_that_cannot_be_sent_is_said_at_once_and_not_quoted(
    autojump_clock: MockClock, key: str
) -> None:
    async with conversation(START, key=key) as talk:
        error = await talk.over(within_s=1)
        assert isinstance(error, KeyRefused)
        assert "ASSEMBLYAI_API_KEY" in one_line(error)
        assert not key or key.strip() not in str(error)
        assert talk.network.dialled == []


@pytest.mark.parametrize(
    ("code", "close", "kind"),
    [
        ("unauthorized", 1008, KeyRefused),
        ("UNAUTHORIZED", 1008, KeyRefused),
        ("FORBIDDEN", 1008, KeyRefused),
        ("invalid_value", 1008, ConfigurationRefused),
        ("invalid_config", 1008, ConfigurationRefused),
        ("invalid_webhook", 1008, ConfigurationRefused),
        ("agent_not_found", 1008, ConfigurationRefused),
        ("agent_id_not_first", 1008, ConfigurationRefused),
        ("immutable_field", 1008, ConfigurationRefused),
        ("invalid_format", 1008, MessageRefused),
        ("invalid_audio", 1008, MessageRefused),
    ],
)
async def test_a_refused_start_is_raised_at_once_since_trying_again_cannot_help(
    autojump_clock: MockClock, code: str, close: int, kind: type[ServiceError]
) -> None:
    refused = [
        Expect("session.update"),
        Send(SessionFailed(code, "The server's words.", "output.voice")),
        Close(close),
    ]
    async with conversation(refused) as talk:
        error = await talk.over(within_s=1)
        assert type(error) is kind
        assert f"says {code.lower()} at output.voice: The server's words; " in one_line(error)
        assert len(talk.network.dialled) == 1


@pytest.mark.parametrize("said_first", [True, False])
@pytest.mark.parametrize(
    ("code", "close", "kind"),
    [
        ("internal_error", 1011, ServiceFault),
        ("server_error", 1011, ServiceFault),
        ("agent_timeout", 1011, ServiceFault),
        ("agent_init_failed", 1011, ServiceFault),
        ("a_code_of_next_year", 1011, ServiceFault),
    ],
)
async def test_a_broken_service_is_tried_again_for_ten_seconds_and_then_named(
    autojump_clock: MockClock, code: str, close: int, kind: type[ServiceError], said_first: bool
) -> None:
    # Some servers refuse before they have read a word.
    heard = [] if said_first else [Expect("session.update")]
    refused = [*heard, Send(SessionFailed(code, "The server's words")), Close(close)]
    async with conversation(*[refused] * 20) as talk:
        error = await talk.over(within_s=12)
        assert type(error) is kind
        assert f"says {code}: The server's words; " in one_line(error)
        assert len(talk.network.dialled) > 3


@pytest.mark.parametrize("code", ["concurrency_exceeded", "at_capacity"])
async def test_a_service_that_is_full_is_waited_for_a_minute_and_then_named(
    autojump_clock: MockClock, code: str
) -> None:
    refused = [Expect("session.update"), Send(SessionFailed(code, "The server's words")), Close(1008)]
    async with conversation(*[refused] * 100) as talk:
        error = await talk.over(within_s=65)
        assert type(error) is ServiceBusy
        assert f"says {code}: The server's words; " in one_line(error)
        assert trio.current_time() > 50
        lost = talk.happened(SessionLost)
        assert all(each.no_place for each in lost), "whoever takes further calls is told"
        assert all(0 < each.retry_in_s <= 5 for each in lost)


async def test_a_service_that_was_busy_for_three_seconds_is_reached_in_the_end(
    autojump_clock: MockClock,
) -> None:
    busy = [
        Expect("session.update"),
        Send(SessionFailed("at_capacity", "The service is at capacity")),
        Close(1008),
    ]
    async with conversation(busy, busy, busy, START) as talk:
        await talk.until(SessionStarted, within_s=5)


async def test_an_error_without_a_code_leaves_the_close_to_decide(autojump_clock: MockClock) -> None:
    refused = [
        Expect("session.update"),
        SendRaw('{"type":"error","message":"Authentication failed"}'),
        Close(1008),
    ]
    async with conversation(refused) as talk:
        error = await talk.over(within_s=1)
        assert isinstance(error, KeyRefused)
        assert "Authentication failed" in one_line(error)


async def test_words_of_the_service_in_many_lines_are_one_line(autojump_clock: MockClock) -> None:
    words = "Unknown voice 'james'.\nAvailable:\r\n\talba,\x1b[31m anna " + "and more " * 10_000
    refused = [
        Expect("session.update"),
        Send(SessionFailed("invalid_value\n", words, "output\n.voice")),
        Close(1008),
    ]
    async with conversation(refused) as talk:
        text = one_line(await talk.over(within_s=1))
        assert "Unknown voice 'james'. Available: alba," in text
        assert len(text) < 1000


async def test_unknown_events_pass_by_and_are_counted(autojump_clock: MockClock) -> None:
    strange = [SendRaw('{"type":"reply.mood","mood":"calm"}'), SendRaw("no JSON at all"), SendRaw("[]")]
    async with conversation([*strange, *START, *strange, Send(SpeechStarted())]) as talk:
        await talk.until(SpeechStarted)
        assert len(talk.heard(Unrecognised)) == 6
        await talk.stop()
        assert talk.passed_by() == 6


async def test_the_answer_to_the_first_update_may_come_before_the_service_is_ready(
    autojump_clock: MockClock,
) -> None:
    async with conversation([Expect("session.update"), Send(SessionUpdated()), ready()]) as talk:
        await talk.until(SessionStarted)
        assert [type(event) for event in talk.events] == [SessionUpdated, SessionReady]


async def test_a_complaint_that_ends_nothing_is_told_with_its_fix(autojump_clock: MockClock) -> None:
    complaint = SessionFailed("immutable_field", "'output.voice' cannot be changed", "output.voice")
    async with conversation([*START, Send(complaint), Send(SpeechStarted())]) as talk:
        await talk.until(SpeechStarted)
        (told,) = talk.happened(ServiceComplained)
        assert (told.code, told.message) == ("immutable_field", "'output.voice' cannot be changed")
        assert told.param == "output.voice"
        assert told.fix


async def test_the_controller_is_told_of_every_broken_connection(autojump_clock: MockClock) -> None:
    async with conversation([*START, Drop()], [*RESUME, Drop()], [*RESUME]) as talk:
        await talk.until(SessionStarted, 3)
        assert len(talk.heard(ConnectionBroke)) == 2


async def test_a_host_that_does_not_speak_tls_is_an_error_of_the_network_kind_and_left_alone() -> None:
    hung_up = trio.Event()

    async def plain(stream: trio.SocketStream) -> None:
        await stream.send_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        try:
            while await stream.receive_some():
                pass
        except trio.BrokenResourceError:
            pass
        hung_up.set()

    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, plain, [listener])
        with pytest.raises(OSError, match="TLS") as raised:
            await dial(f"wss://127.0.0.1:{port}/v1/ws")
        with trio.fail_after(60):
            await hung_up.wait()
        # Until here, lest the socket is closed because nobody knows of it any more.
        assert raised.value
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    "url",
    ["ws://127.0.0.1:1/v1/ws", "wss://127.0.0.1:1/v1/ws", "wss://xn--\xff.example/v1/ws", "ws://☃.☃/v1/ws"],
)
async def test_an_address_where_nobody_can_be_is_an_error_that_names_it(
    autojump_clock: MockClock, url: str
) -> None:
    async with conversation(url=url, dialer=dial) as talk:
        error = await talk.over(within_s=30)
        assert isinstance(error, ServiceUnreachable)
        assert url in one_line(error)
