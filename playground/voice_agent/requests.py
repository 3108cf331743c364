"""What becomes of a `reply.create`, by the moment at which it comes. No I/O, no clock.

    moment                              live                            docs
    nobody speaks, no tool is open      said                            said
    the person speaks                   empty                           said
    a `hold` tool is open               empty                           said
    a tool's answer is not heard yet    ends it                         ends it
    a reply is on its way               ends it (or collides, queued)   ends it

`empty` is what was seen: `reply.started` and `reply.done{completed}`, without sound. The documentation says
nothing of most of these moments; that a request ends the reply before it is from its word on greetings.
"""

from __future__ import annotations

import enum
from typing import Literal

import attrs

__all__ = ["Fate", "Requests", "fate"]


@attrs.frozen
class Requests:
    """The policies; None: as the personality has it."""

    while_person_speaks: Literal["empty", "said"] | None = None
    """Live: the request is lost, an empty reply is its only sign."""
    during_reply: Literal["ends", "collides", "queued"] | None = None
    """Live: three accounts saw it end the reply or collide with it, one saw it queued."""
    during_hold: Literal["empty", "said"] | None = None
    """While a tool with `execution_mode: hold` is open. Live: no sound (2 of 2). Documented: it is said."""
    after_tool_result: Literal["ends", "queued"] | None = None
    """Before a tool's answer is heard. Live: that answer ends at once."""

    def by_personality(self, *, docs: bool) -> Requests:
        """Every policy filled in."""
        lost: Literal["empty", "said"] = "said" if docs else "empty"
        return Requests(
            self.while_person_speaks or lost,
            self.during_reply or "ends",
            self.during_hold or lost,
            self.after_tool_result or "ends",
        )


class Fate(enum.Enum):
    """What becomes of a request."""

    SAID = "it is said, after what runs or waits"
    EMPTY = "an empty reply, and nothing else"
    ENDS = "the reply that runs is ended, and it is said"
    COLLIDES = "it is said at once, over the reply that runs"


def fate(
    policy: Requests, *, person_speaks: bool, on_hold: bool, reply: Literal["none", "result", "other"]
) -> Fate:
    """What becomes of a request.

    Args:
        policy: every one filled in.
        person_speaks: somebody does, whether they were told of or not.
        on_hold: a `hold` tool is open.
        reply: what runs: nothing, a tool's answer that nobody has heard yet, or another reply.
    """
    if (person_speaks and policy.while_person_speaks == "empty") or (
        on_hold and policy.during_hold == "empty"
    ):
        return Fate.EMPTY
    if reply == "none":
        return Fate.SAID
    then = policy.after_tool_result if reply == "result" else policy.during_reply
    return {"ends": Fate.ENDS, "collides": Fate.COLLIDES, "queued": Fate.SAID}[then or "ends"]
