"""voicebench's way into a LiveKit room, in time: loaded by voicebench, in its own environment.

voicebench's clock starts before it joins the room. Its microphone is then late for the whole session by as
long as joining took, a second of it in the queue of LiveKit's audio source, and so is every figure that
begins with the person's sound. It also puts what it hears behind all that it heard before: once a stalled
machine has delivered a burst, everything later counts as heard so much later, and nothing brings it back.

Here silence whose time has passed is left out on both ways, until they are in time again. No sound is.
"""

from __future__ import annotations

import numpy as np
from voicebench.adapters.base import AgentAudio, AgentEvent
from voicebench.adapters.livekit import LiveKitAdapter
from voicebench.audio import FloatArray, rms_dbfs

__all__ = ["PunctualLiveKit"]

_LATE_S = 0.03
"""A frame and a half: less is the loop's own unsteadiness."""
_SILENT_DB = -70.0
"""voicebench's own floor for a packet with something in it."""


class PunctualLiveKit(LiveKitAdapter):
    """As voicebench's own, but in time."""

    _said_s = 0.0
    _heard_s = 0.0

    async def send_audio(self, pcm: FloatArray) -> None:
        """Says a frame, unless it is silent and late."""
        late_s = self.session.clock.now() - self._said_s
        self._said_s += pcm.size / self.session.sample_rate
        if late_s < _LATE_S or np.any(pcm):
            await super().send_audio(pcm)

    def emit(self, event: AgentEvent) -> None:
        """Passes on what was heard, unless it is silent and late."""
        if isinstance(event, AgentAudio):
            late_s = self._heard_s - event.time
            if late_s >= _LATE_S and rms_dbfs(event.pcm) < _SILENT_DB:
                return
            self._heard_s = max(self._heard_s, event.time) + event.pcm.size / self.session.sample_rate
        super().emit(event)
