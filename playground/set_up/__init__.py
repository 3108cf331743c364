"""What is fetched and built once on a machine, before the agent can run on it without an account.

`parts` are what may be missing: a LiveKit server, what the page needs from npm, a model, and for `make` the
Python packages. `course` gets all that is missing at the same time, with one progress. As a program
(`python -m playground.set_up`) it does so and ends.

It runs before the packages are there: `early.lock` has what it needs itself.
"""

from __future__ import annotations

from playground.set_up.course import Course, set_up
from playground.set_up.parts import Part, packages, playground

__all__ = ["Course", "Part", "packages", "playground", "set_up"]
