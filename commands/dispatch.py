"""`python runner.py dispatch`: asks LiveKit to send an agent into a room, and takes that back."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from random import Random
from typing import Any, TypeVar

import attrs
import trio
from google.protobuf.json_format import MessageToDict, Parse, ParseError
from google.protobuf.message import Message
from livekit import api
from livekit.protocol.agent import JobStatus
from livekit.protocol.agent_dispatch import AgentDispatch, ListAgentDispatchResponse

from channels.backoff import Backoff
from channels.errors import NoDispatch, SettingsError, VoiceAgentError
from channels.jobs import LONGEST_METADATA, LONGEST_NAME
from channels.json_text import read_json
from channels.printable import complain, tell, tell_json
from channels.settings import LiveKitAccount, WorkerSettings
from commands.agent_room import find_room
from commands.agents_here import LiveKitRoom, agents_here
from commands.check.accounts import NoAnswer, ask_livekit

__all__ = [
    "at_any_node",
    "cancel_dispatch",
    "create_dispatch",
    "dispatch",
    "is_open",
    "list_dispatches",
    "renew_dispatch",
]

_SERVICE = "AgentDispatchService"

_STATUS = {number: name.removeprefix("JS_").lower() for name, number in JobStatus.items()}

_RENEWED_WITHIN_S = 10.0

M = TypeVar("M", bound=Message)
T = TypeVar("T")


def dispatch(
    options: argparse.Namespace, worker: WorkerSettings, configured: Callable[[], LiveKitRoom]
) -> int:
    """Does what was asked and prints it in a line; gives the exit code.

    Raises:
        SettingsError: an option cannot be used, or a setting is missing.
    """
    room_name = options.room.strip()
    if not 0 < len(room_name) <= LONGEST_NAME or not room_name.isprintable():
        raise SettingsError(
            f"the room's name has {len(room_name)} characters",
            f"give one line of up to {LONGEST_NAME} printable characters",
        )
    _check_metadata(options.metadata)
    account = find_room(configured, None, agents_here()).account
    try:
        if options.list:
            _show_list(trio.run(list_dispatches, account, room_name), room_name, as_json=options.json)
        elif options.cancel is not None:
            trio.run(cancel_dispatch, account, room_name, options.cancel)
            if options.json:
                tell_json({"cancelled": options.cancel, "room": room_name})
            else:
                tell(f"dispatch {options.cancel} in room {room_name!r} was taken back")
        else:
            metadata = options.metadata or ""
            made = trio.run(create_dispatch, account, room_name, worker.agent_name or "", metadata)
            if options.json:
                tell_json(_as_json(made))
            else:
                tell(f"{_agent(made)} was sent for to room {room_name!r}: dispatch {made.id}")
    except VoiceAgentError as error:
        complain(error)
        return 1
    return 0


async def create_dispatch(
    account: LiveKitAccount, room_name: str, agent_name: str, metadata: str = ""
) -> AgentDispatch:
    """Asks for an agent in a room, which is opened if need be.

    LiveKit asks the workers that are registered now; nobody who comes later is asked.

    Raises:
        NoAnswer: LiveKit does not answer.
        NoDispatch: it refuses.
    """
    content = {"room": room_name, "agent_name": agent_name, "metadata": metadata}
    return await _ask(account, "CreateDispatch", room_name, content, AgentDispatch())


async def list_dispatches(account: LiveKitAccount, room_name: str) -> list[AgentDispatch]:
    """The agents that were asked for in a room, with the jobs that came of it.

    Raises:
        NoAnswer, NoDispatch: as `create_dispatch`.
    """
    content = {"room": room_name}
    listed = await _ask(account, "ListDispatch", room_name, content, ListAgentDispatchResponse())
    return list(listed.agent_dispatches)


async def is_open(account: LiveKitAccount, room_name: str, dispatch_id: str) -> bool:
    """Whether nobody has taken this dispatch back.

    Raises:
        NoAnswer, NoDispatch: as `create_dispatch`; also, the room is not open.
    """
    content = {"room": room_name, "dispatch_id": dispatch_id}
    listed = await _ask(account, "ListDispatch", room_name, content, ListAgentDispatchResponse())
    return any(each.id == dispatch_id and not each.state.deleted_at for each in listed.agent_dispatches)


async def cancel_dispatch(account: LiveKitAccount, room_name: str, dispatch_id: str) -> None:
    """Takes a dispatch back: its agent is told to leave, and put out after three seconds.

    Raises:
        NoAnswer, NoDispatch: as `create_dispatch`.
    """
    content = {"room": room_name, "dispatch_id": dispatch_id}
    await _ask(account, "DeleteDispatch", room_name, content, AgentDispatch())


async def at_any_node(
    account: LiveKitAccount, nodes: Sequence[str], ask: Callable[[LiveKitAccount], Awaitable[T]]
) -> T:
    """Asks at the account's own address, and at further ones of the same LiveKit if nobody answers there.

    Raises:
        NoAnswer: nobody answers at any.
        NoDispatch: as what is asked.
    """
    *urls, last = dict.fromkeys((account.url, *nodes))
    for url in urls:
        with contextlib.suppress(NoAnswer):
            return await ask(attrs.evolve(account, url=url))
    return await ask(attrs.evolve(account, url=last))


async def renew_dispatch(account: LiveKitAccount, old: AgentDispatch) -> bool:
    """Puts a dispatch of its own in the place of one whose agent is gone; gives whether it was we who did.

    Of all who try, LiveKit lets one delete the old one, and only that one makes the new one. If it cannot, it
    tries again: nobody else will.

    Raises:
        NoAnswer, NoDispatch: as `create_dispatch`; the old one is deleted all the same.
    """
    try:
        await cancel_dispatch(account, old.room, old.id)
    except NoDispatch:
        return False
    wanted = MessageToDict(old, preserving_proto_field_name=True)
    kept = ("room", "agent_name", "metadata", "restart_policy", "deployment", "attributes")
    content = {name: wanted[name] for name in kept if name in wanted}
    backoff = Backoff(Random(), _RENEWED_WITHIN_S)
    while True:
        try:
            await _ask(account, "CreateDispatch", old.room, content, AgentDispatch())
        except VoiceAgentError:
            wait_s = backoff.next_s(trio.current_time())
            if wait_s is None:
                raise
            await trio.sleep(wait_s)
        else:
            return True


async def _ask(
    account: LiveKitAccount, method: str, room_name: str, content: Mapping[str, Any], answered: M
) -> M:
    grants = api.VideoGrants(room_admin=True, room=room_name)
    try:
        answer = await ask_livekit(account, method, grants, content, service=_SERVICE)
    except NoAnswer as error:
        fix = error.fix or "check LIVEKIT_URL, and that the server is running"
        raise NoAnswer(f"LiveKit at {account.url} {error.what}", fix) from None
    at = f"LiveKit at {account.url}"
    match answer.status:
        case 200:
            try:
                return Parse(answer.body, answered, ignore_unknown_fields=True)
            except (ParseError, UnicodeError, RecursionError):
                raise NoDispatch(
                    f"{at} gave an answer that cannot be read", "check that LIVEKIT_URL is a LiveKit server"
                ) from None
        case 401 | 403:
            raise NoDispatch(
                f"{at} refuses the key {account.api_key} with this secret ({answer.status})",
                "LIVEKIT_API_KEY and LIVEKIT_API_SECRET must both be of one project, and of this server",
            )
        case 404 if method == "DeleteDispatch":
            raise NoDispatch(
                f"the room {room_name!r} has no dispatch {content['dispatch_id']!r}",
                "--list shows those it has",
            )
        case 404 if method == "ListDispatch":
            raise _not_open(room_name)
        case 503 if method != "CreateDispatch":  # nobody answers for a room that is not open
            raise _not_open(room_name)
        case status:
            raise NoDispatch(
                f"{at} answered HTTP {status} to {method}", "check that LIVEKIT_URL is a LiveKit server"
            )


def _not_open(room_name: str) -> NoDispatch:
    return NoDispatch(f"no room {room_name!r} is open", "check its name; a room is closed when it is empty")


def _check_metadata(metadata: str | None) -> None:
    if metadata is None:
        return
    if len(metadata) > LONGEST_METADATA:
        raise SettingsError(
            f"--metadata has {len(metadata)} characters", f"LiveKit takes up to {LONGEST_METADATA}"
        )
    try:
        read_json(metadata, strict=True)
    except (ValueError, RecursionError):
        raise SettingsError(
            "--metadata is not JSON", """write it as --metadata '{"name": "value"}'"""
        ) from None


def _show_list(dispatches: list[AgentDispatch], room_name: str, *, as_json: bool) -> None:
    if as_json:
        tell_json([_as_json(each) for each in dispatches], indent=2)
        return
    if not dispatches:
        tell(f"no agent was sent for to room {room_name!r}")
    for each in dispatches:
        jobs = ", ".join(
            f"{job.id} {_STATUS.get(job.state.status, 'unknown')}"
            + (f" as {job.state.participant_identity}" if job.state.participant_identity else "")
            for job in each.state.jobs
        )
        tell(f"{each.id}: {_agent(each)}, {jobs or 'no worker has it yet'}")


def _agent(each: AgentDispatch) -> str:
    return f"agent {each.agent_name!r}" if each.agent_name else "an agent without a name"


def _as_json(each: AgentDispatch) -> dict[str, Any]:
    told: dict[str, Any] = MessageToDict(each, preserving_proto_field_name=True)
    return told
