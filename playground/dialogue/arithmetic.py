"""Sums: "what is twelve times seven", "20% of 80", "divide 100 by 3", "the square root of 2".

The words become tokens, and a parser of a few lines reads them: sums of products of powers. The answer says
how it read the question, so that a number that was misheard is noticed. Exact fractions throughout,
bounded in size; nothing is ever evaluated as a program.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping
from fractions import Fraction

import attrs

from playground.dialogue.numbers import numbers_in, read_number, written
from playground.dialogue.turn import Answer, Turn, first_answer, when

__all__ = ["TOPIC"]

_LARGEST = 10**15
"""Beyond it nobody follows the words."""
_MOST_TOKENS = 80
_DEEPEST = 20

_LEAD = (
    r"^(?:(?:what|how much|how many) (?:is|are|does|do|would be)"
    r"|what(?: do i| do you)? get (?:if|when) (?:i|you)"
    r"|calculate|compute|work out|tell me(?: what)?|do you know(?: what)?|what)? ?"
)
_TAIL = r"(?: ?(?:=|equals?|equal to|makes?|is|give|come to|be|together|altogether)(?: what| how much)?)?$"

_SIGNS = {
    "multiplied by": "*",
    "multiply by": "*",
    "divided by": "/",
    "divide by": "/",
    "added to": "+",
    "take away": "-",
    "to the power of": "^",
    "per cent": "%",
}
"""Phrases that stand for one sign."""
_WORDS = {
    **dict.fromkeys(("plus", "and", "+"), "+"),
    **dict.fromkeys(("minus", "less", "subtract", "negative", "-"), "-"),
    **dict.fromkeys(("times", "time", "x", "*", "×", "multiplied"), "*"),
    **dict.fromkeys(("over", "divided", "/", "÷"), "/"),
    **dict.fromkeys(("percent", "%"), "%"),
    "^": "^",
    "squared": "^2",
    "cubed": "^3",
}
_SAID = {"+": "plus", "-": "minus", "*": "times", "/": "divided by", "^": "to the power of"}
_PARTS = {"half": Fraction(1, 2), "third": Fraction(1, 3), "quarter": Fraction(1, 4), "fifth": Fraction(1, 5)}
_TIMES = {"twice": 2, "double": 2, "triple": 3}

_DO: Mapping[str, Callable[[Fraction, Fraction], Fraction]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
}


class _NotSums(Exception):
    """These words are no sum."""


class _TooLarge(Exception):
    """Nobody would follow such a number."""


@attrs.frozen
class _Value:
    value: Fraction
    said: str
    """How it was understood."""
    exact: bool = True


class _Parser:
    """Reads tokens from left to right."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens
        self._at = 0
        self._depth = 0
        self.operations = 0

    def whole(self) -> _Value:
        value = self._sum()
        if self._at != len(self._tokens):
            raise _NotSums
        return value

    def _sum(self) -> _Value:
        value = self._product()
        while (sign := self._sign("+-")) is not None:
            value = self._joined(sign, value, self._product())
        return value

    def _product(self) -> _Value:
        value = self._power()
        while (sign := self._sign("*/")) is not None:
            value = self._joined(sign, value, self._power())
        return value

    def _power(self) -> _Value:
        value = self._number()
        while self._next() in ("^2", "^3"):
            name = "squared" if self._tokens[self._at] == "^2" else "cubed"
            exponent = Fraction(int(self._tokens[self._at][1]))
            self._at += 1
            value = _Value(self._to_the(value.value, exponent), f"{value.said} {name}", value.exact)
        if self._sign("^") is not None:
            exponent_value = self._number()
            said = f"{value.said} {_SAID['^']} {exponent_value.said}"
            value = _Value(self._to_the(value.value, exponent_value.value), said, value.exact)
        if self._sign("%") is not None:
            self.operations += 1
            value = attrs.evolve(value, value=value.value / 100, said=f"{value.said} percent")
            if self._next() == "of":
                self._at += 1
                whole = self._power()
                said = f"{value.said} of {whole.said}"
                value = _Value(_small(value.value * whole.value), said, value.exact and whole.exact)
        return value

    def _number(self) -> _Value:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise _NotSums
        try:
            return self._prefixed() or self._plain_number()
        finally:
            self._depth -= 1

    def _prefixed(self) -> _Value | None:
        rest = self._tokens[self._at :]
        match rest:
            case ["the", *_]:
                self._at += 1
                return self._number()
            case ["-", *_]:
                self._at += 1
                value = self._number()
                return attrs.evolve(value, value=-value.value, said=f"minus {value.said}")
            case ["square", "root", "of", *_]:
                self._at += 3
                return self._root(self._number())
            case [part, "of", *_] if part in _PARTS:
                return self._share(part, 2)
            case ["a" | "one", part, "of", *_] if part in _PARTS:
                return self._share(part, 3)
            case [times, *_] if times in _TIMES:
                self._at += 1
                self.operations += 1
                value = self._number()
                return attrs.evolve(
                    value, value=_small(value.value * _TIMES[times]), said=f"{times} {value.said}"
                )
            case ["sum" | "product" | "difference" as what, "of" | "between", *_]:
                self._at += 2
                first = self._power()
                if self._sign("+") is None:
                    raise _NotSums
                sign = {"sum": "+", "product": "*", "difference": "-"}[what]
                return self._joined(sign, first, self._power())
            case _:
                return None

    def _share(self, part: str, words: int) -> _Value:
        self._at += words
        self.operations += 1
        value = self._number()
        article = "half" if part == "half" else f"a {part}"
        return attrs.evolve(value, value=value.value * _PARTS[part], said=f"{article} of {value.said}")

    def _plain_number(self) -> _Value:
        number = read_number(self._tokens, self._at) or read_number(self._tokens, self._at, homophones=True)
        if number is None:
            raise _NotSums
        self._at = number.end
        return _Value(_small(number.value), written(number.value))

    def _joined(self, sign: str, left: _Value, right: _Value) -> _Value:
        self.operations += 1
        value = _small(_DO[sign](left.value, right.value))
        return _Value(value, f"{left.said} {_SAID[sign]} {right.said}", left.exact and right.exact)

    def _to_the(self, base: Fraction, exponent: Fraction) -> Fraction:
        self.operations += 1
        if exponent.denominator != 1 or not -64 <= exponent <= 64:
            raise _TooLarge
        if abs(base) > 1 and abs(exponent) * math.log10(abs(base)) > math.log10(_LARGEST):
            raise _TooLarge
        return _small(base ** int(exponent))

    def _root(self, of: _Value) -> _Value:
        self.operations += 1
        said = f"the square root of {of.said}"
        if of.value < 0:
            raise _NotSums
        top, bottom = math.isqrt(of.value.numerator), math.isqrt(of.value.denominator)
        if top**2 == of.value.numerator and bottom**2 == of.value.denominator:
            return _Value(Fraction(top, bottom), said, of.exact)
        return _Value(Fraction(math.sqrt(of.value)), said, exact=False)

    def _next(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _sign(self, signs: str) -> str | None:
        token = self._next()
        if not token or token not in signs:
            return None
        self._at += 1
        return token


def _small(value: Fraction) -> Fraction:
    if abs(value) > _LARGEST or value.denominator > 10**40:
        raise _TooLarge
    return value


def _tokens(words: str) -> list[str]:
    for phrase, sign in _SIGNS.items():
        words = words.replace(phrase, sign)
    found = re.findall(r"\d+(?:\.\d+)?|[^\W\d]+|[+*/×÷^%-]", words)
    tokens: list[str] = []
    for number, word in enumerate(found):
        # "two hundred and five" keeps its "and": `read_number` knows whether it belongs to a number.
        inside = word == "and" and tokens and tokens[-1] in ("hundred", "thousand", "million")
        tokens.append(word if inside and _is_number(found, number + 1) else _WORDS.get(word, word))
    return tokens


def _is_number(words: list[str], at: int) -> bool:
    return read_number(words, at) is not None


def _worked_out(words: str) -> Answer | None:
    tokens = _tokens(words)
    if len(tokens) > _MOST_TOKENS:
        return None
    parser = _Parser(tokens)
    try:
        value = parser.whole()
    except _NotSums:
        return None
    except _TooLarge:
        return Answer("That is too large a number for me to say.")
    except ZeroDivisionError:
        return Answer("Nobody can divide by zero, and neither can I.")
    return _told(value) if parser.operations else None


def _told(value: _Value) -> Answer:
    shown = written(value.value)
    rounded = not value.exact or numbers_in([shown.lstrip("-").replace(",", "")])[0].value != abs(value.value)
    return Answer(f"{value.said[:1].upper()}{value.said[1:]} is {'about ' if rounded else ''}{shown}.")


def _sum(turn: Turn, match: re.Match[str]) -> Answer | None:
    return _worked_out(match["sum"])


def _order(form: str) -> Callable[[Turn, re.Match[str]], Answer | None]:
    """A sum that is asked for by a verb: `form` puts the two numbers in their places."""

    def answer(turn: Turn, match: re.Match[str]) -> Answer | None:
        return _worked_out(form.format(a=match["a"], b=match["b"]))

    return answer


def _share_of(turn: Turn, match: re.Match[str]) -> Answer | None:
    part, whole = (read_number(_tokens(match[name])) for name in ("part", "whole"))
    if part is None or whole is None:
        return None
    if not whole.value:
        return Answer("Nothing is a share of zero.")
    share = Fraction(part.value * 100, whole.value)
    return Answer(f"{written(part.value)} is {written(share)} percent of {written(whole.value)}.")


TOPIC = first_answer(
    (
        when(_LEAD + r"(?P<sum>.+?)" + _TAIL, then=_sum),
        when(r"\badd (?P<a>.+) (?:to|and) (?P<b>.+)$", then=_order("{a} plus {b}")),
        when(r"\bsubtract (?P<a>.+) from (?P<b>.+)$", then=_order("{b} minus {a}")),
        when(r"\bmultiply (?P<a>.+) (?:by|with|and) (?P<b>.+)$", then=_order("{a} times {b}")),
        when(r"\bdivide (?P<a>.+) by (?P<b>.+)$", then=_order("{a} divided by {b}")),
        when(r"^(?:what|how many) percent of (?P<whole>.+) (?:is|are) (?P<part>.+)$", then=_share_of),
        when(r"^(?P<part>.+) is (?:what|how many) percent of (?P<whole>.+)$", then=_share_of),
    )
)
