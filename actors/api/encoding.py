"""Converts between our own sound, PCM16 mono 24 kHz, and the session's wire format: the same, or G.711.

Nothing else knows about G.711: word offsets are in ms, and every chunk keeps its length in ms.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
import numpy as np

from channels.wire.events import ReplyAudio
from channels.wire.failures import ConfigurationRefused
from channels.wire.resolved import encoding_of
from sound.g711 import alaw_decode, alaw_encode, ulaw_decode, ulaw_encode
from sound.resampling import ToEightKilohertz, ToTwentyFourKilohertz

__all__ = ["PCM", "Encoding"]

PCM = "audio/pcm"
_ENCODE = {"audio/pcmu": ulaw_encode, "audio/pcma": alaw_encode}
_DECODE = {"audio/pcmu": ulaw_decode, "audio/pcma": alaw_decode}


@attrs.define
class Encoding:
    """Converts the sound of one connection.

    Args:
        input: how the person's sound goes out.
        output: how replies come in.
    """

    input: str = PCM
    output: str = PCM
    _down: ToEightKilohertz = attrs.field(factory=ToEightKilohertz, init=False)
    _up: ToTwentyFourKilohertz = attrs.field(factory=ToTwentyFourKilohertz, init=False)
    _reply_id: str | None = attrs.field(default=None, init=False)

    @classmethod
    def of(cls, config: Mapping[str, Any], asked: Mapping[str, Any]) -> Encoding:
        """What the service's resolved configuration says, else what was asked for.

        Raises:
            ConfigurationRefused: it is an encoding that this agent does not know.
        """
        found = cls(
            encoding_of(config, "input") or encoding_of(asked, "input") or PCM,
            encoding_of(config, "output") or encoding_of(asked, "output") or PCM,
        )
        for direction, name in (("input", found.input), ("output", found.output)):
            if name != PCM and name not in _ENCODE:
                raise ConfigurationRefused(
                    f"session.{direction}.format.encoding is {name[:40]!r}, which the agent does not support",
                    f"choose one of {PCM}, {', '.join(_ENCODE)}",
                )
        return found

    def encode(self, pcm: bytes) -> bytes:
        """The next sound of the person as the wire has it."""
        if self.input == PCM:
            return pcm
        samples = np.frombuffer(pcm, "<i2").astype(np.int16)
        return _ENCODE[self.input](self._down.convert(samples))

    def decode(self, sound: ReplyAudio) -> ReplyAudio:
        """A reply's next sound as the house has it."""
        if self.output == PCM:
            return sound
        if sound.reply_id != self._reply_id:
            self._up, self._reply_id = ToTwentyFourKilohertz(), sound.reply_id
        samples = self._up.convert(_DECODE[self.output](sound.data))
        return attrs.evolve(sound, data=samples.astype("<i2").tobytes())
