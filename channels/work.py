"""Names tasks by whose work they do, so that the loop watch can tell what holds up the loop."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["Work"]


class Work(StrEnum):
    """Tasks that run somebody else's code."""

    TOOL = "tool"
    ACTOR = "actor"

    def task(self, name: str) -> str:
        """The name of the task."""
        return f"{self} {name}"

    @classmethod
    def of(cls, task: str) -> Work | None:
        """What a task of that name does; None: work of our own."""
        kind = task.partition(" ")[0]
        return next((work for work in cls if work == kind), None)
