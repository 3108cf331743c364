"""Open files and sockets: a room needs many, and a process may have only so many.

When none is left, a room cannot connect any more, and what fails first is a matter of luck. So this is looked
at before a worker takes a room.
"""

from __future__ import annotations

import contextlib
import sys

from structlog.typing import FilteringBoundLogger

if sys.platform != "win32":  # which has no such limit
    import resource

__all__ = ["A_PROCESS", "A_ROOM", "allow_descriptors", "descriptors_for"]

A_ROOM = 64
"""34 on a machine with two network interfaces, nearly all of them LiveKit's sockets; more interfaces, more of
them. A tool or a record has some, too."""

A_PROCESS = 100
"""What a process has without a room: 10 for itself, some for its models and its health, and connections that
begin and end."""


def descriptors_for(rooms: int) -> int:
    """How many a process with so many rooms may need."""
    return A_PROCESS + rooms * A_ROOM


def allow_descriptors(rooms: int, log: FilteringBoundLogger) -> bool:
    """Raises this process's own limit as far as it is needed and allowed; says so if that is too little.

    Child processes begin with the same limit.

    Args:
        rooms: how many this process may have at once.
        log: is warned.

    Returns:
        Whether there are enough.
    """
    if sys.platform == "win32":
        return True
    needed = descriptors_for(rooms)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return True
    most = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    with contextlib.suppress(OSError, ValueError):  # macOS allows less than it says
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        soft = most
    if soft >= needed:
        return True
    log.warning(
        "few_descriptors",
        why=f"this process may open {soft} files and sockets, which is enough for "
        f"{max(0, (soft - A_PROCESS) // A_ROOM)} rooms of the {rooms} that it may take",
        fix=f"raise the limit to {needed} (a shell: ulimit -Hn {needed}; Docker: --ulimit nofile={needed}; "
        f"systemd: LimitNOFILE={needed}), or take fewer rooms",
    )
    return False
