"""The course of a set-up: all parts at the same time, and one progress for the person who waits.

In: the parts that are missing. Out: first, what is going to be fetched; then, now and then, one line of what
is still under way; a line for each part that is there. One part that fails does not stop the others: what
they have got need not be got again. When cancelled, it leaves no process behind.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

import attrs
import trio

from channels.errors import VoiceAgentError
from playground.livekit_build.step import Progress
from playground.set_up.parts import Part, playground

__all__ = ["Course", "set_up"]

TOLD_EVERY_S = 15.0
"""Where lines stay, as in a log."""


async def set_up(progress: Progress) -> None:
    """Gets what is missing on this machine to run the agent without an account.

    Args:
        progress: is given lines, if anything is missing.

    Raises:
        VoiceAgentError: a part that is needed cannot be got; the first of them.
    """
    failed = await Course(playground(), progress).run()
    if failed:
        raise failed[0]


@attrs.define
class Course:
    """Gets parts, all at the same time."""

    parts: Sequence[Part]
    tell: Progress
    """Is given lines that stay."""
    show: Callable[[str], None] | None = None
    """Is given what is under way, each second, instead of what was there; None: `tell` is, more seldom."""
    _under_way: dict[str, str] = attrs.field(factory=dict, init=False)

    async def run(self) -> list[VoiceAgentError]:
        """Gets them; returns why parts that are needed could not be got."""
        if not self.parts:
            return []
        for line in announced(self.parts):
            self.tell(line)
        began = trio.current_time()
        failed: list[VoiceAgentError] = []

        async def get(part: Part) -> None:
            try:
                await part.get(lambda line: self._under_way.update({part.name: _shorter(line)}))
            except VoiceAgentError as error:
                self.tell(f"{error}")
                if part.needed:
                    failed.append(error)
            else:
                self.tell(f"{part.name}: done after {trio.current_time() - began:.0f} s")
            del self._under_way[part.name]

        self._under_way = {part.name: part.name for part in self.parts}
        async with trio.open_nursery() as telling:
            telling.start_soon(self._tell_what_is_under_way, began)
            async with trio.open_nursery() as getting:
                for part in self.parts:
                    getting.start_soon(get, part)
            telling.cancel_scope.cancel()
        return failed

    async def _tell_what_is_under_way(self, began: float) -> None:
        while True:
            await trio.sleep(1.0 if self.show else TOLD_EVERY_S)
            passed = trio.current_time() - began
            (self.show or self.tell)(f"{passed:.0f} s: {' | '.join(self._under_way.values())}")


def _shorter(line: str) -> str:
    """A step's line without the seconds since its start: the line of all parts has room for one time."""
    return re.sub(r"[,:] \d+ s$| \.\.\.$", "", line)


def announced(parts: Sequence[Part]) -> Iterator[str]:
    """The lines that say what is going to be fetched."""
    fetched = [each for part in parts for each in part.fetched]
    yield "This machine is set up once, in a few minutes; you can stop that and start it again."
    yield "It fetches, unless an earlier try has:"
    for what, size_mb in [*fetched, ("in all", sum(size for _, size in fetched))]:
        yield f"  {size_mb:4} MB  {what}"
