"""A tour of the protocol: every message and every event there is, in both personalities, none forgotten."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from typing import Any

import pytest
import trio
import trio.testing

from channels.wire.codec import write_message
from channels.wire.messages import (
    ClientMessage,
    ConversationMessage,
    InputAudio,
    ReplyCancel,
    ReplyCreate,
    SessionEnd,
    SessionResume,
    SessionUpdate,
    ToolResult,
)
from playground.brain import CallTool, EchoBrain
from playground.voice_agent_api import (
    Faults,
    Personality,
    ResumePolicy,
    ServerOptions,
    ToneSpeech,
    VoiceAgentServer,
    hum,
)
from tests.playground.caller import Caller, calling
from tests.wire_schema import CLIENT_TYPES, SERVER_TYPES, complaints

TOOL = {
    "type": "function",
    "name": "look",
    "description": "Looks.",
    "parameters": {"type": "object", "properties": {}},
}


class BrainWithATool(EchoBrain):
    """Answers by calling the tool."""

    async def answer(self, heard: str) -> AsyncGenerator[Any, None]:
        yield "Let me look."
        yield CallTool("look", {"at": heard})


class Tour:
    """What was said in both directions on the way."""

    def __init__(self) -> None:
        self.told: set[str] = set()
        self.heard: list[dict[str, Any]] = []

    async def tell(self, caller: Caller, message: ClientMessage) -> None:
        frame = write_message(message)
        assert complaints(frame, "client") == []
        self.told.add(message.type)
        await caller.ws.send_message(frame)

    def leave(self, caller: Caller) -> None:
        self.heard += [arrived.event for arrived in caller.arrived]


async def go_round(personality: Personality) -> Tour:
    """One session with everything in it, a drop in its middle, and a second one whose model fails."""
    tour = Tour()
    server = VoiceAgentServer(
        ServerOptions(
            personality=personality,
            speech=ToneSpeech,
            brain=BrainWithATool,
            ping_s=None,
            resume=ResumePolicy(works=True),
        )
    )
    async with calling(server) as caller:
        session = {"system_prompt": "Be brief.", "greeting": "Hello there.", "tools": [TOOL]}
        await tour.tell(caller, SessionUpdate(session))
        session_id = (await caller.until("session.ready"))["session_id"]
        await caller.until("reply.done")  # the greeting
        for start in range(0, len(hum(700)), 2400):
            await tour.tell(caller, InputAudio(hum(700)[start : start + 2400]))
            await trio.sleep(0.05)
        await caller.say(bytes(48 * 2500))
        call = await caller.until("tool.call")
        await tour.tell(caller, ToolResult(call["call_id"], '{"seen":"a cat"}'))
        await caller.until("reply.done", 3)
        await tour.tell(caller, ConversationMessage("system", "It is raining."))
        await tour.tell(caller, SessionUpdate({"system_prompt": "Be briefer."}))
        await caller.until("session.updated", 2 if personality is Personality.LIVE else 1)
        await tour.tell(caller, SessionUpdate({"greeting": "Too late."}))
        assert (await caller.until("session.error"))["code"] == "immutable_field"
        await tour.tell(caller, ReplyCreate("Say something long, please, and take your time over it."))
        reply = await caller.until("reply.started", 4)
        await trio.sleep(0.3)
        await tour.tell(caller, ReplyCancel(reply["reply_id"]))
        assert (await caller.until("reply.done", 4))["status"] == "interrupted"
        tour.leave(caller)
        await server.drop_connections()
        async with calling(server) as again:
            await tour.tell(again, SessionResume(session_id))
            await again.until("session.ready")
            await tour.tell(again, SessionEnd())
            assert await again.until_closed() == 1000
            tour.leave(again)
    assert server.crashes == 0
    failing = VoiceAgentServer(
        ServerOptions(personality=personality, speech=ToneSpeech, faults=Faults(reply_error="with_done"))
    )
    async with calling(failing) as caller:
        await tour.tell(caller, SessionUpdate({"greeting": "Hello."}))
        assert (await caller.until("reply.done"))["status"] == "failed"
        tour.leave(caller)
    assert failing.crashes == 0
    return tour


@pytest.mark.parametrize("personality", Personality)
async def test_every_message_and_every_event_of_the_schema_is_met_on_the_tour(
    autojump_clock: trio.testing.MockClock, personality: Personality
) -> None:
    tour = await go_round(personality)
    assert tour.told == CLIENT_TYPES
    assert {event["type"] for event in tour.heard} == SERVER_TYPES
    for event in tour.heard:
        assert complaints(json.dumps(event), "server") == []
        assert isinstance(event["timestamp"], float)  # not required, and always there
    # Where recordings and documentation differ.
    live = personality is Personality.LIVE
    order = [event["type"] for event in tour.heard]
    assert (order.index("session.updated") < order.index("session.ready")) is live
    tool_reply = [event for event in tour.heard if event["type"] == "reply.started"][2]
    assert tool_reply["reply_id"].startswith("resp_" if live else "fc-")
