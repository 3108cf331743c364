"""The board of the simulation: what front ends see of the agent, with the times at which they see it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import trio
from attrs import define, field

from channels.agent_state import AgentState
from channels.texts import AGENT_STATE
from tests.actors.test_front_end import Board

__all__ = ["SimulatedBoard"]

SILENT_AT_MOST_S = 3.0
UNSEEN_AT_MOST_S = 1.0


@define
class SimulatedBoard(Board):
    """A board that may take its time."""

    takes_s: float = 0.0
    was_slow: bool = False
    """What was shown may have been behind what was so."""
    history: list[tuple[float, str]] = field(factory=list)
    """Each state of the agent and since when it was shown."""

    async def set_attributes(self, attributes: Mapping[str, str]) -> None:
        if self.takes_s:
            await trio.sleep(self.takes_s)
            self.was_slow = True
        await super().set_attributes(attributes)
        if AGENT_STATE in attributes:
            self.history.append((trio.current_time(), attributes[AGENT_STATE]))

    def disagrees(
        self, audible: Sequence[Sequence[float]], begun: Sequence[Sequence[float]], until: float
    ) -> tuple[str, str] | None:
        """Where the state that was shown was not what the room heard for long, if anywhere.

        Args:
            audible: when something could be heard: beginnings and ends.
            begun: when a reply had been heard in part, and more of it was awaited.
            until: when it was over.
        """
        talking = _joined([*audible, *begun])
        spans = [
            (begins, ends, state)
            for (begins, state), (ends, _) in zip(self.history, [*self.history[1:], (until, "")], strict=True)
        ]
        for begins, ends, state in spans:
            if state == AgentState.SPEAKING.value:
                silent_since = begins
                for sound in [*talking, (ends, ends)]:
                    if sound[1] <= begins:
                        continue
                    silence_ends = min(sound[0], ends)
                    if silence_ends - silent_since > SILENT_AT_MOST_S:
                        return (
                            "the agent is not called speaking for long while it is silent",
                            f"silent from {silent_since:.3f} to {silence_ends:.3f}",
                        )
                    silent_since = max(silent_since, sound[1])
                    if silent_since >= ends:
                        break
            else:
                for sound in audible:
                    unseen = min(sound[1], ends) - max(sound[0], begins)
                    if unseen > UNSEEN_AT_MOST_S:
                        return (
                            "the agent is called speaking while it can be heard",
                            f"called {state} from {begins:.3f} to {ends:.3f}, "
                            f"heard from {sound[0]:.3f} to {sound[1]:.3f}",
                        )
        return None


def _joined(spans: Sequence[Sequence[float]]) -> list[list[float]]:
    """The spans in order, those that touch as one."""
    joined: list[list[float]] = []
    for begins, ends in sorted(map(tuple, spans)):
        if joined and begins <= joined[-1][1]:
            joined[-1][1] = max(joined[-1][1], ends)
        else:
            joined.append([begins, ends])
    return joined
