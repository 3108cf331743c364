"""The figures of `bench.hold`, as a table for a person and as JSON for a machine."""

from __future__ import annotations

from typing import Any

import attrs

from bench.noises import NOISES
from bench.report import Machine, percentile

__all__ = ["HoldReport", "Interruption", "Listening"]


@attrs.frozen
class Interruption:
    """A person spoke over the agent."""

    case: str
    kind: str
    """The person's first sound."""
    decision_ms: float
    """When the service decided, after the person's first sound."""
    was_speaking: bool
    """The agent could be heard when the person began."""
    softer_ms: float
    """From the person's first sound to the last 10 ms before the voice was clearly softer, or silent."""
    silence_ms: float
    """From the person's first sound to the arrival of the last audible 10 ms at the listener."""
    again_ms: int
    """What was heard of the voice after that silence."""


@attrs.frozen
class Listening:
    """A stretch of the agent's voice that nobody interrupted."""

    kind: str
    seconds: float
    gaps_ms: tuple[int, ...]
    """Silences that the listener heard in it."""
    dips: int = 0
    """How often the voice was lowered for a moment in it."""


@attrs.frozen
class HoldReport:
    """One run."""

    machine: Machine
    seed: int
    load_before: float
    load_after: float
    lasted_s: float
    interruptions: tuple[Interruption, ...]
    listenings: tuple[Listening, ...]

    def as_json(self) -> dict[str, Any]:
        """Everything, each try included."""
        return attrs.asdict(self)

    def as_text(self) -> str:
        """The tables."""
        parts = [self._title(), self._silence(), self._by_kind(), self._holds()]
        return "\n".join(line for part in parts for line in (*part, ""))

    def _title(self) -> list[str]:
        machine = self.machine
        packages = ", ".join(f"{name} {number}" for name, number in machine.packages.items())
        return [
            "Hold: from a person's first sound to silence at a listener in the room, and holds for nothing",
            "",
            f"  machine     {machine.cores} cores, {machine.processor}, {machine.system}; "
            f"load {self.load_before:.1f} before the run, {self.load_after:.1f} at its end",
            f"  versions    Python {machine.python}, {packages}, LiveKit server {machine.livekit_server}",
            "  conditions  replies of speech without pauses, in one burst; the service decides 1.07 to 2.2 s "
            "after the person's first sound",
            f"  run         seed {self.seed}, {self.lasted_s:.0f} s",
        ]

    def _silence(self) -> list[str]:
        cases = list(dict.fromkeys(each.case for each in self.interruptions))
        lines = [
            f"  {'silence after first sound, ms':<32}{'tries':>6}{'p50':>8}{'p95':>8}{'max':>8}"
            f"{'before decision':>17}{'heard again':>13}{'÷ p50 holding':>15}"
        ]
        holding = self._counted("holding")
        for case in sorted(cases, key=lambda case: (case != "holding", case)):
            tries = self._counted(case)
            if not tries:
                continue
            times = [each.silence_ms for each in tries]
            held = sum(each.silence_ms < each.decision_ms for each in tries)
            again = sum(each.again_ms > 0 for each in tries)
            ratio = (
                percentile(times, 50) / percentile([each.silence_ms for each in holding], 50)
                if holding
                else float("nan")
            )
            lines.append(
                f"  {case:<32}{len(tries):>6}{percentile(times, 50):>8,.0f}{percentile(times, 95):>8,.0f}"
                f"{max(times):>8,.0f}{held:>17}{again:>13}{ratio:>15.2f}"
            )
        left_out = sum(not each.was_speaking for each in self.interruptions)
        if left_out:
            lines.append(f"  left out: {left_out} tries in which a hold had silenced the agent already")
        return lines

    def _by_kind(self) -> list[str]:
        lines = [
            f"  {'holding, by the first sound':<32}{'tries':>6}{'8 dB softer p50':>17}{'p95':>6}{'max':>6}"
            f"{'silent p50':>12}{'p95':>6}{'max':>6}"
        ]
        holding = self._counted("holding")
        for kind in [*dict.fromkeys(each.kind for each in holding), "all"]:
            tries = [each for each in holding if kind in (each.kind, "all")]
            softer, silent = [each.softer_ms for each in tries], [each.silence_ms for each in tries]
            lines.append(
                f"  {kind:<32}{len(tries):>6}{percentile(softer, 50):>17,.0f}{percentile(softer, 95):>6,.0f}"
                f"{max(softer):>6,.0f}{percentile(silent, 50):>12,.0f}{percentile(silent, 95):>6,.0f}"
                f"{max(silent):>6,.0f}"
            )
        return lines if holding else []

    def _counted(self, case: str) -> list[Interruption]:
        return [each for each in self.interruptions if each.case == case and each.was_speaking]

    def _holds(self) -> list[str]:
        lines = [
            f"  {'holds for nothing':<32}{'tries':>6}{'with one':>10}{'holds':>7}{'s of voice':>12}"
            f"{'gap p50':>9}{'gap max':>9}{'lowered':>9}  sound"
        ]
        for kind in sorted(dict.fromkeys(each.kind for each in self.listenings)):
            all_ = [each for each in self.listenings if each.kind == kind]
            gaps = [gap for each in all_ for gap in each.gaps_ms]
            shown = [f"{percentile(gaps, 50):,.0f}", f"{max(gaps):,.0f}"] if gaps else ["–", "–"]
            lines.append(
                f"  {kind:<32}{len(all_):>6}{sum(bool(each.gaps_ms) for each in all_):>10}{len(gaps):>7}"
                f"{sum(each.seconds for each in all_):>12.0f}{shown[0]:>9}{shown[1]:>9}"
                f"{sum(each.dips for each in all_):>9}"
                f"  {NOISES.get(kind, 'what the listener hears, 100 ms reverberation')}"
            )
        return lines
