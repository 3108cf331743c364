"""A tool's arguments, out of what the person actually said.

Every kind of argument has a finder: it gives the value that the words contain, or nothing. Nothing is made
up, no default filled in: the platform refuses values that the user never gave (protocol reference, 7.4). What
is required and was not said is asked for, and the whole next turn may then be its value (`answered`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeAlias

import attrs

from playground.dialogue.days import find_day
from playground.dialogue.numbers import in_digits, number
from playground.dialogue.tool_choice import name_words
from playground.dialogue.words import cut, plain, quotable, stem

__all__ = ["Heard", "answered", "arguments_in", "required"]

Json: TypeAlias = "str | int | float | bool | list[Any] | None"
"""None: not said."""

_PREPOSITIONS = {
    "in": "city location place town country region area where room",
    "at": "place address time when hour location",
    "from": "origin source start departure begin sender",
    "to": "destination recipient target end arrival receiver contact",
    "for": "city location person guest name recipient purpose reason item product",
    "about": "topic subject query question matter about",
    "on": "date day when topic device",
    "with": "person guest contact attendee",
    "called": "name title called",
    "named": "name title named",
    "of": "city location item product name",
    "by": "author artist name deadline",
}
"""Which arguments stand behind which words."""
_FREE = frozenset(
    "query question text message note content body search phrase prompt request description".split()
)
"""Arguments that are a piece of free text."""
_INTRODUCING = ("saying", "says", "that")
"""Words before a piece of free text, the surest first."""
_CODES = frozenset("id number code reference ref order account phone zip postcode pin serial".split())
_NEVER_A_NAME = frozenset(
    """i i'm i'd i'll i've monday tuesday wednesday thursday friday saturday sunday january february march
    april may june july august september october november december what where when who how is are can
    could please the tell okay ok today tomorrow""".split()
)
_MOST = 200
_VARYING = re.compile(r"[*+?]|\{\d*,")
_AGAIN = re.compile(r"\)[*+{]|\\[1-9]|\(\?P=")
"""A group again and again, or what refers back to one."""
_MOST_VARYING = 3


@attrs.frozen
class Heard:
    """A turn, as the finders see it."""

    said: str = attrs.field(converter=cut)
    now: datetime
    words: str = attrs.field(init=False)
    """Plain words …"""
    digits: tuple[str, ...] = attrs.field(init=False)
    """… and with numbers in digits."""

    @words.default
    def _(self) -> str:
        return plain(self.said)

    @digits.default
    def _(self) -> tuple[str, ...]:
        return tuple(in_digits(self.words).split())

    @property
    def numbers(self) -> list[int]:
        """The places in `digits` where a number stands."""
        return [place for place, word in enumerate(self.digits) if number(word) is not None]


def arguments_in(heard: Heard, tool: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments that were said."""
    found: dict[str, Any] = {}
    numbers = heard.numbers
    for name, schema in _properties(tool).items():
        value = _value(heard, name, schema, numbers, needed=name in required(tool))
        if value is not None:
            found[name] = value
    return found


def answered(heard: Heard, tool: Mapping[str, Any], name: str) -> Json:
    """The value of an argument that was asked for: what the turn contains, or the turn as it is."""
    schema = _properties(tool).get(name, {})
    value = _value(heard, name, schema, heard.numbers, needed=True)
    closed = "enum" in schema or "pattern" in schema or schema.get("type", "string") != "string"
    if value is not None or closed or schema.get("format") in ("date", "time", "date-time", "email"):
        return value
    lead = r"(?i)^\W*(?:(?:it is|it's|that is|that's|this is|the|in|at|for|to|um|uh|please|my)\s+)*"
    return quotable(re.sub(lead, "", heard.said), 40) or None


def required(tool: Mapping[str, Any]) -> list[str]:
    """The names of the arguments that must be there."""
    names = _parameters(tool).get("required")
    properties = _properties(tool)
    if not isinstance(names, Sequence):
        return []
    return [name for name in names if isinstance(name, str) and name in properties]


def _parameters(tool: Mapping[str, Any]) -> Mapping[str, Any]:
    parameters = tool.get("parameters")
    return parameters if isinstance(parameters, Mapping) else {}


def _properties(tool: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    properties = _parameters(tool).get("properties")
    if not isinstance(properties, Mapping):
        return {}
    return {str(name): schema if isinstance(schema, Mapping) else {} for name, schema in properties.items()}


def _value(heard: Heard, name: str, schema: Mapping[str, Any], numbers: list[int], *, needed: bool) -> Json:
    if isinstance(schema.get("enum"), Sequence):
        return _one_of(heard, schema["enum"])
    match schema.get("type", "string"):
        case "integer":
            value = _number(heard, name, numbers, needed)
            return value if isinstance(value, int) else None
        case "number":
            return _number(heard, name, numbers, needed)
        case "boolean":
            return _yes_or_no(heard, name)
        case "array":
            items = schema.get("items")
            items = items if isinstance(items, Mapping) else {}
            if isinstance(items.get("enum"), Sequence):
                return [one for one in items["enum"] if _one_of(heard, [one]) is not None] or None
            one = _value(heard, name, items, numbers, needed=needed)
            return None if one is None else [one]
        case "string":
            return _text(heard, name, schema, numbers, needed)
        case _:
            return None


def _one_of(heard: Heard, choices: Sequence[Any]) -> Json:
    """The longest of the choices that was said."""
    if isinstance(choices, str):
        return None
    said = {stem(word) for word in heard.words.split()}
    sure: list[str | int | float] = []
    for choice in choices[:_MOST]:
        if isinstance(choice, str | int | float) and not isinstance(choice, bool):
            words = {stem(word) for word in plain(" ".join(name_words(str(choice)))).split()}
            if words and words <= said:
                sure.append(choice)
    return max(sure, key=lambda choice: len(str(choice)), default=None)


def _number(heard: Heard, name: str, numbers: list[int], needed: bool) -> int | float | None:
    """The number beside a word of the name ("room 12", "3 nights"), else the next; it is used up."""
    words, names = heard.digits, {stem(word) for word in name_words(name)}
    beside = (
        at
        for at in numbers
        if names & {stem(word) for word in (*words[max(0, at - 1) : at], *words[at + 1 : at + 2])}
    )
    at = next(beside, numbers[0] if needed and numbers else None)
    if at is None:
        return None
    numbers.remove(at)
    return number(words[at])


def _yes_or_no(heard: Heard, name: str) -> bool | None:
    words = heard.words.split()
    for at, word in enumerate(words):
        if stem(word) in {stem(one) for one in name_words(name)}:
            return not (at and words[at - 1] in ("no", "not", "without"))
    return {"yes": True, "no": False}.get(heard.words)


def _text(heard: Heard, name: str, schema: Mapping[str, Any], numbers: list[int], needed: bool) -> str | None:
    names = {stem(word) for word in name_words(name)} | {name.lower()}
    finders: list[Callable[[], str | None]] = [
        lambda: _example(heard, schema),
        lambda: _formatted(heard, names, str(schema.get("format", ""))),
        lambda: _fitting(heard, schema.get("pattern")),
    ]
    if schema.get("format") not in ("date", "time", "date-time", "email") and "pattern" not in schema:
        finders += [lambda: _quoted(heard), lambda: _behind(heard, names)]
        if needed:
            finders += [
                lambda: _code(heard, names, numbers),
                lambda: _free(heard) if names & _FREE else None,
                lambda: _capital(heard),
                lambda: None if names & _CODES else _behind(heard, None),
            ]
    return next((value for find in finders if (value := find())), None)


def _example(heard: Heard, schema: Mapping[str, Any]) -> str | None:
    examples = schema.get("examples")
    if not isinstance(examples, Sequence) or isinstance(examples, str):
        return None
    found = _one_of(heard, [one for one in examples if isinstance(one, str)])
    return found if isinstance(found, str) else None


def _formatted(heard: Heard, names: set[str], form: str) -> str | None:
    dated, timed = {"date", "day", "when"} & names, {"time", "hour"} & names
    if form == "email" or "email" in names:
        spelled = re.sub(r" ?(?:@|\bat\b) ?", "@", heard.words).replace(" dot ", ".")
        address = re.search(r"[\w.+-]{1,64}@[\w-]{1,64}(?:\.[\w-]{1,64}){1,4}", spelled)
        return address[0] if address else None
    if form in ("date", "date-time") or (not form and dated):
        day = find_day(heard.words, heard.now)
        if day is None:
            return None
        return f"{day.date:%Y-%m-%d}" if form == "date" else day.said if not form else None
    if form == "time" or (not form and timed):
        return _time(heard, formal=form == "time")
    return None


def _time(heard: Heard, *, formal: bool) -> str | None:
    words = " ".join(heard.digits)
    found = re.search(r"\b(\d{1,2})(?:[: ](\d{2}))? ?(a ?m|p ?m)\b", words) or re.search(
        r"\bat (\d{1,2})(?:[: ](\d{2}))?\b()", words
    )
    if found is None:
        return None
    hour, minute, half = int(found[1]), int(found[2] or 0), found[3].replace(" ", "")
    if hour > 23 or minute > 59:
        return None
    if half and hour <= 12:
        hour = hour % 12 + (12 if half == "pm" else 0)
    return f"{hour:02}:{minute:02}" + (":00" if formal else "")


def _fitting(heard: Heard, pattern: object) -> str | None:
    """Words next to each other that fit a pattern; letters and digits may have been said one by one."""
    if not isinstance(pattern, str) or not _is_quick(pattern):
        return None
    try:
        fits = re.compile(pattern).fullmatch
    except (re.error, RecursionError, OverflowError):
        return None
    words = re.findall(r"[\w.@+-]+", in_digits(heard.said[:_MOST]))
    digits = "".join(heard.digits[at] for at in heard.numbers[:50])
    runs = [
        words[at : at + length] for length in (1, 2, 3, 4, 5, 6, 7) for at in range(len(words) - length + 1)
    ]
    for run in (*runs, [digits]):
        together = "".join(run)
        dashed = re.sub(r"(?<=[A-Za-z])(?=\d)", "-", together)
        for joined in (together, dashed, "-".join(run), " ".join(run)):
            for form in (joined, joined.upper(), joined.lower()):
                if form.strip(".") and len(form) <= 40 and fits(form.strip(".")):
                    return form.strip(".")
    return None


def _is_quick(pattern: str) -> bool:
    """Whether a pattern can try but few ways to fit; it comes from outside."""
    varying = len(_VARYING.findall(pattern))
    ambiguous = _AGAIN.search(pattern) and (varying or "|" in pattern)
    return len(pattern) <= _MOST and varying <= _MOST_VARYING and not ambiguous


def _quoted(heard: Heard) -> str | None:
    found = re.search(r'["\u201c]([^"\u201c\u201d]{1,200})["\u201d]', heard.said)
    return found[1].strip() if found else None


def _behind(heard: Heard, names: set[str] | None) -> str | None:
    """What stands behind a preposition that goes with this argument; with no names, behind any."""
    for word, goes_with in _PREPOSITIONS.items():
        if names is not None and not names & set(goes_with.split()):
            continue
        others = "|".join((*_PREPOSITIONS, *_INTRODUCING))
        end = rf"(?= (?:{others}|and|today|tomorrow|now)\b|$)"
        found = re.search(rf"\b{word} (?!(?:{others}|me|that|this|it|a|you)\b)(.+?){end}", heard.words)
        if found is None:
            continue
        value = re.sub(r"^(?:the|my|our) ", "", found[1])
        day = find_day(value, heard.now)
        value = in_digits(value).replace(day.said, "").strip() if day else value
        if value and number(in_digits(value).split()[0]) is None:
            return _as_written(heard, value)[:_MOST]
    return None


def _as_written(heard: Heard, words: str) -> str:
    found = re.search(r"\W+".join(re.escape(word) for word in words.split()), heard.said, re.IGNORECASE)
    return found[0] if found else words


def _code(heard: Heard, names: set[str], numbers: list[int]) -> str | None:
    """An order's number, say: digits that were said as one number, or one by one."""
    if not names & _CODES:
        return None
    mixed = re.search(r"\b(?=[\w-]*\d)[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*\b", heard.said)
    if mixed and not mixed[0].isdigit():
        return mixed[0]
    if not numbers:
        return None
    return "".join(heard.digits[at] for at in numbers if heard.digits[at].isdigit()) or None


def _free(heard: Heard) -> str | None:
    for word in (*_INTRODUCING, "about", "called", "for", "to"):
        found = re.search(rf"(?i)\b{word}\b\s+(.+)", heard.said)
        if found:
            return quotable(found[1], 60)
    return None


def _capital(heard: Heard) -> str | None:
    """The longest row of words with a capital letter that the place in the sentence does not explain."""
    rows = re.findall(r"(?<![.!?])(?<!^)(?<=\s)[A-Z][\w'\u2019-]*(?:\s+[A-Z][\w'\u2019-]*)*", heard.said)
    rows = [row for row in rows if row.lower() not in _NEVER_A_NAME]
    return max(rows, key=len, default=None)
