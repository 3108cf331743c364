"""Chromium, the page, and sound for its microphone."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import TypeAlias

import pytest

from actors.room.actor import mint_client_token
from bench.chromium import executable, microphone_file
from channels.settings import LiveKitAccount
from playground.livekit_server import LiveKitServer
from playground.page_server import Joining, page_server

PageOf: TypeAlias = Callable[[str], AbstractAsyncContextManager[str]]
Microphone: TypeAlias = Callable[[bytes], Path]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "browser: needs Chromium")


@pytest.fixture(autouse=True)
def _chromium_is_here(request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("browser") is None or executable() is not None:
        return
    assert "CI" not in os.environ, "Chromium is missing: .ci/run installs it"
    pytest.skip("no Chromium on this machine (Debian: apt install chromium)")


@pytest.fixture
def page_of(livekit: LiveKitServer) -> PageOf:
    """Serves the page of a room for the time of a block, and yields its URL."""

    @asynccontextmanager
    async def serve(room_name: str) -> AsyncIterator[str]:
        account = LiveKitAccount(livekit.url, livekit.api_key, livekit.api_secret)

        def join(identity: str) -> Joining:
            return Joining(
                livekit.url, mint_client_token(account, room_name, identity, timedelta(minutes=10))
            )

        async with page_server(port=0, join=join) as url:
            yield url

    return serve


@pytest.fixture
def microphone(tmp_path: Path) -> Microphone:
    """Makes the file that Chromium's microphone plays, of PCM16 mono 24 kHz."""

    def make(pcm: bytes) -> Path:
        return microphone_file(tmp_path / "microphone.wav", pcm)

    return make
