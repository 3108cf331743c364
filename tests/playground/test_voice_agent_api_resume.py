"""What a dropped session keeps, and for how long: thirty seconds of grace, in virtual time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import trio

from channels.wire.events import ToolCall
from playground.voice_agent_api import ResumePolicy, ServerOptions, ToneSpeech, VoiceAgentServer, hum
from tests.playground.caller import Caller, calling

WORKS = ResumePolicy(works=True)
"""As documented. The live service refuses: see the last tests."""
A_MINUTE = hum(60_000)
"""Sound; sent in chunks of 100 ms to save the time of the test run."""


def a_server(**options: Any) -> VoiceAgentServer:
    return VoiceAgentServer(ServerOptions(**{"speech": ToneSpeech, "resume": WORKS, **options}))


async def dropped(server: VoiceAgentServer, caller: Caller, away_s: float) -> None:
    """Breaks the connection and lets time pass."""
    await server.drop_connections()
    assert await caller.until_closed() == 1006
    await trio.sleep(away_s)


async def test_a_dropped_session_is_taken_up_within_thirty_seconds(
    autojump_clock: trio.testing.MockClock,
) -> None:
    server = a_server()
    async with calling(server) as first:
        ready = await first.start(system_prompt="Be brief.", greeting="Hello.")
        await first.until("reply.done")
        await dropped(server, first, 29)
        async with calling(server) as second:
            await second.send("session.resume", session_id=ready["session_id"])
            again = await second.until("session.ready")
            await second.take_a_turn()
            await second.until("reply.done")
    assert second.types[:2] == [
        "session.ready",
        "input.speech.started",
    ]  # and no greeting, no session.updated
    assert again["session_id"] == ready["session_id"]
    assert again["config"] == ready["config"]
    assert again["resume_token"] not in ("", ready["resume_token"])


async def test_after_thirty_seconds_there_is_nothing_to_take_up(
    autojump_clock: trio.testing.MockClock,
) -> None:
    server = a_server()
    async with calling(server) as first:
        ready = await first.start()
        await dropped(server, first, 30.5)
        async with calling(server) as second:
            await second.send("session.resume", session_id=ready["session_id"])
            assert await second.until_closed() == 1008
    assert second.of("session.error")[0]["code"] == "session_not_found"
    assert server.sessions == 0


async def test_the_grace_begins_anew_with_every_drop(autojump_clock: trio.testing.MockClock) -> None:
    server = a_server()
    async with calling(server) as first:
        ready = await first.start()
        await dropped(server, first, 20)
        async with calling(server) as second:
            await second.send("session.resume", session_id=ready["session_id"])
            await second.until("session.ready")
            await dropped(server, second, 20)
            async with calling(server) as third:
                await third.send("session.resume", session_id=ready["session_id"])
                await third.until("session.ready")


async def test_a_session_that_was_ended_cannot_be_taken_up(autojump_clock: trio.testing.MockClock) -> None:
    server = a_server()
    async with calling(server) as first:
        ready = await first.start()
        await first.send("session.end")
        await first.until_closed()
        async with calling(server) as second:
            await second.send("session.resume", session_id=ready["session_id"])
            assert await second.until_closed() == 1008


async def test_a_session_belongs_to_the_key_that_began_it(autojump_clock: trio.testing.MockClock) -> None:
    server = a_server()
    async with calling(server, key="mine") as first:
        ready = await first.start()
        await dropped(server, first, 1)
        async with calling(server, key="yours") as second:
            await second.send("session.resume", session_id=ready["session_id"])
            assert await second.until_closed() == 1008
            assert second.of("session.error")[0]["code"] == "session_forbidden"
        async with calling(server, key=ready["resume_token"]) as third:
            await third.send("session.resume", session_id=ready["session_id"])
            await third.until("session.ready")


async def test_a_session_that_is_taken_up_while_its_connection_lives_moves_over(
    autojump_clock: trio.testing.MockClock,
) -> None:
    server = a_server()
    async with calling(server) as first:
        ready = await first.start()
        async with calling(server) as second:
            await second.send("session.resume", session_id=ready["session_id"])
            await second.until("session.ready")
            assert await first.until_closed() == 1008
            await second.send("reply.create")
            await second.until("reply.done")
    assert server.crashes == 0


async def test_a_reply_that_was_on_its_way_is_dropped_with_no_events(
    autojump_clock: trio.testing.MockClock,
) -> None:
    server = a_server(canned_reply=A_MINUTE, chunk_ms=100)
    async with calling(server) as first:
        ready = await first.start(greeting="Hello.")
        await first.until("reply.audio", 5)
        await dropped(server, first, 5)
        async with calling(server) as second:
            await second.send("session.resume", session_id=ready["session_id"])
            await second.until("session.ready")
            await trio.sleep(90)
            assert second.types == ["session.ready"]


async def test_a_reply_can_be_made_to_go_on_as_if_nothing_had_happened(
    autojump_clock: trio.testing.MockClock,
) -> None:
    server = a_server(
        canned_reply=A_MINUTE, chunk_ms=100, resume=ResumePolicy(works=True, reply_in_flight="continue")
    )
    async with calling(server) as first:
        ready = await first.start(greeting="Hello.")
        await first.until("reply.audio", 5)
        await dropped(server, first, 20)
        async with calling(server) as second:
            await second.send("session.resume", session_id=ready["session_id"])
            await second.until("reply.done")
    total = len(first.sound()) + len(second.sound())
    assert len(second.sound()) > 0
    assert total == pytest.approx(len(A_MINUTE) - 20 * 48_000, rel=0.02)


async def test_what_was_missed_can_be_made_to_be_replayed(autojump_clock: trio.testing.MockClock) -> None:
    server = a_server(
        canned_reply=hum(3000),
        chunk_ms=100,
        resume=ResumePolicy(works=True, reply_in_flight="continue", replay_missed=True),
    )
    async with calling(server) as first:
        ready = await first.start(greeting="Hello.")
        await first.until("reply.audio", 5)
        await dropped(server, first, 10)
        async with calling(server) as second:
            await second.send("session.resume", session_id=ready["session_id"])
            await second.until("reply.done")
    assert second.types == ["session.ready", "reply.audio", "transcript.agent", "reply.audio", "reply.done"]
    assert len(first.sound()) + len(second.sound()) == pytest.approx(48 * 3200, abs=2 * 4800)


@pytest.mark.parametrize("answerable", [True, False])
async def test_a_tool_call_from_before_the_drop_may_be_answerable(
    autojump_clock: trio.testing.MockClock, answerable: bool
) -> None:
    server = a_server(resume=ResumePolicy(works=True, pending_tools_answerable=answerable))
    async with calling(server) as first:
        ready = await first.start()
        await server.send_event(ToolCall("call-1", "order_status", {}))
        await first.until("tool.call")
        await dropped(server, first, 1)
        async with calling(server) as second:
            await second.send("session.resume", session_id=ready["session_id"])
            await second.until("session.ready")
            await second.send("tool.result", call_id="call-1", result="shipped")
            await trio.sleep(10)
            assert bool(second.of("reply.started")) is answerable


async def test_every_other_guess_about_resuming_is_a_switch(autojump_clock: trio.testing.MockClock) -> None:
    policy = ResumePolicy(works=True, grace_s=100, echo_config=False, repeat_greeting=True, new_token=False)
    server = a_server(resume=policy)
    async with calling(server) as first:
        ready = await first.start(greeting="Hello.")
        await first.until("reply.done")
        await dropped(server, first, 99)
        async with calling(server) as second:
            await second.send("session.resume", session_id=ready["session_id"])
            again = await second.until("session.ready")
            await second.until("reply.done")
    assert again["config"] == {}
    assert again["resume_token"] == ready["resume_token"]
    assert second.of("transcript.agent")[0]["text"] == "Hello."


async def test_resuming_can_be_refused_for_any_documented_reason(
    autojump_clock: trio.testing.MockClock,
) -> None:
    server = a_server(resume=ResumePolicy(refuse_with="session_expired"))
    async with calling(server) as first:
        ready = await first.start()
        await dropped(server, first, 1)
        async with calling(server) as second:
            await second.send("session.resume", session_id=ready["session_id"])
            assert await second.until_closed() == 1008
            assert second.of("session.error")[0]["code"] == "session_expired"


async def test_abandoned_sessions_hold_their_slots_until_the_grace_is_over(
    autojump_clock: trio.testing.MockClock,
) -> None:
    server = a_server(concurrency=1)
    async with calling(server) as first:
        await first.start()
        await dropped(server, first, 10)
        async with calling(server) as second:
            await second.send("session.update", session={})
            assert await second.until_closed() == 1008
            assert second.of("session.error")[0]["code"] == "concurrency_exceeded"
        await trio.sleep(20.5)
        async with calling(server) as third:
            await third.start()


async def test_a_session_whose_client_went_before_it_was_ready_can_be_taken_up_by_nobody_and_ends(
    autojump_clock: trio.testing.MockClock,
) -> None:
    server = a_server(start_ms=5000)
    async with calling(server) as first:
        await first.send("session.update", session={"greeting": "Hello."})
        await trio.sleep(0.1)
        await dropped(server, first, 31)
        assert server.sessions == 0
    assert server.crashes == 0


async def test_what_was_missed_comes_before_what_comes_now(autojump_clock: trio.testing.MockClock) -> None:
    ramp = np.repeat(np.arange(1, 301, dtype="<i2"), 24 * 100).tobytes()  # 30 s; each 100 ms its own number
    policy = ResumePolicy(works=True, reply_in_flight="continue", replay_missed=True)
    server = a_server(canned_reply=ramp, chunk_ms=100, leading_silence_ms=0, resume=policy)
    async with calling(server) as first:
        ready = await first.start(greeting="Hello.")
        await first.until("reply.audio", 5)
        await dropped(server, first, 20)
        async with calling(server) as second:
            await second.send("session.resume", session_id=ready["session_id"])
            await second.until("reply.done")
    numbers = np.frombuffer(first.sound() + second.sound(), "<i2")[:: 24 * 100]
    assert second.types[0] == "session.ready"
    assert (np.diff(numbers) >= 1).all()
    assert numbers[-1] == 300
    assert len(numbers) >= 299


async def test_the_live_service_refuses_every_resume_and_closes_a_little_later(
    autojump_clock: trio.testing.MockClock,
) -> None:
    server = a_server(resume=ResumePolicy())
    async with calling(server) as first:
        ready = await first.start()
        await dropped(server, first, 0.3)
        async with calling(server) as second:
            await second.send("session.resume", session_id=ready["session_id"])
            error = await second.until("session.error")
            assert await second.until_closed() == 1008
            assert trio.current_time() - second.times("session.error")[0] == pytest.approx(0.056, abs=0.002)
    assert {name: error[name] for name in ("code", "message", "session_id", "param")} == {
        "code": "session_not_found",
        "message": "Session not found or grace window has expired",
        "session_id": None,
        "param": None,
    }
    assert isinstance(error["timestamp"], float)


async def test_the_documented_service_resumes(autojump_clock: trio.testing.MockClock) -> None:
    server = a_server(personality="docs", resume=ResumePolicy())
    async with calling(server) as first:
        ready = await first.start()
        await dropped(server, first, 5)
        async with calling(server) as second:
            await second.send("session.resume", session_id=ready["session_id"])
            await second.until("session.ready")
