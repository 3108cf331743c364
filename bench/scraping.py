"""Somebody who looks at a process from outside: asks its health endpoints, and reads its metrics."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

import trio
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from channels.net.http import HttpAnswer, ask

__all__ = ["get", "read_samples", "value"]


async def get(url: str, path: str) -> HttpAnswer:
    """Asks for a path of a server on this machine."""
    parts = urlsplit(url)
    with trio.fail_after(20):
        stream = await trio.open_tcp_stream(parts.hostname or "", parts.port or 80)
        return await ask(stream, url + path, {}, largest=5_000_000)


def read_samples(text: str | bytes) -> list[Sample]:
    """All samples, as Prometheus reads them."""
    told = text.decode() if isinstance(text, bytes) else text
    return [sample for family in text_string_to_metric_families(told) for sample in family.samples]


def value(samples: Iterable[Sample], name: str, **labels: str) -> float:
    """The sum of the samples of a name that have these labels; 0 if there are none."""
    of_it = [each for each in samples if each.name == name]
    return sum(each.value for each in of_it if labels.items() <= each.labels.items())
