"""Which result is sent when, and which never, against any legal order of events.

The state machine below is the service, the network and the tools at once: it begins and ends replies, calls
tools, lets people interrupt, drops connections, takes sessions up or begins afresh, lets tools return early,
late or never. Its model of what may be sent is a set and a few flags.
"""

from __future__ import annotations

import math

import hypothesis.strategies as st
from attrs import define, evolve
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from actors.tools.decisions import (
    Command,
    Event,
    Returned,
    Run,
    Send,
    Stop,
    TimePassed,
    ToolState,
    step,
)
from actors.tools.declaration import declare
from channels.happenings import Happening, ToolDropped
from channels.messages import ConnectionBroke
from channels.settings import ToolSettings
from channels.tools import tool
from channels.wire.events import (
    ReplyDone,
    ReplyStarted,
    SessionReady,
    SessionUpdated,
    SpeechStarted,
    SpeechStopped,
    ToolCall,
)


def look_up(what: str) -> str:
    """Looks something up."""
    return what


@tool(timeout_seconds=5)
def be_quick() -> None:
    """Has five seconds."""


@tool(execution_mode="hold")
def pay() -> None:
    """Keeps the person's words back."""


AT_ONCE = ToolSettings(functions=tuple(declare(one, "here") for one in (look_up, be_quick, pay)))
AFTER_REPLY = evolve(AT_ONCE, send_results="after-reply")

READY = SessionReady(
    "sess_1", {"tools": [{"name": "look_up"}, {"name": "theirs", "http": {"method": "GET"}}]}
)


class Talk:
    """A state that is told one event after the other."""

    def __init__(self, settings: ToolSettings = AT_ONCE) -> None:
        self.now = 0.0
        self.state = ToolState(settings)
        self.told: list[Happening] = []

    def __call__(self, *events: Event, after_s: float = 0.0) -> list[Command]:
        self.now += after_s
        given: list[Command] = []
        for event in events:
            self.state, commands, happenings = step(self.state, event, self.now)
            given += commands
            self.told += happenings
        return given

    def sent(self, *events: Event, after_s: float = 0.0) -> list[str]:
        """The calls whose results are sent."""
        return [one.result.call_id for one in self(*events, after_s=after_s) if isinstance(one, Send)]


def called(talk: Talk, name: str = "look_up", call_id: str = "c1") -> None:
    talk(READY, ReplyStarted("r1"), ToolCall(call_id, name))


def test_a_result_is_sent_as_soon_as_it_is_there() -> None:
    talk = Talk()
    called(talk)
    (send,) = talk(Returned("c1", "42"))
    assert isinstance(send, Send)
    assert (send.result.call_id, send.result.result, send.result.is_error) == ("c1", "42", False)


def test_or_when_the_reply_that_asked_is_done() -> None:
    talk = Talk(AFTER_REPLY)
    called(talk)
    assert talk.sent(Returned("c1", "42")) == []
    assert talk.sent(ReplyDone("another")) == []
    assert talk.sent(ReplyDone("r1")) == ["c1"]


def test_all_results_of_a_reply_are_sent_at_its_end() -> None:
    talk = Talk(AFTER_REPLY)
    called(talk)
    talk(ToolCall("c2", "look_up"), Returned("c2", "2"), Returned("c1", "1"))
    assert sorted(talk.sent(ReplyDone("r1"))) == ["c1", "c2"]


def test_an_end_that_never_comes_keeps_nobody_waiting() -> None:
    talk = Talk(AFTER_REPLY)
    called(talk)
    talk(Returned("c1", "42"), after_s=1)
    assert talk.state.deadline == 5
    assert talk.sent(TimePassed(), after_s=3.9) == []
    assert talk.sent(TimePassed(), after_s=0.1) == ["c1"]


def test_a_reply_that_another_one_follows_is_over() -> None:
    talk = Talk(AFTER_REPLY)
    called(talk)
    talk(Returned("c1", "42"))
    assert talk.sent(ReplyStarted("r2")) == ["c1"]


def test_the_result_of_a_hold_tool_waits_for_no_end() -> None:
    talk = Talk(AFTER_REPLY)
    called(talk, "pay")
    assert talk.sent(Returned("c1", "done")) == ["c1"]


def test_what_the_session_says_of_a_tool_holds() -> None:
    talk = Talk(AFTER_REPLY)
    talk(
        READY,
        SessionUpdated({"tools": [{"name": "look_up", "execution_mode": "hold", "timeout_seconds": 20}]}),
    )
    (run,) = talk(ReplyStarted("r1"), ToolCall("c1", "look_up"))
    assert isinstance(run, Run)
    assert run.within_s == 19, "ours is over a little before theirs"
    assert talk.sent(Returned("c1", "1")) == ["c1"]


def test_a_tool_of_an_interrupted_turn_is_stopped_and_its_result_dropped() -> None:
    for interruption in (SpeechStarted(), ReplyDone("r1", "interrupted")):
        talk = Talk()
        called(talk)
        assert talk(interruption) == [Stop("c1")]
        assert talk(Returned("c1", "42"), ReplyDone("r1", "interrupted")) == []
        assert any(isinstance(told, ToolDropped) for told in talk.told)


def test_speech_drops_nothing_where_it_interrupts_nothing() -> None:
    talk = Talk()
    called(talk)
    talk(SessionUpdated({"input": {"turn_detection": {"interrupt_response": False}}}))
    assert talk.sent(SpeechStarted(), Returned("c1", "42")) == ["c1"]

    talk = Talk()
    called(talk)
    talk(ReplyDone("r1"))
    assert talk.sent(SpeechStarted(), Returned("c1", "42")) == ["c1"], "its reply was over: a new turn"


def test_a_call_that_comes_after_its_reply_was_interrupted_is_not_run() -> None:
    talk = Talk()
    talk(READY, ReplyStarted("r1"), SpeechStarted())
    assert talk(ToolCall("c1", "look_up")) == []
    assert talk(SpeechStopped(), ToolCall("c2", "look_up")) != [], "one of the next turn is"


def test_a_tool_that_the_service_runs_is_never_answered() -> None:
    talk = Talk()
    called(talk, "theirs")
    assert talk.state.calls == {}
    assert talk.told == []


def test_an_unknown_tool_is_an_error_at_once() -> None:
    talk = Talk()
    talk(READY, ReplyStarted("r1"))
    (send,) = talk(ToolCall("c1", "dance"))
    assert isinstance(send, Send)
    assert send.result.is_error
    assert "dance" in send.result.result


def test_a_call_that_comes_twice_is_run_and_answered_once() -> None:
    talk = Talk()
    called(talk)
    assert talk(ToolCall("c1", "look_up")) == []
    assert talk.sent(Returned("c1", "42"), Returned("c1", "42")) == ["c1"]
    assert talk(ToolCall("c1", "look_up"), ReplyStarted("r2"), ToolCall("c1", "look_up")) == []


def test_a_resumed_session_gets_what_was_ready_meanwhile() -> None:
    talk = Talk()
    called(talk)
    talk(ToolCall("c2", "look_up"))
    assert talk.sent(Returned("c1", "1")) == ["c1"]
    assert talk(ConnectionBroke(), Returned("c2", "2")) == []
    assert talk.sent(SessionReady("sess_1")) == ["c2"], "what was handed over is the session's to deliver"


def test_a_fresh_session_gets_nothing_of_the_old_one() -> None:
    talk = Talk()
    called(talk)
    talk(ToolCall("c2", "look_up"), Returned("c1", "1"), ConnectionBroke())
    assert {one.call_id for one in talk(SessionReady("sess_2")) if isinstance(one, Stop)} == {"c1", "c2"}
    assert talk(Returned("c2", "2")) == []


def test_a_call_is_forgotten_when_the_service_waits_no_longer() -> None:
    talk = Talk()
    called(talk, "be_quick")
    assert talk.state.deadline == 5
    assert talk(TimePassed(), after_s=5) == [Stop("c1")]
    assert talk(Returned("c1", "late")) == []
    assert talk.state.deadline == math.inf


def test_a_flood_of_calls_is_answered_with_errors() -> None:
    talk = Talk()
    talk(READY, ReplyStarted("r1"))
    commands = talk(*(ToolCall(f"c{n}", "look_up") for n in range(40)))
    assert sum(isinstance(one, Run) for one in commands) == 32
    assert sum(isinstance(one, Send) and one.result.is_error for one in commands) == 8


@define
class Asked:
    """What the model knows of a call."""

    name: str
    reply_id: str | None
    session: int
    interrupted: bool = False
    running: bool = False
    returned: bool = False
    sent: bool = False


class Tools(RuleBasedStateMachine):
    """The decisions, driven by a service that does anything it may."""

    @initialize(policy=st.sampled_from([AT_ONCE, AFTER_REPLY]))
    def begin(self, policy: ToolSettings) -> None:
        self.now = 0.0
        self.settings = policy
        self.state = ToolState(policy)
        self.asked: dict[str, Asked] = {}
        self.session, self.connection = 0, 0
        self.connected = False
        self.reply: str | None = None
        """The reply that is open."""
        self.dead: set[str] = set()
        """Replies that were interrupted."""
        self.latest: str | None = None
        self.replies = 0

    def tell(self, event: Event) -> None:
        self.state, commands, _ = step(self.state, event, self.now)
        for command in commands:
            match command:
                case Run(call=ToolCall(call_id=call_id)):
                    assert not self.asked[call_id].running, "a call is run once"
                    self.asked[call_id].running = True
                case Send(result=result):
                    call = self.asked[result.call_id]
                    assert call.name != "theirs", "the service answers its own tools"
                    assert not call.interrupted, "a result of an interrupted turn is not sent"
                    assert call.session == self.session, "nor one of a session that is gone"
                    assert self.connected
                    assert not call.sent, "nor any twice"
                    assert call.returned or not call.running
                    call.sent = True
                case Stop():
                    pass

    @rule(fresh=st.booleans())
    @precondition(lambda self: not self.connected)
    def connect(self, fresh: bool) -> None:
        if fresh or self.session == 0:
            self.session += 1
            self.reply = self.latest = None
        self.connection += 1
        self.connected = True
        self.tell(evolve(READY, session_id=f"sess_{self.session}"))

    @rule()
    @precondition(lambda self: self.connected)
    def drop(self) -> None:
        self.connected = False
        self.tell(ConnectionBroke())

    @rule()
    @precondition(lambda self: self.connected)
    def start_reply(self) -> None:
        self.replies += 1
        self.reply = self.latest = f"r{self.replies}"
        self.tell(ReplyStarted(self.reply))

    @rule()
    @precondition(lambda self: self.connected and self.reply is not None)
    def complete_reply(self) -> None:
        assert self.reply is not None
        reply, self.reply = self.reply, None
        self.tell(ReplyDone(reply))

    @rule(silent=st.booleans())
    @precondition(lambda self: self.connected and self.reply is not None)
    def interrupt(self, silent: bool) -> None:
        assert self.reply is not None
        reply, self.reply = self.reply, None
        self.dead.add(reply)
        for call in self.asked.values():
            call.interrupted = call.interrupted or call.reply_id == reply
        if not silent:
            self.tell(SpeechStarted())
        self.tell(ReplyDone(reply, "interrupted"))

    @rule()
    @precondition(lambda self: self.connected and self.reply is None)
    def speak_into_silence(self) -> None:
        self.tell(SpeechStarted())

    @rule()
    @precondition(lambda self: self.connected)
    def stop_speaking(self) -> None:
        if self.latest in self.dead:
            self.latest = None
        self.tell(SpeechStopped())

    @rule(name=st.sampled_from(["look_up", "be_quick", "pay", "theirs", "nobody"]))
    @precondition(lambda self: self.connected)
    def call(self, name: str) -> None:
        call_id = f"c{len(self.asked)}"
        self.asked[call_id] = Asked(name, self.latest, self.session, interrupted=self.latest in self.dead)
        self.tell(ToolCall(call_id, name))

    @rule(data=st.data())
    @precondition(lambda self: self.connected and self.asked)
    def call_again(self, data: st.DataObject) -> None:
        call_id = data.draw(st.sampled_from(sorted(self.asked)))
        if self.asked[call_id].session == self.session:
            self.tell(ToolCall(call_id, self.asked[call_id].name))

    @rule(data=st.data())
    @precondition(lambda self: any(call.running and not call.returned for call in self.asked.values()))
    def return_one(self, data: st.DataObject) -> None:
        running = [key for key, call in self.asked.items() if call.running and not call.returned]
        call_id = data.draw(st.sampled_from(running))
        self.asked[call_id].returned = True
        self.tell(Returned(call_id, "42"))

    @rule(seconds=st.sampled_from([0.5, 2.0, 4.0, 10.0, 150.0]))
    def pass_time(self, seconds: float) -> None:
        until = self.now + seconds
        while self.state.deadline <= until:
            before = self.state.deadline
            self.now = max(self.now, before)
            self.tell(TimePassed())
            assert self.state.deadline > before, "the clock would be asked without end"
        self.now = until

    @invariant()
    def nothing_waits_for_ever(self) -> None:
        if self.connection and self.state.calls:
            assert self.state.deadline <= self.now + 120

    @invariant()
    def what_may_be_sent_was_sent(self) -> None:
        if not self.connection or not self.connected:
            return
        for call_id, call in self.state.calls.items():
            if (
                self.settings.send_results == "at-once"
                or call.hold
                or self.asked[call_id].reply_id != self.reply
            ):
                assert call.returned is None or call.sent, "nothing keeps this result back"


TestTools = Tools.TestCase
TestTools.settings = settings(max_examples=300, stateful_step_count=40, deadline=None)
