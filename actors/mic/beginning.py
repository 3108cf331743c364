"""Puts what a person said before the agent could hear them ahead of their live sound. No I/O, no clock.

The recording ends a little after the live sound begins, because a client stops it once it knows that it is
heard. So the live sound waits for the recording, and the overlap is found: the recording is cut where the
rest of it sounds like the beginning of the live sound. If no overlap is found, because all of it was silent,
both are kept.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from attrs import define, field

from sound.loudness import QUIET_DB
from sound.pcm import SAMPLE_BYTES, bytes_of_ms

__all__ = ["WAITS_S", "Beginning", "Beginnings", "overlap_bytes"]

WAITS_S = 3.0
"""From the track's beginning; LiveKit's own agents wait as long. The session itself needs about a second."""

MOST_EARLY = 4
"""Recordings that wait for their track, half a megabyte each."""

COMPARES_MS = 500
"""How much live sound is needed to find the overlap: two syllables."""
AMONG_MS = 2_500
"""How much of the recording's end is searched: how late a client may learn that it is heard."""
SHORTEST_MS = 40
"""A shorter overlap is not noticed as something said twice."""
ALIKE = 0.7
"""What the correlation is at least, of 1: speech that went through Opus was above 0.8 wherever it was found;
other speech of the same voice was once in 33 times, over 80 ms."""

_Samples = npt.NDArray[np.float64]


@define
class Beginning:
    """Holds the first live sound of a track back until the recording before it is there.

    Args:
        until: when to give up waiting for the recording (s).
    """

    until: float
    over: bool = field(default=False, init=False)
    _live: list[tuple[bytes, float]] = field(factory=list, init=False)
    """With the time at which each was heard."""
    _recorded: bytes | None = field(default=None, init=False)

    def take_recorded(self, pcm: bytes) -> None:
        """The recording has arrived; if it is too late, it is ignored."""
        if not self.over:
            self._recorded = pcm

    def take(self, pcm: bytes, at: float) -> list[tuple[bytes, float]]:
        """Takes live sound, heard at `at` (s).

        Returns:
            All that there is, in order, with its times, in pieces as long as `pcm`; nothing while it waits.
        """
        self._live.append((pcm, at))
        enough = sum(len(each) for each, _ in self._live) >= bytes_of_ms(COMPARES_MS)
        if at < self.until and (self._recorded is None or not enough):
            return []
        self.over, before = True, self._recorded or b""
        before = before[: len(before) - overlap_bytes(before, b"".join(each for each, _ in self._live))]
        # Whole pieces, like the live ones; nobody misses a few ms at the very beginning.
        before = before[len(before) % len(pcm) :]
        begins_at = self._live[0][1] - len(pcm) / bytes_of_ms(1000)
        count = len(before) // len(pcm)
        pieces = [before[place * len(pcm) : (place + 1) * len(pcm)] for place in range(count)]
        length_s = len(pcm) / bytes_of_ms(1000)
        return [
            *((piece, begins_at - (count - 1 - place) * length_s) for place, piece in enumerate(pieces)),
            *self._live,
        ]


@define
class Beginnings:
    """The beginnings of all tracks: which of them wait for a recording, which recordings for a track."""

    _due: dict[str, float] = field(factory=dict, init=False)
    """How long to wait for a recording (s), by track id."""
    _begun: dict[str, tuple[str, Beginning]] = field(factory=dict, init=False)
    """With whose it is."""
    _early: dict[str, tuple[str, bytes, float]] = field(factory=dict, init=False)
    """Whose recording came before its track, and when (s)."""

    def came(self, sid: str, now: float) -> None:
        """A track has come whose participant recorded what came before it."""
        self._due[sid] = now + WAITS_S

    def went(self, sid: str) -> None:
        """A track is no longer there."""
        for known in (self._due, self._begun, self._early):
            known.pop(sid, None)

    def take_recorded(self, sid: str, identity: str, pcm: bytes, now: float) -> None:
        """Somebody sent a recording, and says which track continues it."""
        owner, begun = self._begun.get(sid, (None, None))
        if begun is None:
            self._early.pop(sid, None)
            while len(self._early) >= MOST_EARLY:
                del self._early[next(iter(self._early))]
            self._early[sid] = identity, pcm, now
        elif owner == identity:
            begun.take_recorded(pcm)

    def begin(self, sid: str, identity: str, now: float) -> Beginning | None:
        """A track is opened; None: nothing goes before it."""
        until = self._due.pop(sid, now)
        owner, pcm, came_at = self._early.pop(sid, (None, b"", 0.0))
        early = owner == identity and now - came_at < WAITS_S
        if now >= until and not early:
            return None
        beginning = Beginning(max(until, now + COMPARES_MS / 500) if early else until)
        if early:
            beginning.take_recorded(pcm)
        self._begun[sid] = identity, beginning
        return beginning


def overlap_bytes(before: bytes, live: bytes) -> int:
    """How much of the end of `before` is also the beginning of `live`; 0 where that cannot be known."""
    recorded, heard = _samples(before[-bytes_of_ms(AMONG_MS) :]), _samples(live[: bytes_of_ms(COMPARES_MS)])
    shortest = bytes_of_ms(SHORTEST_MS) // SAMPLE_BYTES
    if min(len(recorded), len(heard)) < shortest:
        return 0
    # Of each length of what both may have: how alike the two are over as much of it as was heard.
    size = 1 << (len(recorded) + len(heard)).bit_length()
    products = np.fft.irfft(np.fft.rfft(recorded, size) * np.conj(np.fft.rfft(heard, size)), size)
    begins = np.arange(len(recorded) - shortest + 1)
    ends = np.minimum(begins + len(heard), len(recorded))
    there, here = _energies(recorded), _energies(heard)
    of_recorded, of_heard = there[ends] - there[begins], here[ends - begins]
    alike = products[begins] / np.sqrt(np.maximum(of_recorded * of_heard, 1.0))
    loud = of_heard > (ends - begins) * (32768 * 10 ** (QUIET_DB / 20)) ** 2
    # A long match says more than a short one, which may be just the same vowel.
    place = int(np.argmax(np.where(loud, alike * np.sqrt(ends - begins), 0.0)))
    if not loud[place] or alike[place] < ALIKE:
        return 0
    return (len(recorded) - place) * SAMPLE_BYTES


def _energies(samples: _Samples) -> _Samples:
    """Of the first so many samples."""
    return np.concatenate([[0.0], np.cumsum(samples * samples)])


def _samples(pcm: bytes) -> _Samples:
    return np.frombuffer(pcm, "<i2").astype(np.float64)
