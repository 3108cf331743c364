"""Whom the agent listens to when several people are in its room: what a person can set.

first           one person; the next one waits until that one leaves
identity:NAME   that person only
active          whoever speaks
mix             everybody at once, in one stream

Who is not listened to is not read either: what they type or press is dropped.
"""

from __future__ import annotations

import enum
from typing import Annotated, Any

import attrs

from channels.printable import is_printable
from channels.settings.rules import Malformed, Rule, Whole, nearest, shown

__all__ = ["LISTEN_CHOICES", "Listen", "ListenMode", "ListenSettings", "TypingSettings"]

LISTEN_CHOICES = "first, identity:NAME, active, mix"
"""As people write them."""
_LONGEST_NAME = 256


class ListenMode(enum.Enum):
    """How whom to listen to is decided."""

    FIRST = "first"
    IDENTITY = "identity"
    ACTIVE = "active"
    MIX = "mix"


@attrs.frozen
class Listen(Rule):
    """One of the ways to listen, as it is written."""

    def _read(self, value: Any) -> str:
        if not isinstance(value, str):
            raise Malformed(f"is not one of {LISTEN_CHOICES} (found {shown(value)})")
        word, colon, name = (part.strip() for part in value.strip().partition(":"))
        if word == ListenMode.IDENTITY.value:
            if not name or len(name) > _LONGEST_NAME or not is_printable(name):
                raise Malformed("says identity without a name", "write whom to listen to: identity:NAME")
            return f"{word}:{name}"
        if colon or word not in {mode.value for mode in ListenMode}:
            meant = nearest(word, [mode.value for mode in ListenMode])
            meant = "identity:NAME" if meant == ListenMode.IDENTITY.value else meant
            raise Malformed(
                f"is not one of {LISTEN_CHOICES} (found {shown(value)})",
                f"did you mean {meant!r}?" if meant else "",
            )
        return word


@attrs.frozen
class ListenSettings:
    """Whom to listen to: `to` is `first`, `identity:NAME`, `active` or `mix`.

    `most_people` is how many are listened to at a time in the last two, those who came first; each costs
    about a hundredth of a core.
    """

    to: Annotated[str, Listen(env="VOICE_AGENT_LISTEN")] = ListenMode.FIRST.value
    most_people: Annotated[int, Whole(1, 200, "people")] = 16

    @property
    def mode(self) -> ListenMode:
        """How it is decided."""
        return ListenMode(self.to.partition(":")[0])

    @property
    def identity(self) -> str | None:
        """The one person to listen to; None if it may be anybody."""
        return self.to.partition(":")[2] or None


@attrs.frozen
class TypingSettings:
    """How much is read of what people type into the room's chat, or press on a phone.

    `each_per_minute` is how many messages of one person are read within any minute, `all_per_minute` how many
    of all; 0: none. Six keys of a phone count as one message, and # as a whole one.
    """

    each_per_minute: Annotated[int, Whole(0, 600, "messages")] = 20
    all_per_minute: Annotated[int, Whole(0, 600, "messages")] = 60
