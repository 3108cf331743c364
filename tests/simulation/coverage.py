"""Coverage: what so many simulated hours have met: events, faults, replies by their ends, and how fast."""

from __future__ import annotations

from collections import Counter

from attrs import define, field

from tests.simulation.call import Outcome

__all__ = ["Coverage"]


@define
class Coverage:
    """Adds up the outcomes of calls."""

    calls: int = 0
    simulated_s: float = 0.0
    took_s: float = 0.0
    counts: Counter[str] = field(factory=Counter)
    deepest: Counter[str] = field(factory=Counter)
    slowest_leave_ms: int = 0
    endings: Counter[str] = field(factory=Counter)
    rules: Counter[str] = field(factory=Counter)

    def add(self, outcome: Outcome) -> None:
        """One more call."""
        self.calls += 1
        self.simulated_s += outcome.simulated_s
        self.took_s += outcome.took_s
        self.rules.update({broken.rule for broken in outcome.broken})
        for name, count in outcome.counts.items():
            if name.startswith("deepest of "):
                self.deepest[name] = max(self.deepest[name], count)
            elif name == "slowest leave, ms":
                self.slowest_leave_ms = max(self.slowest_leave_ms, count)
            else:
                self.counts[name] += count
        plan = outcome.plan
        cancelled = "cancelled in mid-trouble" if plan.cancelled_after_s is not None else "calm"
        self.endings[outcome.ended_by or cancelled] += 1

    def line(self) -> str:
        """In short."""
        faults, replies = self._of("fault "), self._of("reply ", without="reply at")
        ends = ", ".join(f"{count} {name}" for name, count in replies.most_common())
        return (
            f"{self.simulated_s / 3600:.2f} simulated hours in {self.took_s:.0f} s: {self.calls} calls, "
            f"{faults.total()} faults of {len(faults)} kinds; replies: {ends}; "
            f"{self.counts['resumed voices']} voices held and given back; "
            f"{self.counts['resumed']} sessions resumed"
        )

    def text(self) -> str:
        """As a person reads it."""
        audible_s = self.counts["audible ms"] / 1000
        lines = [
            f"{self.calls} calls, {self.simulated_s / 3600:.2f} simulated hours in {self.took_s:.0f} s, "
            f"{self.simulated_s / max(self.took_s, 1e-9):.0f} times real time",
            f"the agent could be heard for {audible_s:.0f} s;"
            f" its slowest leave took {self.slowest_leave_ms} ms",
        ]
        for title, counts in (
            ("calls by their end", self.endings),
            ("faults", self._of("fault ")),
            ("replies by their end", self._of("reply ", without="reply at")),
            ("what became of a reply at a resume", self._of("reply at a resume: ")),
            ("interruptions", self._of("interruption: ")),
            ("what a connection met", self._of("connection met: ")),
            ("events that reached the controller", self._of("event ")),
            ("messages that reached the service", self._of("message ")),
            ("fullest moment of each channel", self.deepest),
            ("others", Counter({n: c for n, c in self.counts.items() if not n.startswith(_TITLED)})),
            ("rules broken, in so many calls", self.rules),
        ):
            if counts:
                lines.append(f"\n{title}")
                lines += [f"  {count:>8}  {name}" for name, count in sorted(counts.items())]
        return "\n".join(lines)

    def _of(self, prefix: str, *, without: str = " ") -> Counter[str]:
        return Counter(
            {
                name.removeprefix(prefix): count
                for name, count in self.counts.items()
                if name.startswith(prefix) and not name.startswith(without)
            }
        )


_TITLED = ("audible ms", "fault ", "reply ", "interruption: ", "connection met: ", "event ", "message ")
