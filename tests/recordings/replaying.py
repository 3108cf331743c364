"""The whole agent, as the runner wires it, meets a script in virtual time, with a person in the room.

The person is heard where the script says so. When the script has been played and the agent is silent,
`replay` gives what the listener heard, with what the service and the person did and when: on one clock.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import trio
from attrs import define, evolve, field, frozen

from actors.tools.declaration import declare
from channels.happenings import Happening
from channels.settings import ToolSettings
from channels.wire.events import ReplyAudio
from channels.wire.messages import ClientMessage
from playground.voice_agent.record import RecordedMessage
from playground.voice_agent_api import Expect, PersonSpeaks, Script, Send, Step
from tests.examples.scripted_call import SETTINGS, scripted_call
from tests.recordings.listener import ReplyHeard, replies_heard

__all__ = ["Replay", "replay"]

_QUIET_S = 3.0
"""When nothing has been heard for so long after the script's last step, nothing more will be."""
_AT_MOST_S = 300.0


@frozen
class Replay:
    """What came of it. All times are of the call's clock, in s."""

    heard: Mapping[str, ReplyHeard]
    person: list[tuple[float, float]]
    """When the person spoke: beginnings and ends."""
    steps: list[tuple[float, Step]]
    happenings: list[tuple[float, Happening]]
    sent: list[RecordedMessage[ClientMessage]]
    """What the agent sent to the service."""
    missed: list[tuple[int, Expect]]
    """What the service waited for in vain."""

    def at(self, kind: str, reply_id: str | None = None, **fields: object) -> float:
        """When the service first sent such an event; infinity if it did not."""
        wanted = {"type": kind, **fields} | ({} if reply_id is None else {"reply_id": reply_id})
        for at, step in self.steps:
            if isinstance(step, Send) and isinstance(step.event, Mapping):
                event = step.event
                if all(event.get(name) == value for name, value in wanted.items()):
                    return at
        return math.inf

    def decided_at(self, reply_id: str) -> float:
        """When the service told that a reply is interrupted, in whichever way it told so first."""
        return min(
            self.at("reply.done", reply_id, status="interrupted"),
            self.at("transcript.agent", reply_id, interrupted=True),
        )

    def messages(self, kind: str) -> list[RecordedMessage[ClientMessage]]:
        """What the agent sent of a kind."""
        return [entry for entry in self.sent if entry.what.type == kind]


@define
class _Tool:
    takes_s: float
    calls: int = field(default=0)

    async def verify_claim(self, claim: str = "", concept: str = "") -> str:
        """Looks a claim up in the notes.

        Args:
            claim: what was claimed.
            concept: what it is about.
        """
        self.calls += 1
        await trio.sleep(self.takes_s)
        return "The notes say otherwise."


async def replay(script: Script, *, tool_takes_s: float = 0.3) -> Replay:
    """Plays a script to the agent.

    Args:
        script: of the service, with the person in it.
        tool_takes_s: how long `verify_claim` takes, the one tool there is.
    """
    tool = declare(_Tool(tool_takes_s).verify_claim, "replaying")
    settings = evolve(SETTINGS, tools=ToolSettings(functions=(tool,)))
    steps: list[tuple[float, Step]] = []
    async with scripted_call(script=script, settings=settings) as call:
        player = call.service.script
        assert player is not None
        # The session has begun, and with it the first connection; what it began with orders nothing here.
        player.watch(lambda step: steps.append((trio.current_time(), step)))
        with trio.fail_after(_AT_MOST_S):
            while not player.ended:
                assert call.failure is None
                await trio.sleep(0.05)
            while trio.current_time() - max(at for at, _ in [*call.ears.heard[-1:], *steps[-1:]]) < _QUIET_S:
                await trio.sleep(0.05)
        assert call.service.crashes == 0
        return Replay(
            replies_heard(call.ears.heard, _sound_of(script)),
            [(at, at + step.ms / 1000) for at, step in steps if isinstance(step, PersonSpeaks)],
            steps,
            call.happenings,
            list(call.service.received),
            player.missed,
        )


def _sound_of(script: Script) -> Mapping[str, bytes]:
    sound: dict[str, bytes] = {}
    for connection in script.connections:
        for step in connection:
            if isinstance(step, Send) and isinstance(step.event, ReplyAudio):
                reply_id = step.event.reply_id or ""
                sound[reply_id] = sound.get(reply_id, b"") + step.event.data
    return sound
