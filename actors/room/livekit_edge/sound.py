"""The agent's own sound, and its echo. Other people's sound is in `tracks`."""

from __future__ import annotations

import trio
import trio_asyncio
from livekit import rtc

from channels.errors import EdgeFault
from sound.pcm import SAMPLE_BYTES, SAMPLE_RATE_HZ, bytes_of_ms, ms_of_bytes

__all__ = ["LiveKitLoudspeaker", "WebRtcEchoCanceller"]

_CAPTURE_SLACK_S = 5.0
STEP_MS = 10
STEP_S = STEP_MS / 1000
_STEPS_LOOKED_AT = 9
_AGREE_WITHIN_S = 0.001
_PROCESSING_SAMPLES = SAMPLE_RATE_HZ // 100
"""WebRTC's audio processing takes 10 ms at a time and nothing else."""
_ECHO_AFTER_MS = 120
"""Where the canceller begins to look for the echo, counted from what it is told to be playing. It looks on
both sides and finds it in half a second (0 and 400 were no worse by measurement); this is in the middle of
what networks make of it."""


class LiveKitLoudspeaker:
    """`Loudspeaker` over an `AudioSource`."""

    def __init__(self, source: rtc.AudioSource, queue_size_ms: int) -> None:
        self._source = source
        self._queue_size_ms = queue_size_ms
        self._steps_from: float | None = None
        self._looked = trio.Event()

    @property
    def steps_from(self) -> float | None:
        """As `Loudspeaker.steps_from`."""
        return self._steps_from

    async def find_steps(self) -> None:
        """Finds out when the SDK takes its steps, while the room is being joined; `capture` waits for it.

        A capture that overfills the queue returns with the first step after it. Some return late, none early.
        """
        silence = bytes(bytes_of_ms(self._queue_size_ms + STEP_MS))
        returned: list[float] = []
        for _ in range(_STEPS_LOOKED_AT):
            await self._capture(silence)
            returned.append(trio.current_time())
            self.clear()

        def late_s(at: float, other: float) -> float:
            return (other - at + STEP_S / 2) % STEP_S - STEP_S / 2

        def agree(at: float) -> int:
            return sum(0 <= late_s(at, other) < _AGREE_WITHIN_S for other in returned)

        self._steps_from = max(returned, key=agree)
        self._looked.set()

    async def capture(self, pcm: bytes) -> None:
        """As `Loudspeaker.capture`."""
        if not self._looked.is_set():
            await self._looked.wait()
        await self._capture(pcm)

    async def _capture(self, pcm: bytes) -> None:
        frame = rtc.AudioFrame(pcm, SAMPLE_RATE_HZ, 1, len(pcm) // SAMPLE_BYTES)
        longest_s = (self._queue_size_ms + ms_of_bytes(len(pcm))) / 1000 + _CAPTURE_SLACK_S
        with trio.move_on_after(longest_s, shield=True) as scope:
            try:
                await trio_asyncio.aio_as_trio(self._source.capture_frame)(frame)
            except Exception as error:  # the SDK raises bare Exception
                raise EdgeFault(
                    f"LiveKit's SDK refused the agent's sound ({error})",
                    "restart the agent; report it if it happens again",
                ) from error
        if scope.cancelled_caught:
            raise EdgeFault(
                f"LiveKit's SDK accepted no sound for {longest_s:.0f} s",
                "restart the agent; report it if it happens again",
            )
        await trio.lowlevel.checkpoint_if_cancelled()

    def clear(self) -> None:
        """As `Loudspeaker.clear`."""
        self._source.clear_queue()


class WebRtcEchoCanceller:
    """`EchoCanceller` over WebRTC's audio processing, which the SDK carries: some 7 ms of CPU a second."""

    def __init__(self) -> None:
        self._processing = rtc.AudioProcessingModule(echo_cancellation=True)
        self._processing.set_stream_delay_ms(_ECHO_AFTER_MS)

    def clean(self, heard: bytes, played: bytes) -> bytes:
        """As `EchoCanceller.clean`."""
        step = _PROCESSING_SAMPLES * SAMPLE_BYTES
        cleaned = bytearray()
        for offset in range(0, len(heard), step):
            far = rtc.AudioFrame(played[offset : offset + step], SAMPLE_RATE_HZ, 1, _PROCESSING_SAMPLES)
            near = rtc.AudioFrame(heard[offset : offset + step], SAMPLE_RATE_HZ, 1, _PROCESSING_SAMPLES)
            self._processing.process_reverse_stream(far)
            self._processing.process_stream(near)  # in place
            cleaned += near.data
        return bytes(cleaned)
