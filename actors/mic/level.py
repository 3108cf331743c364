"""A person's voice, brought to a steady level on its way to the service.
No I/O, no clock: sound in, as much sound out.

The live service notices an interruption only if the voice is near full scale, and browsers' echo cancellers
turn a person down to a third of their level while the agent is audible. So soft voices are raised; loud ones
are left alone, and nothing is ever made softer.

- **Learning.** The loudest peak of the last `LEARNS_FROM_BLOCKS` of voiced sound is the person's level. Sound
  is voiced if it repeats itself at the pitch of a voice, and stands as clear of the quietest of the last
  seconds as only speech does, which has gaps. Keyboards, fans, hiss and most music do not.
- **Two levels.** While the agent is audible the person has a different level, which is remembered separately.
  Until it is known, the person is assumed to be turned down to a third, so that the very first word over the
  agent is raised at once. It is never assumed to be much less.
- **Echo.** A voice that is there most of the time while the agent is audible is the agent's own, or a
  television's: nothing is raised for it. An echo is assumed until the agent has been audible for a second
  without one.
- **Gain.** It rises by 4 dB in 10 ms when a voice begins, stays for the length of a syllable's pause, and
  falls back to 1 in silence. It is drawn through each sample, so that nothing clicks.
- **Never a clipped sample.** Peaks above -3 dB of full scale are bent below -0.2 dB, without memory and
  without delay. What came in louder than that goes out as it came.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from attrs import define, field

from sound.pcm import SAMPLE_BYTES, SAMPLE_RATE_HZ

__all__ = ["Leveller"]

TARGET = 0.9
"""The target for the person's level, of full scale: the limiter bends hardly any of it."""
TARGET_BESIDE = 1.0
"""The target while the agent speaks, when the first word counts."""
LOUDEST_FLOOR = 0.025
"""While the agent is silent, nothing is raised so far that the room's noise would come above this RMS: then
the service hears a person well enough, and a crowd should stay a crowd."""

USUAL_BESIDE = 0.33
"""The level assumed while the agent speaks, before a person is known: what Chrome was seen to leave."""
TURNED_DOWN = 1 / 3
"""What is left of a known person while the agent speaks, until that is known too."""
SOFTER_BESIDE = 2 / 3
"""Of the level expected while the agent speaks: a softer sound is not the person's."""
AFTER_BLOCKS = 50
"""An echo canceller lets go of the person some time after the agent is silent: what comes meanwhile teaches
nothing of either level."""

ECHO_BLOCKS = 1000
ECHO_SHARE = 0.6
"""Of the last 10 s of the agent's voice. A person who speaks over it has been heard, or given up, before."""
ASSUMED_ECHO_BLOCKS = 100

LEARNS_FROM_BLOCKS = 150
"""Of 10 ms: voices keep their loudest syllables no further apart than 1.5 s of voiced sound."""
KNOWN_FROM_BLOCKS = 20
"""So much voiced sound, with no gap of more than `FORGOTTEN_BLOCKS` in it, is a person. Until then nothing is
raised but what is expected beside the agent's voice."""
FORGOTTEN_BLOCKS = 50
FAR = 1 / 3
"""What is so far below the level is soon a pause, or somebody else: it counts a tenth, so that a television
is not brought to the fore as soon as the person is silent."""
FAR_COUNTS = 10
OPENS = 1 / 5
"""A voiced block from this share of the level on is the person's."""
STAYS_BLOCKS = 25
"""Covers consonants at the end of a word, and stops within it."""

RISE = 10 ** (4 / 20)
FALL = 10 ** (-0.5 / 20)
"""Of the gain, a block."""

VOICED = 0.55
"""How much a voiced block repeats itself: noise seldom comes above 0.35, a clear vowel is above 0.8."""
CLEAR = 4.0
"""A voice stands 12 dB above the floor. Measured over 2 s: speech, also in noise of -15 dB, has 13 to 50 dB
between its gaps and its loud tenth; music has 6 to 10, an office 5 to 8, a crowd 8 to 13."""
FAINT = 2.0
"""From 6 dB on there is some voice, if not one to learn from: an echo can be soft."""
FLOOR_BLOCKS = 200
FLOOR_PERCENT = 10
"""The floor: nine of ten blocks of the last 2 s are louder. Speech has gaps that often."""
QUIETEST_FLOOR = 0.001
ASSUMED_FLOOR_BLOCKS = 5
"""In the first half second the quietest block is the floor: a person may speak at once."""

KNEE = 0.7079
CEILING = 0.977
MOST_BENT = 1.5
"""No block is raised further beyond full scale than this: it would be all limiter."""

_BLOCK = SAMPLE_RATE_HZ // 100
_DECIMATION = 4
_WINDOW = 4 * _BLOCK // _DECIMATION
"""40 ms: two periods of the deepest voice, and more."""
_STEP = _BLOCK // _DECIMATION
_SHORTEST_LAG = SAMPLE_RATE_HZ // _DECIMATION // 400
_LONGEST_LAG = SAMPLE_RATE_HZ // _DECIMATION // 60
_LAGS = np.arange(_SHORTEST_LAG, _LONGEST_LAG + 1)
_IN_WINDOW = np.arange(_WINDOW)
_FFT = 512
_FULL_SCALE = np.float32(32768)

_Sound = npt.NDArray[np.float32]
_Flags = npt.NDArray[np.bool_]


@define
class _Level:
    """How loud a person is: their loudest peak of late."""

    _peaks: deque[float] = field(factory=lambda: deque(maxlen=LEARNS_FROM_BLOCKS), init=False)
    _far: int = field(default=0, init=False)
    _silent: int = field(default=0, init=False)

    @property
    def known(self) -> bool:
        return len(self._peaks) >= KNOWN_FROM_BLOCKS

    def take(self, peak: float | None) -> None:
        """Takes the peak of a block; None: it is not voiced."""
        if peak is None:
            self._silent += 1
            if self._silent > FORGOTTEN_BLOCKS and not self.known:
                self._peaks.clear()
            return
        self._silent = 0
        if self.known and peak < FAR * max(self._peaks):
            self._far = (self._far + 1) % FAR_COUNTS
            if self._far:
                return
        self._peaks.append(peak)

    def value(self, expected: float) -> float:
        """The level; no less than what is expected, until it is known."""
        loudest = max(self._peaks, default=0.0)
        return loudest if self.known else max(loudest, expected)


@define
class Leveller:
    """Levels one person's sound.

    Args:
        most_gain: how many times louder it may become.
    """

    most_gain: float
    _alone: _Level = field(factory=_Level, init=False)
    _beside: _Level = field(factory=_Level, init=False)
    """While the agent is audible."""
    _after: int = field(default=0, init=False)
    """For so many blocks the agent's voice may still have its effect on the person's."""
    _spoken: deque[bool] = field(
        factory=lambda: deque([True] * ASSUMED_ECHO_BLOCKS, maxlen=ECHO_BLOCKS), init=False
    )
    """While the agent was audible: whether a voice was there."""
    _company: int = field(default=0, init=False)
    """For so many blocks a voice counts as there, without another voiced one."""
    _gain: float = field(default=1.0, init=False)
    _stays: int = field(default=0, init=False)
    """For so many blocks the gain stays, without another voiced one."""
    _before: _Sound = field(factory=lambda: np.zeros(4 * _BLOCK, np.float32), init=False)
    _noise: float = field(default=QUIETEST_FLOOR, init=False)
    """The floor, as RMS."""
    _lately: deque[float] = field(factory=lambda: deque([QUIETEST_FLOOR] * ASSUMED_FLOOR_BLOCKS), init=False)
    """How loud the last blocks were, as RMS."""
    _by_loudness: list[float] = field(factory=lambda: [QUIETEST_FLOOR] * ASSUMED_FLOOR_BLOCKS, init=False)
    """The same, the quietest first."""

    def feed(self, pcm: bytes, *, agent_audible: bool) -> bytes:
        """Takes PCM16 mono 24 kHz of any length; gives as much, levelled. Half a sample at its end stays.

        Args:
            pcm: the sound.
            agent_audible: whether the agent's voice is being heard meanwhile.
        """
        whole = len(pcm) // SAMPLE_BYTES * SAMPLE_BYTES
        sound = np.frombuffer(pcm, "<i2", count=whole // SAMPLE_BYTES).astype(np.float32) / _FULL_SCALE
        if not len(sound):
            return pcm
        rest = -len(sound) % _BLOCK
        blocks = (np.pad(sound, (0, rest)) if rest else sound).reshape(-1, _BLOCK)
        peaks = np.abs(blocks).max(axis=1).tolist()
        faint, clear = self._voiced(blocks)
        if agent_audible:
            self._note_company(faint)
        gains = self._gains(peaks, clear.tolist(), agent_audible)
        if max(gains) == 1.0:
            return pcm
        ends = np.arange(len(blocks) + 1) * _BLOCK
        curve = np.interp(np.arange(1, len(sound) + 1), ends, gains).astype(np.float32)
        size = np.abs(sound)
        out = np.copysign(np.maximum(size, _bent(size * curve)), sound)
        levelled: bytes = np.rint(out * _FULL_SCALE).astype("<i2").tobytes()
        return levelled + pcm[whole:]

    def _voiced(self, blocks: _Sound) -> tuple[_Flags, _Flags]:
        """Which blocks have any voice in them, and which one that stands clear of all else."""
        loudness = np.sqrt(np.mean(blocks**2, axis=1))
        floor = self._noise = self._floor_after(loudness.tolist())
        lately = np.concatenate([self._before, blocks.reshape(-1)])
        self._before = lately[-len(self._before) :]
        faint = loudness >= FAINT * floor
        if faint.any():
            faint &= _repetition(_windows(lately)[-len(blocks) :]) >= VOICED
        return faint, faint & (loudness >= CLEAR * floor)

    def _floor_after(self, loudness: Sequence[float]) -> float:
        # Kept in order as it comes: to find the percentile anew each time costs more than all else here.
        for each in loudness:
            if each:
                self._lately.append(each)
                insort(self._by_loudness, each)
            if len(self._lately) > FLOOR_BLOCKS:
                del self._by_loudness[bisect_left(self._by_loudness, self._lately.popleft())]
        place, share = divmod((len(self._by_loudness) - 1) * FLOOR_PERCENT / 100, 1)
        below, above = self._by_loudness[int(place)], self._by_loudness[int(place) + 1]
        return max(below + (above - below) * share, QUIETEST_FLOOR)

    def _note_company(self, faint: _Flags) -> None:
        """Notes during how much of the agent's speech another voice is present."""
        for is_voice in faint:
            self._company = STAYS_BLOCKS if is_voice else max(0, self._company - 1)
            self._spoken.append(self._company > 0)

    def _gains(self, peaks: Sequence[float], voiced: Sequence[bool], agent_audible: bool) -> list[float]:
        """The gain at the beginning and at the end of each block."""
        self._after = AFTER_BLOCKS if agent_audible else max(0, self._after - len(peaks))
        if agent_audible or not self._after:
            learning = self._beside if agent_audible else self._alone
            for peak, is_voice in zip(peaks, voiced, strict=True):
                learning.take(peak if is_voice else None)
        if self._after:
            level = self._level_beside()
            wanted = 1.0 if self._echo else TARGET_BESIDE / level
        else:
            level = self._alone.value(TARGET)
            wanted = min(TARGET / level, LOUDEST_FLOOR / self._noise)
        wanted = min(max(1.0, wanted), self.most_gain)
        most = [max(1.0, MOST_BENT / max(peak, 1e-6)) for peak in peaks]
        most = [min(pair) for pair in zip(most, [*most[1:], np.inf], strict=True)]  # down before a loud block
        gains = [self._gain]
        for peak, is_voice, highest in zip(peaks, voiced, most, strict=True):
            if is_voice and peak >= OPENS * level:
                self._stays = STAYS_BLOCKS
            if self._stays:
                self._stays -= 1
                gain = min(self._gain * RISE, wanted)
            else:
                gain = self._gain * FALL
            self._gain = max(1.0, min(gain, highest))
            gains.append(self._gain)
        return gains

    def _level_beside(self) -> float:
        expected = self._alone.value(TARGET) * TURNED_DOWN if self._alone.known else USUAL_BESIDE
        return max(self._beside.value(expected), expected * SOFTER_BESIDE)

    @property
    def _echo(self) -> bool:
        return sum(self._spoken) > ECHO_SHARE * len(self._spoken)


def _bent(size: _Sound) -> _Sound:
    """Bends anything above the knee to stay below the ceiling, however loud it is."""
    room = CEILING - KNEE
    bent = KNEE + room * np.tanh((size - KNEE) / room)
    return np.where(size <= KNEE, size, bent).astype(np.float32)


def _windows(sound: _Sound) -> _Sound:
    """The last 40 ms before the end of each block, at a quarter of the rate, without rumble."""
    low = sound.reshape(-1, _DECIMATION).mean(axis=1)
    # The step from sample to sample: it takes hum and the low roar of rooms out, and leaves the pitch.
    steps = low.copy()
    steps[0] = 0
    steps[1:] -= low[:-1]
    begins = np.arange(0, len(steps) - _WINDOW + 1, _STEP)
    windows: _Sound = steps[begins[:, np.newaxis] + _IN_WINDOW]
    return windows


def _repetition(windows: _Sound) -> _Sound:
    """How similar each window is to itself a period later, at the best pitch from 60 to 400 Hz, up to 1."""
    spectrum = np.fft.rfft(windows, _FFT)
    product = np.fft.irfft(spectrum * np.conj(spectrum), _FFT)[:, _SHORTEST_LAG : _LONGEST_LAG + 1]
    energy = np.cumsum(windows.astype(np.float64) ** 2, axis=1)
    first = energy[:, _WINDOW - 1 - _LAGS]
    second = energy[:, -1:] - energy[:, _LAGS - 1]
    like = product / np.sqrt(first * second + 1e-12)
    return np.asarray(like.max(axis=1), np.float32)
