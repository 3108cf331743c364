"""Joins what comes many times a second into runs. No I/O, no clock; times are seconds since the record began.

A run ends when something else is said of the same matter, when it is a second long, or when nothing of it
has come for a while; so a line is never much older than the last one written, and a record that breaks off
lacks a second at most.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import define, evolve, field

from actors.record.notes import MicrophoneRun, PlayingRun, PlayRun, RecordLine, ReplyAudioRun
from actors.record.sound_reference import first_audible
from channels.messages import MicrophoneFrame, Play, Playing
from channels.seen import Noted
from channels.wire.events import ReplyAudio
from sound.pcm import SAMPLE_BYTES

__all__ = ["Runs"]

LONGEST_S = 1.0
MOST_PIECES = 200
"""A reply that comes in one burst shall not become one endless line."""

BROKEN_AFTER_S = 0.25
"""A gap that no jitter explains: what comes after it is another run."""


@define
class Runs:
    """Takes what was overheard; gives the lines of a record.

    Args:
        place: where a frame of the person's sound lies in the sound file, if there is one (first sample,
            samples).
    """

    place: Callable[[Noted], tuple[int, int]] | None = None
    _open: dict[str, RecordLine] = field(factory=dict, init=False)
    """The runs that may go on, by their matter."""
    _half_sample: tuple[str | None, bytes] = field(default=(None, b""), init=False)
    """What the last sound of a reply ended with."""

    def take(self, noted: Noted) -> list[RecordLine]:
        """The lines that are complete with this."""
        done = self.settle(noted.at)
        match noted.what:
            case Playing() as playing:
                return done + self._join("playing", noted, playing, _begin_playing, _go_on_playing)
            case Play() as play:
                return done + self._join("play", noted, play, _begin_play, _go_on_play)
            case ReplyAudio() as audio:
                return done + self._join("audio", noted, audio, self._begin_audio, self._go_on_audio)
            case MicrophoneFrame() as frame:
                return done + self._join(noted.on, noted, frame, self._begin_sound, self._go_on_sound)
            case what:
                # What a reply's sound led to stands after the sound.
                over = [matter for matter, run in self._open.items() if run.on == noted.on]
                before = [run for matter in over for run in self._end(matter)]
                return [*done, *before, RecordLine(noted.at, noted.on, what)]

    def settle(self, now: float) -> list[RecordLine]:
        """The runs that nothing was added to for a while."""
        over = [matter for matter, run in self._open.items() if now - run.t > BROKEN_AFTER_S]
        return [entry for matter in over for entry in self._end(matter)]

    def end(self) -> list[RecordLine]:
        """All that is still open."""
        return [entry for matter in list(self._open) for entry in self._end(matter)]

    def _end(self, matter: str) -> list[RecordLine]:
        run = self._open.pop(matter, None)
        return [] if run is None else [run]

    def _join(self, matter: str, noted: Noted, message, begin, go_on) -> list[RecordLine]:  # type: ignore[no-untyped-def]
        run = self._open.get(matter)
        longer = go_on(run, noted, message) if run and noted.at - run.what.since < LONGEST_S else None
        done = self._end(matter) if longer is None else []
        self._open[matter] = RecordLine(
            noted.at, noted.on, begin(noted, message) if longer is None else longer
        )
        return done

    def _begin_sound(self, noted: Noted, frame: MicrophoneFrame) -> MicrophoneRun:
        return MicrophoneRun(noted.at, 1, len(frame.pcm), frames=self._placed(noted))

    def _go_on_sound(self, run: RecordLine, noted: Noted, frame: MicrophoneFrame) -> MicrophoneRun:
        so_far: MicrophoneRun = run.what
        return evolve(
            so_far,
            count=so_far.count + 1,
            length=so_far.length + len(frame.pcm),
            longest_gap_ms=_longer(so_far.longest_gap_ms, noted.at - run.t),
            frames=(*so_far.frames, *self._placed(noted)),
        )

    def _begin_audio(self, noted: Noted, audio: ReplyAudio) -> ReplyAudioRun:
        return ReplyAudioRun(audio.reply_id, noted.at, (self._piece(noted.at, audio),))

    def _go_on_audio(self, run: RecordLine, noted: Noted, audio: ReplyAudio) -> ReplyAudioRun | None:
        so_far: ReplyAudioRun = run.what
        if audio.reply_id != so_far.reply_id or len(so_far.pieces) == MOST_PIECES:
            return None
        return evolve(so_far, pieces=(*so_far.pieces, self._piece(noted.at, audio)))

    def _piece(self, at: float, audio: ReplyAudio) -> tuple[float, int, int | None]:
        # The service may cut a reply's sound anywhere, in the middle of a sample too.
        reply_id, half = self._half_sample
        before = half if reply_id == audio.reply_id else b""
        whole = len(before) + len(audio.data)
        self._half_sample = audio.reply_id, (before + audio.data[-1:])[-1:] if whole % SAMPLE_BYTES else b""
        return at, len(audio.data), first_audible(audio.data, before)

    def _placed(self, noted: Noted) -> tuple[tuple[float, int, int], ...]:
        return () if self.place is None else ((noted.at, *self.place(noted)),)


def _begin_playing(noted: Noted, playing: Playing) -> PlayingRun:
    played_ms = playing.played_ms
    reports = ((noted.at, played_ms),)
    return PlayingRun(playing.reply_id, playing.audible, noted.at, 1, played_ms, played_ms, 0.0, reports)


def _go_on_playing(run: RecordLine, noted: Noted, playing: Playing) -> PlayingRun | None:
    so_far: PlayingRun = run.what
    if (playing.reply_id, playing.audible) != (so_far.reply_id, so_far.audible):
        return None
    return evolve(
        so_far,
        count=so_far.count + 1,
        played_ms=playing.played_ms,
        longest_gap_ms=_longer(so_far.longest_gap_ms, noted.at - run.t),
        reports=(*so_far.reports, (noted.at, playing.played_ms)),
    )


def _begin_play(noted: Noted, play: Play) -> PlayRun:
    return PlayRun(play.reply_id, noted.at, 1, len(play.pcm))


def _go_on_play(run: RecordLine, _noted: Noted, play: Play) -> PlayRun | None:
    so_far: PlayRun = run.what
    if play.reply_id != so_far.reply_id:
        return None
    return evolve(so_far, count=so_far.count + 1, length=so_far.length + len(play.pcm))


def _longer(so_far_ms: float, gap_s: float) -> float:
    return max(so_far_ms, round(gap_s * 1000, 1))
