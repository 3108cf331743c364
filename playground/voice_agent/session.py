"""One session: a conversation that outlives its connections by thirty seconds.

Everything that concerns it arrives in one inbox, in order: messages of the client, what the ears heard,
the end of a reply, a connection that came or went. The actor takes one at a time, so it needs no locks.
Beside it run the ears, and a mouth that speaks at most one reply at a time.

Ends when the client ends it, when it expires, or when nobody took it up within the grace. When it is
cancelled, so are they; its connection is its owner's to close.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import trio

from channels.bounded import Channel, Full
from channels.wire.events import (
    ServerEvent,
    SessionEnded,
    SessionFailed,
    SessionReady,
    SessionUpdated,
    ToolCall,
)
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
from playground.brain import Brain, CallTool
from playground.ears import HearingEvent, PartialWords, SpeechOnset, SpeechStirs, TurnEnded, TurnMayEnd
from playground.voice_agent.accounts import Accounts, Admission
from playground.voice_agent.arrivals import (
    Arrival,
    Came,
    Deadline,
    Inject,
    Prepared,
    Reminder,
    RestartDue,
    ToolOverdue,
    Went,
    WordsDue,
)
from playground.voice_agent.config_refused import ConfigRefused
from playground.voice_agent.connection import ClientConnection, Goodbye, Outgoing, RawFrame
from playground.voice_agent.conversation import Conversation
from playground.voice_agent.hearing import Hearing, turn_detection
from playground.voice_agent.mouth import Mouth, ReplyOver
from playground.voice_agent.options import ServerOptions
from playground.voice_agent.outlet import Outlet
from playground.voice_agent.replies import HTTP_TOOL_NAME
from playground.voice_agent.session_config import ResolvedSession, configured
from playground.voice_agent.speech import Speech

__all__ = ["Session", "SessionClosed"]


class SessionClosed(Exception):
    """The session has ended: it takes no messages and no connections any more."""


class Session:
    """One session, from its first update on.

    Args:
        config: the first update's.
        admission: who began it.
        accounts: makes resume tokens.
        options: of the server.
        speech: gives ears and voices, once they are loaded.
        brain: thinks.
        clock: gives seconds since the epoch.
    """

    def __init__(
        self,
        config: ResolvedSession,
        admission: Admission,
        *,
        accounts: Accounts,
        options: ServerOptions,
        speech: Callable[[], Awaitable[Speech]],
        brain: Brain,
        clock: Callable[[], float],
    ) -> None:
        self.id = f"sess_{secrets.token_hex(16)}"
        self.owner = admission.owner
        self._config = config
        self._cap_s = admission.cap_s
        self._accounts = accounts
        self._options = options
        self._speech = speech
        self._brain = brain
        self._clock = clock
        inbox = Channel[Arrival](
            f"inbox of {self.id}",
            capacity=64,
            unit="messages",
            full=Full.WAIT,
            because="a message for a busy session can wait",
        )
        self._inbox = inbox.receiver()
        self._tell = inbox.sender()
        self._heard = inbox.sender()
        self._outlet = Outlet(keep=options.resume.replay_missed)
        detection = turn_detection(config.input, options.endpointing_ms)
        self._hearing = Hearing(config.input, detection, watch_rate=options.watches_rate)
        self._conversation: Conversation | None = None
        """None until the session is ready."""
        self._began_s = 0.0
        self._resume_token = ""
        self._expires_at = 0
        self._deadlines: dict[Deadline, float] = {}

    async def fail(self) -> None:
        """Tells whoever is there that the session has crashed."""
        failed = SessionFailed("internal_error", "Internal error", None, self.id)
        await self._outlet.send(failed, Goodbye(1011))

    async def attach(self, connection: ClientConnection) -> None:
        """A connection begins the session, or takes it up.

        Raises:
            SessionClosed: there is nothing to take up any more.
        """
        await self._arrive(Came(connection))

    async def detach(self, connection: ClientConnection) -> None:
        """A connection is gone.

        Raises:
            SessionClosed: so is the session.
        """
        await self._arrive(Went(connection))

    async def take(self, message: ClientMessage | HearingEvent) -> None:
        """Something the client sent, or somebody heard.

        Raises:
            SessionClosed: nobody is interested any more.
        """
        await self._arrive(message)

    async def inject(self, event: ServerEvent) -> None:
        """Sends an event as if the service had thought of it; a `ToolCall` may then be answered.

        Raises:
            SessionClosed: there is nobody to send it to.
        """
        await self._arrive(Inject(event))

    async def run(self) -> None:
        """Converses until the session is over."""
        self._began_s = trio.current_time()
        async with self._inbox, trio.open_nursery() as nursery:
            mouth = Mouth(nursery, self._tell.send, self._brain.heard_of_me)
            nursery.start_soon(self._prepare)
            while True:
                arrival = await self._next()
                match arrival:
                    case Deadline() | SessionEnd():
                        await self._end(arrival)
                        break
                    case Prepared():
                        await self._begin(arrival, nursery, mouth)
                    case ReplyOver():
                        mouth.next(arrival)
                    case _:
                        await self._handle(arrival)
            nursery.cancel_scope.cancel()

    async def _arrive(self, arrival: Arrival) -> None:
        try:
            await self._tell.send(arrival)
        except trio.BrokenResourceError:
            raise SessionClosed from None

    async def _next(self) -> Arrival | Deadline:
        first = min(self._deadlines, key=self._deadlines.__getitem__, default=Deadline.GRACE)
        with trio.move_on_at(self._deadlines.get(first, math.inf)):
            return await self._inbox.receive()
        return first

    async def _prepare(self) -> None:
        until_s = trio.current_time() + self._options.start_ms / 1000
        speech = await self._speech()
        voice = speech.voice(self._config.output.voice)
        await trio.sleep_until(until_s)
        if not self._options.faults.never_ready:
            await self._tell.send(Prepared(speech, voice))

    async def _begin(self, prepared: Prepared, nursery: trio.Nursery, mouth: Mouth) -> None:
        if self._options.sends_first_updated:
            await self._outlet.send(SessionUpdated(self._echo()))
        await trio.sleep(self._options.ready_gap_ms / 1000)
        now_s = trio.current_time()
        lasts_s = min(self._options.lasts_s, self._cap_s or math.inf)
        self._expires_at = round(self._clock() + lasts_s)
        if self._options.ends_session:
            self._deadlines[Deadline.EXPIRY] = now_s + lasts_s
        if self._options.faults.close_1011_after_s is not None:
            self._deadlines[Deadline.FAULT] = now_s + self._options.faults.close_1011_after_s
        self._brain.prompt(self._config.system_prompt)
        self._brain.offer(self._config.tools)

        async def tell_later(seconds: float, arrival: Reminder) -> None:
            await trio.sleep(seconds)
            await self._tell.send(arrival)

        self._conversation = Conversation(
            lambda: self._config,
            self._brain,
            prepared.voice,
            mouth,
            self._outlet,
            self._options,
            lambda seconds, reminder: nursery.start_soon(tell_later, seconds, reminder),
            nursery.start_soon,
            self._hearing.peak_since,
        )
        nursery.start_soon(self._hearing.run, prepared.speech, self._heard)
        await self._outlet.send(*self._ready(self._echo()))
        self._conversation.greet()

    async def _handle(self, arrival: Arrival) -> None:
        match arrival:
            case Came(connection=connection):
                await self._welcome(connection)
            case Went(connection=connection):
                await self._farewell(connection)
            case Inject(event=ToolCall() as call) if self._conversation is not None:
                await self._conversation.call(CallTool(call.name, call.arguments, call.call_id))
            case Inject(event=event):
                await self._outlet.send(event)
            case SessionUpdate(session=session):
                await self._update(session)
            case SessionResume():
                what = "session.resume must be the first message"
                await self._outlet.send(SessionFailed("invalid_format", what))
            case _ if self._conversation is None:
                return  # before session.ready, sound and all the rest are discarded
            case InputAudio(audio=audio):
                complaint = self._hearing.take(audio)
                if complaint is not None:
                    await self._outlet.send(complaint)
            case SpeechStirs() | SpeechOnset() | PartialWords() | TurnMayEnd() | TurnEnded():
                await self._conversation.hear(arrival)
            case ReplyCreate():
                await self._conversation.create(arrival)
            case ReplyCancel(reply_id=reply_id):
                await self._cancel_reply(self._conversation, reply_id)
            case ToolResult():
                self._conversation.take_result(arrival)
            case ToolOverdue() | WordsDue() | RestartDue():
                await self._conversation.remind(arrival)
            case ConversationMessage(role=role, content=content):
                if role not in ("user", "system"):
                    await self._outlet.send(
                        SessionFailed("invalid_format", f"Invalid message format for type '{arrival.type}'")
                    )
                elif self._options.tells_messages:
                    self._conversation.forget_draft()
                    self._brain.remember(role, content)
            case _:
                raise AssertionError(f"{type(arrival).__name__} is handled by run")

    async def _welcome(self, connection: ClientConnection) -> None:
        resumed = self._outlet.connection is not None or Deadline.GRACE in self._deadlines
        self._deadlines.pop(Deadline.GRACE, None)
        if not resumed or self._conversation is None:
            await self._outlet.attach(connection)
            return
        policy = self._options.resume
        if not policy.pending_tools_answerable:
            self._conversation.forget_calls()
        if policy.new_token:
            self._resume_token = ""
        await self._outlet.attach(connection, *self._ready(self._echo() if policy.echo_config else {}))
        if policy.repeat_greeting:
            self._conversation.greet()

    async def _farewell(self, connection: ClientConnection) -> None:
        if not self._outlet.detach(connection):
            return  # another one has taken the session up already
        self._deadlines[Deadline.GRACE] = trio.current_time() + self._options.resume.grace_s
        if self._conversation is not None and self._options.resume.reply_in_flight == "drop":
            await self._conversation.drop_reply()

    def _ready(self, config: dict[str, Any]) -> list[Outgoing]:
        if not self._resume_token:
            self._resume_token = self._accounts.resume_token(self.owner, self.id, self._options.lasts_s)
        ready = SessionReady(self.id, config, self._expires_at, self._resume_token)
        unknown = RawFrame('{"type":"session.mood","mood":"calm"}')
        return [ready, unknown] if self._options.faults.unknown_event else [ready]

    async def _update(self, session: Mapping[str, Any]) -> None:
        options = self._options
        try:
            config = configured(self._config, session, voices=options.voices, agents=options.agents)
        except ConfigRefused as refused:
            await self._outlet.send(self._error(refused))
            return
        self._config = config
        if self._conversation is not None:
            self._conversation.forget_draft()
        self._brain.prompt(config.system_prompt)
        self._brain.offer(config.tools)
        self._hearing.configure(turn_detection(config.input, options.endpointing_ms))
        await self._outlet.send(SessionUpdated(self._echo()))

    async def _cancel_reply(self, conversation: Conversation, reply_id: str) -> None:
        if self._options.reply_cancel:
            await conversation.cancel(reply_id)
        else:
            await self._outlet.send(SessionFailed("invalid_format", "Unknown message type: reply.cancel"))

    async def _end(self, why: SessionEnd | Deadline) -> None:
        ended = SessionEnded(round(trio.current_time() - self._began_s, 3))
        match why:
            case SessionEnd():
                await self._outlet.send(ended, Goodbye(1000))
            case Deadline.EXPIRY:
                expired = SessionFailed("session_expired", "Session expired", None, self.id)
                await self._outlet.send(expired, ended, Goodbye(1008))
            case Deadline.FAULT:
                await self._outlet.send(Goodbye(1011))
            case Deadline.GRACE:
                pass  # nobody is there to be told

    def _error(self, refused: ConfigRefused) -> SessionFailed:
        # As recorded: errors of form name neither the field nor the session.
        session_id = None if refused.code == "invalid_format" else self.id
        return SessionFailed(refused.code, refused.message, refused.param, session_id)

    def _echo(self) -> dict[str, Any]:
        echo = self._config.echo()
        if self._options.faults.http_tool_call:
            echo["tools"].append({"type": "function", "name": HTTP_TOOL_NAME, "http": {"method": "GET"}})
        return echo
