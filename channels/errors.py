"""The ways an agent can fail: one class for each thing that a person can do about it.

Every error carries what happened and the fix; its text is one line, fit to be shown as it is, and
never contains a secret. Errors of the Voice Agent API live in `channels.wire.failures`, next to the
table that maps the protocol's codes to them.
"""

from __future__ import annotations

import math

import trio

from sound.models import ModelMissing

__all__ = [
    "ActorFailed",
    "AgentSilent",
    "ChannelOverflow",
    "EdgeFault",
    "HealthUnavailable",
    "NoAudioDevice",
    "NoDispatch",
    "NoWayToRoom",
    "NotAllowedInRoom",
    "PartMissing",
    "PlaygroundFault",
    "RoomClosed",
    "RoomUnreachable",
    "SettingsError",
    "VoiceAgentError",
    "WorkerProcessDied",
    "WorkerRefused",
    "cause_of",
    "found_channels_broken",
    "reason_of",
    "was_interrupted",
]


class VoiceAgentError(Exception):
    """Base of all errors that are shown to a person.

    Args:
        what: what happened, in one sentence without a full stop.
        fix: what the person can do about it, in one sentence without a full stop.
    """

    def __init__(self, what: str, fix: str) -> None:
        super().__init__(what, fix)
        self.what = what
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.what}; {self.fix}"


class SettingsError(VoiceAgentError):
    """A setting is missing or malformed. The text names it and never quotes a secret."""


class WorkerProcessDied(VoiceAgentError):
    """One of several processes that serve rooms ended, and not in good order."""


class ChannelOverflow(VoiceAgentError):
    """A channel with the rule `fail` was full, which must not happen."""


class RoomUnreachable(VoiceAgentError):
    """The LiveKit server does not answer, or went away and did not come back."""


class NoWayToRoom(VoiceAgentError):
    """LiveKit's certificate is not trusted, or a proxy refuses: trying again changes nothing."""


class NotAllowedInRoom(VoiceAgentError):
    """The LiveKit server answered and refused the agent."""


class RoomClosed(VoiceAgentError):
    """The room was closed, or the agent was removed from it, while it was serving."""


class WorkerRefused(VoiceAgentError):
    """The LiveKit server answered, and does not let the worker register."""


class NoDispatch(VoiceAgentError):
    """What answers at LiveKit's address dispatches no agents, or refuses a dispatch."""


class AgentSilent(VoiceAgentError):
    """No agent in the room answers."""


class NoAudioDevice(VoiceAgentError):
    """This computer has no microphone or no loudspeaker that can be used, or has one no more."""


class EdgeFault(VoiceAgentError):
    """LiveKit's SDK failed, and the agent cannot continue."""


class ActorFailed(VoiceAgentError):
    """An added actor failed that says it is essential to the call."""


class PartMissing(VoiceAgentError):
    """A file of the installation is not where it should be."""


class HealthUnavailable(VoiceAgentError):
    """The address of the health endpoints cannot be listened at."""


class PlaygroundFault(VoiceAgentError):
    """A part of the playground (LiveKit server, Voice Agent API server, speech) cannot run."""


def reason_of(failure: BaseException) -> VoiceAgentError | None:
    """The one error to show for a failed nursery.

    When an actor fails, others may find their channels broken before they are cancelled; those are not the
    reason. None if there is no error meant for a person, or if there is any other error besides: that is a
    bug and must not be hidden.
    """
    leaves = [_to_be_shown(leaf) for leaf in _leaves(failure)]
    reasons = [leaf for leaf in leaves if isinstance(leaf, VoiceAgentError)]
    followed = (VoiceAgentError, trio.BrokenResourceError, trio.ClosedResourceError, trio.Cancelled)
    return reasons[0] if reasons and all(isinstance(leaf, followed) for leaf in leaves) else None


def found_channels_broken(failure: BaseException) -> bool:
    """Whether the only problem is that others had closed their ends of channels."""
    broken = (trio.BrokenResourceError, trio.ClosedResourceError)
    return all(isinstance(leaf, broken) for leaf in _leaves(failure))


def was_interrupted(failure: BaseException) -> bool:
    """Whether a person pressed Ctrl-C, whatever broke because of it."""
    return any(isinstance(leaf, KeyboardInterrupt) for leaf in _leaves(failure))


def cause_of(failure: BaseException) -> BaseException:
    """What went wrong, without the nurseries' groups around it; the group, if it is several things."""
    leaves = _leaves(failure)
    return leaves[0] if len(leaves) == 1 else failure


def parted(failure: BaseException) -> tuple[BaseException | None, BaseException | None]:
    """What Trio raised since the task is being cancelled, which must go on, and what went wrong besides.

    A `Cancelled` that is raised while nobody cancels is somebody's own, kept or made: it is what went wrong.
    To be called in the task that caught it.
    """
    if trio.current_effective_deadline() != -math.inf:
        return None, failure
    if isinstance(failure, BaseExceptionGroup):
        cancelled, rest = failure.split(trio.Cancelled)
        return cancelled, rest
    return (failure, None) if isinstance(failure, trio.Cancelled) else (None, failure)


def _to_be_shown(failure: BaseException) -> BaseException:
    return PartMissing(*failure.args) if isinstance(failure, ModelMissing) else failure


def _leaves(failure: BaseException) -> list[BaseException]:
    if isinstance(failure, BaseExceptionGroup):
        return [leaf for part in failure.exceptions for leaf in _leaves(part)]
    return [failure]
