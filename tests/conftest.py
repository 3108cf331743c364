"""What tests of all folders share: a witness at the sockets, and one real LiveKit server."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import hypothesis
import pytest

from channels.child import start_child
from channels.secret import Secret
from playground.livekit_server import LiveKitServer
from tests.wire_schema import Witness

pytest_plugins = ["tests.in_parallel"]

# How long an example takes says more of the machine than of the code.
hypothesis.settings.register_profile("any machine", deadline=None)
hypothesis.settings.load_profile("any machine")


def pytest_configure() -> None:
    """Programs that tests start heed Ctrl-C and a closed terminal, however the suite was started.

    Under nohup, or in the background of a script, they would not: that a signal is ignored is passed on.
    A handler is not, and with this one the suite itself goes on ignoring it.
    """
    for each in (signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(each) is signal.SIG_IGN:
            signal.signal(each, lambda *_: None)


@pytest.fixture(autouse=True)
def wire_witness(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Witness]:
    """Whatever the agent or the playground's server sends in any test is right by the protocol's schema."""
    witness = Witness()
    witness.watch(monkeypatch)
    if request.path.parent.name in ("conversation", "page"):
        witness.watch_clients(monkeypatch)
    yield witness
    assert not witness.wrong


@pytest.fixture(scope="session")
def livekit() -> Iterator[LiveKitServer]:
    """A running LiveKit server on loopback, shared by all tests: each test takes a room name of its own.

    It runs as the program that a person would start, since a fixture of Trio lives no longer than a test.
    """
    program = start_child(
        [sys.executable, "-m", "playground.livekit_server", "--port", "0"],
        environ=os.environ,
        stdout=subprocess.PIPE,
        stderr=None,
    )
    assert program.stdout is not None
    try:
        told = dict(program.stdout.readline().decode().strip().partition("=")[::2] for _ in range(3))
        assert "LIVEKIT_URL" in told, "the LiveKit server did not start: see its message above"
        yield LiveKitServer(told["LIVEKIT_URL"], told["LIVEKIT_API_KEY"], Secret(told["LIVEKIT_API_SECRET"]))
        program.send_signal(signal.SIGINT)
        assert program.wait(timeout=10) == 0
    finally:
        program.kill()
        program.wait()
        program.stdout.close()
