"""The service of the simulation: the Voice Agent API as far as a client can tell, with all its faults.

It speaks the protocol with the project's own codec, over real websocket framing (wsproto, sans-IO), and
writes without waiting, so that each event is sent at the instant that is drawn for it. `Service` knows the
sessions and what the next connections meet; `Connection` is one websocket. What the reference leaves open
(what becomes of a reply when the connection drops, say) is drawn.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Callable, Mapping
from random import Random
from typing import Any

import trio
from attrs import define, field, frozen
from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Ping,
    RejectConnection,
    Request,
    TextMessage,
)
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from channels.wire.codec import BadMessage, read_message, write_event
from channels.wire.events import (
    AgentTranscript,
    AgentTranscriptDelta,
    ReplyAudio,
    ReplyDone,
    ReplyStarted,
    ServerEvent,
    SessionEnded,
    SessionFailed,
    SessionReady,
    SessionUpdated,
    SpeechStarted,
    SpeechStopped,
    ToolCall,
    UserTranscript,
    UserTranscriptDelta,
)
from channels.wire.messages import (
    ClientMessage,
    InputAudio,
    ReplyCreate,
    SessionEnd,
    SessionResume,
    SessionUpdate,
    ToolResult,
)
from sound.pcm import SAMPLE_BYTES, SAMPLE_RATE_HZ
from tests.simulation.chance import Chance
from tests.simulation.hearing import Decision, Hearing
from tests.simulation.line import SimulatedLine
from tests.simulation.manner import Interruption, Manner, draw_manner
from tests.simulation.marked_sound import marked_sound
from tests.simulation.person import is_voiced, number_of
from tests.simulation.timeline import Timeline

__all__ = ["NOBODY", "ODD_FRAMES", "WORD_MS", "Connection", "Service"]

GRACE_S = 30.0
WORD_MS = 250
WORDS_AT_ONCE = 8
"""Live, all words of a sentence come in one burst, ahead of their sound."""

AHEAD_MS = 1000.0
"""More sound than real time that a client may have sent in any span: the documentation has a second."""

NOBODY = "resp_of_nobody"
ODD_FRAMES = (
    '{"type":"reply.mood","mood":"calm"}',
    "{",
    "[]",
    '{"type":42}',
    '{"type":"reply.audio","data":17}',
    '{"type":"reply.audio"}',
    '{"type":"reply.done","status":"completed"}',
    '{"type":"transcript.user","item_id":null,"text":null}',
    '{"type":"session.ready"}',
    '{"type":"reply.started","reply_id":{},"extra":[[[[]]]]}',
    '{"type":"transcript.agent.delta","delta":"x","start_ms":NaN,"end_ms":1e400,"reply_id":"' + NOBODY + '"}',
    '{"type":"' + "x" * 5000 + '"}',
    "\u0000",
)


@define(eq=False)
class Session:
    """A session, which outlives its connections for a while."""

    session_id: str
    hearing: Hearing
    left_at: float = math.inf
    calls: dict[str, Manner] = field(factory=dict)
    """Tool calls that wait for their result, by id, and the reply that made them."""
    made: set[str] = field(factory=set)
    """All calls of it."""
    unfinished: tuple[Manner, int] | None = None
    """The reply that was being given when the connection broke, and how many bytes of it were sent."""


@define(eq=False)
class Active:
    """The reply that is being given."""

    manner: Manner
    reply_id: str
    scope: trio.CancelScope = field(factory=trio.CancelScope)
    over: bool = False
    sent: int = 0
    """Bytes."""
    doomed: bool = False
    """The person interrupts it: it is cut when they have finished."""


@define(eq=False)
class Service:
    """All of the service.

    Args:
        chance: decides.
        timeline: is told what matters.
        breaks: is told of a rule that the agent broke.
        nursery: its connections run there.
        interruptible: whether the sessions are.
    """

    chance: Chance
    timeline: Timeline
    breaks: Callable[[str, str], None]
    nursery: trio.Nursery
    interruptible: bool = True
    calm: bool = False
    down: str = ""
    """Why nobody can connect: "refused" or "hangs"; empty: it is up."""
    gone: str = ""
    """The same, for good."""
    refuses_key: bool = False
    answers: deque[str] = field(factory=deque)
    """What the next connections meet instead of a session."""
    fate: str = ""
    """What becomes of a reply at a resume: lost, completed, continued; empty: drawn."""
    resumable: bool = True
    connections: list[Connection] = field(factory=list)
    sessions: dict[str, Session] = field(factory=dict)
    replies: int = 0
    counts: Counter[str] = field(factory=Counter)
    random: Random = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.random = self.chance.of("service")

    async def dial(self, url: str) -> trio.abc.Stream:
        """The agent calls."""
        await trio.sleep(self.random.uniform(0.005, 0.1))
        down = self.gone or self.down
        if down == "hangs":
            await trio.sleep_forever()
        if down:
            self.counts["dialled in vain"] += 1
            raise OSError("connection refused")
        line = SimulatedLine()
        connection = Connection(self, line, len(self.connections) + 1)
        self.connections.append(connection)
        self.nursery.start_soon(connection.run)
        return line

    @property
    def current(self) -> Connection | None:
        """The connection that has a session, if there is one."""
        last = self.connections[-1] if self.connections else None
        return last if last is not None and last.session is not None and not last.closed else None

    def draw(self, *, tool: bool = False) -> Manner:
        """The next reply's manner."""
        self.replies += 1
        random = self.chance.of(f"reply {self.replies}")
        return draw_manner(random, self.replies, calm=self.calm, tool=tool)

    def config(self) -> Mapping[str, Any]:
        """The resolved configuration."""
        detection = None if self.interruptible else {"interrupt_response": False}
        return {"system_prompt": "", "input": {"turn_detection": detection}, "output": {"voice": "alba"}}


@frozen
class _Wish:
    """A reply that is to be given."""

    after_s: float = 0.0
    manner: Manner | None = None
    begin_at: int = 0
    """Bytes of it that were sent before."""


@define(eq=False)
class Connection:
    """One websocket."""

    service: Service
    line: SimulatedLine
    number: int
    session: Session | None = None
    closed: bool = False
    ended_by_agent: bool = False
    ready_at: float = math.inf
    last_read_at: float = 0.0
    active: Active | None = None
    said: list[ServerEvent] = field(factory=list)
    """Since `session.ready` was due."""
    turns: int = 0
    """Of the person, that are over."""
    made: set[str] = field(factory=set)
    """Tool calls on this connection."""
    results: set[str] = field(factory=set)
    """Those that were answered on it."""
    _websocket: WSConnection = field(factory=lambda: WSConnection(ConnectionType.SERVER))
    _scope: trio.CancelScope = field(factory=trio.CancelScope)
    _text: str = ""
    _first: bool = True
    _frame_numbers: int = 0
    _paid_until: float = -math.inf
    """Up to when the sound that the agent has sent lasts, at real time."""
    _wishes: trio.MemorySendChannel[_Wish] | None = None

    async def run(self) -> None:
        """Serves until the connection ends."""
        answer = self.service.answers.popleft() if self.service.answers else ""
        if self.service.refuses_key:
            answer = "error unauthorized 1008"
        if answer:
            self.service.timeline.note("service", f"connection {self.number} meets: {answer}")
            self.service.counts[f"connection met: {answer}"] += 1
        with self._scope:
            async with trio.open_nursery() as nursery:
                self._wishes, wishes = trio.open_memory_channel[_Wish](math.inf)
                nursery.start_soon(self._give_replies, wishes)
                while data := await self.line.read():
                    self.last_read_at = trio.current_time()
                    if answer == "mute":
                        continue
                    try:
                        self._websocket.receive_data(bytes(data))
                        for event in self._websocket.events():
                            self._take(event, answer, nursery)
                    except RemoteProtocolError as error:
                        self.service.breaks("the agent speaks websocket", str(error))
                nursery.cancel_scope.cancel()
        self._leave()

    @property
    def waits_for_a_tool(self) -> bool:
        """Whether a call has no result yet."""
        return self.session is not None and bool(self.session.calls)

    def drop(self, how: str, *, code: str = "", message: str = "") -> None:
        """Ends the connection: eof, reset, mute, half, ended, or a close code."""
        if self.closed:
            return
        self.service.timeline.note("service", f"connection {self.number} ends: {how} {code}".rstrip())
        if code:
            self.tell(SessionFailed(code, message or code.replace("_", " "), session_id=None))
        if how == "ended":
            self.tell(SessionEnded(1.0))
            how = "1000"
        if how.isdigit() or how == "half":
            self._send(CloseConnection(int(how) if how.isdigit() else 1011))
        self.closed = True
        if how == "half":
            return  # it says goodbye and does not hang up
        self.line.hang_up(reset=how == "reset")
        self._scope.cancel()

    def tell(self, event: ServerEvent) -> None:
        """Says something to the agent."""
        if self.closed:
            return
        self.said.append(event)
        self.say(write_event(event, timestamp=1.79e9 + trio.current_time()))

    def say(self, text: str) -> None:
        """Sends a text frame."""
        self._send(TextMessage(text))

    def say_bytes(self, content: bytes) -> None:
        """Sends a binary frame, which the protocol does not have."""
        self._send(BytesMessage(content))

    def wish(self, after_s: float = 0.0, manner: Manner | None = None, begin_at: int = 0) -> None:
        """Asks for a reply."""
        if self._wishes is not None and not self.closed:
            self._wishes.send_nowait(_Wish(after_s, manner, begin_at))

    def decide_that_person_speaks(self) -> None:
        """As the service does, rightly or not."""
        self._person_speaks()

    # Websocket.

    def _send(self, event: Event) -> None:
        if self.closed:
            return
        try:
            self.line.write(self._websocket.send(event))
        except LocalProtocolError:
            self.closed = True  # the agent has closed it already

    def _take(self, event: Event, answer: str, nursery: trio.Nursery) -> None:
        match event:
            case Request():
                if answer.startswith("http "):
                    self._send(RejectConnection(status_code=int(answer.removeprefix("http "))))
                    self.line.hang_up()
                    self.closed = True
                else:
                    self._send(AcceptConnection())
            case TextMessage(data=text, message_finished=finished):
                self._text += text
                if finished:
                    text, self._text = self._text, ""
                    self._hear_message(text, answer, nursery)
            case Ping():
                self._send(event.response())
            case CloseConnection() if not self.closed:
                self._send(event.response())
                self.line.hang_up()
                self.closed = True
            case _:
                pass

    def _leave(self) -> None:
        self.closed = True
        session = self.session
        if session is not None and session.left_at == math.inf:
            session.left_at = trio.current_time()
            if self.active is not None and not self.active.over:
                session.unfinished = (self.active.manner, self.active.sent)

    # The protocol.

    def _hear_message(self, text: str, answer: str, nursery: trio.Nursery) -> None:
        try:
            message = read_message(text)
        except BadMessage as bad:
            self.service.breaks("the agent speaks the protocol", f"{bad}: {text[:100]}")
            return
        self.service.counts[f"message {message.type}"] += 1
        if self._first:
            self._first = False
            self._begin(message, answer, nursery)
            return
        match message:
            case InputAudio(audio=audio):
                self._hear(audio)
            case SessionEnd():
                self.ended_by_agent = True
                self.service.timeline.note("service", "the agent ends the session")
                self.tell(SessionEnded(1.0))
                self._send(CloseConnection(1000))
                if self.session is not None:
                    self.service.sessions.pop(self.session.session_id, None)
            case ReplyCreate() if self._person_is_speaking():
                # As live: lost, but for a reply without sound.
                self.service.counts["reply.create dropped"] += 1
                self.wish(0.0, Manner(self.service.draw().number, samples=0))
            case ReplyCreate():
                if self.active is not None and self.service.random.random() < 0.5:
                    # Nobody knows what the live service does here: this one lets go of the first reply.
                    self.service.timeline.note("service", f"{self.active.reply_id} is left open")
                    self.active.over = True
                    self.active.scope.cancel()
                self.wish(self.service.random.uniform(0.1, 0.3))
            case SessionUpdate():
                self.tell(SessionUpdated(self.service.config()))
            case ToolResult(call_id=call_id):
                self._take_result(call_id)
            case SessionResume():
                self.service.breaks("the agent speaks the protocol", "session.resume in mid-session")
            case _:
                pass

    def _begin(self, message: ClientMessage, answer: str, nursery: trio.Nursery) -> None:
        service = self.service
        match message:
            case SessionUpdate():
                session_id = f"sess_{len(service.sessions) + 1:032x}"
                self.session = Session(session_id, Hearing(service.random))
                service.sessions[session_id] = self.session
            case SessionResume(session_id=session_id):
                found = service.sessions.get(session_id)
                if found is None or not service.resumable or trio.current_time() - found.left_at > GRACE_S:
                    service.counts["resume refused"] += 1
                    code = service.random.choice(
                        ["session_not_found", "session_forbidden", "session_expired"]
                    )
                    self.drop("1008", code=code)
                    return
                service.counts["resumed"] += 1
                self.session = found
                found.left_at = math.inf
            case _:
                service.breaks("the first message begins a session", message.type)
                return
        nursery.start_soon(self._become_ready, message, answer)

    async def _become_ready(self, message: ClientMessage, answer: str) -> None:
        service, session = self.service, self.session
        assert session is not None
        if answer == "never ready":
            return
        await trio.sleep(
            service.random.uniform(2, 8) if answer == "slow" else service.random.uniform(0.05, 0.7)
        )
        if answer.startswith("error "):
            _, code, how = answer.split()
            self.drop(how, code=code)
            return
        if answer == "eof":
            self.drop("eof")
            return
        if isinstance(message, SessionUpdate) and service.random.random() < 0.7:
            self.tell(SessionUpdated(service.config()))
        self.ready_at = trio.current_time()
        self.tell(SessionReady(session.session_id, service.config(), 1_790_003_595, "rt"))
        service.timeline.note("service", f"connection {self.number} is ready: {session.session_id[-4:]}")
        if isinstance(message, SessionUpdate):
            self.wish(service.random.uniform(0, 0.5))
        elif session.unfinished is not None:
            self._take_up(*session.unfinished)
        session.unfinished = None

    def _take_up(self, manner: Manner, sent: int) -> None:
        fate = self.service.fate or self.service.random.choice(["lost", "lost", "completed", "continued"])
        self.service.timeline.note("service", f"what was left of {_reply_id(manner)}: {fate}")
        self.service.counts[f"reply at a resume: {fate}"] += 1
        if fate == "continued":
            self.wish(0.0, manner, sent)
        elif fate == "completed":
            self.tell(AgentTranscript("", _reply_id(manner)))
            self.tell(ReplyDone(_reply_id(manner)))

    # Hearing.

    def _hear(self, audio: bytes) -> None:
        now = trio.current_time()
        if now < self.ready_at or self.session is None:
            self.service.breaks("input.audio only after session.ready", f"connection {self.number}")
            return
        number = number_of(audio)
        ms = len(audio) / SAMPLE_BYTES / SAMPLE_RATE_HZ * 1000
        self._paid_until = max(self._paid_until, now) + ms / 1000
        if self._paid_until - now > AHEAD_MS / 1000:
            ahead_ms = (self._paid_until - now) * 1000
            self.service.breaks("never faster than real time", f"{ahead_ms:.0f} ms ahead")
        if 0 < number <= self._frame_numbers and self._frame_numbers - number < 20:
            self.service.breaks(
                "sound goes out in order, once", f"frame {number} after {self._frame_numbers}"
            )
        self._frame_numbers = number
        hearing = self.session.hearing
        hearing.calm = self.service.calm
        decision = hearing.hear(is_voiced(audio), agent_speaks=self.active is not None)
        if decision is Decision.STARTED:
            self._person_speaks()
        elif decision is Decision.STOPPED:
            self._person_has_spoken()

    def _person_speaks(self) -> None:
        active = self.active
        style = active.manner.interruption if active is not None else Interruption.AT_ONCE
        if not self.service.interruptible or active is None or style is not Interruption.DONE:
            self.service.timeline.note("service", "hears the person speak")
            events: list[ServerEvent] = [UserTranscriptDelta("a", self._item()), SpeechStarted()]
            if not self.service.calm:
                self.service.random.shuffle(events)
            for event in events:
                self.tell(event)
        if active is None or not self.service.interruptible:
            return
        if not active.sent and style is not Interruption.DONE:
            # A sentence that was split in two: the same reply answers both parts.
            self.service.counts["split turn"] += 1
            return
        self.service.counts[f"interruption: {style.value}"] += 1
        match style:
            case Interruption.LATER:
                self.service.nursery.start_soon(self._cut_later, active)
            case Interruption.AT_THE_END | Interruption.CALLED_COMPLETED:
                active.doomed = True
            case Interruption.NEVER:
                pass
            case Interruption.AT_ONCE | Interruption.DONE:
                self._cut(active)

    async def _cut_later(self, active: Active) -> None:
        await trio.sleep(0.3)
        self._cut(active)

    def _cut(self, active: Active) -> None:
        if active.over or self.closed:
            return
        active.over = True
        active.scope.cancel()
        self.active = None
        self.service.timeline.note("service", f"{active.reply_id} is interrupted")
        if self.session is not None:
            number = active.manner.number
            self.session.calls = {k: one for k, one in self.session.calls.items() if one.number != number}
        if self.service.random.random() < 0.4:
            self.tell(AgentTranscript("what was heard, and more", active.reply_id))
        completed = active.manner.interruption is Interruption.CALLED_COMPLETED
        if completed or self.service.random.random() < 0.8:
            self.tell(AgentTranscript("what was heard", active.reply_id, interrupted=True))
        self.tell(ReplyDone(active.reply_id, "completed" if completed else "interrupted"))
        self._send_late(active)

    def _person_is_speaking(self) -> bool:
        return self.session is not None and self.session.hearing.sounding

    def _item(self) -> str:
        return f"msg_u{self.turns}"

    def _take_result(self, call_id: str) -> None:
        assert self.session is not None
        if call_id in self.results:  # after a resume once more: nobody knows what arrived
            self.service.breaks("a call is answered once", call_id)
        self.results.add(call_id)
        self.service.counts["tool results"] += 1
        manner = self.session.calls.pop(call_id, None)
        if manner is None:
            known = any(call_id in one.made for one in self.service.connections)
            if not known:
                self.service.breaks("only calls are answered", call_id)
            elif call_id not in self.made and call_id not in self.session.made:
                self.service.breaks("no result of an old session is sent on a new one", call_id)
        elif not any(one.number == manner.number for one in self.session.calls.values()):
            self.wish(self.service.random.uniform(0.03, 0.5), self.service.draw())

    def _send_late(self, active: Active) -> None:
        manner = active.manner
        if manner.late_bytes:
            sound = marked_sound(manner.number, manner.samples + manner.late_bytes, manner.silent)
            self.service.counts["late sound"] += 1
            self.tell(ReplyAudio(sound[active.sent : active.sent + manner.late_bytes], active.reply_id))

    def _person_has_spoken(self) -> None:
        self.service.timeline.note("service", "hears that the person has finished")
        active = self.active
        events: list[ServerEvent] = [SpeechStopped(), UserTranscript("a question", self._item())]
        if not self.service.calm:
            self.service.random.shuffle(events)
        self.tell(UserTranscriptDelta("a", self._item()))
        for event in events:
            self.tell(event)
        self.turns += 1
        if active is not None and active.doomed:
            self.service.nursery.start_soon(self._cut_at_the_end, active)
        elif active is not None and (not active.sent or not active.manner.answered):
            return  # the reply answers it, or needs not: a mere "mm-hm"
        else:
            self.wish(self.service.random.uniform(0.0, 0.8))

    async def _cut_at_the_end(self, active: Active) -> None:
        await trio.sleep(0.0 if self.service.calm else self.service.random.uniform(0.0, 0.02))
        self._cut(active)
        self.wish(self.service.random.uniform(0.0, 0.8))

    # Replies.

    async def _give_replies(self, wishes: trio.MemoryReceiveChannel[_Wish]) -> None:
        async for wish in wishes:
            await trio.sleep(wish.after_s)
            manner = wish.manner or self.service.draw()
            self.active = active = Active(manner, _reply_id(manner), sent=wish.begin_at)
            with active.scope:
                await self._give(active, again=wish.manner is not None)
            active.over = True
            if self.active is active:
                self.active = None

    async def _give(self, active: Active, *, again: bool) -> None:
        manner, reply_id, random = active.manner, active.reply_id, self.service.random
        self.service.counts["replies"] += 1
        self.service.timeline.note("service", f"gives {reply_id}: {manner}")
        if not (again and active.sent):
            self.tell(ReplyStarted(reply_id, f"msg_{manner.number}"))
        if not active.sent and not self.service.calm:
            await trio.sleep(manner.thinks_s)
        sound = marked_sound(manner.number, manner.samples, manner.silent)
        begun_at, begun_with = trio.current_time(), active.sent
        word, stalled, odd = 0, manner.stall_s == 0, manner.oddities
        while active.sent < len(sound):
            due = begun_at + (active.sent - begun_with) / SAMPLE_BYTES / SAMPLE_RATE_HZ / manner.pace
            if due > trio.current_time():
                await trio.sleep_until(due)
            if not stalled and active.sent >= manner.stall_after * len(sound):
                stalled = True
                await trio.sleep(manner.stall_s)
                begun_at += manner.stall_s
            sent_ms = active.sent / SAMPLE_BYTES / SAMPLE_RATE_HZ * 1000
            while manner.words != "none" and word * WORD_MS <= sent_ms < manner.ms:
                for _ in range(WORDS_AT_ONCE):
                    if word * WORD_MS < manner.ms:
                        self._say_word(manner, word)
                    word += 1
            if odd and active.sent > len(sound) / 2:
                odd -= 1
                self._say_something_odd()
            chunk = sound[active.sent : active.sent + manner.chunk_bytes]
            named = active.manner.named >= 1 or random.random() < active.manner.named
            self.tell(ReplyAudio(chunk, reply_id if named else None))
            active.sent += len(chunk)
        if not math.isinf(manner.pace):
            await trio.sleep_until(begun_at + (len(sound) - begun_with) / 48_000 / manner.pace)
        if manner.tool and self.session is not None and not self.closed:
            for one in range(manner.calls):
                call_id = f"call_{manner.number}_{one}"
                self.session.calls[call_id] = manner
                self.session.made.add(call_id)
                self.made.add(call_id)
                self.tell(ToolCall(call_id, "look_up", {"what": f"it, for {reply_id}"}))
        if manner.words != "none" and manner.final == "in time":
            self.tell(AgentTranscript(f"all of {reply_id}", reply_id))
        active.over = True
        for _ in range(manner.dones):
            self.tell(ReplyDone(reply_id, manner.status))
        if manner.final == "late":
            self.tell(AgentTranscript(f"all of {reply_id}", reply_id))
        if manner.dones:
            self._send_late(active)
        else:
            self.service.counts["reply without an end"] += 1
            self.service.timeline.note("service", f"{reply_id} has no end")

    def _say_word(self, manner: Manner, word: int) -> None:
        start_ms = word * WORD_MS
        timed = manner.words == "timed"
        self.tell(
            AgentTranscriptDelta(
                f"{word} ",
                _reply_id(manner),
                f"msg_{manner.number}",
                start_ms if timed else None,
                min(start_ms + WORD_MS, manner.ms) if timed else None,
            )
        )

    def _say_something_odd(self) -> None:
        odd = self.service.random.choice(ODD_FRAMES)
        self.service.counts["odd frames"] += 1
        if self.service.random.random() < 0.1:
            self.say_bytes(odd.encode())
        else:
            self.say(odd)


def _reply_id(manner: Manner) -> str:
    return f"resp_{manner.number}"
