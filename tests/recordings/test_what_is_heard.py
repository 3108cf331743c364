"""Each recorded call, met by the whole agent in virtual time: what a listener hears of each reply.

The rule: a sound of the person, or `input.speech.started`, holds the voice. Only the service's word that a
reply is interrupted ends it; a held voice goes on when the person is silent and no such word comes.
"""

from __future__ import annotations

import pytest
import trio.testing

from channels.happenings import ReplyEnded, ReplyOutcome
from tests.recordings.listener import ReplyHeard
from tests.recordings.recorded import described, log_of, script_of
from tests.recordings.replaying import Replay, replay

SILENT_WITHIN_S = 0.3
"""From the person's first sound, in virtual time: the detector's windows, a frame on its way, and a fade."""
ON_ITS_WAY_S = 0.2
"""Sound that comes in real time is heard so much later at most."""


def tool_took_s(name: str) -> float:
    """How long the prober's tool took in a recorded call."""
    at = {
        row["m"]["type"]: row["ms"] for row in log_of(name) if row.get("m", {}).get("type", "")[:5] == "tool."
    }
    return (at["tool.result"] - at["tool.call"]) / 1000 if "tool.result" in at else 0.3


async def replay_of(name: str) -> Replay:
    return await replay(script_of(name), tool_takes_s=tool_took_s(name))


def is_heard_whole(reply: ReplyHeard, *, but_for_ms: float = 1.0) -> None:
    assert reply.length_ms > 500
    assert reply.missed_ms <= but_for_ms
    assert reply.heard_ms == pytest.approx(reply.length_ms, abs=but_for_ms), "and nothing of it twice"


@pytest.mark.parametrize("run", [1, 2, 3])
async def test_an_interrupted_greeting_is_silent_from_the_persons_first_sound_and_the_answer_is_heard_whole(
    autojump_clock: trio.testing.MockClock, run: int
) -> None:
    call = await replay_of(f"bargein.run{run}")
    (speaks_at, _), decided_at = call.person[0], call.decided_at("resp_1")
    greeting, answer = call.heard["resp_1"], call.heard["resp_2"]
    assert decided_at - speaks_at > 2.8, "the service takes its time"
    assert greeting.missed_before_ms((speaks_at - greeting.begins) * 1000 - 1) < 1
    assert greeting.after_ms(speaks_at + SILENT_WITHIN_S) == 0
    assert greeting.after_ms(decided_at) == 0
    is_heard_whole(answer)
    outcomes = {h.reply_id: h.outcome for _, h in call.happenings if isinstance(h, ReplyEnded)}
    assert outcomes == {"resp_1": ReplyOutcome.CUT, "resp_2": ReplyOutcome.PLAYED}


@pytest.mark.parametrize("run", [1, 2, 3])
async def test_speech_while_a_tool_is_pending_loses_neither_the_tool_nor_the_answer(
    autojump_clock: trio.testing.MockClock, run: int
) -> None:
    call = await replay_of(f"interrupt-during-pending-tool.run{run}")
    is_heard_whole(call.heard["resp_1"])
    # The sentence was split: the reply to its first half had begun when the second was heard. It is silent,
    # and calls the tool all the same; nobody interrupted it.
    assert len(call.messages("tool.result")) == 1
    assert not call.missed, "the service got the result"
    # The first answer: nobody speaks while it is heard, so it is heard until the service takes it back …
    begun, decided_at = call.heard["resp_3"], call.decided_at("resp_3")
    assert all(ends < call.at("reply.started", "resp_3") for _, ends in call.person)
    assert call.at("reply.done", "resp_3", status="completed") < 1e9, "the service calls it completed"
    assert decided_at - ON_ITS_WAY_S < begun.ends
    assert begun.missed_before_ms((decided_at - begun.begins - ON_ITS_WAY_S) * 1000) < 1
    assert begun.after_ms(decided_at + 0.03) == 0, "and not a frame longer"
    # … and begins it again, under another name.
    is_heard_whole(call.heard["resp_4"])


@pytest.mark.parametrize("run", [1, 2])
async def test_a_split_sentence_loses_neither_the_tool_nor_the_answer(
    autojump_clock: trio.testing.MockClock, run: int
) -> None:
    call = await replay_of(f"roundtrip.run{run}")
    assert len(call.person) == 2, "one sentence in two halves"
    assert len(call.messages("tool.result")) == 1
    assert not call.missed
    for reply in call.heard.values():
        is_heard_whole(reply)
    outcomes = [h.outcome for _, h in call.happenings if isinstance(h, ReplyEnded)]
    assert ReplyOutcome.CUT not in outcomes


async def test_a_refused_resume_costs_one_try_and_the_fresh_session_is_heard(
    autojump_clock: trio.testing.MockClock,
) -> None:
    call = await replay_of("resume.run1")
    assert [entry.connection for entry in call.messages("session.resume")] == [2]
    assert [entry.connection for entry in call.messages("session.update")][:2] == [1, 3]
    late = [entry for entry in call.messages("tool.result") if entry.connection > 1]
    assert not late, "no result of the old session's tool on the new one"
    *replies, cut_off = call.heard.values()
    for reply in replies:
        is_heard_whole(reply)
    # The recording ends in the middle of this one: what fills no frame still waits for more.
    is_heard_whole(cut_off, but_for_ms=20)


async def test_an_answer_whose_question_went_on_before_it_was_heard_is_not_lost(
    autojump_clock: trio.testing.MockClock,
) -> None:
    call = await replay(described("split-answer"))
    is_heard_whole(call.heard["resp_1"])
    is_heard_whole(call.heard["resp_2"])


async def test_an_mm_hm_costs_a_pause_and_no_word(autojump_clock: trio.testing.MockClock) -> None:
    call = await replay(described("back-channel"))
    story, ((says_at, said_at),) = call.heard["resp_1"], call.person
    assert story.missed_ms < 1
    assert story.heard_ms < story.length_ms + 1500, "a word is begun again, at most"
    silent_at = next(part.ends for part in story.parts if part.ends > says_at)
    assert story.after_ms(said_at) > 0
    assert silent_at < says_at + SILENT_WITHIN_S, "the person is let speak"
    pauses = [
        (one.ends, other.at)
        for one, other in zip(story.parts, story.parts[1:], strict=False)
        if other.at - one.ends > 0.1
    ]
    assert len(pauses) == 1, f"the voice stops once, not for the sound and again for its report: {pauses}"
