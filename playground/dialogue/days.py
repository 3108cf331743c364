"""Finds the times and days that were named: "Christmas", "the 3rd of May", "next Friday"."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta

import attrs
from dateutil.parser import ParserError, parse

from playground.dialogue.book import BOOK
from playground.dialogue.numbers import in_digits
from playground.dialogue.turn import Answer, Slots, Turn

__all__ = ["Day", "days_until", "find_day", "is_it", "spoken_date", "spoken_time", "which_day"]

_MONTH = "(?:january|february|march|april|may|june|july|august|september|october|november|december)"
_NUMBER = r"\d{1,2}(?:st|nd|rd|th)?"
_YEAR = r"(?: (?:of |in )?(?:19|20|21)\d\d)?"
_NAMED = re.compile(
    rf"\b(?:\d{{4}}-\d{{1,2}}-\d{{1,2}}|{_NUMBER} (?:of )?{_MONTH}{_YEAR}|{_MONTH} (?:the )?{_NUMBER}{_YEAR}"
    r"|(?:next )?(?:mon|tues|wednes|thurs|fri|satur|sun)days?)\b"
)
_OTHERS = re.compile(
    "|".join(
        rf"\b{re.escape(name)}"
        for name in sorted((*BOOK.file.days, *BOOK.file.feasts), key=len, reverse=True)
    )
)


@attrs.frozen
class Day:
    """A day that was named."""

    date: date
    said: str
    """The words that named it, with numbers in digits."""


def find_day(words: str, now: datetime) -> Day | None:
    """The first day that plain words name; one without a year is the next that comes."""
    digits = in_digits(words)
    found = _OTHERS.search(digits) or _NAMED.search(digits)
    if found is None:
        return None
    said = found[0]
    if said in BOOK.file.days:
        return Day(now.date() + timedelta(BOOK.file.days[said]), said)
    day = _parsed(BOOK.file.feasts.get(said, said), now.date())
    return None if day is None else Day(day, said)


def _parsed(said: str, today: date) -> date | None:
    if said.rstrip("s").endswith("day"):
        return _next(said.removeprefix("next ").rstrip("s"), today + timedelta(1))
    said = re.sub(r"\b(?:of|the|in) ", "", said)
    if re.search(r"\d{4}", said):
        return _next(said, today)
    # The next that comes; the 29th of February may be eight years away.
    days = (_next(said, date(today.year + years, 1, 1)) for years in range(9))
    return next((day for day in days if day is not None and day >= today), None)


def _next(said: str, since: date) -> date | None:
    """The day with what was not said from another day; a weekday is the next one from there."""
    try:
        found: datetime = parse(said, default=datetime.combine(since, datetime.min.time()), yearfirst=True)
    except (ParserError, OverflowError):
        return None
    return found.date()


def spoken_time(now: datetime) -> str:
    """A time of day, as one says it: `8:05 PM`."""
    return f"{(now.hour - 1) % 12 + 1}:{now:%M} {'AM' if now.hour < 12 else 'PM'}"


def spoken_date(day: date) -> str:
    """A day, as one says it: `Tuesday, 3 November 2026`."""
    return f"{day:%A}, {day.day} {day:%B %Y}"


def which_day(turn: Turn, slots: Slots) -> Answer | None:
    """The weekday and the date of a day."""
    day = find_day(slots["day"], turn.now)
    if day is None:
        return None
    difference = (day.date - turn.now.date()).days
    verb = "is" if difference >= 0 else "was"
    near = {-1: "Yesterday", 0: "Today", 1: "Tomorrow"}.get(difference)
    if near is not None:
        return Answer(f"{near} {verb} {spoken_date(day.date)}.")
    return Answer(f"{day.date.day} {day.date:%B %Y} {verb} a {day.date:%A}.")


def days_until(turn: Turn, slots: Slots) -> Answer | None:
    """How far a day is."""
    day = find_day(slots["day"], turn.now)
    if day is None:
        return None
    days = (day.date - turn.now.date()).days
    what = f"{day.date.day} {day.date:%B %Y}"
    if days < 0:
        return Answer(f"{what} is over: it was {-days} days ago.")
    return Answer(
        f"{what} is today." if not days else f"{days} {'day' if days == 1 else 'days'} until {what}."
    )


def is_it(turn: Turn, slots: Slots) -> Answer:
    """Whether today is that weekday."""
    right = slots["weekday"] == f"{turn.now:%A}".lower()
    return Answer(f"{'Yes' if right else 'No'}, today is {turn.now:%A}.")
