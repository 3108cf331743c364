"""Agents that grew by gigabytes in a long call: what is known of a call is bounded, however long it lasts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import runner
from actors.barge_in import machine
from actors.barge_in.conversation import Conversation
from actors.speaker.playout import Playout
from actors.timers import Stopwatch
from channels.bounded import Channel
from channels.messages import ApiEvent, Cut, Finish, Play, SpeakerReport
from channels.wire.events import (
    AgentTranscriptDelta,
    ReplyAudio,
    ReplyDone,
    ReplyStarted,
    SpeechStarted,
    SpeechStopped,
    ToolCall,
    UserTranscript,
)
from sound.pcm import bytes_of_ms


def a_turn(number: int) -> Iterator[ApiEvent]:
    reply_id = f"resp_{number:06}"
    yield from (SpeechStarted(), SpeechStopped(), UserTranscript("What is it like?", f"item_{number:06}"))
    yield ReplyStarted(reply_id)
    yield ToolCall(f"call_{number:06}", "look_up", {})
    for word in range(10):
        yield AgentTranscriptDelta("word", reply_id, "", word * 20, word * 20 + 20)
        yield ReplyAudio(b"\x00\x20" * (bytes_of_ms(20) // 2), reply_id)
    # Every third reply has no end that the service tells of, and every fifth is interrupted.
    if number % 3:
        yield ReplyDone(reply_id, "completed" if number % 5 else "interrupted")


def play(playout: Playout, command: object, now: float) -> list[SpeakerReport]:
    match command:
        case Play(reply_id=reply_id, pcm=pcm):
            playout.play(reply_id, pcm)
        case Finish(reply_id=reply_id):
            playout.finish(reply_id)
        case Cut(reply_id=reply_id):
            return [*playout.settle(now), playout.cut(reply_id, now)[1]]
        case _:
            pass
    return []


def test_after_two_hundred_turns_no_more_is_known_than_after_one_hundred(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(machine, "MOST_ENDED_REMEMBERED", 40)
    conversation, playout, stopwatch = Conversation(), Playout(100), Stopwatch()
    sizes, now = list[int](), 0.0
    for number in range(201):
        events: list[ApiEvent | SpeakerReport] = [*a_turn(number)]
        until = now + 2.0
        while now < until:
            reports: list[SpeakerReport] = playout.settle(now)
            while (frame := playout.next_frame(now)) is not None:
                playout.landed(frame, now)
            answers = list[ApiEvent | SpeakerReport]()
            for event in [*events, *reports]:
                conversation, commands, happenings = machine.step(conversation, event, now)
                for happening in happenings:
                    stopwatch.take(happening)
                answers += [report for command in commands for report in play(playout, command, now)]
            events, now = answers, now + 0.05
        if number in (100, 200):
            sizes.append(len(repr(conversation)) + len(repr(playout)) + len(repr(stopwatch)))
    assert sizes[1] < sizes[0] * 1.1


def test_whatever_waits_between_two_actors_is_bounded() -> None:
    channels = [each for each in vars(runner.Channels()).values() if isinstance(each, Channel)]
    assert len(channels) > 10
    assert all(0 < channel.capacity <= 1024 for channel in channels)
