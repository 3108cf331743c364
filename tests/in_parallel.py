"""The whole suite runs in several processes at once: how many, what each of them runs, and how it ends.

Most of it waits, for speech that takes as long as it takes. Of three processes two talk, and one computes and
gives way to them: whoever waits for sound is late where more than that is done on two cores.

A run that is told what to run (a file, `-k`, `--lf`) has one process, as does one whose output is to be seen
at once (`-s`); `-n` says otherwise.
"""

from __future__ import annotations

import atexit
import functools
import os
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling
from xdist.workermanage import WorkerController

PROCESSES_PER_CORE = 1.5
"""More than one, since they wait; few enough that whoever waits for sound is not late."""
AT_MOST = 6
"""More are no faster: the file that takes longest is one process's."""
COMPUTES = 3
"""One process of so many computes, until all that computes is done or being done."""
GIVES_WAY = 5
"""How nice it is (`os.nice`): it still gets a third of a core that somebody talks on."""
TALKS = ("pytest.mark.server", "pytest.mark.browser", "pytest.mark.slow")
"""Marks of a file whose tests talk in real time; `slow` ones right below `tests/` only compute."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """As many processes as the machine bears, for the whole suite."""
    option = config.option
    chosen = config.args_source is not config.ArgsSource.TESTPATHS or option.keyword or option.markexpr
    again = getattr(option, "lf", False) or getattr(option, "failedfirst", False)
    if chosen or again or option.capture == "no":
        return 0
    return min(round((os.cpu_count() or 1) * PROCESSES_PER_CORE), AT_MOST)


class _TalkersApart(LoadFileScheduling):
    """File after file: what computes to one process, what talks to the others; in the end, any to any."""

    def _assign_work_unit(self, node: WorkerController) -> None:
        computes = _computes(node.workerinput)
        own = (scope for scope in self.workqueue if _talks(Path(self.config.rootpath, scope)) is not computes)
        first = next(own, None)
        if first is not None:
            self.workqueue.move_to_end(first, last=False)
        super()._assign_work_unit(node)


@functools.cache
def _talks(path: Path) -> bool:
    return path.parent.name != "tests" and any(mark in path.read_text("utf-8") for mark in TALKS)


def _computes(workerinput: dict[str, Any]) -> bool:
    return bool(int(workerinput["workerid"].removeprefix("gw")) % COMPUTES == COMPUTES - 1)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling:
    """Which process runs what."""
    return _TalkersApart(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The files that take long come first: else one of them is the last, and all wait for it."""
    if hasattr(config, "workerinput"):
        slow = {item.path for item in items if item.get_closest_marker("slow") is not None}
        items.sort(key=lambda item: (item.path not in slow, len(item.path.parts)))


def pytest_configure(config: pytest.Config) -> None:
    """A process that runs tests leaves as `python -m tests` does itself: see `channels.ending`."""
    if hasattr(config, "workerinput"):
        if _computes(config.workerinput):
            os.nice(GIVES_WAY)
        # What was reported has been sent. Whatever registers later is called before.
        atexit.register(os._exit, 0)
