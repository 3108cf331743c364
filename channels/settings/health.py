"""Where a process tells of its health and its metrics. It is of the process, not of a room in it."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Any

import attrs

from channels.settings.rules import Malformed, Rule

__all__ = ["WORKER_LISTEN", "HealthSettings", "Listen"]

WORKER_LISTEN = "127.0.0.1:8081"
"""Where a worker listens if nothing is said: beside the page's usual port, for this machine alone."""

_WRITTEN = re.compile(r"(?:\[(?P<v6>[0-9a-fA-F:.]{2,45})\]|(?P<v4>[0-9A-Za-z.-]{1,60})):(?P<port>[0-9]{1,6})")


@attrs.frozen
class Listen(Rule):
    """An address to listen at, as `ADDRESS:PORT`; port 0 has the system choose one. "" or "off": none."""

    def _read(self, value: Any) -> str:
        if not isinstance(value, str):
            raise Malformed("is not ADDRESS:PORT")
        written = value.strip()
        if written.lower() in ("", "off"):
            return ""
        found = f"(found {len(written)} characters)" if len(written) > 60 else f"(found {written!r})"
        parts = _WRITTEN.fullmatch(written)
        if parts is None or int(parts["port"]) > 65535:
            raise Malformed(f"is not ADDRESS:PORT with a port from 0 to 65535 {found}")
        try:
            ip = ipaddress.ip_address(
                "127.0.0.1" if parts["v4"] == "localhost" else parts["v6"] or parts["v4"]
            )
        except ValueError:
            raise Malformed(f"has no IP address before its port {found}") from None
        if (ip.version == 6) != bool(parts["v6"]):
            raise Malformed(f"has an address that is not written as IPv4 or as [IPv6] {found}")
        port = int(parts["port"])
        return f"[{ip}]:{port}" if ip.version == 6 else f"{ip}:{port}"


@attrs.frozen
class HealthSettings:
    """Health and metrics of a process.

    `listen` is where `/livez`, `/readyz` and `/metrics` are answered, to anybody who can reach it: on
    loopback that is this machine, and with 0.0.0.0 whoever the network lets through. They tell no names and
    no words.
    """

    listen: Annotated[
        str | None, Listen(fix="write ADDRESS:PORT, e.g. 127.0.0.1:8081 or 0.0.0.0:8081, or off")
    ] = None
    """None: nothing is said. Then a single room listens nowhere, and a worker at `WORKER_LISTEN`."""
