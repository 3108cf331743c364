"""Kept: calls that once found a bug in the agent, each with only the faults that it takes.

A seed draws the same call for as long as the drawing stays as it is; `tests/mutations` holds the bugs
themselves, so that they are found whatever the seeds come to mean.
"""

from __future__ import annotations

__all__ = ["KEPT"]

KEPT: dict[str, tuple[list[int], str]] = {
    "1.10": ([13, 14, 15], "a frame whose capture took longer than the frame was heard after its cut"),
    "1.47": ([1, 3, 4, 16, 17, 18], "the end of a reply of long ago gave a held voice back"),
    "1.7": ([0, 3, 4], "a fresh session was called listening while the voice of the old one went on"),
    "1.15": ([8, 9], "an agent that talked on was called initializing while it connected again"),
    "1.29": ([9, 14, 15, 17, 19], "an agent that talked on was called listening once it had connected again"),
    "21.215": ([0, 6], "a call that was begun again soon gave up a service that was down"),
}
"""The faults that are kept, and what was found."""
