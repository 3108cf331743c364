"""Call: one conversation from beginning to end, in virtual time, as its plan says.

The agent is what `runner.wire` makes, with everything outside of it simulated: the room with its loudspeaker
and board, the people, and the service at the other end of real websocket framing. `take_place` runs it under
seeded scheduling and gives what came of it; the same plan gives the same timeline, byte by byte.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from time import perf_counter
from traceback import format_exception

import trio
from attrs import define, field, frozen

import runner
from actors.onset import Judge
from actors.room.livekit_edge import LiveKitEdge
from channels.bounded import ChannelStatistics, Receiver
from channels.errors import VoiceAgentError, reason_of
from channels.happenings import Happening, SessionStarted
from channels.messages import ApiEvent, ConnectionBroke, SessionOver, Unheard
from channels.ports import ParticipantKind
from channels.secret import Secret
from channels.settings import (
    Accounts,
    ApiAccount,
    BargeInSettings,
    LiveKitAccount,
    Settings,
    SpeakerSettings,
    ToolSettings,
)
from channels.tools import Tool
from channels.wire.events import AgentTranscriptDelta, ReplyAudio, Unrecognised
from commands.serve import run_actors
from tests.simulation.board import SimulatedBoard
from tests.simulation.chance import Chance, Standstill, run_seeded
from tests.simulation.faults import Fault
from tests.simulation.ledger import Broken, Ledger, Told
from tests.simulation.loudspeaker import SimulatedLoudspeaker
from tests.simulation.person import Person, SimulatedJudge
from tests.simulation.plan import Plan
from tests.simulation.room import SimulatedRoom, Track
from tests.simulation.service import NOBODY, Connection, Service
from tests.simulation.timeline import Timeline

__all__ = ["Call", "Outcome", "take_place"]

BOUT_AT_MOST_S = 60.0
ANSWERED_WITHIN_S = 60.0
"""From when all is fixed to when a reply has been heard, on top of what was to be heard before it."""
LEAVES_WITHIN_S = 3.0
ENDS_WITHIN_S = 150.0
"""From what cannot be survived to the end: two patiences of 60 s may follow one another."""
STEADY_S = 11.0
"""So long after its beginning, a session counts as healthy again."""

ACCOUNTS = Accounts(
    LiveKitAccount("ws://127.0.0.1:7880", "APIkey", Secret("a-secret-of-livekit-0123456789abcdef0123")),
    ApiAccount("ws://127.0.0.1:4711/v1/ws", api_key=Secret("a-key-0123456789abcdef")),
)


@frozen
class Outcome:
    """What came of a call."""

    plan: Plan
    broken: list[Broken]
    timeline: Timeline
    simulated_s: float
    took_s: float
    counts: Counter[str]
    ended_by: str
    """The class of the error that ended the agent, or "".."""


@define(eq=False)
class Call:
    """One call."""

    plan: Plan
    nursery: trio.Nursery
    timeline: Timeline = field(init=False)
    ledger: Ledger = field(init=False)
    room: SimulatedRoom = field(init=False)
    loudspeaker: SimulatedLoudspeaker = field(init=False)
    board: SimulatedBoard = field(factory=SimulatedBoard, init=False)
    service: Service = field(init=False)
    counts: Counter[str] = field(factory=Counter, init=False)
    failure: BaseException | None = field(default=None, init=False)
    over: trio.Event = field(factory=trio.Event, init=False)
    _over_at: float = field(default=math.inf, init=False)
    _taken: list[tuple[object, ...]] = field(factory=list, init=False)
    _story: trio.CancelScope = field(factory=trio.CancelScope, init=False)
    _agent: trio.CancelScope = field(factory=trio.CancelScope, init=False)
    _may_end_as: set[str] = field(factory=set, init=False)
    _steady_at: float = field(default=0.0, init=False)
    _statistics: list[ChannelStatistics] = field(factory=list, init=False)

    def __attrs_post_init__(self) -> None:
        chance = Chance(self.plan.seed)
        self.timeline = Timeline(trio.current_time)
        self.ledger = Ledger(self.timeline, self._story.cancel, hold_at_most_s=self.plan.hold_ms / 1000)
        self.ledger.cut_by_speech = self.plan.on_speech_started == "cut"
        self.room = SimulatedRoom(chance.of("room"), self.timeline, self.ledger.breaks)
        self.loudspeaker = SimulatedLoudspeaker(self.ledger, chance.of("loudspeaker"), self.plan.queue_ms)
        self.ledger.settle = self.loudspeaker.hear
        self.service = Service(
            chance, self.timeline, self.ledger.breaks, self.nursery, interruptible=self.plan.interruptible
        )
        self.service.answers.extend(self.plan.first_meetings)

    async def take_place(self) -> None:
        """From beginning to end."""
        graph = self._wire()
        taps = graph.taps
        self.nursery.start_soon(self._hear_happenings, taps.tap("simulation", capacity=1_000_000))
        self.nursery.start_soon(self._serve, graph)
        self.nursery.start_soon(self._listen)
        with self._story:
            await self._happen_all()
        await self._leave()
        self._statistics += taps.statistics()
        self._check_what_is_left()

    # What faults do.

    def tracks(self) -> list[Track]:
        """The microphones of those who are there."""
        return [one.track for one in self.room.present.values() if one.track is not None]

    def mute(self, *, muted: bool) -> None:
        """All microphones."""
        for track in self.tracks():
            if track.muted != muted:
                track.change(muted=muted)

    def reach(self, unheard: Unheard | None) -> None:
        """Whether anybody can hear the agent."""
        self.ledger.unheard_at = math.inf if unheard is None else trio.current_time()
        self.room.reach(unheard)

    def person_sounds(self, length_s: float) -> None:
        """All people make the same sound, so that it does not matter who is listened to."""
        now = trio.current_time()
        self.timeline.note("person", f"sounds for {length_s * 1000:.0f} ms")
        for participant in self.room.present.values():
            participant.person.sounds(now, now + length_s)

    def may_end_as(self, error: str) -> None:
        """From now on an error of that class may end the agent."""
        self._may_end_as.add(error)

    # The story.

    async def _happen_all(self) -> None:
        plan = self.plan
        await trio.sleep(plan.somebody_comes_after_s)
        self.room.come(Person("alice"), ParticipantKind.PERSON, with_track=True)
        await self._await_first_session()
        last = len(plan.bouts) - 1
        for number, bout in enumerate(plan.bouts):
            self.timeline.note("story", f"bout {number + 1}")
            self.service.calm = False
            if number == last and plan.cancelled_after_s is not None:
                with trio.move_on_after(plan.cancelled_after_s):
                    await self._suffer(bout)
                    await trio.sleep_forever()
                return
            if number == last and plan.fatal is not None:
                with trio.move_on_after(ENDS_WITHIN_S):
                    await self._suffer((*bout, plan.fatal))
                    await self.over.wait()
                if not self.over.is_set():
                    self.ledger.breaks("what cannot be survived ends the agent", repr(plan.fatal))
                return
            with trio.move_on_after(BOUT_AT_MOST_S):
                await self._suffer(bout)
            self._fix()
            await self._ask_until_answered()
        await self._await_ends()

    async def _await_first_session(self) -> None:
        if self.plan.first_meetings:
            self._may_end_as.add("ServiceError")
        with trio.move_on_after(60):
            while not self.ledger.ready and not self.over.is_set():
                await trio.sleep(0.1)
            return
        self.ledger.breaks("a session begins when somebody comes", "60 s have passed")

    async def _suffer(self, bout: tuple[Fault, ...]) -> None:
        begins = trio.current_time()
        async with trio.open_nursery() as nursery:
            for fault in bout:
                nursery.start_soon(self._happen, fault, begins)

    async def _happen(self, fault: Fault, begins: float) -> None:
        await trio.sleep_until(begins + fault.at_s)
        self.counts[f"fault {type(fault).__name__}"] += 1
        self.timeline.note("FAULT", str(fault))
        if fault.fatal:
            self._may_end_as.add(fault.fatal)
        await fault.happen(self)

    def _fix(self) -> None:
        self.timeline.note("story", "all is fixed")
        self.service.calm, self.service.down, self.service.resumable = True, "", True
        self.service.answers.clear()
        self.room.refuses = 0
        if self.room.unheard is not None:
            self.reach(None)
        self.loudspeaker.takes_s = self.board.takes_s = 0.0
        for connection in self.service.connections:
            connection.line.flow()
        alice = self.room.present.get("alice")
        if alice is None:
            self.room.come(Person("alice"), ParticipantKind.PERSON, with_track=True)
        elif alice.track is None:
            self.room.publish("alice")
        for name in [name for name in self.room.present if name != "alice"]:
            self.room.go(name)
        self.mute(muted=False)
        for track in self.tracks():
            track.jitter_s, track.held_until = 0.005, -1.0
            track.person.silences()

    async def _ask_until_answered(self) -> None:
        asked_at, first = trio.current_time(), self.service.replies
        self.service.fate = "lost"
        patience_s = ANSWERED_WITHIN_S + self.ledger.backlog_s()
        connection = self.service.current
        if connection is not None and connection.active is not None:
            manner = connection.active.manner
            patience_s += manner.ms / 1000 / min(manner.pace, 1.0) + manner.stall_s
        while not self.over.is_set():
            self.person_sounds(1.2)
            with trio.move_on_after(12):
                while not self.over.is_set():
                    if any(_is_heard(told, first) for told in self.ledger.replies.values()):
                        self.service.fate = ""
                        await trio.sleep_until(self._steady_at)
                        return
                    await trio.sleep(0.1)
            if trio.current_time() - asked_at > patience_s:
                self.ledger.breaks(
                    "a reply is heard once all is fixed", f"none within {patience_s:.0f} s of asking"
                )
                return

    async def _await_ends(self) -> None:
        with trio.move_on_after(30 + self.ledger.backlog_s()):
            while not self.over.is_set() and self.ledger.living():
                await trio.sleep(0.1)

    async def _leave(self) -> None:
        connection, begins = self.service.current, trio.current_time()
        allows = _allows_an_end(connection, begins)
        if not self.over.is_set():
            self.timeline.note("story", "the agent is told to go")
        ended_before = self.over.is_set()
        self.ledger.told_to_go()
        self._agent.cancel()
        with trio.move_on_after(LEAVES_WITHIN_S + 0.001):
            await self.over.wait()
        if not self.over.is_set():
            self.ledger.breaks("the agent leaves within 3 s", "it has not")
            await self.over.wait()
        self.counts["slowest leave, ms"] = round((trio.current_time() - begins) * 1000)
        await trio.sleep(0.5)
        if allows and not ended_before and connection is not None and not connection.ended_by_agent:
            self.ledger.breaks("session.end is sent when the connection allows it", "it was not")
        calm = not self.ledger.broken and not ended_before and self.plan.cancelled_after_s is None
        self.ledger.over(calm=calm)

    # The agent.

    def _tool(self) -> Tool:
        random = Chance(self.plan.seed).of("tool")

        async def look_up(what: str) -> str:
            self.ledger.tool_runs(what)
            await trio.sleep(random.choice([0.0, random.uniform(0, 1), random.uniform(0, 6)]))
            return "it is there"

        # A thread, which others run in, comes back when the machine likes: no two calls would be the same.
        return Tool("look_up", "Looks it up.", {"type": "object"}, look_up, dict, is_async=True)

    def _wire(self) -> runner.Graph:
        settings = Settings(
            speaker=SpeakerSettings(self.plan.queue_ms),
            # Words are understood in a thread, which comes back when the machine likes.
            barge_in=BargeInSettings(
                self.plan.on_speech_started, longest_hold_ms=self.plan.hold_ms, short_sounds="voice"
            ),
            tools=ToolSettings(functions=(self._tool(),)),
        )
        graph = runner.wire(
            settings,
            ACCOUNTS,
            LiveKitEdge(self.room, self.loudspeaker, self.board),
            dialer=self.service.dial,
            load_judge=_load_judge,
            random=Chance(self.plan.seed).of("agent"),
            configurable=True,
        )
        graph.channels.service.overhear(self._taken_by_controller)
        graph.channels.reports.overhear(self.ledger.reported)
        return graph

    async def _serve(self, graph: runner.Graph) -> None:
        try:
            with self._agent:
                try:
                    await run_actors(graph)
                finally:
                    self._statistics += graph.channels.statistics()
                if not self._agent.cancel_called:
                    self.ledger.breaks("the agent serves until it is told to go", "it returned")
        except (VoiceAgentError, BaseExceptionGroup) as failure:
            self._judge(failure)
        finally:
            self._over_at = trio.current_time()
            self.over.set()

    def _judge(self, failure: BaseException) -> None:
        self.failure = reason = reason_of(failure)
        if reason is None:
            lines = "".join(format_exception(failure)).splitlines()
            self.ledger.breaks("nobody crashes", "\n".join(lines[-40:]))
            return
        self.timeline.note("agent", f"ends: {type(reason).__name__}: {reason}")
        kinds = {kind.__name__ for kind in type(reason).__mro__}
        if not kinds & self._may_end_as:
            self.ledger.breaks(
                "only what cannot be fixed ends the agent", f"{type(reason).__name__}: {reason}"
            )

    async def _hear_happenings(self, happenings: Receiver[Happening]) -> None:
        async for happening in happenings:
            if isinstance(happening, SessionStarted):
                self._steady_at = trio.current_time() + STEADY_S
            self.ledger.happened(happening)

    async def _listen(self) -> None:
        while True:
            await trio.sleep(0.1)
            self.loudspeaker.hear()

    def _taken_by_controller(self, event: ApiEvent) -> None:
        odd = isinstance(event, AgentTranscriptDelta) and event.reply_id == NOBODY
        if not isinstance(event, ConnectionBroke | SessionOver | Unrecognised) and not odd:
            self._taken.append(_key(event))
        self.ledger.taken(event)

    # What must hold once all is over.

    def _check_what_is_left(self) -> None:
        breaks = self.ledger.breaks
        for channel in self._statistics:
            if channel.deepest > channel.capacity:
                breaks("channels are bounded", str(channel))
            self.counts[f"deepest of {channel.name}, of {channel.capacity}"] = channel.deepest
        if tracks := self.room.open_tracks():
            breaks("no microphone stays open", ", ".join(tracks))
        if self.room.agent_is_in:
            breaks("the agent leaves its room", "it is still there")
        if lines := [c.number for c in self.service.connections if not c.line.closed]:
            breaks("no connection stays open", str(lines))
        if tasks := sorted(_names_of_agent_tasks()):
            breaks("no task is left", ", ".join(tasks))
        self._check_order()
        # What the board of an agent that has ended still shows is not the agent's: its participant is gone.
        disagreement = self.board.disagrees(self.loudspeaker.audible, self.ledger.begun(), self._over_at)
        if disagreement is not None and not self.board.was_slow:
            breaks(*disagreement)

    def _check_order(self) -> None:
        """What the service said on each connection reached the controller in order, up to some point."""
        at = 0
        for connection in self.service.connections:
            for event in connection.said:
                if at < len(self._taken) and self._taken[at] == _key(event):
                    at += 1
                else:
                    break
        if at < len(self._taken):
            self.ledger.breaks("what the service says arrives in order, once", f"from event {at} on")


def _is_heard(told: Told, first: int) -> bool:
    number = told.reply_id.removeprefix("resp_")
    return number.isdigit() and int(number) > first and told.done and told.whole and told.cut_at is None


def _allows_an_end(connection: Connection | None, now: float) -> bool:
    return (
        connection is not None
        and not connection.closed
        and not connection.line.stalled
        and connection.ready_at < now - 0.1
    )


def _key(event: ApiEvent) -> tuple[object, ...]:
    if isinstance(event, ReplyAudio):
        return event.type, event.reply_id, len(event.data), hash(event.data)
    return type(event), str(event)


async def _load_judge() -> Judge:
    await trio.lowlevel.checkpoint()
    return SimulatedJudge()


def _names_of_agent_tasks() -> Iterator[str]:
    root = trio.lowlevel.current_root_task()
    waiting = [root] if root is not None else []
    while waiting:
        task = waiting.pop()
        waiting += [child for nursery in task.child_nurseries for child in nursery.child_tasks]
        if task.name.startswith(("actors.", "runner.", "trio_websocket.")):
            yield task.name


def take_place(plan: Plan) -> Outcome:
    """Lets a call take place."""
    calls: list[Call] = []
    ended_at = 0.0

    async def run() -> None:
        nonlocal ended_at
        async with trio.open_nursery() as nursery:
            calls.append(Call(plan, nursery))
            await calls[0].take_place()
            ended_at = trio.current_time()
            nursery.cancel_scope.cancel()

    def on_standstill() -> None:
        calls[0].ledger.breaks("time goes on", "tasks run in a circle")

    began = perf_counter()
    run_seeded(plan.seed, run, [Standstill(on_standstill)])
    (call,) = calls
    counts = call.counts + call.service.counts
    for told in call.ledger.replies.values():
        counts[f"reply {told.ends[0].outcome.value if told.ends else 'not over'}"] += 1
    counts.update({f"event {name}": count for name, count in call.ledger.events.items()})
    counts["audible ms"] = math.ceil(sum(ends - begins for begins, ends in call.loudspeaker.audible) * 1000)
    counts["resumed voices"] = call.ledger.resumes
    return Outcome(
        plan,
        call.ledger.broken,
        call.timeline,
        ended_at,
        perf_counter() - began,
        counts,
        type(call.failure).__name__ if call.failure is not None else "",
    )
