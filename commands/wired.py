"""A wired room, as the commands know it: `runner.wire` makes it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeAlias

from channels.bounded import Channel, Watched
from channels.secret import Secret
from channels.seen import Seen
from channels.settings import Accounts, ApiAccount, LiveKitAccount
from channels.streams import Actor
from channels.taps import Taps

__all__ = ["NOBODYS", "Wired", "Wiring"]


class Recorded(Protocol):
    """The channels of a room."""

    def recorded(self, *, with_sound: bool) -> Sequence[Channel[Any]]:
        """Those of which a record is made."""


class Wired(Protocol):
    """The actors of a room, connected but not running yet."""

    @property
    def conversation(self) -> Sequence[Actor]:
        """If one of these fails, the room ends."""

    @property
    def bystanders(self) -> Sequence[Actor]:
        """If one of these fails, the call goes on, unless the actor is `essential`."""

    @property
    def channels(self) -> Recorded:
        """What connects them."""

    @property
    def taps(self) -> Taps:
        """They carry what happens."""

    @property
    def seen(self) -> Watched[Seen]:
        """The inputs of the deciding actors."""


Wiring: TypeAlias = Callable[..., Wired]
"""Makes the actors of one room and connects them."""

NOBODYS = Accounts(
    LiveKitAccount("ws://127.0.0.1:1", "nobody", Secret("nothing")),
    ApiAccount("ws://127.0.0.1:1", api_key=Secret("nothing")),
)
"""For a room that is wired without connecting to any server."""
