"""Sums: "what is twelve times seven", "20% of 80", "the square root of 2".

The words become signs (`[sums]` in talk.toml) and numbers, nothing else, and simpleeval works them out.
The answer says how it read the question, so that a number that was misheard is noticed.
"""

from __future__ import annotations

import ast
import operator
import re
from math import isclose

from simpleeval import InvalidExpression, NumberTooHigh, SimpleEval

from playground.dialogue.book import BOOK
from playground.dialogue.numbers import in_digits, number, written
from playground.dialogue.turn import Answer, Slots, Turn

__all__ = ["share", "sum_of"]

_LARGEST = 10**15
"""Beyond it nobody follows the words."""
_MOST_POWER = 64
_MOST_TOKENS = 80
_TOO_LARGE = "That is too large a number for me to say."

_SIGNS = BOOK.file.sums
_SAID = {sign: phrase for phrase, sign in reversed(list(_SIGNS.items()))}
_TOKEN = re.compile(
    "|".join(
        rf"(?<!\w){re.escape(one)}(?!\w)" if one[0].isalpha() else re.escape(one)
        for one in sorted(_SIGNS, key=len, reverse=True)
    )
    + r"|[-+*/]|[\d.]+|\w+"
)


def sum_of(turn: Turn, slots: Slots) -> Answer | None:
    """Works a sum out; None if these words are none."""
    expression: list[str] = []
    said: list[str] = []
    signs = 0
    tokens = _TOKEN.findall(in_digits(slots["sum"]))
    if len(tokens) > _MOST_TOKENS:
        return None
    for token in tokens:
        sign = _SIGNS.get(token, token if token in "+-*/" else None)
        expects = not expression or not (expression[-1][-1].isdigit())
        misheard = BOOK.file.misheard_numbers.get(token) if expects else None
        value = number(token) if misheard is None else misheard
        if sign is None and value is None:
            return None
        signs += sign is not None
        expression.append(sign or str(value))
        said.append(_SAID[sign] if sign else written(value or 0))
    return _worked_out(" ".join(expression), " ".join(said)) if signs else None


def share(turn: Turn, slots: Slots) -> Answer | None:
    """How many percent one number is of another."""
    part, of = number(in_digits(slots["a"])), number(in_digits(slots["b"]))
    if part is None or of is None:
        return None
    if not of:
        return Answer("Nothing is a share of zero.")
    return Answer(f"{written(part)} is {written(part * 100 / of)} percent of {written(of)}.")


def _power(base: float, exponent: float) -> float:
    if abs(exponent) > _MOST_POWER or abs(base) > _LARGEST:
        raise NumberTooHigh
    return float(base**exponent) if exponent < 0 else base**exponent


_DO = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: _power,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}


def _worked_out(expression: str, said: str) -> Answer | None:
    expression = re.sub(r"sqrt ([\d.]+)", r"(\1 ** 0.5)", expression)
    try:
        value = SimpleEval(operators=_DO, functions={}, names={}).eval(expression)
    except ZeroDivisionError:
        return Answer("Nobody can divide by zero, and neither can I.")
    except (NumberTooHigh, OverflowError):
        return Answer(_TOO_LARGE)
    except (InvalidExpression, SyntaxError, ValueError, RecursionError):
        return None
    if not isinstance(value, int | float):
        return None
    if not abs(value) <= _LARGEST:  # it may be no number at all: infinity less infinity
        return Answer(_TOO_LARGE)
    shown = written(value)
    about = "" if isclose(float(shown.replace(",", "")), value, rel_tol=1e-12, abs_tol=1e-12) else "about "
    return Answer(f"{said[:1].upper()}{said[1:]} is {about}{shown}.")
