"""The dashboard, the alerts and the page name what the code exports, and leave nothing out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from actors.metrics.labels import JUDGEMENTS, MISSING, UNHEARD, Declined
from actors.metrics.series import PREFIX, Series
from channels.happenings import ReplyOutcome

DOCS = Path(__file__).resolve().parent.parent / "docs"
DASHBOARD = json.loads((DOCS / "dashboards" / "voice-agent.json").read_text(encoding="utf-8"))
ALERTS = (DOCS / "dashboards" / "alerts.yaml").read_text(encoding="utf-8")
PAGE = (DOCS / "observing.md").read_text(encoding="utf-8")

SUFFIXES = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}
OF_PROMETHEUS = {"instance", "job", "le"}
"""Labels that Prometheus adds, and that of histograms."""


def exported() -> Mapping[str, frozenset[str]]:
    """The labels of each series that the code exports, by its name."""
    series = Series()
    labels = {
        each._name: frozenset(each._labelnames)
        for each in vars(series).values()
        if hasattr(each, "_labelnames")
    }
    return {
        family.name + suffix: labels[family.name]
        for family in series.registry.collect()
        for suffix in SUFFIXES[family.type]
    }


EXPORTED = exported()
BOUNDS = {
    f"{each._name}_bucket": {str(bound) for bound in each._upper_bounds}
    for each in vars(Series()).values()
    if hasattr(each, "_upper_bounds")
}
"""Of the buckets of a histogram without labels, by its name."""
WORDS: Mapping[str, set[str]] = {
    "outcome": {outcome.value for outcome in ReplyOutcome},
    "reason": {reason.value for reason in Declined},
    "why": {*UNHEARD, *MISSING},
    "judgement": set(JUDGEMENTS),
    "sound": {"silence", "speech"},
    "how": {"fresh", "resumed"},
    "by": {"person", "other"},
    "whose": {"tool", "actor", "ours"},
}


def wrong_with(query: str) -> list[str]:
    """What a query names that nobody exports."""
    names = set(re.findall(rf"\b{PREFIX}_\w+", query))
    wrong = sorted(names - EXPORTED.keys()) or ([] if names else ["it names no metric"])
    known = OF_PROMETHEUS.union(*(EXPORTED.get(name, frozenset()) for name in names))
    grouped = [label.strip() for by in re.findall(r"\bby \(([^)]*)\)", query) for label in by.split(",")]
    matched = re.findall(r'(\w+)\s*=~?\s*"([^"]*)"', query)
    wrong += [
        f"the label {label}" for label in [*grouped, *(label for label, _ in matched)] if label not in known
    ]
    bounds = set[str]().union(*(BOUNDS.get(name, set()) for name in names))
    wrong += [f'le="{bound}"' for label, bound in matched if label == "le" and bound not in bounds]
    wrong += [
        f'{label}="{word}"'
        for label, value in matched
        if label in WORDS
        for word in value.split("|")
        if word not in WORDS[label]
    ]
    return wrong


def panels() -> Iterator[Any]:
    yield from (panel for panel in DASHBOARD["panels"] if panel["type"] != "row")


def queries() -> Iterator[tuple[str, str, str]]:
    """The title of a panel, a query in it and its legend."""
    for panel in panels():
        for target in panel["targets"]:
            yield panel["title"], target["expr"], target["legendFormat"]


@pytest.mark.parametrize(("title", "query", "legend"), list(queries()))
def test_a_panel_asks_for_what_is_exported(title: str, query: str, legend: str) -> None:
    assert not wrong_with(query), title
    assert '{instance=~"$instance"' in query, "it follows the choice of a worker"
    names = re.findall(rf"\b{PREFIX}_\w+", query)
    labels = OF_PROMETHEUS.union(*(EXPORTED[name] for name in names))
    assert set(re.findall(r"{{(\w+)}}", legend)) <= labels


def test_every_alert_asks_for_what_is_exported_and_is_on_the_page() -> None:
    rules = re.findall(r"- alert: (\w+)\n\s+expr: (?:\|\n)?(.*?)\n\s+(?:for|labels):", ALERTS, re.DOTALL)
    assert len(rules) == ALERTS.count("- alert:") > 5
    for name, query in rules:
        assert not wrong_with(query), name
        assert f"| `{name}` |" in PAGE
    assert PAGE.count("| `VoiceAgent") == len(rules)


def rows() -> list[str]:
    """The names in the first column of the page's tables of metrics, without the prefix."""
    meanings = PAGE.partition("## What each metric means")[2].partition("## Alerts")[0]
    first = [
        line.split("|")[1].partition(" by ")[0] for line in meanings.splitlines() if line.startswith("| `")
    ]
    return [name for cell in first for name in re.findall(r"`(\w+)`", cell)]


def families() -> set[str]:
    return {re.sub("_(bucket|sum|count)$", "", name).removeprefix(f"{PREFIX}_") for name in EXPORTED}


def test_the_page_explains_every_metric_once_and_no_other() -> None:
    assert sorted(rows()) == sorted(families())


def test_every_metric_is_on_the_dashboard_unless_it_is_of_use_elsewhere_only() -> None:
    shown = " ".join(query for _, query, _ in queries())
    left_out = {name for name in families() if not re.search(rf"\b{PREFIX}_{name}", shown)}
    assert left_out == {"processes", "rooms_begun_total", "tasks", "tool_results_dropped_total"}


def test_panels_have_titles_descriptions_and_places_of_their_own() -> None:
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells
    assert all(panel["description"] for panel in panels())


@pytest.mark.parametrize(
    ("query", "wrong"),
    [
        ('sum(rate(voice_agent_turns_total{instance=~"$instance"}[5m]))', ["voice_agent_turns_total"]),
        ("sum by (room) (voice_agent_rooms)", ["the label room"]),
        ('voice_agent_replies_total{outcome="lost"}', ['outcome="lost"']),
        ('voice_agent_turn_latency_seconds_bucket{le="1.4"}', ['le="1.4"']),
        ("up == 0", ["it names no metric"]),
    ],
)
def test_a_query_that_is_wrong_is_found(query: str, wrong: list[str]) -> None:
    assert wrong_with(query) == wrong
