"""An actor of somebody's own is joined to what it asks for, and told clearly what it cannot have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import pytest

from channels.bounded import Channel, Full, Receiver, Sender
from channels.errors import SettingsError
from channels.streams import Addition, Streams


def streams() -> tuple[Streams, Channel[int], Channel[str]]:
    heard = Channel[int]("heard", capacity=8, unit="numbers", full=Full.DROP_OLDEST, because="a test")
    asked = Channel[str]("asked", capacity=8, unit="texts", full=Full.WAIT, because="a test")
    table = Streams(
        {
            Receiver[int]: lambda name: heard.tap(name, capacity=4),
            Sender[str]: lambda name: asked.sender(),
        }
    )
    return table, heard, asked


@attrs.define
class Echo:
    numbers: Receiver[int]
    texts: Sender[str]
    path: Path
    _times: int = 2
    loud: bool | None = None

    async def run(self) -> None:
        async with self.numbers, self.texts:
            async for number in self.numbers:
                await self.texts.send(f"{self.path} {number * self._times}")


async def test_an_actor_is_given_its_streams_and_its_values() -> None:
    table, heard, asked = streams()
    sender, said = heard.sender(), asked.receiver()
    echo = table.compose(Addition(Echo, {"path": "a/b", "times": "3", "loud": "true"}))
    assert isinstance(echo, Echo)
    assert echo.loud is True
    sender.send_nowait(7)
    sender.close()
    await echo.run()
    assert [text async for text in said] == ["a/b 21"]


@attrs.define
class AsksForTooMuch:
    secrets: Receiver[bytes]

    async def run(self) -> None: ...


@attrs.define
class NotWritable:
    rules: dict[str, int]

    async def run(self) -> None: ...


@attrs.define
class Brittle:
    times: int = 2

    def __attrs_post_init__(self) -> None:
        self.times //= 0

    async def run(self) -> None: ...


class Plain:
    async def run(self) -> None: ...


@attrs.define
class Still:
    path: Path


@pytest.mark.parametrize(
    ("kind", "values", "said"),
    [
        (Echo, {}, "Echo.path is not set; add it as --actor …:Echo,path=VALUE"),
        (Echo, {"path": "x", "tmes": "3"}, "Echo has no field 'tmes'; did you mean 'times'?"),
        (Echo, {"path": "x", "times": "three"}, "Echo.times is not a whole number (found 'three'); "),
        (Echo, {"path": "x", "loud": "1"}, "Echo.loud is not true or false (found '1'); "),
        (
            AsksForTooMuch,
            {},
            "asks for Receiver[bytes], which is not a stream of a room; the streams are ",
        ),
        (NotWritable, {"rules": "{}"}, "NotWritable.rules has the type dict[str, int], which cannot be "),
        (
            Brittle,
            {},
            "Brittle cannot be created (ZeroDivisionError: integer division or modulo by zero); fix it",
        ),
        (Plain, {}, "Plain is not an actor; an actor is an attrs class with an async `run(self)`"),
        (Still, {"path": "x"}, "Still is not an actor; "),
    ],
)
def test_what_an_actor_cannot_have_is_said_with_its_fix(kind: Any, values: dict[str, str], said: str) -> None:
    table, _, _ = streams()
    with pytest.raises(SettingsError) as error:
        table.compose(Addition(kind, values))
    assert said in str(error.value)
