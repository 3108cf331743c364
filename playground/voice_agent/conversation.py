"""Who speaks when: what was heard and what was asked for, turned into the events of the protocol.

The order of the events is the live service's (protocol reference, 7.2 and 7.3). An onset while a reply is
on its way is the interruption: `input.speech.started`, the text that was heard, `reply.done`, at once. A
turn that turns out to be no speech gets no answer.

A tool's result makes a reply of its own. It waits while the person speaks; when its tool has taken longer
than it may, or the reply that asked for it was interrupted, nobody waits for it any more.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Literal

import attrs
import trio

from channels.wire.events import (
    SpeechStarted,
    SpeechStopped,
    ToolCall,
    UserTranscript,
    UserTranscriptDelta,
)
from channels.wire.messages import ReplyCreate, ToolResult
from playground.brain import Brain, CallTool, Thought
from playground.ears import HearingEvent, PartialWords, SpeechOnset, TurnEnded
from playground.voice_agent.mouth import Mouth
from playground.voice_agent.options import ServerOptions
from playground.voice_agent.outlet import Outlet
from playground.voice_agent.replies import Reply
from playground.voice_agent.session_config import SessionConfig
from playground.voice_agent.sound_io import Downlink
from playground.voice_agent.speech import Voice
from playground.voice_agent.tones import CannedVoice

__all__ = ["Conversation", "is_back_channel"]

_MOST_CALLS = 100
_TOOL_S = 120
"""The time that a tool has which the session does not declare (a test's)."""

_BACK_CHANNELS = frozenset(
    "ah aha hm hmm huh mhm mm mmhm mmhmm mmm oh okay ok right uh uhhuh um yeah yep".split()
)


def is_back_channel(text: str) -> bool:
    """Whether these words only say "I am listening" (or are none): no reason to stop talking. Pure."""
    words = re.findall(r"[a-z]+", text.lower().replace("-", "").replace("'", ""))
    return all(word in _BACK_CHANNELS for word in words)


@attrs.frozen
class _Called:
    call: CallTool
    reply_id: str | None
    """The reply in which it was asked for."""


@attrs.frozen
class _Returned:
    call: CallTool
    result: str
    is_error: bool


class Conversation:
    """The turns of one session.

    Args:
        config: gives the configuration that holds now.
        brain: thinks.
        voice: speaks.
        mouth: takes the replies.
        outlet: where events go.
        options: of the server.
        later: lets `give_up` be called with a call's id after so many seconds.
    """

    def __init__(
        self,
        config: Callable[[], SessionConfig],
        brain: Brain,
        voice: Voice,
        mouth: Mouth,
        outlet: Outlet,
        options: ServerOptions,
        later: Callable[[float, str], None],
    ) -> None:
        self._config = config
        self._brain = brain
        self._later = later
        self._voice = voice if options.canned_reply is None else CannedVoice(options.canned_reply)
        self._mouth = mouth
        self._outlet = outlet
        self._options = options
        self._downlink = Downlink(config().output.format)
        self._turn: str | None = None
        """`item_id` of the person's turn that is open."""
        self._brief = False
        """Whether somebody said something short while a reply was spoken, and nobody knows what yet."""
        self._calls: dict[str, _Called] = {}
        """Tool calls that wait for their result, by id."""
        self._returned: list[_Returned] = []
        """What tools returned while the person spoke."""

    def greet(self) -> None:
        """Says the greeting, if there is one."""
        greeting = self._config().greeting
        if greeting:
            self._say("greeting", _one(greeting), delay_ms=self._options.preamble_ms)

    async def hear(self, event: HearingEvent) -> None:
        """Takes what the ears heard."""
        match event:
            case SpeechOnset(brief=brief):
                await self._onset(brief)
            case PartialWords(text=text):
                if self._turn is not None:
                    await self._outlet.send(UserTranscriptDelta(text, self._turn))
            case TurnEnded(text=text):
                if self._brief and not is_back_channel(text):
                    self._brief = False
                    await self._onset(brief=False)
                turn, self._turn, self._brief = self._turn, None, False
                if turn is None:
                    return  # a cough, or it began while nobody could interrupt: discarded, not queued
                await self._outlet.send(SpeechStopped())
                if text.strip():
                    await self._outlet.send(UserTranscript(text, turn))
                    self._say("turn", self._brain.answer(text))
                self._say_returned()

    async def create(self, message: ReplyCreate) -> None:
        """An agent turn that the application asked for."""
        if self._options.reply_create_while_speaking == "replace":
            await self.interrupt()
        delay_ms = self._options.preamble_ms
        self._say("request", self._brain.instruct(message.instructions or ""), delay_ms=delay_ms)

    async def cancel(self, reply_id: str) -> None:
        """Cuts a reply, if it is the one that is being spoken."""
        if self._mouth.reply is not None and self._mouth.reply.reply_id == reply_id:
            await self.interrupt()

    async def interrupt(self) -> None:
        """Cuts the reply, if there is one."""
        stopped = await self._mouth.stop()
        if stopped is not None:
            reply, events = stopped
            self._forget_calls_of(reply)
            await self._outlet.send(*events)
            await self._send_late(reply)

    async def drop_reply(self) -> None:
        """Forgets the reply, with no events."""
        await self._mouth.stop()

    async def call(self, call: CallTool, reply_id: str | None = None) -> None:
        """Asks the client to run a tool.

        Args:
            call: of the tool.
            reply_id: the reply in which the brain asked for it.
        """
        if len(self._calls) < _MOST_CALLS:
            self._calls[call.call_id] = _Called(call, reply_id)
            self._later(self._patience_s(call.name), call.call_id)
        await self._outlet.send(ToolCall(call.call_id, call.name, call.arguments))

    def forget_calls(self) -> None:
        """Results of earlier calls are ignored from now on."""
        self._calls.clear()

    def take_result(self, result: ToolResult) -> None:
        """Says what a tool returned. One that nobody waits for is ignored, as a late one is."""
        called = self._calls.pop(result.call_id, None)
        if called is not None:
            self._take(_Returned(called.call, result.result, result.is_error))

    def give_up(self, call_id: str) -> None:
        """Says that a tool took too long, if it has not returned yet."""
        called = self._calls.pop(call_id, None)
        if called is not None:
            waited = f"it gave no answer within {self._patience_s(called.call.name)} seconds"
            self._take(_Returned(called.call, waited, is_error=True))

    def _take(self, returned: _Returned) -> None:
        self._returned.append(returned)
        if self._turn is None:
            self._say_returned()

    def _say_returned(self) -> None:
        for returned in self._returned:
            reply_id = f"fc-{returned.call.call_id}" if self._options.names_tool_replies else None
            thoughts = self._brain.tool_returned(returned.call, returned.result, is_error=returned.is_error)
            self._say("tool", thoughts, reply_id=reply_id)
        self._returned.clear()

    def _patience_s(self, tool: str) -> int:
        declared = (one["timeout_seconds"] for one in self._config().tools if one["name"] == tool)
        return next(declared, _TOOL_S)

    def _forget_calls_of(self, reply: Reply) -> None:
        # The client drops their results (protocol reference, 7.3), so nobody may wait for them.
        self._calls = {key: one for key, one in self._calls.items() if one.reply_id != reply.reply_id}

    async def _onset(self, brief: bool) -> None:
        self._brief = False
        detection = self._config().input.turn_detection or {}
        reply = self._mouth.reply
        protected = detection.get("uninterruptible_turns", ())
        if reply is not None and reply.why == "greeting" and "greeting" in protected:
            return
        if brief and reply is not None:
            self._brief = True  # too short to interrupt by its sound: its words will decide
            return
        self._turn = _id("msg")
        if not detection.get("interrupt_response", True):
            await self._outlet.send(SpeechStarted())
            return
        stopped = await self._mouth.stop()
        events = () if stopped is None else stopped[1]
        if stopped is not None:
            self._forget_calls_of(stopped[0])
        await self._outlet.send(SpeechStarted(), *events)
        if stopped is not None:
            await self._send_late(stopped[0])

    async def _send_late(self, reply: Reply) -> None:
        late_ms = self._options.faults.late_audio_ms
        if late_ms:
            await self._outlet.send(reply.late_audio(late_ms))

    def _say(
        self,
        why: Literal["greeting", "turn", "request", "tool"],
        thoughts: AsyncGenerator[Thought, None],
        *,
        reply_id: str | None = None,
        delay_ms: int = 0,
    ) -> None:
        if self._options.canned_reply is not None:
            thoughts = _joined(thoughts)
        name = reply_id or _id("resp")
        reply = Reply(
            name,
            _id("msg"),
            why,
            thoughts,
            self._voice,
            self._downlink,
            lambda: self._config().output.volume,
            self._options,
            self._outlet.send,
            delay_ms,
            lambda call: self.call(call, name),
        )
        self._mouth.say(reply)


async def _one(text: str) -> AsyncGenerator[str, None]:
    await trio.lowlevel.checkpoint()
    yield text


async def _joined(thoughts: AsyncGenerator[Thought, None]) -> AsyncGenerator[Thought, None]:
    async with aclosing(thoughts):
        said: list[str] = []
        async for thought in thoughts:
            if isinstance(thought, CallTool):
                yield thought
            else:
                said.append(thought)
        yield " ".join(said)


def _id(kind: str) -> str:
    return f"{kind}_{secrets.token_hex(16)}"
