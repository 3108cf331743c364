"""One row of the picture: some seconds of a call as SVG, from the person above to the agent below."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from attrs import define, field

from commands.replay.differences import Difference, clock
from commands.replay.picture.labels import Placed, place
from commands.replay.picture.scene import Mark, Scene, Span, Timer, Word

__all__ = ["LEFT", "WIDTH", "Row"]

WIDTH = 1400.0
LEFT = 84.0
BAR = 18.0
TEXT = 11.0
BOLD = 12.0
LINE = 13.0
WORD_LINES = 3
BACKLOG = 24.0


@define
class Row:
    """From `begins` to `ends` (s).

    Args:
        replayed: what the replay did, if it is to be seen beside the record.
        most_ms: the largest backlog of the whole call, for the scale.
        width: of the drawing.
    """

    scene: Scene
    replayed: Scene | None
    differences: Sequence[tuple[int, Difference]]
    begins: float
    ends: float
    most_ms: float
    width: float = WIDTH
    _y: float = field(default=0.0, init=False)
    _parts: list[str] = field(factory=list, init=False)

    def draw(self) -> tuple[str, float]:
        """The SVG elements, and their height."""
        self._axis()
        self._voice("person", "person", self.scene.person)
        self._words(self.scene.person_words)
        self._service(self.scene.service)
        self._timers(self.scene.timers)
        self._voice("agent", "agent", self.scene.agent, self.scene)
        self._words(self.scene.agent_words)
        if self.replayed is not None:
            self._voice("replayed", "agent again", self.replayed.agent, self.replayed)
            self._y += 4
        self._backlog()
        self._marked_differences()
        height = self._y + 6
        behind = [
            self._box("outage", span, 16, height - 6, "no connection to the service")
            for span in self._in(self.scene.outages)
        ]
        return "".join([*behind, *self._parts]), height

    def told(self) -> str:
        """The row in words, for those who do not see it."""
        scene = self.scene
        lasting = (
            (scene.person, "the person makes a sound"),
            (scene.agent, "the agent is heard"),
            (scene.holds, "the voice is held"),
        )
        said = [
            f"{clock(span.begins)} {what} until {clock(span.ends)}"
            for spans, what in lasting
            for span in self._in(spans)
        ]
        said += [f"{clock(m.at)} {m.about}" for m in (*scene.service, *scene.cuts) if self._has(m.at)]
        said += [f"{clock(timer.begins)} {timer.name}" for timer in scene.timers if self._has(timer.begins)]
        words = [
            f"{who}: {text}"
            for who, spoken in (("person", self.scene.person_words), ("agent", self.scene.agent_words))
            if (text := " ".join(word.text for word in spoken if self._has(word.at)))
        ]
        return ". ".join([*sorted(said), *words]) or "silence"

    @property
    def _right(self) -> float:
        return self.width - 12.0

    def _x(self, at: float) -> float:
        return LEFT + (at - self.begins) / (self.ends - self.begins) * (self._right - LEFT)

    def _has(self, at: float) -> bool:
        return self.begins <= at < self.ends

    def _in(self, spans: Iterable[Span]) -> list[Span]:
        return [span for span in spans if span.begins < self.ends and span.ends > self.begins]

    def _axis(self) -> None:
        seconds = round(self.ends - self.begins)
        for second in range(seconds + 1):
            x = self._x(self.begins + second)
            whole = second % (5 if seconds > 15 else 1) == 0
            self._parts.append(
                f'<path class="{"grid" if whole else "tick"}" d="M{x:.1f} 14V{18 if not whole else 20}"/>'
            )
            if whole and second < seconds:
                at = round(self.begins) + second
                self._parts.append(_text("time", x + 3, 11, f"{at // 60}:{at % 60:02}"))
        self._y = 22

    def _lane(self, name: str) -> None:
        self._parts.append(_text("lane", LEFT - 8, self._y + 13, name, ' text-anchor="end"'))

    def _voice(self, kind: str, name: str, spans: Sequence[Span], scene: Scene | None = None) -> None:
        self._lane(name)
        y, until = self._y, self._x(min(self.ends, self.scene.length))
        self._parts.append(f'<path class="base" d="M{LEFT:.1f} {y + BAR / 2}H{until:.1f}"/>')
        for span in self._in(spans):
            about = f"{clock(span.begins)} to {clock(span.ends)}" + (f", {span.about}" if span.about else "")
            self._parts.append(self._box(kind, span, y, BAR, about))
        if scene is not None:
            for span in self._in(scene.holds):
                about = f"held for {(span.ends - span.begins) * 1000:,.0f} ms from {clock(span.begins)}"
                self._parts.append(self._box("hold", span, y - 1, BAR + 2, about))
            for cut in scene.cuts:
                if self._has(cut.at):
                    x = self._x(cut.at)
                    self._parts.append(
                        f'<path class="cut" d="M{x:.1f} {y - 4}V{y + BAR + 4}M{x - 4:.1f} {y - 4}h8">'
                        f"<title>{escape(f'{clock(cut.at)} {cut.about}')}</title></path>"
                    )
        self._y += BAR + 3

    def _words(self, words: Iterable[Word]) -> None:
        here = [(self._x(word.at), word.text) for word in words if self._has(word.at)]
        placed = place(here, size=TEXT, lines=WORD_LINES, right=self._right)
        self._labels("word", placed)

    def _service(self, marks: Iterable[Mark]) -> None:
        here = sorted((mark for mark in marks if self._has(mark.at)), key=lambda mark: mark.at)
        if not here:
            return
        self._lane("service")
        labels = place(
            [(self._x(m.at) - 1, m.label) for m in here], size=TEXT, lines=3, right=self._right, push=12
        )
        for mark in here:
            x = self._x(mark.at)
            self._parts.append(
                f'<path class="decision" d="M{x:.1f} {self._y}v6">'
                f"<title>{escape(f'{clock(mark.at)} {mark.about}')}</title></path>"
            )
        self._y += 5
        self._labels("decided", labels)

    def _timers(self, timers: Iterable[Timer]) -> None:
        here = [timer for timer in timers if timer.begins < self.ends and timer.ends > self.begins]
        if not here:
            return
        self._lane("timers")
        y = self._y + 5
        for timer in here:
            begins, ends = self._x(max(timer.begins, self.begins)), self._x(min(timer.ends, self.ends))
            kind = "barge" if timer.name.startswith("barge") else "turn"
            self._parts.append(
                f'<path class="timer {kind}" '
                f'd="M{begins:.1f} {y - 4}v8M{begins:.1f} {y}H{ends:.1f}M{ends:.1f} {y - 4}v8">'
                f"<title>{escape(timer.name)}</title></path>"
            )
        self._y += 9
        begun = [(self._x(timer.begins), timer.name) for timer in here if self._has(timer.begins)]
        self._labels("timed", place(begun, size=BOLD, lines=2, right=self._right, push=12))

    def _backlog(self) -> None:
        points = [(at, ms) for at, ms in self.scene.backlog if self.begins <= at <= self.ends]
        before = [ms for at, ms in self.scene.backlog if at < self.begins][-1:]
        if not any(ms > 0 for _, ms in points) and not any(before):
            return
        self._lane("waits")
        base = self._y + BACKLOG
        points = [*((self.begins, ms) for ms in before), *points]
        path = "".join(f"L{self._x(at):.1f} {base - ms / self.most_ms * BACKLOG:.1f}" for at, ms in points)
        first, last = self._x(points[0][0]), self._x(points[-1][0])
        most = max(ms for _, ms in points)
        self._parts.append(
            f'<path class="backlog" d="M{first:.1f} {base}{path}L{last:.1f} {base}Z">'
            f"<title>up to {most / 1000:.1f} s of the agent's sound waiting to be played</title></path>"
        )
        top = next(at for at, ms in points if ms == most)
        x = min(self._x(top) + 4, self._right - 60)
        self._parts.append(_text("time", x, base - most / self.most_ms * BACKLOG + 9, f"{most / 1000:.1f} s"))
        self._y = base + 4

    def _marked_differences(self) -> None:
        here = [(number, one) for number, one in self.differences if self._has(one.at)]
        if not here:
            return
        self._lane("differs")
        labels = [(self._x(one.at) + 5, str(number)) for number, one in here]
        placed = place(labels, size=TEXT, lines=2, right=self._right, push=30)
        for (_, one), label in zip(here, placed, strict=False):
            x = self._x(one.at)
            self._parts.append(
                f'<path class="differs" d="M{x:.1f} {self._y + 2}l5 9h-10z">'
                f"<title>{escape(f'{clock(one.at)} {one.text}')}</title></path>"
                + _text("differing", label.x + 2, self._y + 11 + LINE * label.line, label.text)
            )
        self._y += 16 + LINE * max((one.line for one in placed), default=0)

    def _labels(self, kind: str, placed: Sequence[Placed]) -> None:
        for one in placed:
            self._parts.append(_text(kind, one.x, self._y + LINE * (one.line + 1) - 3, one.text))
        self._y += LINE * max((one.line + 1 for one in placed), default=0) + 5

    def _box(self, kind: str, span: Span, y: float, height: float, about: str) -> str:
        begins, ends = self._x(max(span.begins, self.begins)), self._x(min(span.ends, self.ends))
        return (
            f'<rect class="{kind}" x="{begins:.1f}" y="{y:.1f}" width="{max(1.0, ends - begins):.1f}" '
            f'height="{height:.1f}"><title>{escape(about)}</title></rect>'
        )


def _text(kind: str, x: float, y: float, text: str, more: str = "") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}"{more}>{escape(text)}</text>'
