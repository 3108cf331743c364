"""Metrics as Prometheus reads them: of one process, or of all those that write into one folder.

Several processes share a folder (`PROMETHEUS_MULTIPROC_DIR` in the environment of each, from its start on:
prometheus-client reads it when it is imported). Each writes files of its own there, and whoever serves
`/metrics` reads all of them. The folder must be empty at the start, private to one fleet, and last as long as
it does. When a process has ended, `forget_process` removes its gauges, and adds what it counted to the counts
of all that have ended, so that the folder does not grow with every restart.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, CollectorRegistry, generate_latest
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from actors.metrics.series import Series

__all__ = ["CONTENT_TYPE", "FOLDER_VARIABLE", "exposition", "exposition_of_all", "forget_process"]

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"

_READING = threading.Lock()
"""Nobody reads the folder while what a process counted is in two of its files, or in none."""


def exposition(series: Series) -> bytes:
    """What `/metrics` answers: of this process, or of all where `FOLDER_VARIABLE` names a folder.

    It reads files in the second case, and takes some milliseconds in both: call it in a thread.
    """
    folder = os.environ.get(FOLDER_VARIABLE)
    return generate_latest(series.registry) if not folder else exposition_of_all(Path(folder))


def exposition_of_all(folder: Path) -> bytes:
    """What the parent of several processes answers; it needs no series of its own. Slow as above."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=str(folder))
    with _READING:
        return generate_latest(registry)


def forget_process(pid: int, folder: Path) -> None:
    """Removes what an ended process said of itself, such as its rooms, and keeps what it counted.

    To be called once it has ended, by the process that answers `/metrics`. It reads and writes small files.
    """
    with _READING:
        mark_process_dead(pid, path=str(folder))
        for kind in ("counter", "histogram"):
            own = folder / f"{kind}_{pid}.db"
            if not own.exists():
                continue
            past = MmapedDict(str(folder / f"{kind}_ended.db"))
            try:
                for key, counted, _, _ in MmapedDict.read_all_values_from_file(str(own)):
                    past.write_value(key, past.read_value(key)[0] + counted, 0.0)
            finally:
                past.close()
            own.unlink()
