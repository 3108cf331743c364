"""Whom a program and all its children talk to, native code included, where there is `strace` to look."""

from __future__ import annotations

import ipaddress
import re
import shutil
import socket
import subprocess
from pathlib import Path

import attrs

__all__ = ["Watched"]

_CALLS = "connect,sendto,sendmsg,sendmmsg"
_LINE = re.compile(r"(connect|send\w+)\(\d+<(TCP|UDP)(?:v6)?:")
_PEER = re.compile(r'->(?:\[([0-9a-f:]+)\]|([0-9.]+)):|inet_addr\("([^"]+)"\)|inet_pton\(AF_INET6, "([^"]+)"')


@attrs.frozen
class Watched:
    """A program to be watched."""

    log: Path

    @property
    def command(self) -> list[str]:
        """What stands before its own command; nothing where nobody can look."""
        looks = [
            "strace",
            "-f",
            "--seccomp-bpf",
            "-yy",
            "-qq",
            "-e",
            "signal=none",
            "-e",
            f"trace={_CALLS}",
            "-o",
        ]
        if shutil.which("strace") is None:
            return []
        probe = subprocess.run([*looks, "/dev/null", "true"], capture_output=True)
        return [*looks, str(self.log)] if probe.returncode == 0 else []

    def peers_elsewhere(self) -> list[str]:
        """The addresses of other machines that were connected to, or sent to.

        A UDP socket that is connected and never used tells only which way there would be: that is how WebRTC
        finds out which address of this machine is the usual one.
        """
        if not self.log.exists():
            return []
        found = []
        for line in self.log.read_text("utf-8", "replace").splitlines():
            call = _LINE.search(line)
            if call is None or (call[1], call[2]) == ("connect", "UDP"):
                continue
            peers = [next(filter(None, groups)) for groups in _PEER.findall(line)]
            found += [f"{call[1]} {peer}" for peer in peers if not _is_here(peer)]
        assert _LINE.search(self.log.read_text("utf-8", "replace")), "something was to be seen"
        return sorted(set(found))


def _is_here(address: str) -> bool:
    ip = ipaddress.ip_address(address)
    family = socket.AF_INET if ip.version == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True
