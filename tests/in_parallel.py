"""The whole suite runs in several processes at once: how many, in what order, and how each of them ends.

Most of it waits, for speech that takes as long as it takes. A run that is told what to run (a file, `-k`,
`--lf`) has one process, as does one whose output is to be seen at once (`-s`); `-n` says otherwise.
"""

from __future__ import annotations

import atexit
import os

import pytest

PROCESSES_PER_CORE = 1.5
"""More than one, since they wait; few enough that whoever waits for sound is not late."""
AT_MOST = 6
"""More are no faster: the file that takes longest is one process's."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """As many processes as the machine bears, for the whole suite."""
    option = config.option
    chosen = config.args_source is not config.ArgsSource.TESTPATHS or option.keyword or option.markexpr
    again = getattr(option, "lf", False) or getattr(option, "failedfirst", False)
    if chosen or again or option.capture == "no":
        return 0
    return min(round((os.cpu_count() or 1) * PROCESSES_PER_CORE), AT_MOST)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The files that take long come first: else one of them is the last, and all wait for it.

    Those right below `tests/` take longest, and compute: beside them go conversations, which wait.
    """
    if hasattr(config, "workerinput"):
        slow = {item.path for item in items if item.get_closest_marker("slow") is not None}
        items.sort(key=lambda item: (item.path not in slow, len(item.path.parts)))


def pytest_configure(config: pytest.Config) -> None:
    """A process that runs tests leaves as `python -m tests` does itself: see `channels.ending`."""
    if hasattr(config, "workerinput"):
        # What was reported has been sent. Whatever registers later is called before.
        atexit.register(os._exit, 0)
