"""How much of the agent's sound waited to be played, over a call. No I/O, no clock."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
from attrs import define, field

from actors.record.notes import PlayingRun, PlayRun, RecordLine
from channels.messages import Finished
from sound.pcm import ms_of_bytes

__all__ = ["backlog_of"]


HAIR_S = 0.001


@define
class _Reply:
    came: list[tuple[float, float]] = field(factory=list)
    """(s, ms of its sound that had come), in between a straight line."""
    played: list[tuple[float, float]] = field(factory=list)
    over: float = float("inf")

    def edges(self) -> tuple[float, ...]:
        """Just before and just after what is no straight line."""
        return (self.came[0][0] - HAIR_S, self.over - HAIR_S, self.over)


def backlog_of(entries: Iterable[RecordLine]) -> list[tuple[float, float]]:
    """(s, ms of sound that was there and had not been played), in between a straight line."""
    replies: dict[str, _Reply] = {}
    for entry in entries:
        match entry.what:
            case PlayRun(reply_id=reply_id, since=since, length=length):
                came = replies.setdefault(reply_id, _Reply()).came
                before = came[-1][1] if came else 0.0
                came += [(since, before), (entry.t, before + ms_of_bytes(length))]
            case PlayingRun(reply_id=reply_id, since=since, from_ms=from_ms, played_ms=played_ms):
                replies.setdefault(reply_id, _Reply()).played += [(since, from_ms), (entry.t, played_ms)]
            case Finished(reply_id=reply_id) if reply_id in replies:
                replies[reply_id].over = entry.t
            case _:
                pass
    times = sorted(
        {at for reply in replies.values() for at, _ in (*reply.came, *reply.played)}
        | {at for reply in replies.values() if reply.came for at in reply.edges()} - {float("inf")}
    )
    waiting = np.zeros(len(times))
    for reply in replies.values():
        if reply.came:
            left = _along(times, reply.came) - (_along(times, reply.played) if reply.played else 0.0)
            waiting += np.where(np.array(times) < reply.over, np.maximum(left, 0.0), 0.0)
    return list(zip(times, waiting.tolist(), strict=True))


def _along(times: list[float], points: list[tuple[float, float]]) -> npt.NDArray[np.float64]:
    at, ms = zip(*points, strict=True)
    return np.asarray(np.interp(times, at, ms, left=0.0))
