"""Who speaks when: what was heard and what was asked for, turned into the events of the protocol.

Three machines decide, and this only does what they say: `persons_turn` (what is told of a person who speaks,
and what it does to a reply), `requests` (what becomes of a `reply.create`) and `tool_calls` (which results
are waited for). While the person speaks, the gate is closed: no reply begins to sound.

A tool's result makes a reply of its own. It waits while the person speaks; when its tool has taken longer
than it may, or the reply that asked for it was interrupted, nobody waits for it any more.

While the agent is silent, an answer is thought of (`drafts`) as soon as somebody may have finished. Whatever
else happens before they have, the brain takes it back.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Literal, TypeAlias

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
from channels.wire.session import TurnSettings
from playground.brain import Brain, CallTool, Thought
from playground.ears import HearingEvent, PartialWords, SpeechOnset, SpeechStirs, TurnEnded, TurnMayEnd
from playground.voice_agent.arrivals import Reminder, RestartDue, ToolOverdue, WordsDue
from playground.voice_agent.drafts import Drafts
from playground.voice_agent.faults import Mishaps
from playground.voice_agent.gate import Gate
from playground.voice_agent.mouth import Mouth
from playground.voice_agent.options import ServerOptions
from playground.voice_agent.outlet import Outlet
from playground.voice_agent.persons_turn import (
    Answered,
    Command,
    Cut,
    Delta,
    Joined,
    PersonsTurn,
    Released,
    Said,
    Scene,
    Started,
    Stopped,
    WaitForWords,
)
from playground.voice_agent.replies import Reply
from playground.voice_agent.requests import Fate, fate
from playground.voice_agent.session_config import ResolvedSession
from playground.voice_agent.sound_io import Downlink
from playground.voice_agent.speech import Voice
from playground.voice_agent.tones import CannedVoice
from playground.voice_agent.tool_calls import ToolCalls

__all__ = ["Conversation"]

_TOOL_S = 120
"""The time that a tool has which the session does not declare (a test's)."""
_DECISION_S = 0.008
"""From `input.speech.stopped` to `reply.done{interrupted}`: 6 to 12 ms were recorded."""

_Why: TypeAlias = Literal["greeting", "turn", "request", "tool"]


class Conversation:
    """The turns of one session.

    Args:
        config: gives the configuration that holds now.
        brain: thinks.
        voice: speaks.
        mouth: takes the replies.
        outlet: where events go.
        options: of the server.
        later: lets `remind` be called with this after so many seconds.
        beside: runs something in a task of its own.
        peak_since: gives the person's loudest sample since a time, as a fraction of full scale.
    """

    def __init__(
        self,
        config: Callable[[], ResolvedSession],
        brain: Brain,
        voice: Voice,
        mouth: Mouth,
        outlet: Outlet,
        options: ServerOptions,
        later: Callable[[float, Reminder], None],
        beside: Callable[[Callable[[], Awaitable[None]]], None],
        peak_since: Callable[[float], float],
    ) -> None:
        self._config = config
        self._brain = brain
        self._later = later
        self._voice = voice if options.canned_reply is None else CannedVoice(options.canned_reply)
        self._mouth = mouth
        self._outlet = outlet
        self._options = options
        self._downlink = Downlink(config().output.format)
        self._peak_since = peak_since
        self._how = options.interrupts
        delays = options.delays
        self._person = PersonsTurn(
            self._how, delays.first_word_ms / 1000, delays.first_word_over_reply_ms / 1000
        )
        self._turn = ""
        """`item_id` of the person's turn that is open, or was the latest."""
        self._gate = Gate()
        self._stirs = False
        """Whether somebody may have begun to speak, of which nothing was told yet."""
        self._calls = ToolCalls()
        self._restarts = False
        """Whether somebody spoke during a hold, and the answer to that tool is still to come."""
        self._beginnings: dict[str, list[str]] = {}
        """What the replies say that are to begin again, by their ids."""
        self._mishaps = Mishaps(options.faults)
        self._drafts = Drafts(brain, self._voice, beside)

    def greet(self) -> None:
        """Says the greeting, if there is one."""
        greeting = self._config().greeting
        if greeting:
            self._say("greeting", _one(greeting), delay_ms=self._options.preamble_ms)

    async def hear(self, event: HearingEvent) -> None:
        """Takes what the ears heard."""
        if isinstance(event, TurnMayEnd):
            self._think_ahead(event.text)
            return
        self._stirs = isinstance(event, SpeechStirs)
        match event:
            case SpeechStirs():
                # Somebody may be going on: an answer that nobody has heard yet can wait for that.
                if self._how.split_turns == "joined":
                    self._gate.close()
            case SpeechOnset(brief=brief, ago_ms=ago_ms):
                self._turn = _id("msg")
                scene = self._scene(trio.current_time() - ago_ms / 1000)
                await self._obey(self._person.begins(scene, brief=brief, ago_s=ago_ms / 1000))
            case PartialWords(text=text):
                self._drafts.goes_on(text)
                await self._obey(self._person.words(self._scene(), text))
            case TurnEnded(text=text, hummed=hummed):
                await self._obey(self._person.ends(self._scene(), text, hummed=hummed))
                self._drafts.turn_is_over()

    async def remind(self, reminder: Reminder) -> None:
        """Something that was to happen later is due."""
        match reminder:
            case ToolOverdue(call_id=call_id):
                tool = self._calls.name(call_id)
                if tool is not None:
                    self._drafts.forget()
                    waited = f"it gave no answer within {self._patience_s(tool)} seconds"
                    self._calls.returned(call_id, waited, is_error=True)
                    self._say_returned()
            case WordsDue(turn=turn):
                if turn == self._turn:
                    await self._obey(self._person.wake(self._scene()))
            case RestartDue(reply_id=reply_id):
                await self._restart(reply_id)

    async def create(self, message: ReplyCreate) -> None:
        """An agent turn that the application asked for."""
        reply = self._mouth.reply
        running: Literal["none", "result", "other"] = "none"
        if reply is not None:
            running = "result" if reply.why == "tool" and not reply.audible else "other"
        becomes = fate(
            self._options.request_policy,
            person_speaks=self._person.speaks,
            on_hold=self._calls.on_hold,
            reply=running,
        )
        if becomes is Fate.EMPTY:
            self._say("request", _one(""), empty=True, over=True)
            return
        if becomes is Fate.ENDS:
            await self.interrupt()
        thoughts = self._brain.instruct(message.instructions or "")
        self._say("request", thoughts, delay_ms=self._options.preamble_ms, over=becomes is Fate.COLLIDES)

    async def cancel(self, reply_id: str) -> None:
        """Cuts a reply, if it is the one that is being spoken."""
        if self._mouth.reply is not None and self._mouth.reply.reply_id == reply_id:
            await self.interrupt()

    async def interrupt(self) -> None:
        """Cuts the reply, if there is one."""
        await self._cut(around_started=False)

    async def drop_reply(self) -> None:
        """Forgets the reply, with no events."""
        await self._mouth.stop()
        self._drafts.give_up_taken()

    async def call(self, call: CallTool, reply_id: str | None = None) -> None:
        """Asks the client to run a tool.

        Args:
            call: of the tool.
            reply_id: the reply in which the brain asked for it.
        """
        hold = any(
            one["name"] == call.name and one["execution_mode"] == "hold" for one in self._config().tools
        )
        for number in range(self._options.faults.tool_calls_sent):
            sent = attrs.evolve(call, call_id=call.call_id if number == 0 else _id("call"))
            if self._calls.add(sent, reply_id, hold=hold, repeats=number > 0):
                self._later(self._patience_s(call.name), ToolOverdue(sent.call_id))
            await self._outlet.send(ToolCall(sent.call_id, sent.name, sent.arguments))

    def forget_calls(self) -> None:
        """Results of earlier calls are ignored from now on."""
        self._calls.forget()

    def take_result(self, result: ToolResult) -> None:
        """Says what a tool returned. One that nobody waits for is ignored, as a late one is."""
        self._drafts.forget()  # it was thought of without this
        self._calls.returned(result.call_id, result.result, is_error=result.is_error)
        self._say_returned()

    def _scene(self, began_s: float | None = None) -> Scene:
        turns = self._config().input.turn_detection or TurnSettings()
        reply = self._mouth.reply
        began_s = self._person.began_s if began_s is None else began_s
        return Scene(
            trio.current_time(),
            "none" if reply is None else "audible" if reply.audible else "unheard",
            may_cut=turns.interrupt_response is not False,
            protected=reply is not None
            and reply.why == "greeting"
            and "greeting" in (turns.uninterruptible_turns or ()),
            on_hold=self._calls.on_hold,
            loud=not self._how.from_peak
            or (began_s is not None and self._peak_since(began_s) >= self._how.from_peak),
        )

    async def _obey(self, commands: list[Command]) -> None:
        if self._person.speaks and self._how.split_turns == "joined":
            self._gate.close()
        for command in commands:
            match command:
                case Started():
                    await self._outlet.send(SpeechStarted())
                case Delta(text=text):
                    await self._outlet.send(UserTranscriptDelta(text, self._turn))
                case Stopped():
                    await self._outlet.send(SpeechStopped())
                case Said(text=text):
                    await self._outlet.send(UserTranscript(text, self._turn))
                case Cut(late=late, around_started=around_started):
                    if late:
                        await trio.sleep(_DECISION_S)
                    await self._cut(around_started=around_started)
                case WaitForWords(until_s=until_s):
                    self._later(until_s - trio.current_time(), WordsDue(self._turn))
                case Answered(text=text):
                    self._answer(text)
                case Joined(text=text):
                    self._join(text)
                case Released(restart=restart):
                    self._restarts = self._restarts or restart
                    self._say_returned()
        if not (self._person.speaks or self._stirs):
            self._gate.open()

    def _think_ahead(self, text: str) -> None:
        # A brain thinks of one thing at a time, and has to know first what was heard of the reply before, and
        # what a tool gave while the person spoke.
        busy = self._mouth.busy or self._calls.on_hold or self._calls.has_returned
        self._drafts.may_be_all(text, think=not busy and self._options.canned_reply is None)

    def forget_draft(self) -> None:
        """What the next answer depends on has changed."""
        self._drafts.forget()

    def _answer(self, text: str) -> None:
        draft = self._drafts.take(text)
        if draft is None:
            self._say("turn", self._brain.answer(text), answers=text)
        else:
            self._say("turn", draft, voice=draft, answers=text)

    def _join(self, text: str) -> None:
        reply = self._mouth.reply
        if reply is None or not reply.can_rethink:
            self._answer(text)
            return
        self._drafts.give_up_taken()
        both = f"{reply.answers} {text}"
        self._brain.take_back()
        reply.rethink(self._thoughts(self._brain.answer(both)), both)

    async def _cut(self, *, around_started: bool) -> None:
        stopped = await self._mouth.stop()
        self._drafts.give_up_taken()
        events = () if stopped is None else stopped[1]
        if stopped is not None:
            self._calls.forget_of(stopped[0].reply_id)
        if around_started:
            events = (*events[:-1], SpeechStarted(), *events[-1:])
        await self._outlet.send(*events)
        if stopped is not None:
            await self._send_late(stopped[0])

    def _say_returned(self) -> None:
        if self._person.speaks:
            return
        for returned in self._calls.take_returned():
            reply_id = f"fc-{returned.call.call_id}" if self._options.names_tool_replies else _id("resp")
            thoughts = self._brain.tool_returned(returned.call, returned.result, is_error=returned.is_error)
            if self._restarts:
                self._restarts = False
                said = self._beginnings[reply_id] = []
                thoughts = _noted(thoughts, said)
                begins_ms = self._options.delays.thinking_ms + self._how.restart_ms
                self._later(begins_ms / 1000, RestartDue(reply_id))
            self._say("tool", thoughts, reply_id=reply_id)

    async def _restart(self, reply_id: str) -> None:
        said = self._beginnings.pop(reply_id)
        reply = self._mouth.reply
        if reply is None or reply.reply_id != reply_id or not reply.audible:
            return  # it was shorter than that, or has been interrupted
        stopped = await self._mouth.stop("completed", all_of_it=False)
        if stopped is not None:
            await self._outlet.send(*stopped[1])
            self._say("tool", _all(said), first=True)

    def _patience_s(self, tool: str) -> int:
        declared = (one["timeout_seconds"] for one in self._config().tools if one["name"] == tool)
        return next(declared, _TOOL_S)

    async def _send_late(self, reply: Reply) -> None:
        late_ms = self._options.faults.late_audio_ms
        if late_ms:
            await self._outlet.send(reply.late_audio(late_ms))

    def _say(
        self,
        why: _Why,
        thoughts: AsyncGenerator[Thought, None],
        *,
        reply_id: str | None = None,
        voice: Voice | None = None,
        delay_ms: int = 0,
        answers: str = "",
        empty: bool = False,
        over: bool = False,
        first: bool = False,
    ) -> None:
        self._drafts.forget()  # for the brain, this comes first
        name = reply_id or _id("resp")
        reply = Reply(
            name,
            _id("msg"),
            why,
            self._thoughts(thoughts),
            voice or self._voice,
            self._downlink,
            lambda: self._config().output.volume,
            self._options,
            self._outlet.send,
            delay_ms,
            lambda call: self.call(call, name),
            self._gate,
            answers,
            empty or (why != "greeting" and self._mishaps.empties()),
        )
        if over:
            self._mouth.say_over(reply)
        elif first:
            self._mouth.say_first(reply)
        else:
            self._mouth.say(reply)

    def _thoughts(self, thoughts: AsyncGenerator[Thought, None]) -> AsyncGenerator[Thought, None]:
        return thoughts if self._options.canned_reply is None else _joined(thoughts)


async def _noted(thoughts: AsyncGenerator[Thought, None], said: list[str]) -> AsyncGenerator[Thought, None]:
    # All of it first: who breaks this off must know the whole.
    async with aclosing(thoughts):
        known = [thought async for thought in thoughts]
    said += [thought for thought in known if isinstance(thought, str)]
    for thought in known:
        yield thought


async def _all(texts: list[str]) -> AsyncGenerator[str, None]:
    await trio.lowlevel.checkpoint()
    for text in texts:
        yield text


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
