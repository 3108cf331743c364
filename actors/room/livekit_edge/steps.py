"""The steps in which a track's sound comes, taken straight from the SDK's thread, and several at a time where
nobody needs them sooner.

Carried by the SDK's own stream, each step takes three turns of the event loop, and wakes it, a hundred times
a second. That costs more than what is done with the sound (`bench.cost`).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any, cast

import trio
from livekit import rtc

from channels.bounded import Receiver, Sender
from sound.pcm import SAMPLE_RATE_HZ

__all__ = ["JoinedSteps", "Steps"]


class Steps:
    """Passes the steps of one track on.

    For the SDK it is the event loop of the track's stream: so it is what the SDK's thread hands each step to.

    Args:
        loop: the SDK's.
        out: where they go.
        in_frame: how many make a frame.
        at_once: whether a step may not wait for the rest of its frame; asked in the SDK's thread.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        out: Sender[bytes],
        in_frame: int,
        at_once: Callable[[], bool],
    ) -> None:
        self._loop = loop
        self._trio = trio.lowlevel.current_trio_token()
        self._out = out
        self._in_frame = in_frame
        self._at_once = at_once
        self._came = 0
        self._waiting: deque[Any] = deque()
        self._woken = False
        self._stream: rtc.AudioStream | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    def open(self, track: rtc.Track, step_ms: int) -> rtc.AudioStream:
        """Opens the track. The stream itself gives nothing; it ends when the sound does."""
        self._stream = rtc.AudioStream.from_track(
            track=track,
            loop=cast(asyncio.AbstractEventLoop, self),
            sample_rate=SAMPLE_RATE_HZ,
            num_channels=1,
            frame_size_ms=step_ms,
        )
        return self._stream

    def call_soon_threadsafe(self, callback: Callable[..., object], event: Any) -> None:
        """As asyncio's, which the SDK calls with each event of a stream, never in two threads at once."""
        step = event.audio_stream_event
        is_last = not step.HasField("frame_received")
        if not is_last:
            self._waiting.append(step)
            self._came += 1
        if not self._woken and (is_last or self._came % self._in_frame == 0 or self._at_once()):
            self._woken = True
            self._trio.run_sync_soon(self._pass_on)
        if is_last:
            self._loop.call_soon_threadsafe(callback, event)

    def close(self) -> None:
        """Nothing more is to come: gives the SDK back what still waits, and ends what goes out."""
        self._pass_on()
        self._out.close()

    def _pass_on(self) -> None:
        self._woken = False  # first: what comes from now on calls again
        number = None if self._stream is None else self._stream._ffi_handle.handle
        while self._waiting:
            step = self._waiting.popleft()
            # Until a stream knows its own number, it is told of the others' steps, too.
            if step.stream_handle == number:
                frame = rtc.AudioFrame._from_owned_info(step.frame_received.frame)
                with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                    self._out.send_nowait(bytes(frame.data))


class JoinedSteps(AsyncIterator[bytes]):
    """The steps of a track: all that wait as one, but no more than what belongs to the same frame.

    Args:
        steps: as they come.
        in_frame: how many make a frame.
    """

    def __init__(self, steps: Receiver[bytes], in_frame: int) -> None:
        self._steps = steps
        self._in_frame = in_frame
        self._place = 0
        """In the frame."""

    async def __anext__(self) -> bytes:
        joined = [await self._steps.__anext__()]
        missing = self._in_frame - self._place - 1
        joined += [step for _, step in zip(range(missing), self._steps.receive_waiting(), strict=False)]
        self._place = (self._place + len(joined)) % self._in_frame
        return b"".join(joined)
