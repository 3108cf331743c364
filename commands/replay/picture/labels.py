"""Where labels go so that none lies over another. No I/O, no clock."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import frozen

__all__ = ["Placed", "place", "width_of"]

GAP = 4.0


@frozen
class Placed:
    """A label and where it stands."""

    x: float
    line: int
    text: str


def width_of(text: str, size: float) -> float:
    """How wide a text is at most, about, in a sans-serif of that size."""
    wide = sum(1.0 if character in "mwMW@%—…" or ord(character) > 0x2E7F else 0.0 for character in text)
    narrow = sum(character in "ijlt.,:;'|!()[] " for character in text)
    return size * (0.58 * (len(text) - wide - narrow) + 0.95 * wide + 0.34 * narrow)


def place(
    labels: Iterable[tuple[float, str]], *, size: float, lines: int, right: float, push: float = 36.0
) -> list[Placed]:
    """Puts labels, in the order of their x, on lines below one another.

    They stay on a line for as long as each fits there at its own place, then go one line down, and from the
    last to the first again; where there is no room, a label moves right by up to `push`. What has no room
    even then is told by an ellipsis.
    """
    ends = [float("-inf")] * lines
    placed: list[Placed] = []
    line = 0
    for x, text in labels:
        width = width_of(text, size)
        wanted = min(x, right - width) if width < right else x
        if max(ends) + 4 * GAP < wanted:
            line = 0  # after a pause
        order = [(line + step) % lines for step in range(lines)]
        free = next((each for each in order if ends[each] + GAP <= wanted), None)
        if free is None:
            free = min(range(lines), key=lambda each: ends[each])
            wanted = ends[free] + GAP
            if wanted - x > push or wanted + width > right:
                if placed and not placed[-1].text.endswith("…"):
                    last = placed[-1]
                    placed[-1] = Placed(last.x, last.line, f"{last.text}…")
                    ends[last.line] += width_of("…", size)
                continue
        line = free
        placed.append(Placed(wanted, line, text))
        ends[line] = wanted + width
    return placed
