"""The dispatches of a worker's jobs, as LiveKit has them: one that is open says that an agent is wanted."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import attrs

from channels.errors import VoiceAgentError
from channels.jobs import JobAssigned
from channels.settings import LiveKitAccount
from commands.check.accounts import NoAnswer
from commands.dispatch import at_any_node, cancel_dispatch, is_open

__all__ = ["Dispatches"]


@attrs.frozen
class Dispatches:
    """Those of the jobs of one worker.

    Args:
        account: of the worker.
        nodes: further addresses of the same LiveKit.
    """

    account: LiveKitAccount
    nodes: Sequence[str] = ()

    async def is_wanted(self, assigned: JobAssigned) -> bool:
        """Whether nobody has taken back what a job was made for."""
        job = assigned.job

        async def ask(account: LiveKitAccount) -> bool:
            return await is_open(account, job.room_name, job.dispatch_id)

        try:
            return await at_any_node(*self._asked_for(assigned), ask)
        except NoAnswer:
            return True  # who does not answer has not said no
        except VoiceAgentError:
            return False

    async def release(self, assigned: JobAssigned) -> None:
        """Takes back what a job was made for, so that nobody else is sent for it."""
        job = assigned.job

        async def ask(account: LiveKitAccount) -> None:
            await cancel_dispatch(account, job.room_name, job.dispatch_id)

        with contextlib.suppress(VoiceAgentError):  # its room is closed, or somebody else took it back
            await at_any_node(*self._asked_for(assigned), ask)

    def _asked_for(self, assigned: JobAssigned) -> tuple[LiveKitAccount, Sequence[str]]:
        """The node that assigned it knows it best."""
        return attrs.evolve(self.account, url=assigned.url), (self.account.url, *self.nodes)
