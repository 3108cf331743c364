"""The agents running on this machine, so that commands can find them.

Each agent has a file in a private folder of the user and holds a lock on it. However the agent ends, the
kernel frees the lock, and the file no longer counts. It contains the keys of this machine's own LiveKit
server, which are new for each run, but never those of an account.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import stat
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import attrs

from channels import private_files
from channels.secret import Secret
from channels.settings import LiveKitAccount

if sys.platform != "win32":  # which has no such locks: there nobody is found
    import fcntl

__all__ = ["AgentHere", "LiveKitRoom", "agents_here", "announced"]

_LONGEST = 10_000
"""Bytes of a file."""


@attrs.frozen
class LiveKitRoom:
    """A room on a LiveKit server."""

    account: LiveKitAccount
    room_name: str


@attrs.frozen
class AgentHere:
    """An agent of this machine."""

    url: str
    room_name: str
    api_key: str = ""
    api_secret: Secret | None = None
    """None: its server is one of an account."""

    def room(self) -> LiveKitRoom | None:
        """Its room, if its server needs no account."""
        if self.api_secret is None:
            return None
        return LiveKitRoom(LiveKitAccount(self.url, self.api_key, self.api_secret), self.room_name)


@contextmanager
def announced(
    room: LiveKitRoom, *, with_keys: bool, environ: Mapping[str, str] = os.environ
) -> Iterator[None]:
    """Lets this user's commands find the agent for as long as it is open. Where no file can be, they do not.

    Args:
        room: the agent's room.
        with_keys: whether the keys are those of a server of this machine.
        environ: says where the folder is.
    """
    with contextlib.ExitStack() as left:
        with contextlib.suppress(OSError):
            _announce(room, with_keys, _folder(environ), left)
        yield


def _announce(room: LiveKitRoom, with_keys: bool, folder: Path, left: contextlib.ExitStack) -> None:
    if sys.platform == "win32":
        return
    private_files.folder(folder)
    name = f"{os.getpid()}-{secrets.token_hex(4)}"
    hidden, path = folder / f".{name}", folder / f"{name}.json"
    file = left.enter_context(private_files.create(hidden))
    left.callback(hidden.unlink, missing_ok=True)
    fcntl.flock(file, fcntl.LOCK_EX)
    account = room.account
    told = {"url": account.url, "room": room.room_name}
    if with_keys:
        told |= {"key": account.api_key, "secret": account.api_secret.reveal()}
    file.write(json.dumps(told).encode())
    # Whoever finds it finds it whole, and locked.
    left.callback(path.unlink, missing_ok=True)
    hidden.rename(path)


def agents_here(environ: Mapping[str, str] = os.environ) -> list[AgentHere]:
    """Those that run now."""
    if sys.platform == "win32":
        return []
    try:
        paths = sorted(_folder(environ).glob("*.json"))
    except OSError:
        return []
    return [agent for path in paths if (agent := _read(path)) is not None]


def _read(path: Path) -> AgentHere | None:
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if status.st_uid != os.getuid() or stat.S_IMODE(status.st_mode) & 0o077:
                return None
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                path.unlink(missing_ok=True)  # nobody holds it any more
                return None
            told = json.loads(file.read(_LONGEST))
        secret = Secret(told["secret"]) if "secret" in told else None
        return AgentHere(told["url"], told["room"], told.get("key", ""), secret)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _folder(environ: Mapping[str, str]) -> Path:
    """Where the files are.

    Raises:
        OSError: this user has no place for them.
    """
    folder = Path(environ.get("XDG_RUNTIME_DIR", ""))
    if folder.is_absolute():
        return folder / "voice-agent"
    cache = Path(environ.get("XDG_CACHE_HOME", ""))
    # The XDG specification has relative paths ignored.
    if not cache.is_absolute():
        try:
            cache = Path(environ.get("HOME") or Path.home()) / ".cache"
        except RuntimeError:  # a container's user is often a number that has no name and no home
            raise FileNotFoundError("this user has no home folder") from None
    return cache / "voice-agent" / "running"
