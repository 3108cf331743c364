"""Every series that a process exports."""

from __future__ import annotations

from actors.metrics.series import Series
from docs._ext.markdown import inline, table

__all__ = ["all_metrics"]


def all_metrics() -> str:
    """Name, kind, labels, meaning and buckets, in the order of the code."""
    series = Series()
    declared = {each._name: each for each in vars(series).values() if hasattr(each, "_labelnames")}
    rows = []
    for family in series.registry.collect():
        metric = declared[family.name]
        bounds = [bound for bound in getattr(metric, "_upper_bounds", []) if bound != float("inf")]
        buckets = f" Buckets: {', '.join(f'{bound:g}' for bound in bounds)}." if bounds else ""
        name = family.name + ("_total" if family.type == "counter" else "")
        labels = ", ".join(map(inline, metric._labelnames))
        rows.append([inline(name), family.type, labels, f"{family.documentation}.{buckets}"])
    return table(["Metric", "Kind", "Labels", "What it is"], rows)
