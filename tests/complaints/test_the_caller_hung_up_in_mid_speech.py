"""The caller hung up while the agent spoke: closing hung, and the session went on costing."""

from __future__ import annotations

import attrs
import trio
from trio.testing import MockClock

from channels.happenings import CallEnded, ReplyBegan, ReplyEnded, SessionClosed
from channels.ports import AudioTrackGone, ParticipantWent
from channels.settings import CallSettings
from channels.wire.messages import SessionEnd
from tests.examples.scripted_call import SETTINGS, Call, scripted_call

HANGS_UP = attrs.evolve(SETTINGS, call=CallSettings(alone_ms=5_000))


async def speaks_for_half_a_minute(call: Call) -> None:
    await call.agent_says("r1", "a long story " * 20, s=30)
    await call.until(ReplyBegan)
    await trio.sleep(1)


async def test_the_session_ends_soon_and_nothing_of_the_reply_is_left_to_be_said(
    autojump_clock: MockClock,
) -> None:
    async with scripted_call(settings=HANGS_UP) as call:
        await speaks_for_half_a_minute(call)
        call.room.happens(AudioTrackGone("TR_alice", "alice"))
        call.room.happens(ParticipantWent("alice"))
        began = trio.current_time()
        await call.until(SessionClosed)
        assert trio.current_time() - began < 10
        assert len(call.asked(SessionEnd)) == 1
        assert len(call.happened(CallEnded)) == 1
        (ended,) = call.happened(ReplyEnded)
        assert ended.heard_ms < 10_000
        heard = len(call.ears.heard)
        await trio.sleep(60)
        assert len(call.ears.heard) == heard


async def test_ctrl_c_in_the_middle_of_it_ends_all_in_bounded_time(autojump_clock: MockClock) -> None:
    async with scripted_call(settings=HANGS_UP) as call:
        await speaks_for_half_a_minute(call)
        began = trio.current_time()
        await call.leave()
        assert trio.current_time() - began < 5
        assert len(call.asked(SessionEnd)) == 1
        assert call.failure is None
