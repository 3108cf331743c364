"""What today's code decides on exactly the recorded inputs. No clock, no actors.

Nothing runs again here: each input, including the speaker's reports and the deadlines, goes to the same pure
functions at its recorded time, in its recorded order. So unchanged code makes the same decisions, however
late the machine was.
"""

from __future__ import annotations

from actors.barge_in.conversation import Conversation
from actors.barge_in.floor import FloorState
from actors.barge_in.machine import step
from actors.record.notes import RecordLine
from actors.record.reading import Record
from actors.timers import TOLD_BY_OTHERS, Stopwatch
from channels.happenings import SoundStarted, SoundStopped
from channels.messages import TimePassed
from channels.seen import On
from channels.settings import BargeInSettings
from commands.replay.fed import fed_to_controller, happened

__all__ = ["judge"]

ROUNDED_S = 0.001
"""Recorded times are rounded; whoever was woken by a deadline was not woken before it."""


def judge(record: Record, settings: BargeInSettings) -> list[RecordLine]:
    """The orders and the happenings that come of it, as a record has them."""
    return _timed(record, _decided(record, settings))


def _decided(record: Record, settings: BargeInSettings) -> list[RecordLine]:
    conversation = Conversation(floor=FloorState(settings))
    decided: list[RecordLine] = []
    for fed in fed_to_controller(record):
        now = fed.t
        if isinstance(fed.what, TimePassed) and 0 < conversation.deadline - now < ROUNDED_S:
            now = conversation.deadline
        conversation, orders, happenings = step(conversation, fed.what, now)
        decided += [RecordLine(now, On.ORDERS, order) for order in orders]
        decided += [RecordLine(now, On.HAPPENINGS, happening) for happening in happenings]
    return decided


def _timed(record: Record, decided: list[RecordLine]) -> list[RecordLine]:
    """With the two timers of each turn."""
    told = happened(record, SoundStarted, SoundStopped, *TOLD_BY_OTHERS)
    stopwatch, timed = Stopwatch(), list[RecordLine]()
    for entry in sorted([*told, *decided], key=lambda entry: entry.t):
        timed.append(entry)
        if entry.on == On.HAPPENINGS and (timers := stopwatch.take(entry.what)) is not None:
            timed.append(RecordLine(entry.t, On.HAPPENINGS, timers))
    return timed
