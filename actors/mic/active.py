"""Decides whose turn it is: the loudest speaker, with hysteresis.
No I/O, no clock: levels and times in, a name out.

Who counts as speaking follows LiveKit's own rule and numbers for active speakers (server configuration
`audio`: active_level 35, min_percentile 40, over 400 ms), judged here from each person's own frames. The
SDK's event `active_speakers_changed` is not used: it names only those speakers whose state has changed,
without their levels, quietest first, says "nobody" when one of two falls silent, and comes 420 to 770 ms
after the first sound (livekit 1.2.1, measured). We need the frames anyway, to keep the first word.

    the one heard   another                                for            then
    is silent       speaks, the loudest of all             SETTLES_S      it is the other's turn
    speaks          is louder by LOUDER_BY_DB              TAKES_OVER_S   it is the other's turn
    speaks          is not so much louder                  –              nothing

A turn changes only in a gap of the current speaker's sound, so that no word is cut; if no gap comes within
LONGEST_WORD_S (music, a fan), it changes anyway.
"""

from __future__ import annotations

import math
from collections import deque

from attrs import define, field

from sound.loudness import QUIET_DB, SILENCE_DB

__all__ = ["LONGEST_WORD_S", "SETTLES_S", "TAKES_OVER_S", "ActiveSpeaker"]

SPEAKS_DB = -35.0
"""Of full scale: LiveKit's active_level."""
SHARE = 0.4
"""LiveKit's min_percentile: how much of the window has to be loud."""
WINDOW_S = 0.4
"""LiveKit's update_interval."""

SETTLES_S = 0.15
TAKES_OVER_S = 1.5
LOUDER_BY_DB = 3.0
LONGEST_WORD_S = 1.0


@define
class _Level:
    """How loud somebody was lately."""

    frames: deque[tuple[float, float, float]] = field(factory=deque)
    """When each came (s), its level (dB), its length (s)."""

    def take(self, at: float, db: float, length_s: float) -> None:
        self.frames.append((at, db, length_s))

    def speaks(self, now: float) -> bool:
        while self.frames and self.frames[0][0] <= now - WINDOW_S:
            self.frames.popleft()
        # Minus a rounding error, so that 160 ms of 400 ms are 40 %.
        return sum(length for _, db, length in self.frames if db >= SPEAKS_DB) >= SHARE * WINDOW_S - 1e-9

    def loudness_db(self) -> float:
        """The mean power of its loud parts."""
        loud = [10 ** (db / 10) for _, db, _ in self.frames if db >= SPEAKS_DB]
        return 10 * math.log10(sum(loud) / len(loud)) if loud else SILENCE_DB

    def in_gap(self) -> bool:
        return not self.frames or self.frames[-1][1] < QUIET_DB


@define
class ActiveSpeaker:
    """Follows who is speaking."""

    _levels: dict[str, _Level] = field(factory=dict, init=False)
    _speaks_since: dict[str, float] = field(factory=dict, init=False)
    _louder_since: dict[str, float] = field(factory=dict, init=False)
    _due_since: float | None = field(default=None, init=False)
    """Since when a change has been waiting for a gap."""

    def take(self, identity: str, db: float, length_s: float, heard: str | None, now: float) -> str | None:
        """Takes the level of a frame.

        Args:
            identity: whose frame it is.
            db: its level.
            length_s: its length.
            heard: whose turn it is.
            now: when it came (s).

        Returns:
            Whose turn it is to be from now on; `heard` if nothing changes.
        """
        self._levels.setdefault(identity, _Level()).take(now, db, length_s)
        speaking = {name: level for name, level in self._levels.items() if level.speaks(now)}
        self._keep_since(self._speaks_since, set(speaking), now)
        loudness = {name: level.loudness_db() for name, level in speaking.items()}
        heard_db = loudness.get(heard or "", -math.inf)
        louder = {name for name, db in loudness.items() if name != heard and db >= heard_db + LOUDER_BY_DB}
        self._keep_since(self._louder_since, louder, now)
        other = self._due(heard, loudness, now)
        if other is None:
            self._due_since = None
            return heard
        self._due_since = now if self._due_since is None else self._due_since
        if not self._in_gap(heard) and now - self._due_since < LONGEST_WORD_S:
            return heard
        self._due_since = None
        return other

    def forget(self, identity: str) -> None:
        """Somebody no longer has a track."""
        for known in (self._levels, self._speaks_since, self._louder_since):
            known.pop(identity, None)

    def _due(self, heard: str | None, loudness: dict[str, float], now: float) -> str | None:
        others = sorted((name for name in loudness if name != heard), key=lambda name: -loudness[name])
        since, patience_s = (
            (self._louder_since, TAKES_OVER_S) if heard in loudness else (self._speaks_since, SETTLES_S)
        )
        return next((name for name in others if now - since.get(name, math.inf) >= patience_s), None)

    def _in_gap(self, heard: str | None) -> bool:
        level = self._levels.get(heard or "")
        return level is None or level.in_gap()

    @staticmethod
    def _keep_since(since: dict[str, float], names: set[str], now: float) -> None:
        for name in names:
            since.setdefault(name, now)
        for name in since.keys() - names:
            del since[name]
