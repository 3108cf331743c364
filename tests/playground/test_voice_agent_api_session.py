"""How a session starts, takes turns and ends: the live service's order of events, in virtual time."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from channels.wire.events import ToolCall
from playground.ears import PartialWords, SpeechOnset, TurnEnded
from playground.voice_agent_api import (
    Faults,
    Interruption,
    Personality,
    Requests,
    ServerOptions,
    ToneSpeech,
    VoiceAgentServer,
)
from tests.playground.caller import calling


def a_server(**options: Any) -> VoiceAgentServer:
    return VoiceAgentServer(ServerOptions(speech=ToneSpeech, **options))


async def test_a_session_is_updated_and_then_ready_four_hundred_ms_after_the_first_update(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with calling(a_server()) as caller:
        ready = await caller.start()
    assert caller.types == ["session.updated", "session.ready"]
    assert caller.times("session.updated") == [pytest.approx(0.4)]
    assert caller.times("session.ready") == [pytest.approx(0.417)]
    assert ready["session_id"].startswith("sess_")
    assert len(ready["session_id"]) == 5 + 32
    assert isinstance(ready["expires_at"], int)
    assert ready["config"]["output"]["voice"] == "alba"


async def test_timestamps_are_seconds_since_the_epoch_and_go_with_the_clock(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with calling(a_server()) as caller:
        await caller.start()
    updated, ready = caller.of("session.updated")[0], caller.of("session.ready")[0]
    assert ready["timestamp"] - updated["timestamp"] == pytest.approx(0.017, abs=1e-3)
    assert ready["expires_at"] - ready["timestamp"] == pytest.approx(3595, abs=1)


async def test_the_documented_server_does_not_update_before_it_is_ready(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with calling(a_server(personality=Personality.DOCS)) as caller:
        await caller.start()
    assert caller.types == ["session.ready"]


async def test_a_greeting_is_spoken_unasked_and_word_for_word(autojump_clock: trio.testing.MockClock) -> None:
    async with calling(a_server()) as caller:
        await caller.start(greeting="Hello there, friend.")
        done = await caller.until("reply.done")
    assert caller.types[2:] == [
        "reply.started",
        "reply.audio",
        "transcript.agent.delta",
        "reply.audio",
        "transcript.agent",
        "reply.audio",
        "reply.done",
    ]
    assert caller.of("transcript.agent")[0]["text"] == "Hello there, friend."
    assert caller.of("transcript.agent")[0]["interrupted"] is False
    assert done["status"] == "completed"
    assert caller.times("reply.started")[0] - caller.times("session.ready")[0] < 1.0


async def test_without_a_greeting_the_agent_waits_for_the_person(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with calling(a_server()) as caller:
        await caller.start()
        await trio.sleep(30)
        assert caller.types == ["session.updated", "session.ready"]


async def test_a_turn_gives_the_events_in_the_order_of_the_live_service(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with calling(a_server()) as caller:
        await caller.start()
        await caller.take_a_turn(1200, 2000)
        await caller.until("reply.done")
    assert caller.types[2:] == [
        "input.speech.started",
        "transcript.user.delta",
        "input.speech.stopped",
        "transcript.user",
        "reply.started",
        "reply.audio",
        "transcript.agent.delta",
        "reply.audio",
        "transcript.agent",
        "reply.audio",
        "reply.done",
    ]
    items = {event["item_id"] for event in caller.of("transcript.user.delta") + caller.of("transcript.user")}
    assert len(items) == 1
    assert caller.of("transcript.agent")[0]["text"] == "You said: 1200 ms of sound"
    assert caller.times("reply.started")[0] - caller.times("input.speech.stopped")[0] < 0.01


async def test_the_transcription_mode_decides_how_much_silence_ends_a_turn(
    autojump_clock: trio.testing.MockClock,
) -> None:
    # With the sound, whose time is known, and not with the words.
    async with calling(a_server(interruption=Interruption(speech_started="onset"))) as caller:
        await caller.start(input={"transcription_mode": "min_latency"})
        await caller.take_a_turn(500, 4000)
        await caller.send("session.update", session={"input": {"transcription_mode": "max_accuracy"}})
        await caller.take_a_turn(1000, 4000)
        started, stopped = caller.times("input.speech.started"), caller.times("input.speech.stopped")
    assert [round(end - start, 1) for start, end in zip(started, stopped, strict=True)] == [
        round(0.4 + 1.3, 1),  # from 100 ms into the sound
        round(0.5 + 3.2, 1),  # from 500 ms into the sound: the mode's delay before an interruption
    ]


async def test_silence_that_a_client_asks_for_takes_precedence(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with calling(a_server()) as caller:
        await caller.start(input={"turn_detection": {"min_silence": 300}})
        await caller.take_a_turn(600, 1000)
        assert len(caller.of("input.speech.stopped")) == 1


async def test_a_noise_without_words_is_told_in_the_documented_personality_and_gets_no_answer(
    autojump_clock: trio.testing.MockClock,
) -> None:
    server = a_server(personality="docs")
    async with calling(server) as caller:
        await caller.start()
        await server.hear(SpeechOnset())
        await server.hear(TurnEnded(""))
        await trio.sleep(10)
    assert caller.types[1:] == ["input.speech.started", "input.speech.stopped"]


async def test_a_noise_without_words_gets_no_answer(autojump_clock: trio.testing.MockClock) -> None:
    server = a_server()
    async with calling(server) as caller:
        await caller.start()
        await server.hear(SpeechOnset())
        await server.hear(TurnEnded(""))
        await trio.sleep(10)
    assert caller.types[2:] == []  # live, speech.started comes with the first word


async def test_sound_before_the_session_is_ready_is_discarded(autojump_clock: trio.testing.MockClock) -> None:
    async with calling(a_server(start_ms=5000)) as caller:
        await caller.say(bytes(48 * 100) + b"\x00\x40" * 24 * 1000)
        await caller.send("session.update", session={})
        await caller.take_a_turn(1000, 2500)
        await caller.until("session.ready")
        await trio.sleep(5)
    assert caller.types == ["session.updated", "session.ready"]


async def test_session_end_is_answered_and_closes_with_1000(autojump_clock: trio.testing.MockClock) -> None:
    server = a_server()
    async with calling(server) as caller:
        await caller.start()
        await trio.sleep(10)
        await caller.send("session.end")
        assert await caller.until_closed() == 1000
    ended = caller.of("session.ended")[0]
    assert ended["session_duration_seconds"] == pytest.approx(10.417)
    assert ended["audio_duration_seconds"] is None
    assert server.sessions == 0


async def test_a_session_can_be_ended_in_the_middle_of_a_reply(
    autojump_clock: trio.testing.MockClock,
) -> None:
    server = a_server()
    async with calling(server) as caller:
        await caller.start(greeting="A very long greeting that nobody wants to hear to its very end.")
        await caller.until("reply.audio", 50)
        await caller.send("session.end")
        assert await caller.until_closed() == 1000
    assert caller.types[-1] == "session.ended"
    assert server.crashes == 0


async def test_reply_create_starts_a_turn_within_two_hundred_ms_and_says_honestly_what_it_is(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with calling(a_server()) as caller:
        await caller.start()
        asked_s = trio.current_time()
        await caller.send("reply.create", instructions="Tell a joke.")
        await caller.until("reply.done")
    assert caller.times("reply.audio")[0] - asked_s == pytest.approx(0.18)
    assert caller.of("transcript.agent")[0]["text"] == "I was asked to do this: Tell a joke."


async def test_reply_create_replaces_the_greeting(autojump_clock: trio.testing.MockClock) -> None:
    async with calling(a_server()) as caller:
        await caller.start(greeting="A greeting of some length, which is not over yet.")
        await caller.until("reply.audio", 100)
        await caller.send("reply.create")
        await caller.until("reply.done", 2)
    assert [event["status"] for event in caller.of("reply.done")] == ["interrupted", "completed"]
    assert "input.speech.started" not in caller.types


async def test_reply_create_can_be_made_to_wait_for_the_reply_before_it(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with calling(a_server(requests=Requests(during_reply="queued"))) as caller:
        await caller.start(greeting="A greeting of some length.")
        await caller.until("reply.audio")
        await caller.send("reply.create", instructions="Go on.")
        await caller.until("reply.done", 2)
    assert [event["status"] for event in caller.of("reply.done")] == ["completed", "completed"]
    assert caller.times("reply.started")[1] >= caller.times("reply.done")[0]


async def test_a_conversation_message_triggers_nothing(autojump_clock: trio.testing.MockClock) -> None:
    async with calling(a_server()) as caller:
        await caller.start()
        await caller.send("conversation.message", role="user", content="It is raining.")
        await caller.send("conversation.message", role="agent", content="No such role.")
        await trio.sleep(5)
    assert caller.types[2:] == ["session.error"]
    assert caller.of("session.error")[0]["code"] == "invalid_format"


async def test_a_tool_call_is_answered_once_and_its_result_is_spoken(
    autojump_clock: trio.testing.MockClock,
) -> None:
    server = a_server()
    async with calling(server) as caller:
        await caller.start()
        await server.send_event(ToolCall("call-1", "order_status", {"order_id": "4471"}))
        call = await caller.until("tool.call")
        assert call["arguments"] == {"order_id": "4471"}
        await caller.send("tool.result", call_id="call-1", result='{"state":"shipped"}')
        await caller.send("tool.result", call_id="call-1", result="a second time")
        await caller.send("tool.result", call_id="unknown", result="nobody asked")
        await caller.until("reply.done")
        await trio.sleep(10)
    assert [event["text"] for event in caller.of("transcript.agent")] == [
        'I was asked to do this: order_status says: {"state":"shipped"}'
    ]
    assert caller.of("reply.started")[0]["reply_id"].startswith("resp_")


async def test_replies_to_tools_have_the_documented_ids_in_the_documented_personality(
    autojump_clock: trio.testing.MockClock,
) -> None:
    server = a_server(personality="docs")
    async with calling(server) as caller:
        await caller.start()
        await server.send_event(ToolCall("call-1", "order_status", {}))
        await caller.send("tool.result", call_id="call-1", result="shipped", is_error=False)
        assert (await caller.until("reply.started"))["reply_id"] == "fc-call-1"


async def test_what_the_words_were_so_far_replaces_what_came_before(
    autojump_clock: trio.testing.MockClock,
) -> None:
    server = a_server()
    async with calling(server) as caller:
        await caller.start()
        await server.hear(SpeechOnset())
        await server.hear(PartialWords("What are"))
        await server.hear(PartialWords("What are your hours"))
        await server.hear(TurnEnded("What are your opening hours?"))
        await caller.until("transcript.user")
    assert [event["text"] for event in caller.of("transcript.user.delta")] == [
        "What are",
        "What are your hours",
    ]


async def test_the_documented_personality_ends_a_session_when_it_expires(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with calling(a_server(personality="docs", session_s=30)) as caller:
        await caller.start()
        assert await caller.until_closed() == 1008
        assert trio.current_time() == pytest.approx(30.4, abs=0.1)
    assert caller.types[-2:] == ["session.error", "session.ended"]
    assert caller.of("session.error")[0]["code"] == "session_expired"


async def test_the_live_personality_lets_a_session_outlive_its_expiry(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with calling(a_server(session_s=60, ping_s=None)) as caller:
        await caller.start()
        await trio.sleep(120)
        assert caller.close_code is None


@pytest.mark.parametrize(
    ("fault", "code"), [("at_capacity", 1008), ("concurrency_exceeded", 1008), ("internal_error", 1011)]
)
async def test_a_start_can_be_refused_as_often_as_wanted(
    autojump_clock: trio.testing.MockClock, fault: Any, code: int
) -> None:
    server = a_server(faults=Faults(refuse_start_with=fault, refuse_starts=1))
    async with calling(server) as caller:
        await caller.send("session.update", session={})
        assert await caller.until_closed() == code
        assert caller.of("session.error")[0]["code"] == fault
    async with calling(server) as caller:
        await caller.start()


async def test_a_session_can_die_of_1011_without_a_word(autojump_clock: trio.testing.MockClock) -> None:
    async with calling(a_server(faults=Faults(close_1011_after_s=7))) as caller:
        await caller.start()
        assert await caller.until_closed() == 1011
    assert caller.types == ["session.updated", "session.ready"]


async def test_a_session_can_be_made_never_to_be_ready(autojump_clock: trio.testing.MockClock) -> None:
    async with calling(a_server(faults=Faults(never_ready=True))) as caller:
        await caller.send("session.update", session={})
        await trio.sleep(60)
        assert caller.types == []
        assert caller.close_code is None


async def test_unknown_events_and_tools_of_the_service_can_be_mixed_in(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with calling(a_server(faults=Faults(unknown_event=True, http_tool_call=True))) as caller:
        ready = await caller.start(greeting="Hello.")
        await caller.until("reply.done")
    assert {"session.mood", "reply.mood", "tool.call"} <= set(caller.types)
    served = {tool["name"] for tool in ready["config"]["tools"] if tool["http"] is not None}
    assert caller.of("tool.call")[0]["name"] in served


async def test_one_session_that_crashes_is_told_and_the_others_go_on(
    autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(ToneSpeech):
        def voice(self, name: str) -> Any:
            if name == "eve":
                raise RuntimeError("this voice has no mouth")
            return super().voice(name)

    server = VoiceAgentServer(ServerOptions(speech=Broken))
    async with calling(server) as lucky:
        await lucky.start()
        async with calling(server) as unlucky:
            await unlucky.send("session.update", session={"output": {"voice": "eve"}})
            assert await unlucky.until_closed() == 1011
            assert unlucky.of("session.error")[0]["code"] == "internal_error"
        await lucky.send("reply.create")
        await lucky.until("reply.done")
    assert server.crashes == 1
    assert "this voice has no mouth" in caplog.text
