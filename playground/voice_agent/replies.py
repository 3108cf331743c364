"""A reply's life: `reply.started`, its sound at the pace that was asked for, its words, its end.

Sentences come from a brain, one by one; a voice says each while the one before it is being sent. A tool
that the brain wants to be run is asked for inside the reply, without waiting for the mouth.
`Timeline` knows, by the server's own pacing, how much of the sound a client will have played: that is all
the service can know, since the protocol has no report of it, and what an interruption cuts the text to.

`run` ends after `reply.done`. When it is cancelled it sends nothing more, and `cut` gives the two events
that the protocol wants then.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Literal

import attrs
import trio

from channels.wire.events import (
    AgentTranscript,
    AgentTranscriptDelta,
    ReplyAudio,
    ReplyDone,
    ReplyFailed,
    ReplyStarted,
    ServerEvent,
    ToolCall,
)
from playground.brain import CallTool, Thought
from playground.voice_agent.connection import Outgoing, RawFrame
from playground.voice_agent.options import Burst, Pacing, RealTime, ServerOptions, Times
from playground.voice_agent.sound_io import Downlink
from playground.voice_agent.speech import Voice, Word

__all__ = ["HTTP_TOOL_NAME", "Reply", "Timeline", "due_s"]

HTTP_TOOL_NAME = "service_side_lookup"
"""The tool that the fault `http_tool_call` announces."""


def due_s(pacing: Pacing, at_ms: float) -> float:
    """When sound at `at_ms` of a reply is to be sent, in seconds from the reply's first chunk. Pure."""
    match pacing:
        case RealTime():
            return at_ms / 1000
        case Times(k=k):
            return at_ms / 1000 / k
        case Burst():
            return 0.0


@attrs.define
class Timeline:
    """How much of a reply was sent, and how much of that has been played if it plays on arrival. Pure."""

    sent_ms: float = 0.0
    _plays_until_s: float = 0.0

    def send(self, ms: float, now_s: float) -> None:
        """So much more was sent: it plays after what was sent before, or at once."""
        self.sent_ms += ms
        self._plays_until_s = max(self._plays_until_s, now_s) + ms / 1000

    def left_s(self, now_s: float) -> float:
        """How long the rest plays."""
        return max(0.0, self._plays_until_s - now_s)

    def heard_ms(self, now_s: float) -> float:
        """How much has been played."""
        return max(0.0, self.sent_ms - self.left_s(now_s) * 1000)


@attrs.frozen
class _Spoken:
    text: str
    pcm: bytes
    """In the wire's rate."""
    words: tuple[Word, ...]


@attrs.frozen
class _Placed:
    text: str
    start_ms: float
    """From the reply's first sample, as is the end."""
    end_ms: float


async def _no_tools(call: CallTool) -> None:
    raise AssertionError(f"nobody here can run {call.name}")


@attrs.define(eq=False)
class Reply:
    """One reply.

    Args:
        reply_id: on the wire.
        item_id: on the wire.
        why: what made it; greetings are words without a trailing blank, and may be uninterruptible.
        thoughts: what to say, and which tools to call meanwhile.
        voice: who says it.
        downlink: the wire's format.
        volume: gives the volume to use from now on.
        options: of the server.
        send: sends an event.
        delay_ms: passes before `reply.started`.
        call: asks the client to run a tool.
    """

    reply_id: str
    item_id: str
    why: Literal["greeting", "turn", "request", "tool"]
    _thoughts: AsyncGenerator[Thought, None]
    _voice: Voice
    _downlink: Downlink
    _volume: Callable[[], float | None]
    _options: ServerOptions
    _send: Callable[[Outgoing], Awaitable[None]]
    _delay_ms: int = 0
    _call: Callable[[CallTool], Awaitable[None]] = _no_tools
    _started: bool = attrs.field(default=False, init=False)
    timeline: Timeline = attrs.field(factory=Timeline, init=False)
    done: bool = attrs.field(default=False, init=False)
    """Whether `reply.done` was sent, or is just being sent."""
    _base_s: float = attrs.field(default=0.0, init=False)
    """When the reply's first sample was due, as if nothing had been late."""
    _rest: bytes = attrs.field(default=b"", init=False, repr=False)
    _last: bytes = attrs.field(default=b"", init=False, repr=False)
    _said: list[str] = attrs.field(factory=list, init=False)
    _words: list[_Placed] = attrs.field(factory=list, init=False)

    async def run(self) -> None:
        """Says it all. Raises what the voice, the brain or `send` raise."""
        faults = self._options.faults
        await trio.sleep(self._delay_ms / 1000)
        await self._send(ReplyStarted(self.reply_id, self.item_id))
        self._started = True
        if faults.unknown_event:
            await self._send(RawFrame('{"type":"reply.mood","mood":"calm"}'))
        if faults.http_tool_call:
            await self._send(ToolCall(f"http-{self.reply_id}", HTTP_TOOL_NAME, {}))
        if faults.reply_error is not None:
            await self._fail(followed_by_done=faults.reply_error == "with_done")
            return
        silence = bytes(self._options.leading_silence_ms * self._downlink.samples_per_ms * 2)
        # One sentence ahead: the voice is some 100 times faster than the mouth.
        to_mouth, from_voice = trio.open_memory_channel[_Spoken](1)
        async with trio.open_nursery() as nursery, from_voice:
            nursery.start_soon(self._synthesise, to_mouth)
            await self._play(_Spoken("", silence, ()))
            async for spoken in from_voice:
                await self._play(spoken)
        if self._options.done_after == "played":
            await trio.sleep(self.timeline.left_s(trio.current_time()))
        else:
            await trio.sleep_until(self._due_s())
        # Whoever interrupts now is too late, even if the client is slow to take these two: every reply
        # that was started is ended, once. A client that takes nothing is closed, which ends the wait.
        self.done = True
        with trio.CancelScope(shield=True):
            if not faults.silent_replies:
                await self._send(AgentTranscript(self.text, self.reply_id, self.item_id, interrupted=False))
            await self._send(ReplyDone(self.reply_id, "completed"))

    async def _fail(self, *, followed_by_done: bool) -> None:
        self.done = True
        await self._thoughts.aclose()
        with trio.CancelScope(shield=True):
            failed = ReplyFailed(
                self.reply_id, "llm_provider_error", "The model failed", retryable=True, status_code=503
            )
            await self._send(failed)
            if followed_by_done:
                await self._send(ReplyDone(self.reply_id, "failed"))

    @property
    def text(self) -> str:
        """All that was said so far."""
        return " ".join(self._said)

    def heard_text(self, now_s: float) -> str:
        """The words whose sound has been played to its end, by the timeline."""
        heard_ms = self.timeline.heard_ms(now_s)
        return " ".join(word.text for word in self._words if word.end_ms <= heard_ms)

    def cut(self, now_s: float) -> tuple[ServerEvent, ...]:
        """The events that end an interrupted reply, after `run` was cancelled.

        Nothing if it was done, or if nobody knew of it yet.
        """
        if self.done or not self._started:
            return ()
        self.done = True
        return (
            AgentTranscript(self.heard_text(now_s), self.reply_id, self.item_id, interrupted=True),
            ReplyDone(self.reply_id, "interrupted"),
        )

    def late_audio(self, ms: int) -> ReplyAudio:
        """Sound that was on its way when the reply was cut: a fault that clients guard against."""
        late = (self._rest or self._last)[: ms * self._downlink.samples_per_ms * 2]
        return ReplyAudio(self._downlink.encode(late, self._volume()), self.reply_id)

    async def _synthesise(self, to_mouth: trio.MemorySendChannel[_Spoken]) -> None:
        async with to_mouth, aclosing(self._thoughts) as thoughts:
            async for thought in thoughts:
                if isinstance(thought, CallTool):
                    await self._call(thought)  # at once: it runs while this reply is still being said
                    continue
                utterance = await self._voice.say(thought)
                pcm = self._downlink.convert(utterance.pcm)
                await to_mouth.send(_Spoken(thought, pcm, tuple(utterance.words)))

    async def _play(self, spoken: _Spoken) -> None:
        silent = self._options.faults.silent_replies
        start_ms = self.timeline.sent_ms
        if spoken.text:
            self._said.append(spoken.text)
        words = [] if silent else [self._placed(word, start_ms) for word in spoken.words]
        self._words += words
        # A voice that was late moves the rest back; what one chunk is late by, the next makes up for.
        self._base_s = max(self._base_s, trio.current_time() - due_s(self._options.pacing, start_ms))
        pcm = bytes(len(spoken.pcm)) if silent else spoken.pcm
        per_ms = self._downlink.samples_per_ms * 2
        size = max(1, round(self._options.chunk_ms * self._downlink.samples_per_ms)) * 2
        self._last = pcm or self._last
        for start in range(0, len(pcm), size):
            await trio.sleep_until(self._due_s())
            chunk, self._rest = pcm[start : start + size], pcm[start + size :]
            self.timeline.send(len(chunk) / per_ms, trio.current_time())
            await self._send(ReplyAudio(self._downlink.encode(chunk, self._volume()), self.reply_id))
            while words and (self._options.deltas == "burst" or words[0].start_ms < self.timeline.sent_ms):
                await self._send(self._delta(words.pop(0)))

    def _due_s(self) -> float:
        return self._base_s + due_s(self._options.pacing, self.timeline.sent_ms)

    def _placed(self, word: Word, start_ms: float) -> _Placed:
        return _Placed(word.text, start_ms + word.start_ms, start_ms + word.end_ms)

    def _delta(self, word: _Placed) -> AgentTranscriptDelta:
        # As recorded: the words of a greeting come bare, those of a model with a trailing blank.
        text = word.text if self.why == "greeting" else f"{word.text} "
        start_ms, end_ms = round(word.start_ms), round(word.end_ms)
        return AgentTranscriptDelta(text, self.reply_id, self.item_id, start_ms, end_ms)
