"""`python -m tests`: as `python -m pytest`, but the process ends as the agent's own does.

Many tests use LiveKit's SDK in this process: its threads must not meet an interpreter that is taken apart.
"""

from __future__ import annotations

import pytest

from channels.ending import end_with

if __name__ == "__main__":
    end_with(lambda: int(pytest.main()))
