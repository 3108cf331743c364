"""Whom in the room the agent talks with, and how much they may type. No I/O, no clock: time is passed in.

The agent does not talk with machines (agents, recorders, ingress). If it listens to one person by name, it
ignores the others too: no session begins for them, and what they type or press is not read. If it listens to
one person at a time, only that person is read; if it listens to nobody, because nobody has a microphone,
everybody is read.
"""

from __future__ import annotations

from collections import deque

from attrs import define, field

from channels.happenings import HeardBy
from channels.ports import ParticipantKind
from channels.settings import ListenMode, ListenSettings, TypingSettings
from channels.texts import Pressed, Typed

__all__ = ["Allowance", "Company"]

IN_S = 60.0
KEYS_OF_A_MESSAGE = 6
"""This many keys count as one typed message; #, which sends them at once, counts as a whole one."""

_ROUNDING = 1e-6

MOST_TOLD = 32
"""How many people's dropped messages are reported within `IN_S`."""

NOT_LISTENED_TO = "the agent does not listen to them"
TOO_MUCH = "they type too much"
TOO_MUCH_OF_ALL = "people type too much in this room"


@define
class Allowance:
    """How much may come within `IN_S`.

    Args:
        most: messages.
    """

    most: float
    _came: deque[tuple[float, float]] = field(factory=deque, init=False)
    """When, and how much."""
    _sum: float = field(default=0.0, init=False)

    def is_untouched(self, now: float) -> bool:
        """Whether nothing came within the time."""
        while self._came and now - self._came[0][0] >= IN_S:
            self._sum -= self._came.popleft()[1]
        if not self._came:
            self._sum = 0.0  # nothing is left of the rounding of sixths
        return not self._came

    def has_room_for(self, weight: float, now: float) -> bool:
        """Whether so much more may come now."""
        return weight <= self.most if self.is_untouched(now) else self._sum + weight <= self.most + _ROUNDING

    def take(self, weight: float, now: float) -> None:
        """It came."""
        self._came.append((now, weight))
        self._sum += weight


@define
class Company:
    """The people the agent talks with.

    Args:
        listen: whom it listens to.
        typing: how much they may type.
    """

    listen: ListenSettings
    typing: TypingSettings
    people: set[str] = field(factory=set, init=False)
    _heard: str | None = field(default=None, init=False)
    """Whom it listens to, where that is one person at a time."""
    _all: Allowance = field(init=False)
    _each: dict[str, Allowance] = field(factory=dict, init=False)
    """By identity. Somebody who leaves and comes back keeps theirs."""
    _told: dict[str, float] = field(factory=dict, init=False)
    """When each of those whose words were dropped was told of (s)."""

    def __attrs_post_init__(self) -> None:
        self._all = Allowance(self.typing.all_per_minute)

    def come(self, identity: str, kind: ParticipantKind) -> bool:
        """Somebody is in the room; gives whether that is somebody to talk with."""
        wanted = self.listen.identity in (None, identity)
        if kind is ParticipantKind.PERSON and wanted:
            self.people.add(identity)
        return identity in self.people

    def go(self, identity: str) -> bool:
        """Somebody left; gives whether that was somebody to talk with."""
        was_there = identity in self.people
        self.people.discard(identity)
        return was_there

    def hear(self, heard_by: HeardBy) -> None:
        """Somebody is listened to from now on."""
        self._heard = heard_by.identity if self.listen.mode is ListenMode.FIRST else None

    def refusal(self, text: Typed | Pressed, now: float) -> str | None:
        """Why not to read this; None: read it, and it counts."""
        who = text.identity
        heard = self._heard if self._heard in self.people else None
        if who not in self.people or heard not in (None, who):
            return NOT_LISTENED_TO
        weight = 1 / KEYS_OF_A_MESSAGE if isinstance(text, Pressed) and text.key != "#" else 1.0
        own = self._each.get(who) or Allowance(self.typing.each_per_minute)
        if not own.has_room_for(weight, now):
            return TOO_MUCH
        if not self._all.has_room_for(weight, now):
            return TOO_MUCH_OF_ALL
        self._each = {name: each for name, each in self._each.items() if not each.is_untouched(now)}
        self._each[who] = own
        own.take(weight, now)
        self._all.take(weight, now)
        return None

    def is_news(self, identity: str, now: float) -> bool:
        """Whether to report that something of theirs was dropped: now and then for each."""
        self._told = {who: at for who, at in self._told.items() if now - at < IN_S}
        if identity in self._told or len(self._told) >= MOST_TOLD:
            return False
        self._told[identity] = now
        return True
