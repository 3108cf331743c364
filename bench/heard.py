"""From what the listener heard to the figures of one interruption. Pure.

In: the 10 ms frames that arrived at the listener from the start of a reply until it was quiet again,
and the time of the event. Out: how long the reply was still heard, how much of it, whether it came back
after a silence, and whether sound that the service sent after the interruption was heard at all.

The event's way to the agent, the agent's work, Opus, the network and the listener's jitter buffer are
all in these figures; the last three take some 50 ms, whatever the agent does.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import attrs

from bench.guest import HEARD_FRAME_MS, HeardFrame
from bench.pitch import LATE_HZ, REPLY_HZ, loudness_at

__all__ = ["Heard", "judge"]

_SILENCE_MS = 30
"""So much without sound is a silence; a single lost frame is not."""

_STILL_PLAYING_S = 0.06
"""Frames of a reply that is being played come every 10 ms, in a busy machine several at a time."""

_CLICK_FRAMES = 2
"""The first and the last frames of a sound have no pitch of their own: click, then the echo of the codec."""


@attrs.frozen
class Heard:
    """What the listener heard of one interrupted reply. Times in ms."""

    silence_ms: float
    """From the event to the arrival of the last audible 10 ms of the reply; 0 if none came after it."""
    reply_ms: int
    """Sound of the reply that arrived after the event."""
    again_ms: int
    """Of that, what came after a first silence."""
    late_ms: int
    """Sound heard that the service sent after the interruption."""
    holes_ms: int
    """Silence between the reply's first sound and the event: what the listener missed of it."""
    stall_ms: float
    """The widest gap between two arrivals around the event: how far the listener itself can be wrong."""
    playing: bool
    """The reply was audible when the event was sent, and not in a hole."""


def judge(frames: Sequence[HeardFrame], event_at: float) -> Heard:
    """Measures one interruption.

    Args:
        frames: all that the listener heard, from before the reply's first sound on.
        event_at: when the sending of the event began (`time.monotonic()`).
    """
    sounds = list(zip([frame.at for frame in frames], _pitches(frames), strict=True))
    first = next((number for number, (_, pitch) in enumerate(sounds) if pitch), len(sounds))
    before = [(at, pitch) for at, pitch in sounds[first:] if at < event_at]
    after = [(at, pitch) for at, pitch in sounds if at >= event_at]
    of_reply = [number for number, (_, pitch) in enumerate(after) if pitch == REPLY_HZ]
    silent_from = _first_silence([pitch is not None for _, pitch in after])
    around = [at for at, _ in sounds if at > event_at - _STILL_PLAYING_S]
    return Heard(
        silence_ms=(after[of_reply[-1]][0] - event_at) * 1000 if of_reply else 0.0,
        reply_ms=len(of_reply) * HEARD_FRAME_MS,
        again_ms=sum(number >= silent_from for number in of_reply) * HEARD_FRAME_MS,
        late_ms=sum(pitch == LATE_HZ for _, pitch in after) * HEARD_FRAME_MS,
        holes_ms=sum(pitch is None for _, pitch in before) * HEARD_FRAME_MS,
        stall_ms=max((later - at for at, later in pairwise(around)), default=0.0) * 1000,
        playing=any(pitch is not None and at > event_at - _STILL_PLAYING_S for at, pitch in before),
    )


def _pitches(frames: Sequence[HeardFrame]) -> list[int | None]:
    """The pitch that each frame has, or else the one that prevails around it; None where it is silent."""
    reply, late = ([loudness_at(frame.pcm, hz) ** 2 for frame in frames] for hz in (REPLY_HZ, LATE_HZ))
    pitches: list[int | None] = []
    for number, frame in enumerate(frames):
        around = slice(max(0, number - _CLICK_FRAMES), number + _CLICK_FRAMES + 1)
        if not frame.audible:
            pitches.append(None)
        elif max(reply[number], late[number]) > frame.loudness**2 / 2:
            pitches.append(REPLY_HZ if reply[number] > late[number] else LATE_HZ)
        else:
            pitches.append(REPLY_HZ if sum(reply[around]) >= sum(late[around]) else LATE_HZ)
    return pitches


def _first_silence(audible: Sequence[bool]) -> int:
    """Where the first silence begins; beyond the end if there is none."""
    quiet = 0
    for number, sounds in enumerate(audible):
        quiet = 0 if sounds else quiet + HEARD_FRAME_MS
        if quiet >= _SILENCE_MS:
            return number + 1 - _SILENCE_MS // HEARD_FRAME_MS
    return len(audible)
