"""Open files and sockets: a room needs many, and a process may have only so many.

When none is left, a room cannot connect any more, and what fails first is a matter of luck. So this is looked
at before a worker takes a room.
"""

from __future__ import annotations

import contextlib
import socket
import sys
from pathlib import Path

from structlog.typing import FilteringBoundLogger

if sys.platform != "win32":  # which has no such limit
    import resource

__all__ = ["A_NETWORK", "A_PROCESS", "A_ROOM", "allow_descriptors", "descriptors_for"]

A_PROCESS = 100
"""What a process has without a room: 10 for itself, some for its models and its health, and connections that
begin and end."""

A_ROOM = 16
"""What a room has whatever the network: 3, and some for a tool or a record."""

A_NETWORK = 32
"""What a room has for each network interface that is up: LiveKit's SDK opens 16 sockets for each of its
addresses, of which it has an IPv4 and an IPv6 one."""


UNCAPPED = 30
"""Rooms of a process whose load alone decides: twice as many as those that speak all the time
(`admission.A_ROOMS_LOAD`)."""


def descriptors_for(rooms: int) -> int:
    """How many a process with so many rooms may need on this machine."""
    return A_PROCESS + rooms * _of_a_room()


def _of_a_room() -> int:
    networks = [name for _, name in socket.if_nameindex() if not name.startswith("lo") and not _is_down(name)]
    return A_ROOM + max(1, len(networks)) * A_NETWORK


def _is_down(network: str) -> bool:
    try:
        return Path("/sys/class/net", network, "operstate").read_text().strip() == "down"
    except OSError:  # only Linux tells
        return False


def allow_descriptors(most_rooms: int | None, log: FilteringBoundLogger) -> bool:
    """Raises this process's own limit as far as it is needed and allowed; says so if that is too little.

    Child processes begin with the same limit.

    Args:
        most_rooms: of this process at once; None: the load alone decides.
        log: is warned.

    Returns:
        Whether there are enough.
    """
    if sys.platform == "win32":
        return True
    rooms = UNCAPPED if most_rooms is None else most_rooms
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
        f"{max(0, (soft - A_PROCESS) // _of_a_room())} rooms of the {rooms} that it may take",
        fix=f"raise the limit to {needed} (a shell: ulimit -Hn {needed}; Docker: --ulimit nofile={needed}; "
        f"systemd: LimitNOFILE={needed}), or take fewer rooms",
    )
    return False
