"""Who speaks when: what was heard and what was asked for, turned into the events of the protocol.

The order of the events is the live service's (protocol reference, 7.2 and 7.3). An onset while a reply is
on its way is the interruption: `input.speech.started`, the text that was heard, `reply.done`, at once. A
turn that turns out to be no speech gets no answer.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Literal

import trio

from channels.wire.events import (
    SpeechStarted,
    SpeechStopped,
    ToolCall,
    UserTranscript,
    UserTranscriptDelta,
)
from channels.wire.messages import ReplyCreate, ToolResult
from playground.brain import Brain
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

_BACK_CHANNELS = frozenset(
    "ah aha hm hmm huh mhm mm mmhm mmhmm mmm oh okay ok right uh uhhuh um yeah yep".split()
)


def is_back_channel(text: str) -> bool:
    """Whether these words only say "I am listening" (or are none): no reason to stop talking. Pure."""
    words = re.findall(r"[a-z]+", text.lower().replace("-", "").replace("'", ""))
    return all(word in _BACK_CHANNELS for word in words)


class Conversation:
    """The turns of one session.

    Args:
        config: gives the configuration that holds now.
        brain: thinks.
        voice: speaks.
        mouth: takes the replies.
        outlet: where events go.
        options: of the server.
    """

    def __init__(
        self,
        config: Callable[[], SessionConfig],
        brain: Brain,
        voice: Voice,
        mouth: Mouth,
        outlet: Outlet,
        options: ServerOptions,
    ) -> None:
        self._config = config
        self._brain = brain
        self._voice = voice if options.canned_reply is None else CannedVoice(options.canned_reply)
        self._mouth = mouth
        self._outlet = outlet
        self._options = options
        self._downlink = Downlink(config().output.format)
        self._turn: str | None = None
        """`item_id` of the person's turn that is open."""
        self._brief = False
        """Whether somebody said something short while a reply was spoken, and nobody knows what yet."""
        self._calls: dict[str, str] = {}
        """Tool calls that wait for their result, by id: the tool's name."""

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
            await self._outlet.send(*events)
            await self._send_late(reply)

    async def drop_reply(self) -> None:
        """Forgets the reply, with no events."""
        await self._mouth.stop()

    async def call(self, call: ToolCall) -> None:
        """Asks the client to run a tool."""
        if len(self._calls) < _MOST_CALLS:
            self._calls[call.call_id] = call.name
        await self._outlet.send(call)

    def forget_calls(self) -> None:
        """Results of earlier calls are ignored from now on."""
        self._calls.clear()

    def take_result(self, result: ToolResult) -> None:
        """Says what a tool returned. One that nobody waits for is ignored, as a late one is."""
        name = self._calls.pop(result.call_id, None)
        if name is None:
            return
        text = f"{name} failed: {result.result}" if result.is_error else f"{name} says: {result.result}"
        reply_id = f"fc-{result.call_id}" if self._options.names_tool_replies else None
        self._say("tool", self._brain.instruct(text), reply_id=reply_id)

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
        sentences: AsyncGenerator[str, None],
        *,
        reply_id: str | None = None,
        delay_ms: int = 0,
    ) -> None:
        if self._options.canned_reply is not None:
            sentences = _joined(sentences)
        reply = Reply(
            reply_id or _id("resp"),
            _id("msg"),
            why,
            sentences,
            self._voice,
            self._downlink,
            lambda: self._config().output.volume,
            self._options,
            self._outlet.send,
            delay_ms,
        )
        self._mouth.say(reply)


async def _one(text: str) -> AsyncGenerator[str, None]:
    await trio.lowlevel.checkpoint()
    yield text


async def _joined(sentences: AsyncGenerator[str, None]) -> AsyncGenerator[str, None]:
    async with aclosing(sentences):
        yield " ".join([sentence async for sentence in sentences])


def _id(kind: str) -> str:
    return f"{kind}_{secrets.token_hex(16)}"
