"""Tools in a session: the small dialogue calls a function, hears what it returned, and says it.

`ApiSession` and `ToolRunner` against the playground's own server and brain, with real websocket framing over
streams in memory, in virtual time.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock, memory_stream_pair

from actors.api import ApiSession
from actors.tools import ToolRunner
from actors.tools.declaration import declare
from channels.bounded import Channel, Full
from channels.messages import ApiEvent, BeginSession, MicrophoneFrame, SessionOrder, ToolEvent
from channels.secret import Secret
from channels.settings import ApiAccount, ApiSettings, SessionSettings, ToolSettings
from channels.taps import Taps
from channels.tools import tool
from channels.wire.events import AgentTranscript, ReplyAudio, ReplyDone, ToolCall
from channels.wire.messages import ClientMessage, SessionResume, SessionUpdate, ToolResult
from playground.dialogue import Dialogue
from playground.ears import SpeechOnset, TurnEnded
from playground.voice_agent_api import Faults, ResumePolicy, ServerOptions, ToneSpeech, VoiceAgentServer

OPTIONS = ServerOptions(speech=ToneSpeech, brain=Dialogue, ping_s=None, resume=ResumePolicy(works=True))


@attrs.define
class Talk:
    """A session whose service can be watched."""

    server: VoiceAgentServer

    async def ask(self, text: str) -> None:
        """The person says something."""
        await self.server.hear(SpeechOnset())
        await self.server.hear(TurnEnded(text))

    def sent(self, kind: type) -> list[Any]:
        """Events of the service."""
        return [entry.what for entry in self.server.sent if isinstance(entry.what, kind)]

    def received(self, kind: type) -> list[Any]:
        """Messages to the service."""
        return [entry.what for entry in self.server.received if isinstance(entry.what, kind)]

    async def until(self, kind: type, count: int = 1) -> None:
        """Waits until the service has sent so many, or received them."""
        with trio.fail_after(300):
            while len(self.sent(kind)) + len(self.received(kind)) < count:
                await trio.sleep(0.05)

    def said(self) -> list[str]:
        """What the agent said."""
        return [event.text for event in self.sent(AgentTranscript)]


@asynccontextmanager
async def talk(
    *functions: Callable[..., Any], options: ServerOptions = OPTIONS, send_results: str = "at-once"
) -> AsyncIterator[Talk]:
    """A session in which the agent has these functions."""
    server = VoiceAgentServer(options)
    tools = tuple(declare(function, "here") for function in functions)
    frames = Channel[MicrophoneFrame]("m", capacity=1, unit="frames", full=Full.WAIT, because="none comes")
    orders = Channel[SessionOrder]("o", capacity=1, unit="orders", full=Full.WAIT, because="one comes")
    requests = Channel[ClientMessage]("r", capacity=16, unit="messages", full=Full.WAIT, because="as wired")
    service = Channel[ApiEvent]("s", capacity=1, unit="events", full=Full.DROP_OLDEST, because="nobody reads")
    events = Channel[ToolEvent]("t", capacity=256, unit="events", full=Full.FAIL, because="as wired")
    unread, microphone = service.receiver(), frames.sender()
    orders.sender().send_nowait(BeginSession())
    taps = Taps()
    async with trio.open_nursery() as nursery:

        async def dial(url: str) -> trio.abc.Stream:
            near, far = memory_stream_pair()
            nursery.start_soon(server.serve_stream, far)
            return near

        config = SessionSettings(greeting=None, tools=tuple(one.as_wire() for one in tools))
        session = ApiSession(
            ApiAccount("ws://127.0.0.1:1/v1/ws", api_key=Secret("a-key-0123456789")),
            ApiSettings(session=config),
            frames.receiver(),
            orders.receiver(),
            requests.receiver(),
            taps.tap("session"),
            service.sender(),
            events.sender(),
            taps,
            dial,
        )
        settings = ToolSettings(functions=tools, send_results=send_results)
        nursery.start_soon(session.run)
        nursery.start_soon(
            ToolRunner(settings, events.receiver(), taps.tap("tools"), requests.sender(), taps).run
        )
        found = Talk(server)
        await found.until(SessionUpdate)
        await trio.sleep(2)
        yield found
        nursery.cancel_scope.cancel()
        unread.close()
        microphone.close()


@pytest.mark.parametrize("send_results", ["at-once", "after-reply"])
async def test_a_function_is_declared_called_and_its_result_said(
    send_results: str, autojump_clock: MockClock
) -> None:
    async def order_status(order_id: str) -> dict[str, str]:
        """The status of an order."""
        return {"state": f"{order_id} is shipped"}

    async with talk(order_status, send_results=send_results) as found:
        await found.ask("Where is order 4471?")
        await found.until(ReplyDone, 2)
        assert found.said()[-1] == "Order status says: state 4471 is shipped."
        (result,) = found.received(ToolResult)
        assert not result.is_error


async def test_a_failure_is_apologised_for_in_its_own_words(autojump_clock: MockClock) -> None:
    async def order_status(order_id: str) -> None:
        """The status of an order."""
        raise ValueError("there is no such order")

    async with talk(order_status) as found:
        await found.ask("Where is order 4471?")
        await found.until(ReplyDone, 2)
        assert "there is no such order" in found.said()[-1]
        assert "failed" in found.said()[-1]


async def test_our_error_comes_before_the_services_apology(autojump_clock: MockClock) -> None:
    @tool(timeout_seconds=5)
    async def order_status(order_id: str) -> None:
        """The status of an order."""
        await trio.sleep_forever()

    async with talk(order_status) as found:
        await found.ask("Where is order 4471?")
        await found.until(ReplyDone, 2)
        assert "took longer than 4.5 s" in found.said()[-1]


async def test_the_result_of_a_turn_that_the_person_interrupts_is_not_sent(autojump_clock: MockClock) -> None:
    ended: list[str] = []

    async def order_status(order_id: str) -> str:
        """The status of an order."""
        try:
            await trio.sleep(1)
        finally:
            ended.append(order_id)
        return "shipped"

    async with talk(order_status) as found:
        await found.ask("Where is order 4471?")
        await found.until(ToolCall)
        await found.until(ReplyAudio, 5)
        await found.server.hear(SpeechOnset())
        await found.server.hear(TurnEnded("What is two plus two?"))
        await trio.sleep(20)
        assert found.received(ToolResult) == []
        assert found.said()[-1] == "2 plus 2 is 4."
        assert ended == ["4471"]


async def test_a_result_of_before_the_drop_reaches_the_resumed_session(autojump_clock: MockClock) -> None:
    async def order_status(order_id: str) -> str:
        """The status of an order."""
        await trio.sleep(4)
        return "shipped"

    async with talk(order_status) as found:
        await found.ask("Where is order 4471?")
        await found.until(ToolCall)
        await found.until(ReplyDone)
        await found.server.drop_connections()
        await found.until(SessionResume)
        await found.until(ToolResult)
        await found.until(ReplyDone, 2)
        assert found.said()[-1] == "Order status says: shipped."


async def test_a_tool_that_the_service_runs_itself_is_not_answered(autojump_clock: MockClock) -> None:
    options = attrs.evolve(OPTIONS, faults=Faults(http_tool_call=True))
    async with talk(options=options) as found:
        await found.ask("What is two plus two?")
        await found.until(ToolCall)
        await found.until(ReplyDone)
        await trio.sleep(200)
        assert found.received(ToolResult) == []


async def test_a_session_gives_the_service_no_tools_where_there_are_none(autojump_clock: MockClock) -> None:
    async with talk() as found:
        (update,) = found.received(SessionUpdate)
        assert "tools" not in update.session
