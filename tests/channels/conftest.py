from __future__ import annotations

from pathlib import Path

import pytest

from tests.channels.configuring import Person


@pytest.fixture
def person(tmp_path: Path) -> Person:
    """Somebody in a folder of their own."""
    return Person(tmp_path)
