"""People of the simulation, as their microphones have them: when each of them makes a sound.

A frame begins with its number, so that the service can tell whether one was lost or came twice: a bit a
sample, so faint that nothing takes it for a sound. The rest of it is digital silence or a constant, which
`SimulatedJudge` (in the place of the voice activity detector) and the simulated service tell apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from zlib import crc32

from attrs import Factory, define, field, frozen

from sound.pcm import bytes_of_ms
from sound.vad import WINDOW_MS

__all__ = ["NUMBER_BYTES", "Person", "SimulatedJudge", "frame_of", "is_voiced", "number_of"]

_BITS = 32
NUMBER_BYTES = 2 * _BITS
_ONE = (3).to_bytes(2, "little")
_LOUD = 1000
_VOICE = _LOUD.to_bytes(2, "little")


@define
class Person:
    """Somebody with a microphone."""

    name: str
    _sounds: list[tuple[float, float]] = field(factory=list, init=False)
    numbered: int = field(default=Factory(lambda self: crc32(self.name.encode()) // 2, takes_self=True))
    """The number of the latest frame of the microphone; two people's numbers are far apart."""

    def sounds(self, begins: float, ends: float) -> None:
        """Makes a sound."""
        self._sounds = [sound for sound in self._sounds if sound[1] > begins - 5.0]
        self._sounds.append((begins, ends))

    def silences(self) -> None:
        """Says nothing more of what was to be said."""
        self._sounds.clear()

    def is_voiced(self, begins: float, ends: float) -> bool:
        """Whether a frame of that time has a sound in its middle."""
        middle = (begins + ends) / 2
        return any(sound[0] <= middle < sound[1] for sound in self._sounds)


def frame_of(number: int, voiced: bool, length: int) -> bytes:
    """A frame of a microphone, of so many bytes."""
    rest = (length - NUMBER_BYTES) // 2
    bits = b"".join(_ONE if number >> bit & 1 else b"\0\0" for bit in range(_BITS))
    return bits + (_VOICE if voiced else b"\0\0") * rest


def number_of(frame: bytes) -> int:
    """Of a frame."""
    return sum(1 << bit for bit in range(_BITS) if any(frame[2 * bit : 2 * bit + 2]))


def is_voiced(pcm: bytes) -> bool:
    """Whether a frame has sound in it, raised to a steady level or not."""
    return int.from_bytes(pcm[NUMBER_BYTES : NUMBER_BYTES + 2], "little", signed=True) >= _LOUD


@frozen
class _Judged:
    probability: float
    pcm: bytes


@define
class SimulatedJudge:
    """Judges windows of 32 ms, as the real detector does, and never errs."""

    _rest: bytes = field(default=b"", init=False)

    def feed(self, pcm: bytes) -> Sequence[_Judged]:
        """The windows that are complete."""
        self._rest += pcm
        length = bytes_of_ms(WINDOW_MS)
        windows = [self._rest[at : at + length] for at in range(0, len(self._rest) - length + 1, length)]
        self._rest = self._rest[len(windows) * length :]
        # At least one of the two places is not the number of a frame.
        return [
            _Judged(0.99 if window[700:702] == _VOICE or window[1400:1402] == _VOICE else 0.01, window)
            for window in windows
        ]
