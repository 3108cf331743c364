"""What native code writes to standard error, past Python: kept out where it helps nobody.

Some libraries say things there that no setting of theirs switches off. `silenced` is for the moments in which
they do. It is for the whole process, so keep it short. Python's own `sys.stderr` is affected as well, unless
it writes to a descriptor of its own, as `channels.standard_streams` does.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator

__all__ = ["silence", "silenced"]

_STANDARD_ERROR = 2


class _Silence:
    """What several threads may want at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wanted = 0
        self._kept: int | None = None

    def begin(self) -> None:
        with self._lock:
            self._wanted += 1
            if self._wanted == 1:
                with contextlib.suppress(OSError):  # it is closed
                    self._kept = os.dup(_STANDARD_ERROR)
                    silence()

    def end(self) -> None:
        with self._lock:
            self._wanted -= 1
            if self._wanted == 0 and self._kept is not None:
                os.dup2(self._kept, _STANDARD_ERROR)
                os.close(self._kept)
                self._kept = None


_silence = _Silence()


@contextlib.contextmanager
def silenced() -> Iterator[None]:
    """Native code that writes to standard error is not heard for as long as it is open, in any thread."""
    _silence.begin()
    try:
        yield
    finally:
        _silence.end()


def silence() -> None:
    """As `silenced`, from now on.

    Raises:
        OSError: there is no null device.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, _STANDARD_ERROR)
    os.close(nowhere)
