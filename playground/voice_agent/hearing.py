"""From the client's frames to what was said: decoding, the rate limit, and the ears behind a channel.

Sound waits for the ears in a channel that drops its oldest frames: what is twenty seconds late is no
conversation any more. Nothing here makes the session wait.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
import msgspec
import trio

from channels.bounded import Channel, Full, Sender
from channels.wire.events import SessionFailed
from channels.wire.session import SessionInput, TurnSettings
from playground.ears import HearingEvent
from playground.turns import ADAPTIVE, TurnRules
from playground.voice_agent.loudness import Loudness
from playground.voice_agent.sound_io import BadAudio, RateGate, Uplink
from playground.voice_agent.speech import Ears, Speech
from sound.pcm import bytes_of_ms

__all__ = ["Hearing", "turn_detection"]

_DELAYS_MS = {"min_latency": 0, "balanced": 500, "max_accuracy": 500}
"""`interruption_delay` where it is not set (reference, 5.2)."""
_PIECE_BYTES = bytes_of_ms(50)
_PIECES = 400


def turn_detection(config: SessionInput, endpointing_ms: Mapping[str, int] | None) -> TurnRules:
    """When turns begin and end under a configuration. No I/O, no clock.

    `min_silence` or `max_silence`, once set, end the adaptive mode: the schema's default takes the place
    of the other one. Otherwise it is `endpointing_ms` of the transcription mode, or the ears' own
    adaptive rule if there is none.
    """
    mode = config.transcription_mode or "balanced"
    set_by_client: dict[str, Any] = {
        name: value
        for name, value in msgspec.to_builtins(config.turn_detection or TurnSettings()).items()
        if name in ("vad_threshold", "min_silence", "max_silence", "interruption_delay", "interrupt_response")
    }
    if set_by_client.keys() & {"min_silence", "max_silence"}:
        base = TurnRules()
    elif endpointing_ms is None:
        base = ADAPTIVE
    else:
        base = TurnRules(min_silence=endpointing_ms[mode], max_silence=endpointing_ms[mode])
    return attrs.evolve(base, **({"interruption_delay": _DELAYS_MS[mode]} | set_by_client))


class Hearing:
    """The hearing of one session.

    Args:
        config: the input as the first update has it: its format stays.
        detection: when turns begin and end.
        watch_rate: whether sound faster than real time is dropped.
    """

    def __init__(self, config: SessionInput, detection: TurnRules, *, watch_rate: bool) -> None:
        self._uplink = Uplink(config.format)
        self._detection = detection
        self._gate = RateGate() if watch_rate else None
        self._complained_s: float | None = None
        self._loudness = Loudness()
        self._ears: Ears | None = None
        channel = Channel[bytes](
            "to the ears",
            capacity=_PIECES,
            unit="pieces of at most 50 ms, 20 s in all",
            full=Full.DROP_OLDEST,
            because="the client must not wait for a recogniser",
        )
        self._sender = channel.sender()
        self._receiver = channel.receiver()

    async def run(self, speech: Speech, heard: Sender[HearingEvent]) -> None:
        """Hears until it is cancelled."""
        self._ears = speech.ears(self._receiver, heard, self._detection)
        await self._ears.run()

    def configure(self, detection: TurnRules) -> None:
        """Other settings from now on."""
        self._detection = detection
        if self._ears is not None:
            self._ears.configure(detection)

    def take(self, audio: bytes) -> SessionFailed | None:
        """Takes a frame; gives the complaint if there is something wrong with it."""
        lasts_ms = self._uplink.duration_ms(audio)
        if self._gate is not None and not self._gate.admits(lasts_ms, trio.current_time()):
            return self._too_fast()
        try:
            pcm = self._uplink.decode(audio)
        except BadAudio:
            return SessionFailed("invalid_audio", "Invalid audio data")
        # In pieces, since a channel counts messages, and a frame may be a second long.
        for start in range(0, len(pcm), _PIECE_BYTES):
            piece = pcm[start : start + _PIECE_BYTES]
            self._loudness.take(piece, trio.current_time())
            self._sender.send_nowait(piece)
        return None

    def peak_since(self, since_s: float) -> float:
        """The loudest sample that arrived since then, as a fraction of full scale."""
        return self._loudness.peak_since(since_s)

    def _too_fast(self) -> SessionFailed | None:
        # Once a second: an answer to each of a thousand frames helps nobody.
        now_s = trio.current_time()
        if self._complained_s is not None and now_s - self._complained_s < 1.0:
            return None
        self._complained_s = now_s
        return SessionFailed(
            "audio_rate_violation", "Audio comes faster than real time; the excess is dropped"
        )
