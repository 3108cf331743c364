"""Faults: all that happens to a call from outside, one small class each, drawn from a seed.

A fault has the second of its bout at which it happens, and does what it does to the call's person, room or
service. What lasts for a while ends by itself; whatever is still wrong at the end of a bout is fixed by
the call. Each knows its own parameters, so that a bout can be run again with some of them left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING, ClassVar

import trio
from attrs import field, frozen

from channels.messages import Unheard
from channels.ports import ParticipantKind, WhyLeft
from channels.texts import CONFIGURE_METHOD, Asked, Typed
from channels.wire.events import ReplyDone, SessionFailed
from tests.simulation.person import Person
from tests.simulation.service import ODD_FRAMES

if TYPE_CHECKING:
    from tests.simulation.call import Call

__all__ = ["DRAWS", "FATAL", "MEETINGS", "Fault", "draw_bout", "draw_fatal"]

NON_FATAL_CODES = (
    "invalid_format",
    "invalid_value",
    "invalid_config",
    "invalid_audio",
    "invalid_webhook",
    "immutable_field",
    "agent_not_found",
    "agent_id_not_first",
    "audio_rate_violation",
    "session_not_found",
    "session_forbidden",
    "session_expired",
    "concurrency_exceeded",
    "at_capacity",
    "internal_error",
    "server_error",
    "INTERNAL_ERROR",
    "agent_timeout",
    "a_code_of_next_year",
    "",
)


def _to_ms(seconds: float) -> float:
    return round(seconds, 3)


@frozen
class Fault:
    """Something that happens.

    Args:
        at_s: seconds from the beginning of the bout.
    """

    at_s: float = field(converter=_to_ms)
    fatal: ClassVar[str] = ""
    """The class of the error that may end the agent after it; empty: nothing may end the agent."""

    async def happen(self, call: Call) -> None:
        """Makes it happen; returns when it is over."""
        raise NotImplementedError


@frozen
class Says(Fault):
    """The people say something."""

    length_s: float

    async def happen(self, call: Call) -> None:
        call.person_sounds(self.length_s)
        await trio.sleep(self.length_s)


@frozen
class Coughs(Fault):
    """A short sound that the service does not take for an interruption."""

    async def happen(self, call: Call) -> None:
        call.person_sounds(0.2)


@frozen
class SaysUnheard(Fault):
    """The service decides that somebody speaks, and nobody did."""

    async def happen(self, call: Call) -> None:
        if (connection := call.service.current) is not None and connection.ready_at < trio.current_time():
            connection.decide_that_person_speaks()


@frozen
class Types(Fault):
    """Somebody types."""

    async def happen(self, call: Call) -> None:
        call.timeline.note("person", "types")
        call.room.types(Typed("alice", "What is the time?"))


@frozen
class Configures(Fault):
    """Somebody asks for another prompt."""

    async def happen(self, call: Call) -> None:
        call.timeline.note("person", "asks for another prompt")
        call.room.types(
            Asked(f"rpc_{self.at_s}", "alice", CONFIGURE_METHOD, '{"system_prompt": "Be brief."}')
        )


@frozen
class Mutes(Fault):
    """Everybody mutes the microphone for a while."""

    for_s: float

    async def happen(self, call: Call) -> None:
        call.timeline.note("room", f"microphones are muted for {self.for_s:.1f} s")
        call.mute(muted=True)
        await trio.sleep(self.for_s)
        call.mute(muted=False)


@frozen
class SwapsTrack(Fault):
    """Somebody takes another microphone; the new one may come before the old one goes."""

    new_first: bool

    async def happen(self, call: Call) -> None:
        for name, participant in list(call.room.present.items()):
            old = participant.track
            if participant.kind is not ParticipantKind.PERSON or old is None:
                continue
            if not self.new_first:
                call.room.unpublish(name)
                await trio.sleep(0.05)
            if call.room.present.get(name) is participant:
                call.room.publish(name)
            if self.new_first:
                await trio.sleep(0.05)
                if call.room.present.get(name) is participant:
                    call.room.unpublish(name, old)
            return


@frozen
class PersonLeaves(Fault):
    """Somebody leaves and comes back."""

    for_s: float

    async def happen(self, call: Call) -> None:
        if "alice" not in call.room.present:
            return
        person = call.room.present["alice"].person
        call.room.go("alice")
        await trio.sleep(self.for_s)
        if "alice" not in call.room.present:
            call.room.come(person, ParticipantKind.PERSON, with_track=True)


@frozen
class SomebodyVisits(Fault):
    """A second person or a machine comes for a while."""

    for_s: float
    kind: ParticipantKind
    with_track: bool

    async def happen(self, call: Call) -> None:
        name = f"visitor-{self.at_s}"
        call.room.come(Person(name), self.kind, with_track=self.with_track)
        await trio.sleep(self.for_s)
        call.room.go(name)


@frozen
class MicrophoneHeldBack(Fault):
    """The network holds frames back, then brings them all at once."""

    for_s: float

    async def happen(self, call: Call) -> None:
        call.timeline.note("room", f"microphone frames are held back for {self.for_s:.2f} s")
        for track in call.tracks():
            track.held_until = trio.current_time() + self.for_s


@frozen
class MicrophoneJitters(Fault):
    """Frames come irregularly."""

    for_s: float
    jitter_s: float

    async def happen(self, call: Call) -> None:
        tracks = call.tracks()
        for track in tracks:
            track.jitter_s = self.jitter_s
        await trio.sleep(self.for_s)
        for track in tracks:
            track.jitter_s = 0.005


@frozen
class RoomSlow(Fault):
    """Captures take long."""

    for_s: float
    takes_s: float

    async def happen(self, call: Call) -> None:
        call.timeline.note("room", f"captures take {self.takes_s * 1000:.0f} ms for {self.for_s:.1f} s")
        call.loudspeaker.takes_s = self.takes_s
        await trio.sleep(self.for_s)
        call.loudspeaker.takes_s = 0.0


@frozen
class BoardSlow(Fault):
    """Front ends are slow to be told."""

    for_s: float
    takes_s: float

    async def happen(self, call: Call) -> None:
        call.timeline.note("room", f"attributes take {self.takes_s * 1000:.0f} ms for {self.for_s:.1f} s")
        call.board.takes_s = self.takes_s
        await trio.sleep(self.for_s)
        call.board.takes_s = 0.0


@frozen
class RoomReconnects(Fault):
    """The connection to the room breaks and is fixed."""

    for_s: float

    async def happen(self, call: Call) -> None:
        call.room.reconnecting()
        await trio.sleep(self.for_s)
        call.room.reconnected()


@frozen
class NobodyHears(Fault):
    """The agent's track is muted, or taken from the room, for a while."""

    for_s: float
    why: Unheard

    async def happen(self, call: Call) -> None:
        call.reach(self.why)
        await trio.sleep(self.for_s)
        call.reach(None)


@frozen
class RoomIsLost(Fault):
    """The connection to the room breaks for good; joining again fails a few times."""

    refusals: int

    async def happen(self, call: Call) -> None:
        call.room.refuses = max(call.room.refuses, self.refusals)
        call.room.put_out(WhyLeft.LOST)


@frozen
class LineStalls(Fault):
    """Nothing gets through for a while."""

    for_s: float
    only_out: bool

    async def happen(self, call: Call) -> None:
        connection = call.service.current
        if connection is None:
            return
        way = "from the agent" if self.only_out else "either way"
        call.timeline.note("line", f"nothing gets through {way} for {self.for_s:.2f} s")
        connection.line.stall(only_out=self.only_out)
        await trio.sleep(self.for_s)
        connection.line.flow()


@frozen
class LineDrops(Fault):
    """The connection to the service ends."""

    how: str
    down_s: float
    down_how: str
    resumable: bool
    answers: tuple[str, ...]
    """What the next connections meet."""

    async def happen(self, call: Call) -> None:
        service = call.service
        if service.current is None:
            return
        service.resumable = self.resumable
        service.answers.clear()
        service.answers.extend(self.answers)
        service.down = self.down_how if self.down_s else ""
        how, _, code = self.how.partition(" ")
        said = service.current.said
        if how == "1008" and said and isinstance(said[-1], SessionFailed):
            # An error and then this close: the service means what it said.
            call.may_end_as("ServiceError")
        service.current.drop(how, code=code)
        await trio.sleep(self.down_s)
        service.down = ""


@frozen
class LineDropsInATool(Fault):
    """The connection ends while a tool runs, and the session is not kept."""

    async def happen(self, call: Call) -> None:
        if (connection := call.service.current) is not None:
            connection.wish(manner=call.service.draw(tool=True))
        with trio.move_on_after(12):
            while (connection := call.service.current) is None or not connection.waits_for_a_tool:
                await trio.sleep(0.05)
            await trio.sleep(self.at_s % 0.3)
            call.service.resumable = False
            connection.drop("reset")


@frozen
class ServiceComplains(Fault):
    """A `session.error` that no close follows."""

    code: str

    async def happen(self, call: Call) -> None:
        if (connection := call.service.current) is not None:
            call.timeline.note("service", f"complains: {self.code or 'without a code'}")
            if connection.ready_at > trio.current_time():
                # Before a session is ready, a complaint may be its refusal.
                call.may_end_as("ServiceError")
            connection.tell(SessionFailed(self.code, "simulated", param=None))


@frozen
class ServiceSaysOddThings(Fault):
    """A frame that the agent does not know, or that is malformed."""

    which: int

    async def happen(self, call: Call) -> None:
        if (connection := call.service.current) is not None:
            connection.say(ODD_FRAMES[self.which % len(ODD_FRAMES)])


@frozen
class ServiceRepeatsDone(Fault):
    """`reply.done` for a reply of long ago, or for one that nobody knows."""

    interrupted: bool
    back: int

    async def happen(self, call: Call) -> None:
        if (connection := call.service.current) is not None:
            number = max(1, call.service.replies - self.back)
            status = "interrupted" if self.interrupted else "completed"
            active = connection.active
            known = f"resp_{number}" in call.ledger.replies
            if known and (active is None or active.manner.number != number):
                call.timeline.note("service", f"says again that resp_{number} is {status}")
                connection.tell(ReplyDone(f"resp_{number}", status))


@frozen
class ServiceSpeaks(Fault):
    """A reply that nobody asked for, in the middle of another perhaps."""

    replaces: bool

    async def happen(self, call: Call) -> None:
        if (connection := call.service.current) is not None:
            if self.replaces and connection.active is not None:
                connection.active.over = True
                connection.active.scope.cancel()
            connection.wish()


# What the agent cannot survive, and must end on with one typed error.


@frozen
class RoomIsClosed(Fault):
    """The agent is put out for good."""

    why: WhyLeft
    fatal = "RoomClosed"

    async def happen(self, call: Call) -> None:
        while not call.room.agent_is_in and not call.over.is_set():
            await trio.sleep(0.1)
        call.room.put_out(self.why)


@frozen
class RoomIsGone(Fault):
    """The room cannot be joined any more."""

    fatal = "RoomUnreachable"

    async def happen(self, call: Call) -> None:
        call.room.refuses = 1000
        call.room.put_out(WhyLeft.LOST)


@frozen
class ServiceIsGone(Fault):
    """The service cannot be reached any more."""

    how: str
    fatal = "ServiceUnreachable"

    async def happen(self, call: Call) -> None:
        call.service.gone = self.how
        if (connection := call.service.current) is not None:
            connection.drop("reset")


@frozen
class KeyIsRefused(Fault):
    """The key is not good any more."""

    fatal = "KeyRefused"

    async def happen(self, call: Call) -> None:
        call.service.refuses_key = True
        if (connection := call.service.current) is not None:
            connection.drop("1008", code="unauthorized")


FATAL: tuple[Callable[[float, Random], Fault], ...] = (
    lambda at, random: RoomIsClosed(at, random.choice([WhyLeft.CLOSED, WhyLeft.REMOVED, WhyLeft.REPLACED])),
    lambda at, random: RoomIsGone(at),
    lambda at, random: ServiceIsGone(at, random.choice(["refused", "hangs"])),
    lambda at, random: KeyIsRefused(at),
)

CLOSES = ("1011", "1008", "1000", "1001", "1012", "ended", "eof", "reset", "half")
CLOSES_AFTER_ERROR = ("1011 internal_error", "1008 session_expired", "1008 at_capacity", "eof internal_error")
MEETINGS = (
    "http 503",
    "http 429",
    "http 404",
    "mute",
    "never ready",
    "slow",
    "eof",
    "error at_capacity 1008",
    "error concurrency_exceeded 1008",
    "error internal_error 1011",
    "error agent_timeout eof",
)
"""What a connection may meet instead of a session, or before it."""


def _drop(at_s: float, random: Random) -> Fault:
    down_s = random.choice([0.0, 0.0, 0.0, random.uniform(0.5, 8), random.uniform(8, 30)])
    answers = tuple(random.choice(MEETINGS) for _ in range(random.choice([0, 0, 0, 0, 1, 2])))
    how = random.choice([*CLOSES, *CLOSES, *CLOSES_AFTER_ERROR])
    return LineDrops(at_s, how, down_s, random.choice(["refused", "hangs"]), random.random() < 0.8, answers)


DRAWS: tuple[tuple[int, Callable[[float, Random], Fault]], ...] = (
    (30, lambda at, random: Says(at, round(random.uniform(0.4, 4.0), 2))),
    (12, lambda at, random: Coughs(at)),
    (3, lambda at, random: SaysUnheard(at)),
    (5, lambda at, random: Types(at)),
    (2, lambda at, random: Configures(at)),
    (3, lambda at, random: Mutes(at, round(random.uniform(0.1, 8), 2))),
    (3, lambda at, random: SwapsTrack(at, random.random() < 0.5)),
    (3, lambda at, random: PersonLeaves(at, round(random.uniform(0.0, 8), 2))),
    (
        3,
        lambda at, random: SomebodyVisits(
            at, round(random.uniform(0, 10), 2), random.choice(list(ParticipantKind)), random.random() < 0.7
        ),
    ),
    (4, lambda at, random: MicrophoneHeldBack(at, round(random.uniform(0.05, 3), 2))),
    (3, lambda at, random: MicrophoneJitters(at, round(random.uniform(1, 10), 2), random.uniform(0.02, 0.2))),
    (4, lambda at, random: RoomSlow(at, round(random.uniform(0.5, 5), 2), random.uniform(0.005, 0.3))),
    (2, lambda at, random: BoardSlow(at, round(random.uniform(1, 10), 2), random.uniform(0.1, 2))),
    (2, lambda at, random: RoomReconnects(at, round(random.uniform(0.1, 10), 2))),
    (
        2,
        lambda at, random: NobodyHears(
            at, round(math.exp(random.uniform(-2, 3.8)), 2), random.choice([*Unheard][1:])
        ),
    ),
    (3, lambda at, random: RoomIsLost(at, random.choice([0, 0, 1, 2, 5]))),
    (
        5,
        lambda at, random: LineStalls(at, round(math.exp(random.uniform(-4, 3)), 3), random.random() < 0.3),
    ),
    (7, _drop),
    (4, lambda at, random: LineDropsInATool(at)),
    (4, lambda at, random: ServiceComplains(at, random.choice(NON_FATAL_CODES))),
    (3, lambda at, random: ServiceSaysOddThings(at, random.randrange(100))),
    (3, lambda at, random: ServiceRepeatsDone(at, random.random() < 0.5, random.randrange(4))),
    (5, lambda at, random: ServiceSpeaks(at, random.random() < 0.5)),
)


def draw_bout(random: Random) -> list[Fault]:
    """What happens in one bout, in order: now a little, now a lot."""
    length_s = random.uniform(6, 30)
    draws = random.choices(
        [draw for _, draw in DRAWS], [weight for weight, _ in DRAWS], k=random.randint(2, 14)
    )
    faults = [draw(random.uniform(0, length_s), random) for draw in draws]
    return sorted(faults, key=lambda fault: fault.at_s)


def draw_fatal(random: Random) -> Fault:
    """What ends the agent."""
    return random.choice(FATAL)(random.uniform(0, 10), random)
