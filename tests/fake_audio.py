"""A microphone that hears somebody talk without end, and a loudspeaker, for a machine that has neither.

As a program it is the process at the microphone of `python runner.py console`, with these devices.
"""

from __future__ import annotations

import asyncio
import functools
import sys
from collections.abc import Sequence
from typing import Any, cast

import attrs
import trio
from livekit import rtc

from actors.room.livekit_edge import UntimedLoop
from bench.noises import even_voice
from channels.ending import end_with
from commands.console.person import sit_down
from sound.pcm import SAMPLE_RATE_HZ, bytes_of_ms
from tests.agent_process import ROOT

__all__ = ["AT_A_FAKE_MICROPHONE"]

AT_A_FAKE_MICROPHONE = (
    sys.executable,
    "-c",
    f"import sys; sys.path.insert(0, {str(ROOT)!r}); from tests.fake_audio import main; main()",
)


@attrs.frozen
class _Device:
    name: str


class _Source:
    """As `rtc.PlatformAudioSource`: fed by the device, not by its owner."""

    def __init__(self) -> None:
        loop = asyncio.get_event_loop()
        untimed = cast(asyncio.AbstractEventLoop, UntimedLoop(loop))
        self._source = rtc.AudioSource(SAMPLE_RATE_HZ, 1, 400, loop=untimed)
        self._ffi_handle = self._source._ffi_handle
        self._hearing = loop.create_task(self._hear())

    async def _hear(self) -> None:
        said, step = even_voice(2), bytes_of_ms(20)
        while True:
            for offset in range(0, len(said) - step + 1, step):
                frame = rtc.AudioFrame(said[offset : offset + step], SAMPLE_RATE_HZ, 1, step // 2)
                await self._source.capture_frame(frame)

    def close(self) -> None:
        self._source.clear_queue()
        self._hearing.cancel()


class _Audio:
    def recording_devices(self) -> Sequence[_Device]:
        return [_Device("default: A microphone"), _Device("A microphone"), _Device("Another")]

    def playout_devices(self) -> Sequence[_Device]:
        return [_Device("A \x1b[2Jloudspeaker")]

    def create_audio_source(self) -> Any:
        return _Source()

    def close(self) -> None:
        pass


def main() -> None:
    end_with(lambda: trio.run(functools.partial(sit_down, open_audio=_Audio)))
