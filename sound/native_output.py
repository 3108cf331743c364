"""What native code writes to standard error, past Python: kept out where it helps nobody.

Some libraries say things there that no setting of theirs switches off. `silenced` is for the moments in which
they do. It is for the whole process, so keep it short. Python's own `sys.stderr` is affected as well, unless
it writes to a descriptor of its own, as `channels.standard_streams` does.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

__all__ = ["silence", "silenced"]

_STANDARD_ERROR = 2


@contextlib.contextmanager
def silenced() -> Iterator[None]:
    """Native code that writes to standard error is not heard for as long as it is open."""
    try:
        kept = os.dup(_STANDARD_ERROR)
    except OSError:  # it is closed
        yield
        return
    try:
        silence()
        yield
    finally:
        os.dup2(kept, _STANDARD_ERROR)
        os.close(kept)


def silence() -> None:
    """As `silenced`, from now on."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, _STANDARD_ERROR)
    os.close(nowhere)
