"""Redirects or ends a call, by rules about what the person said.

    python runner.py --actor examples/moderator.py:Moderator,rules=examples/moderator.toml

The rules are a TOML file, tried in order against each thing that the person said; the first that fits counts:

    [[rule]]
    when = 'speak to (a|your) (person|human|manager)'     # a regular expression, in any letter case
    say = "Tell the person that a colleague will call them back today."

    [[rule]]
    when = 'diagnos|overdose'
    prompt = "You only help to find the right doctor now. Give no medical advice."

    [[rule]]
    when = 'stop calling me'
    say = "Apologise in one short sentence, and say goodbye."
    end = "the person wants no calls"

`say` makes the agent reply at once with these instructions, `prompt` replaces the system prompt, and `end`
leaves the room once the current reply has been heard; its text is for the log. A call must not go on without
its moderator: if the moderator fails, the call ends.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any, ClassVar

import attrs
import trio
from attrs import define, field, frozen

from channels.bounded import Receiver, Sender
from channels.errors import SettingsError
from channels.happenings import Happening, PersonSaid, ReplyBegan, ReplyEnded
from channels.messages import LeaveRoom
from channels.wire.messages import ClientMessage, ReplyCreate, SessionUpdate

LAST_WORDS_S = 15.0
"""A goodbye takes no longer; then the call ends, heard or not."""

QUIET_S = 1.5
"""The service may have begun an answer before the rule counted: the goodbye follows it within this."""


@frozen
class Rule:
    """What to do when the person says something."""

    when: re.Pattern[str]
    say: str | None = None
    prompt: str | None = None
    end: str | None = None


@define
class Moderator:
    """Applies rules to what the person says."""

    essential: ClassVar[bool] = True

    happenings: Receiver[Happening]
    requests: Sender[ClientMessage]
    departures: Sender[LeaveRoom]
    rules: Path
    _rules: list[Rule] = field(init=False)
    _applied_in: int | None = field(default=None, init=False)
    """The turn of the person in which a rule was applied last."""
    _ending: str | None = field(default=None, init=False)
    """Why the call is about to end."""
    _ends_at: float = field(default=float("inf"), init=False)
    _ends_by: float = field(default=float("inf"), init=False)

    def __attrs_post_init__(self) -> None:
        self._rules = read_rules(self.rules)

    async def run(self) -> None:
        """Watches until the call is over."""
        async with self.happenings, self.requests, self.departures:
            while True:
                with trio.move_on_at(self._ends_at) as waiting:
                    try:
                        await self._take(await self.happenings.receive())
                    except trio.EndOfChannel:
                        return
                if waiting.cancelled_caught and self._ending is not None:
                    await self.departures.send(LeaveRoom(self._ending))
                    return

    async def _take(self, happening: Happening) -> None:
        match happening:
            case PersonSaid(text=text, turn=turn, certain=True) if self._ending is None:
                # Before the turn is over, and therefore only once per turn: its text may grow.
                rule = next((rule for rule in self._rules if rule.when.search(text)), None)
                if rule is not None and turn != self._applied_in:
                    self._applied_in = turn
                    await self._apply(rule)
            case ReplyBegan() if self._ending is not None:
                self._ends_at = self._ends_by
            case ReplyEnded() if self._ending is not None:
                self._ends_at = min(self._ends_by, trio.current_time() + QUIET_S)
            case _:
                pass

    async def _apply(self, rule: Rule) -> None:
        if rule.prompt is not None:
            await self.requests.send(SessionUpdate({"system_prompt": rule.prompt}))
        if rule.say is not None:
            await self.requests.send(ReplyCreate(rule.say))
        if rule.end is not None:
            self._ending = rule.end
            self._ends_by = trio.current_time() + (LAST_WORDS_S if rule.say is not None else 0.0)
            self._ends_at = self._ends_by


def read_rules(path: Path) -> list[Rule]:
    """The rules of a file.

    Raises:
        SettingsError: it does not exist, or a rule is wrong.
    """
    try:
        written = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise SettingsError(
            f"Moderator.rules: {path} cannot be read ({error.strerror})", "check it"
        ) from None
    except ValueError as error:
        raise SettingsError(f"Moderator.rules: {path} is not TOML ({error})", "fix the file") from None
    rules = written.get("rule")
    if not isinstance(rules, list) or not rules or written.keys() != {"rule"}:
        raise SettingsError(f"Moderator.rules: {path} has no rules", "begin each one with [[rule]]")
    return [_rule(f"Moderator.rules: rule {number} of {path}", rule) for number, rule in enumerate(rules, 1)]


def _rule(called: str, written: Any) -> Rule:
    fields = [each.name for each in attrs.fields(Rule)]
    if not isinstance(written, dict) or not all(isinstance(value, str) for value in written.values()):
        raise SettingsError(f"{called} has a value that is not text", f"its fields are {', '.join(fields)}")
    for name in written.keys() - fields:
        raise SettingsError(f"{called} has a field {name!r}", f"its fields are {', '.join(fields)}")
    if "when" not in written or len(written) < 2:
        raise SettingsError(f"{called} does nothing", "give it `when`, and `say`, `prompt` or `end`")
    try:
        return Rule(**{**written, "when": re.compile(written["when"], re.IGNORECASE)})
    except re.error as error:
        raise SettingsError(f"{called}: `when` is not a regular expression ({error})", "fix it") from None
