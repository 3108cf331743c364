"""The time, the date, and days: "what day is Christmas", "how many days until the 3rd of May"."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, datetime, timedelta

import attrs

from playground.dialogue.numbers import read_number, read_ordinal
from playground.dialogue.turn import Answer, Turn, first_answer, when

__all__ = ["TOPIC", "Day", "find_day", "spoken_time"]

_WEEKDAYS = "monday tuesday wednesday thursday friday saturday sunday".split()
_MONTHS = "january february march april may june july august september october november december".split()
_FEASTS = {
    "christmas eve": (12, 24),
    "christmas": (12, 25),
    "new year's eve": (12, 31),
    "new years eve": (12, 31),
    "new year": (1, 1),
    "halloween": (10, 31),
    "valentine": (2, 14),
}
_RELATIVE = {
    "day after tomorrow": 2,
    "day before yesterday": -2,
    "tomorrow": 1,
    "yesterday": -1,
    "today": 0,
    "tonight": 0,
}
_YEARS = range(1900, 2200)


@attrs.frozen
class Day:
    """A day that was named."""

    date: date
    said: str
    """The words that named it, as plain words."""


def find_day(words: str, now: datetime) -> Day | None:
    """The first day that plain words name; one without a year is the next that comes."""
    today = now.date()
    for name, days in _RELATIVE.items():
        if re.search(rf"\b{name}\b", words):
            return Day(today + timedelta(days), name)
    for name, (month, day) in _FEASTS.items():
        if re.search(rf"\b{name}", words):
            feast = _next(today, month, day)
            return None if feast is None else Day(feast, name)
    iso = re.search(r"\b(\d{4}) ?- ?(\d{1,2}) ?- ?(\d{1,2})\b", words)
    if iso:
        found = _date(int(iso[1]), int(iso[2]), int(iso[3]))
        return None if found is None else Day(found, iso[0])
    tokens = words.split()
    for at, word in enumerate(tokens):
        if word in _MONTHS and (day_of := _day_of_month(tokens, at, today)) is not None:
            return day_of
    weekday = re.search(rf"\b(next )?({'|'.join(_WEEKDAYS)})s?\b", words)
    if weekday:
        ahead = (_WEEKDAYS.index(weekday[2]) - today.weekday() - 1) % 7 + 1
        return Day(today + timedelta(ahead), weekday[0])
    return None


def spoken_time(now: datetime) -> str:
    """A time of day, as one says it: `8:05 PM`."""
    return f"{(now.hour - 1) % 12 + 1}:{now:%M} {'AM' if now.hour < 12 else 'PM'}"


def _day_of_month(tokens: Sequence[str], at: int, today: date) -> Day | None:
    """The day that stands around a month's name: "3 May", "the 3rd of May 2027", "May third"."""
    month = _MONTHS.index(tokens[at]) + 1
    end = at - 1 if at and tokens[at - 1] == "of" else at
    for begin in (end - 2, end - 1, at + 1):
        number = _day_number(tokens, begin) if begin >= 0 else None
        if number is None or (begin < at and number[1] != end):
            continue
        day, after = number[0], max(number[1], at + 1)
        year, after = _year(tokens, after) or (None, after)
        found = _next(today, month, day) if year is None else _date(year, month, day)
        if found is not None:
            return Day(found, " ".join(tokens[min(begin, at) : after]))
    return None


def _day_number(tokens: Sequence[str], at: int) -> tuple[int, int] | None:
    ordinal = read_ordinal(tokens, at)
    if ordinal is not None:
        return ordinal
    number = read_number(tokens, at)
    return None if number is None or not 1 <= number.value <= 31 else (int(number.value), number.end)


def _year(tokens: Sequence[str], at: int) -> tuple[int, int] | None:
    if at < len(tokens) and tokens[at] in ("of", "in"):
        at += 1
    first = read_number(tokens, at)
    if first is None:
        return None
    if first.value in _YEARS:
        return int(first.value), first.end
    second = read_number(tokens, first.end)  # twenty twenty six
    if second is not None and first.value in (19, 20, 21) and 10 <= second.value < 100:
        return int(first.value * 100 + second.value), second.end
    return None


def _date(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def _next(today: date, month: int, day: int) -> date | None:
    """The next such day; None if no year has it."""
    days = (_date(year, month, day) for year in range(today.year, today.year + 9))
    return next((found for found in days if found is not None and found >= today), None)


def _long(day: date) -> str:
    return f"{day:%A}, {day.day} {day:%B %Y}"


def _time(turn: Turn, _: re.Match[str]) -> Answer:
    return Answer(f"It is {spoken_time(turn.now)}.")


def _today(turn: Turn, _: re.Match[str]) -> Answer:
    return Answer(f"Today is {_long(turn.now)}.")


def _month(turn: Turn, _: re.Match[str]) -> Answer:
    return Answer(f"It is {turn.now:%B}.")


def _this_year(turn: Turn, _: re.Match[str]) -> Answer:
    return Answer(f"It is {turn.now.year}.")


def _which_day(turn: Turn, match: re.Match[str]) -> Answer | None:
    day = find_day(match["day"], turn.now)
    if day is None:
        return None
    difference = (day.date - turn.now.date()).days
    verb = "is" if difference >= 0 else "was"
    near = {-1: "Yesterday", 0: "Today", 1: "Tomorrow"}.get(difference)
    if near is not None:
        return Answer(f"{near} {verb} {_long(day.date)}.")
    return Answer(f"{day.date.day} {day.date:%B %Y} {verb} a {day.date:%A}.")


def _until(turn: Turn, match: re.Match[str]) -> Answer | None:
    day = find_day(match["day"], turn.now)
    if day is None:
        return None
    days = (day.date - turn.now.date()).days
    what = f"{day.date.day} {day.date:%B %Y}"
    if days < 0:
        return Answer(f"{what} is over: it was {-days} days ago.")
    return Answer(
        f"{what} is today." if not days else f"{days} {'day' if days == 1 else 'days'} until {what}."
    )


def _is_it(turn: Turn, match: re.Match[str]) -> Answer:
    right = match["weekday"] == _WEEKDAYS[turn.now.weekday()]
    return Answer(f"Yes, today is {turn.now:%A}." if right else f"No, today is {turn.now:%A}.")


_NOW = r"(?: (?:now|right now|here|is it|it is))*$"

TOPIC = first_answer(
    (
        when(r"\bwhat time (?:is it|it is)\b", r"\b(?:have|has|got|know) the time\b", then=_time),
        when(
            r"^(?:what is |tell me |give me )?(?:what )?(?:the )?(?:current |exact )?time(?: is)?" + _NOW,
            then=_time,
        ),
        when(
            r"^is (?:it|today|it a|today a) (?P<weekday>" + "|".join(_WEEKDAYS) + r")(?: today)?$",
            then=_is_it,
        ),
        when(
            r"^how (?:many days|long|far)(?: is it| are there| is there)? (?:until|till|to|before|is)"
            r" (?P<day>.+)$",
            then=_until,
        ),
        when(r"\b(?:what|which) month\b", then=_month),
        when(r"^(?:what|which) year\b(?: is it)?", then=_this_year),
        when(
            r"\b(?:what|which) (?:day|weekday|date)(?: of the week)? (?:is|was|will|does|did)\b(?P<day>.+)",
            then=_which_day,
        ),
        when(
            r"^what (?:is|was)(?: the date(?: of)?)? "
            r"(?P<day>(?:tomorrow|yesterday|the day (?:after|before)\b).*)$",
            then=_which_day,
        ),
        when(r"^when is (?P<day>.+)$", then=_which_day),
        when(
            r"\b(?:what|which) (?:is )?(?:the )?(?:date|day|weekday|today)\b",
            r"\btoday'?s date\b",
            r"^the date$",
            r"^(?:tell me )?the date",
            then=_today,
        ),
    )
)
