"""Of everything that broke when a room ended, a person is shown the one reason."""

from __future__ import annotations

import pytest
import trio

from channels.errors import (
    ChannelOverflow,
    RoomClosed,
    RoomUnreachable,
    SettingsError,
    VoiceAgentError,
    reason_of,
)

REASON = RoomClosed("the room was closed", "start the agent again")


def test_an_error_says_what_happened_and_what_to_do() -> None:
    assert str(REASON) == "the room was closed; start the agent again"
    assert (REASON.what, REASON.fix) == ("the room was closed", "start the agent again")


@pytest.mark.parametrize("kind", [RoomClosed, RoomUnreachable, ChannelOverflow, SettingsError])
def test_every_error_for_a_person_is_one_of_a_kind(kind: type[VoiceAgentError]) -> None:
    assert issubclass(kind, VoiceAgentError)


def test_an_error_alone_is_the_reason() -> None:
    assert reason_of(REASON) is REASON


def test_the_reason_is_found_however_deep_it_lies() -> None:
    assert reason_of(ExceptionGroup("", [ExceptionGroup("", [ExceptionGroup("", [REASON])])])) is REASON


def test_what_broke_because_of_it_is_not_the_reason() -> None:
    followed = [trio.BrokenResourceError(), REASON, trio.ClosedResourceError()]
    assert reason_of(ExceptionGroup("", followed)) is REASON


def test_of_two_reasons_the_first_is_shown() -> None:
    assert reason_of(ExceptionGroup("", [REASON, RoomUnreachable("a", "b")])) is REASON


@pytest.mark.parametrize("fault", [ValueError("a fault"), KeyError("x"), AssertionError(), RuntimeError("x")])
def test_a_fault_of_the_program_is_never_hidden_behind_a_reason(fault: Exception) -> None:
    assert reason_of(fault) is None
    assert reason_of(ExceptionGroup("", [REASON, fault])) is None
    assert reason_of(ExceptionGroup("", [REASON, ExceptionGroup("", [fault])])) is None


def test_ctrl_c_is_never_hidden_behind_a_reason() -> None:
    assert reason_of(BaseExceptionGroup("", [REASON, KeyboardInterrupt()])) is None


def test_broken_channels_alone_are_no_reason() -> None:
    assert reason_of(ExceptionGroup("", [trio.BrokenResourceError()])) is None


async def test_the_cancellation_that_comes_with_a_failing_nursery_is_no_fault() -> None:
    async def fail() -> None:
        raise REASON

    async def break_when_cancelled() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise trio.BrokenResourceError

    caught: BaseException | None = None
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(break_when_cancelled)
            nursery.start_soon(fail)
    except BaseExceptionGroup as group:
        caught = group
    assert caught is not None
    assert reason_of(caught) is REASON
