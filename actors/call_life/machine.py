"""Adds the times to the table: pure functions over a frozen value; time is passed in, never asked for."""

from __future__ import annotations

import math

from attrs import evolve, frozen

from actors.call_life.table import TABLE, CallAction, CallSignal, Phase
from channels.settings import CallSettings

__all__ = ["CallState"]

GOODBYE_WITHIN_S = 15.0
"""From requesting a goodbye to its last word; a service that does not answer cannot keep the call open."""


REMEMBERED_S = 300.0
"""A person who comes back within this time (a reloaded page, a lost network) continues the same call. A call
belongs to the identities that were in it: nobody else continues it."""


TOOL_AT_MOST_S = 330.0
"""The longest time a tool may have, and a bit more: a tool that never reports back keeps no call alive."""


@frozen
class CallState:
    """A call, with its times (s)."""

    settings: CallSettings
    phase: Phase = Phase.EMPTY
    deadline: float = math.inf
    """When the time of this phase is up."""
    limit: float = math.inf
    """When the call has lasted long enough."""
    warning: float = math.inf
    """When people are told that it will."""
    people: frozenset[str] = frozenset()
    """Identities of those who are in the room."""
    party: frozenset[str] = frozenset()
    """Those who have been in the room since this session began."""
    former: frozenset[str] = frozenset()
    """Identities of the people in the last session."""
    ended_at: float = -math.inf
    tools: frozenset[str] = frozenset()
    """Calls that have not returned."""

    def next_time(self) -> float:
        """When to call `pass_time`; infinity: not before something happens."""
        return min(self.deadline, self.limit, self.warning)

    def is_fresh(self, now: float) -> bool:
        """Whether a session that begins now has nothing to do with the last one."""
        return not self.people & self.former or now - self.ended_at > REMEMBERED_S

    def come(self, identity: str, now: float) -> tuple[CallState, CallAction]:
        """Somebody came."""
        # Nobody joins a call that is just ending: the next one is theirs.
        party = self.party if self.phase is Phase.CLOSING else self.party | {identity}
        stranger = self.phase is Phase.ALONE and identity not in self.party
        signal = CallSignal.STRANGER_CAME if stranger else CallSignal.CAME
        return evolve(self, people=self.people | {identity}, party=party).take(signal, now)

    def go(self, identity: str, now: float) -> tuple[CallState, CallAction]:
        """Somebody left."""
        left = evolve(self, people=self.people - {identity})
        if left.phase is Phase.CLOSING and left.people and not left.people & left.party:
            return left.take(CallSignal.SPOKEN, now)  # they need not hear a goodbye to others
        if left.people or not self.people:
            return left, CallAction.NOTHING
        return left.take(CallSignal.EMPTIED, now)

    def go_on(self, now: float) -> tuple[CallState, CallAction]:
        """Call this when a session has ended: anybody who came meanwhile gets their own."""
        if self.phase is Phase.OVER and self.people - self.former:
            return self.take(CallSignal.CAME, now)
        return self, CallAction.NOTHING

    def be_deaf(self, now: float) -> tuple[CallState, CallAction]:
        """No more sounds will be reported, so no sound could restart a session that ended in silence."""
        return evolve(self, settings=evolve(self.settings, idle_ms=0)).take(CallSignal.SIGN, now)

    def call_tool(self, call_id: str, now: float) -> CallState:
        """A tool is running: people who wait for it are not asked whether they are still there."""
        return evolve(self, tools=self.tools | {call_id}).speak(now)

    def end_tool(self, call_id: str, now: float) -> CallState:
        """The tool has returned, or nobody waits for it any more."""
        return evolve(self, tools=self.tools - {call_id}).speak(now)

    def speak(self, now: float) -> CallState:
        """The agent's voice is heard, and nobody is expected to speak meanwhile."""
        return self._until_asked(now) if self.phase is Phase.TALKING else self

    def pass_time(self, now: float) -> tuple[CallState, CallAction, bool]:
        """Handles what is due by `now`; the last value says whether to warn of the end."""
        if now >= self.limit:
            return *evolve(self, limit=math.inf, warning=math.inf).take(CallSignal.LIMIT, now), False
        if now >= self.warning:
            return (
                evolve(self, warning=math.inf),
                CallAction.NOTHING,
                self.phase in (Phase.TALKING, Phase.ASKED),
            )
        if now >= self.deadline:
            return *self.take(CallSignal.DEADLINE, now), False
        return self, CallAction.NOTHING, False

    def take(self, signal: CallSignal, now: float) -> tuple[CallState, CallAction]:
        """The call after a signal, and what to do."""
        phase, action = TABLE[self.phase][signal]
        after = evolve(self, phase=phase)
        if action in (CallAction.BEGIN, CallAction.BEGIN_ANEW):
            after = after._begun(now)
        elif action is CallAction.END:
            after = evolve(after, limit=math.inf, warning=math.inf, former=self.party, ended_at=now)
        if phase is Phase.TALKING:
            if signal in (CallSignal.CAME, CallSignal.SIGN) or self.phase is not Phase.TALKING:
                after = after._until_asked(now)
        elif phase is not self.phase:
            after = evolve(after, deadline=now + after._lasts_s())
        return after, action

    def _begun(self, now: float) -> CallState:
        begun = evolve(self, party=self.people, tools=frozenset[str]())
        longest_s = self.settings.longest_ms / 1000
        if longest_s <= 0:
            return begun
        warning = now + longest_s - self.settings.warn_ms / 1000
        return evolve(begun, limit=now + longest_s, warning=warning if warning > now else math.inf)

    def _until_asked(self, now: float) -> CallState:
        idle_s = self.settings.idle_ms / 1000
        if idle_s <= 0:
            return evolve(self, deadline=math.inf)
        return evolve(self, deadline=now + (max(idle_s, TOOL_AT_MOST_S) if self.tools else idle_s))

    def _lasts_s(self) -> float:
        match self.phase:
            case Phase.ALONE:
                return self.settings.alone_ms / 1000
            case Phase.ASKED:
                return self.settings.idle_end_ms / 1000
            case Phase.CLOSING:
                return GOODBYE_WITHIN_S
            case _:
                return math.inf
