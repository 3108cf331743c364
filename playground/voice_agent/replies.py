"""A reply's life: `reply.started`, thinking, its sound at the pace that was asked for, its words, its end.

Sentences come from a brain, one by one; a voice says each while the one before it is being sent. A tool
that the brain wants to be run is asked for inside the reply, without waiting for the mouth.
Until its first audible sound it can be given other thoughts (`rethink`): the person went on with a sentence
that had seemed to be over. Before that sound it waits at a gate, which is closed while the person speaks.

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
from playground.voice_agent.gate import Gate
from playground.voice_agent.options import ServerOptions
from playground.voice_agent.pacing import Timeline, due_s
from playground.voice_agent.sound_io import Downlink
from playground.voice_agent.speech import Voice, Word

__all__ = ["HTTP_TOOL_NAME", "Reply"]

HTTP_TOOL_NAME = "service_side_lookup"
"""The tool that the fault `http_tool_call` announces."""


_FINAL_EARLY_MS = 400
"""How long before `reply.done` the final transcript comes: 310 to 500 were recorded."""


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
    raise AssertionError(f"nothing here can run {call.name}")


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
        gate: it waits there before its first audible sound.
        answers: what the person said, if it is the answer to that.
        empty: nothing comes of it but its start and its end.
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
    _gate: Gate = attrs.field(factory=Gate)
    answers: str = ""
    empty: bool = False
    audible: bool = attrs.field(default=False, init=False)
    """Whether more than silence has been sent."""
    _called: bool = attrs.field(default=False, init=False)
    _attempt: trio.CancelScope | None = attrs.field(default=None, init=False)
    _other_thoughts: AsyncGenerator[Thought, None] | None = attrs.field(default=None, init=False)
    _thought_of_all: bool = attrs.field(default=False, init=False)
    """Nothing more comes from the voice."""
    _final_sent: bool = attrs.field(default=False, init=False)
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
        if self.empty:
            await self._thoughts.aclose()
        else:
            await self._say()
        # Whoever interrupts now is too late, even if the client is slow to take these two: every reply
        # that was started is ended, once. A client that takes nothing is closed, which ends the wait.
        self.done = True
        with trio.CancelScope(shield=True):
            ends = self._options.ends_transcript
            if ends in ("early", "with_done"):
                await self._send_final()
            await self._send(ReplyDone(self.reply_id, "completed"))
            if ends == "late":
                await self._send_final()

    @property
    def can_rethink(self) -> bool:
        """Whether it answers a person, and nobody has noticed anything of it yet."""
        return self.why == "turn" and not (self.audible or self._called or self.empty or self.done)

    def rethink(self, thoughts: AsyncGenerator[Thought, None], answers: str) -> None:
        """Says this instead. Only while it `can_rethink`.

        Args:
            thoughts: what to say, and which tools to call meanwhile.
            answers: all that the person said.
        """
        self.answers = answers
        if self._attempt is None:
            self._thoughts = thoughts
        else:
            self._other_thoughts = thoughts
            self._attempt.cancel()

    async def _say(self) -> None:
        while True:
            with trio.CancelScope() as self._attempt:
                await self._say_thoughts()
            if self._other_thoughts is None:
                return
            self._thoughts, self._other_thoughts = self._other_thoughts, None
            self._thought_of_all = False
            self._said.clear()

    async def _say_thoughts(self) -> None:
        silence = bytes(self._options.leading_silence_ms * self._downlink.samples_per_ms * 2)
        # One sentence ahead: the voice is some 100 times faster than the mouth.
        to_mouth, from_voice = trio.open_memory_channel[_Spoken](1)
        async with trio.open_nursery() as nursery, from_voice:
            nursery.start_soon(self._synthesise, to_mouth)
            await self._think()
            await self._gate.passed()
            await self._play(_Spoken("", silence, ()), from_voice)
            async for spoken in from_voice:
                if not self.audible:
                    await self._gate.passed()
                await self._play(spoken, from_voice)
        if self._options.done_after == "played":
            await trio.sleep(self.timeline.left_s(trio.current_time()))
        else:
            await trio.sleep_until(self._due_s())

    async def _think(self) -> None:
        delays = self._options.delays
        ms = {"greeting": delays.greeting_ms, "request": 0}.get(self.why, delays.thinking_ms)
        if self._options.thinking == "silence":
            size = ms * self._downlink.samples_per_ms * 2
            # At the pace of the clock, whatever the reply's: a model does not think faster for that.
            for start in range(0, size, self._chunk_bytes):
                chunk = bytes(min(self._chunk_bytes, size - start))
                await self._send_chunk(chunk)
                await trio.sleep(len(chunk) / (self._downlink.samples_per_ms * 2000))
        else:
            await trio.sleep(ms / 1000)

    async def _send_final(self) -> None:
        if not (self._final_sent or self.empty or self._options.faults.silent_replies):
            self._final_sent = True
            await self._send(AgentTranscript(self.text, self.reply_id, self.item_id, interrupted=False))

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

    def cut(
        self, now_s: float, status: Literal["interrupted", "completed"] = "interrupted"
    ) -> tuple[ServerEvent, ...]:
        """The events that end an interrupted reply, after `run` was cancelled.

        Nothing if it was done, or if nobody knew of it yet.
        """
        if self.done or not self._started:
            return ()
        self.done = True
        return (
            *self._unflagged(now_s),
            AgentTranscript(self.heard_text(now_s), self.reply_id, self.item_id, interrupted=True),
            ReplyDone(self.reply_id, status),
        )

    def _unflagged(self, now_s: float) -> tuple[ServerEvent, ...]:
        """The other final transcript of an interrupted reply, if there is one, and it is not out already."""
        how = self._options.interrupts.agent_transcripts
        heard_ms = self.timeline.heard_ms(now_s)
        heard = sum(word.end_ms <= heard_ms for word in self._words)
        if how == "one" or self._final_sent or not heard:
            return ()
        words = [word.text for word in self._words][: heard - 1 if how == "shorter_first" else heard + 2]
        if not words:
            return ()
        return (AgentTranscript(" ".join(words), self.reply_id, self.item_id, interrupted=False),)

    def late_audio(self, ms: int) -> ReplyAudio:
        """Sound that was on its way when the reply was cut: a fault that clients guard against."""
        late = (self._rest or self._last)[: ms * self._downlink.samples_per_ms * 2]
        return ReplyAudio(self._downlink.encode(late, self._volume()), self.reply_id)

    async def _synthesise(self, to_mouth: trio.MemorySendChannel[_Spoken]) -> None:
        async with to_mouth, aclosing(self._thoughts) as thoughts:
            async for thought in thoughts:
                if isinstance(thought, CallTool):
                    self._called = True
                    await self._call(thought)  # at once: it runs while this reply is still being said
                    continue
                utterance = await self._voice.say(thought)
                pcm = self._downlink.convert(utterance.pcm)
                await to_mouth.send(_Spoken(thought, pcm, tuple(utterance.words)))
            self._thought_of_all = True

    @property
    def _chunk_bytes(self) -> int:
        return max(1, round(self._options.chunk_ms * self._downlink.samples_per_ms)) * 2

    async def _play(self, spoken: _Spoken, behind: trio.MemoryReceiveChannel[_Spoken]) -> None:
        silent = self._options.faults.silent_replies
        start_ms = self.timeline.sent_ms
        if spoken.text:
            self._said.append(spoken.text)
        words = [] if silent else [self._placed(word, start_ms) for word in spoken.words]
        self._words += words
        # A voice that was late moves the rest back; what one chunk is late by, the next makes up for.
        self._base_s = max(self._base_s, trio.current_time() - due_s(self._options.pacing, start_ms))
        pcm = bytes(len(spoken.pcm)) if silent else spoken.pcm
        size = self._chunk_bytes
        self._last = pcm or self._last
        began_s: float | None = None
        for start in range(0, len(pcm), size):
            await trio.sleep_until(self._due_s())
            chunk, self._rest = pcm[start : start + size], pcm[start + size :]
            if spoken.text and not silent:
                self.audible = True
            await self._send_chunk(chunk)
            began_s = trio.current_time() if began_s is None else began_s
            # What is said in less time than its words take has them with its last sound.
            if not self._rest or trio.current_time() - began_s >= self._options.delays.deltas_ms / 1000:
                while words and (
                    self._options.deltas == "burst" or words[0].start_ms < self.timeline.sent_ms
                ):
                    await self._send(self._delta(words.pop(0)))
            left_ms = len(self._rest) / (self._downlink.samples_per_ms * 2)
            if left_ms <= _FINAL_EARLY_MS and spoken.text and self._is_last(behind):
                await self._send_final()

    async def _send_chunk(self, chunk: bytes) -> None:
        self.timeline.send(len(chunk) / (self._downlink.samples_per_ms * 2), trio.current_time())
        await self._send(ReplyAudio(self._downlink.encode(chunk, self._volume()), self.reply_id))

    def _is_last(self, behind: trio.MemoryReceiveChannel[_Spoken]) -> bool:
        """Whether the early final transcript may come: no sentence follows the one that is being said."""
        early = self._options.ends_transcript == "early"
        return early and self._thought_of_all and not behind.statistics().current_buffer_used

    def _due_s(self) -> float:
        return self._base_s + due_s(self._options.pacing, self.timeline.sent_ms)

    def _placed(self, word: Word, start_ms: float) -> _Placed:
        return _Placed(word.text, start_ms + word.start_ms, start_ms + word.end_ms)

    def _delta(self, word: _Placed) -> AgentTranscriptDelta:
        # As recorded: the words of a greeting come bare, those of a model with a trailing blank.
        text = word.text if self.why == "greeting" else f"{word.text} "
        start_ms, end_ms = round(word.start_ms), round(word.end_ms)
        return AgentTranscriptDelta(text, self.reply_id, self.item_id, start_ms, end_ms)
