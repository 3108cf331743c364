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
    AnotherTurn,
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
    AgentTranscript,
    ReplyDone,
    ReplyStarted,
    SessionReady,
    SessionUpdated,
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


@tool(repeatable=True)
def roll() -> None:
    """Is another one each time."""


AT_ONCE = ToolSettings(functions=tuple(declare(one, "here") for one in (look_up, be_quick, pay, roll)))
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
    talk(ToolCall("c2", "look_up", {"what": "else"}), Returned("c2", "2"), Returned("c1", "1"))
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
    for interruption in (AgentTranscript("One mo", "r1", interrupted=True), ReplyDone("r1", "interrupted")):
        talk = Talk()
        called(talk)
        assert talk(interruption) == [Stop("c1")]
        assert talk(Returned("c1", "42"), ReplyDone("r1")) == [], "some are called completed after that"
        assert any(isinstance(told, ToolDropped) for told in talk.told)


def test_speech_and_the_end_of_another_reply_drop_nothing() -> None:
    talk = Talk()
    called(talk)
    talk(AnotherTurn(), SpeechStopped(), AgentTranscript("One moment.", "r1"), ReplyDone("r0", "interrupted"))
    assert talk.sent(Returned("c1", "42")) == ["c1"]


def test_a_call_that_comes_after_its_reply_was_interrupted_is_not_run() -> None:
    talk = Talk()
    talk(READY, ReplyStarted("r1"), ReplyDone("r1", "interrupted"))
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
    talk(ToolCall("c2", "look_up", {"what": "else"}))
    assert talk.sent(Returned("c1", "1")) == ["c1"]
    assert talk(ConnectionBroke(), Returned("c2", "2")) == []
    assert talk.sent(SessionReady("sess_1")) == ["c2"], "what was handed over is the session's to deliver"


def test_a_fresh_session_gets_nothing_of_the_old_one() -> None:
    talk = Talk()
    called(talk)
    talk(ToolCall("c2", "look_up", {"what": "else"}), Returned("c1", "1"), ConnectionBroke())
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
    commands = talk(*(ToolCall(f"c{n}", "look_up", {"what": n}) for n in range(40)))
    assert sum(isinstance(one, Run) for one in commands) == 32
    assert sum(isinstance(one, Send) and one.result.is_error for one in commands) == 8


def test_nor_does_a_flood_of_one_and_the_same_call_pile_up() -> None:
    talk = Talk()
    talk(READY, ReplyStarted("r1"))
    commands = talk(*(ToolCall(f"c{n}", "look_up") for n in range(40)))
    assert sum(isinstance(one, Run) for one in commands) == 1
    assert sum(isinstance(one, Send) and one.result.is_error for one in commands) == 8


def test_the_same_call_in_one_turn_is_run_once_and_answered_each_time() -> None:
    talk = Talk()
    called(talk)
    assert talk(ToolCall("c2", "look_up")) == []
    assert talk.sent(Returned("c1", "42")) == ["c1", "c2"]
    (again,) = talk(ReplyStarted("r2"), ToolCall("c3", "look_up"))
    assert isinstance(again, Send)
    assert (again.result.call_id, again.result.result) == ("c3", "42")


def test_other_arguments_are_another_call_in_whatever_order_they_are_written() -> None:
    talk = Talk()
    talk(READY, ReplyStarted("r1"))
    assert len(talk(ToolCall("c1", "look_up", {"what": 1, "where": 2}))) == 1
    assert talk(ToolCall("c2", "look_up", {"where": 2, "what": 1})) == []
    assert len(talk(ToolCall("c3", "look_up", {"what": 1}))) == 1


def test_what_was_stopped_is_run_when_it_is_called_for_again() -> None:
    talk = Talk()
    called(talk)
    talk(ReplyDone("r1", "interrupted"), SpeechStopped(), ReplyStarted("r2"))
    (run,) = talk(ToolCall("c2", "look_up"))
    assert isinstance(run, Run)


def test_a_turn_that_never_ends_fills_no_memory() -> None:
    talk = Talk()
    talk(READY, ReplyStarted("r1"))
    for number in range(1000):
        talk(ToolCall(f"c{number}", "look_up", {"what": number}), Returned(f"c{number}", "42"))
        talk(ReplyStarted(f"r{number + 2}"))
    assert len(talk.state.asked) <= 64
    deep: dict[str, object] = {}
    for _ in range(50_000):
        deep = {"a": deep}
    assert len(talk(ToolCall("deep", "look_up", deep))) == 1, "too odd to be compared is no fault"


@define
class Asked:
    """What the model knows of a call."""

    name: str
    what: int
    turn: int
    reply_id: str | None
    session: int
    interrupted: bool = False
    running: bool = False
    returned: bool = False
    stopped: bool = False
    """Before it returned anything that could be told again."""
    sent: bool = False

    def is_like(self, other: Asked) -> bool:
        return (self.name, self.what, self.turn, self.session) == (
            other.name,
            other.what,
            other.turn,
            other.session,
        )


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
        self.turn = 0

    def tell(self, event: Event) -> None:
        self.state, commands, _ = step(self.state, event, self.now)
        for command in commands:
            match command:
                case Run(call=ToolCall(call_id=call_id)):
                    call = self.asked[call_id]
                    assert not call.running, "a call is run once"
                    assert call.name == "roll" or not any(
                        other.is_like(call) and other.running and not other.stopped
                        for other in self.asked.values()
                    ), "and so is another one like it in the same turn"
                    call.running = True
                case Send(result=result):
                    call = self.asked[result.call_id]
                    assert call.name != "theirs", "the service answers its own tools"
                    assert not call.interrupted, "a result of an interrupted turn is not sent"
                    assert call.session == self.session, "nor one of a session that is gone"
                    assert self.connected
                    assert not call.sent, "nor any twice"
                    assert call.returned or not call.running
                    if not result.is_error:
                        assert self.asked[result.result].is_like(call), "nor is one of another call"
                    call.sent = True
                case Stop(call_id=call_id):
                    call = self.asked[call_id]
                    call.stopped = call.stopped or not call.returned

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

    @rule(
        form=st.sampled_from(
            [
                (AgentTranscript("", "", interrupted=True), ReplyDone("", "interrupted")),
                (AgentTranscript("", "", interrupted=True), ReplyDone("")),
                (ReplyDone("", "interrupted"),),
            ]
        )
    )
    @precondition(lambda self: self.connected and self.reply is not None)
    def interrupt(self, form: tuple[AgentTranscript | ReplyDone, ...]) -> None:
        assert self.reply is not None
        reply, self.reply = self.reply, None
        self.dead.add(reply)
        for call in self.asked.values():
            call.interrupted = call.interrupted or call.reply_id == reply
        for event in form:
            self.tell(evolve(event, reply_id=reply))

    @rule()
    def begin_to_speak(self) -> None:
        self.turn += 1
        self.tell(AnotherTurn())

    @rule()
    @precondition(lambda self: self.connected)
    def stop_speaking(self) -> None:
        if self.latest in self.dead:
            self.latest = None
        self.tell(SpeechStopped())

    @rule(
        name=st.sampled_from(["look_up", "be_quick", "pay", "roll", "theirs", "nobody"]),
        what=st.sampled_from([1, 2]),
    )
    @precondition(lambda self: self.connected)
    def call(self, name: str, what: int) -> None:
        call_id = f"c{len(self.asked)}"
        self.asked[call_id] = Asked(
            name, what, self.turn, self.latest, self.session, interrupted=self.latest in self.dead
        )
        self.tell(ToolCall(call_id, name, {"what": what}))

    @rule(data=st.data())
    @precondition(lambda self: self.connected and self.asked)
    def call_again(self, data: st.DataObject) -> None:
        call_id = data.draw(st.sampled_from(sorted(self.asked)))
        if self.asked[call_id].session == self.session:
            self.tell(ToolCall(call_id, self.asked[call_id].name, {"what": self.asked[call_id].what}))

    @rule(data=st.data(), is_error=st.booleans())
    @precondition(lambda self: any(call.running and not call.returned for call in self.asked.values()))
    def return_one(self, data: st.DataObject, is_error: bool) -> None:
        running = [key for key, call in self.asked.items() if call.running and not call.returned]
        call_id = data.draw(st.sampled_from(running))
        self.asked[call_id].returned = True
        call = self.asked[call_id]
        call.stopped = call.stopped or is_error  # either way nothing is kept for a repeat
        self.tell(Returned(call_id, call_id, is_error))

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
