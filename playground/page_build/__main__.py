"""Finds or installs what the page needs from npm, with its progress on stderr, and ends."""

from __future__ import annotations

import signal
import sys

import trio

from channels.errors import VoiceAgentError
from playground.page_build.client import find_or_install


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


async def _until_signal() -> int:
    code = 0
    async with trio.open_nursery() as nursery:

        async def end_on_signal() -> None:
            nonlocal code
            with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
                async for number in signals:
                    code = 128 + number
                    nursery.cancel_scope.cancel()

        nursery.start_soon(end_on_signal)
        try:
            _tell(f"livekit-client for the page: {await find_or_install(progress=_tell)}")
        except VoiceAgentError as error:
            _tell(f"{error}")
            code = 1
        nursery.cancel_scope.cancel()
    return code


if __name__ == "__main__":
    sys.exit(trio.run(_until_signal))
