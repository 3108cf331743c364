"""Runs the actors of one room: the conversation and its bystanders."""

from __future__ import annotations

import math
from collections.abc import Sequence
from traceback import format_exception

import trio

from channels.errors import ActorFailed, cause_of, found_channels_broken, parted, reason_of
from channels.happenings import BystanderFailed
from channels.only_trio import only_in_trio
from channels.streams import Actor
from channels.taps import Taps
from channels.work import Work
from commands.wired import Wired

__all__ = ["BYSTANDERS_LEAVE_WITHIN_S", "run_actors"]

BYSTANDERS_LEAVE_WITHIN_S = 1.0
"""Time for bystanders to write their last line, once the conversation is over."""


async def run_actors(graph: Wired) -> None:
    """Serves one room until it is left or everything is cancelled.

    Bystanders hear the conversation to its end, and have a moment to finish.

    Raises:
        VoiceAgentError: (perhaps in a group) the room or the service cannot be used any more.
    """
    taps, watching = graph.taps, trio.CancelScope(shield=True)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_watch, graph.bystanders, taps, watching)
        try:
            async with trio.open_nursery() as conversation:
                for actor in graph.conversation:
                    conversation.start_soon(actor.run)
        finally:
            taps.close()
            watching.deadline = trio.current_time() + BYSTANDERS_LEAVE_WITHIN_S


async def _watch(bystanders: Sequence[Actor], taps: Taps, watching: trio.CancelScope) -> None:
    with watching:
        async with trio.open_nursery() as nursery:
            for bystander in bystanders:
                name = Work.ACTOR.task(type(bystander).__name__)
                nursery.start_soon(_run_bystander, bystander, taps, watching, name=name)


async def _run_bystander(actor: Actor, taps: Taps, watching: trio.CancelScope) -> None:
    """Runs a bystander, which must never affect the conversation, whatever is wrong with it."""
    try:
        await only_in_trio(actor.run())
    # Including exceptions that end a process: that is the process's decision, not a bystander's.
    except BaseException as raised:
        cancelled, error = parted(raised)
        if error is not None:
            _tell(actor, error, taps, watching)
        if cancelled is not None:
            raise cancelled from None


def _tell(actor: Actor, error: BaseException, taps: Taps, watching: trio.CancelScope) -> None:
    if watching.deadline < math.inf and found_channels_broken(error):
        return  # the conversation is over
    # A bug for its author to find; errors with a fix need no traceback.
    cause = cause_of(error)
    try:
        trace = None if reason_of(error) else "".join(format_exception(error))
        said = str(reason_of(error) or f"{type(cause).__name__}: {cause}")
    except BaseException:  # an exception that cannot even be printed
        trace, said = None, type(cause).__name__
    taps.publish(BystanderFailed(type(actor).__name__, said, trace))
    if getattr(actor, "essential", False):
        raise ActorFailed(
            f"{type(actor).__name__} failed ({type(cause).__name__}), and the call cannot go on without it",
            "fix it, or remove `essential` from the class",
        ) from error
