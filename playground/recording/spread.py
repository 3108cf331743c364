"""Sound and words that a log sums up or leaves out, put where the service was seen to put them.

Of the sound of a run a log may say how many chunks there were, and when the first and the last came. Each
reply that said something gets its part: it begins some 490 ms after `reply.started` (or 480 ms before the
first of its words), comes in real time after a burst, and ends shortly before it was told to be over. The
last one gets what is left, and so begins where that needs it to: after a pause, if the service was thinking.
A reply of which nothing is known but that it called a tool made no sound.

Of the words there is a number as well. Those that no transcript tells belong to a reply whose transcript is
missing or was cut short. They come in one burst, and their places are spread over the sound evenly.
"""

from __future__ import annotations

from collections.abc import Sequence

from playground.recording.replies import Line, Reply, Summary

__all__ = ["CHUNK_MS", "fill_in"]

CHUNK_MS = 10.0
_BURST_MS = 150
_FIRST_SOUND_MS = 490
"""After `reply.started`."""
_WORDS_AFTER_MS = 480
"""After the first sound."""
_OVER_AFTER_MS = 70
"""From the last sound to `reply.done`."""
_CUT_AFTER_MS = 5
"""From the last sound to the word that the reply is interrupted."""
_LONGEST_MS = 600_000
_WORD_MS = 330
_UNKNOWN_WORD = "…"


def fill_in(replies: Sequence[Reply], summaries: Sequence[Summary]) -> list[Line]:
    """The lines that the log leaves out; the deltas that it has are given their places."""
    lines: list[Line] = []
    sounds = {reply.number: sound for reply in replies if (sound := _sound_of(reply, replies, summaries))}
    unknown = _unknown_words(replies, sounds, summaries)
    for reply in replies:
        begins_ms, length_ms = sounds.get(reply.number, (reply.started_ms, reply.sound_ms))
        if reply.number in sounds:
            asked = {"reply_id": reply.reply_id, "pitch": reply.number - 1, "ms": round(length_ms)}
            content = {"d": "<", "sound": {**asked, "burst_ms": _BURST_MS}}
            lines.append(Line(reply.connection, begins_ms, content))
        if reply.deltas:
            _place(reply.deltas, len(reply.deltas), length_ms)
            continue
        words = [*reply.text.split(), *[_UNKNOWN_WORD] * unknown.get(reply.number, 0)]
        if not words or not length_ms:
            continue
        at_ms = min(begins_ms + _WORDS_AFTER_MS, _last_sound_ms(reply))
        fields = {"reply_id": reply.reply_id, "item_id": f"msg_{reply.number}"}
        deltas = [
            Line(
                reply.connection,
                min(at_ms + min(place, 15) / 2, _last_sound_ms(reply)),
                {"d": "<", "m": {"type": "transcript.agent.delta", **fields, "delta": word}},
            )
            for place, word in enumerate(words)
        ]
        _place(deltas, len(reply.text.split()) or len(words), length_ms)
        lines += deltas
    return lines


def _sound_of(
    reply: Reply, replies: Sequence[Reply], summaries: Sequence[Summary]
) -> tuple[float, float] | None:
    """When its sound begins and how long it is; None: it has none, or the log has it."""
    if reply.sound_ms:
        return None
    of_run = [one for one in summaries if one.kind == "reply.audio"]
    run = next((one for one in of_run if _is_in(reply, one)), None)
    if run is None:
        return _by_itself(reply, None) if reply.has_words and not of_run else None
    members = [one for one in replies if _is_in(one, run) and not one.sound_ms]
    left_ms = run.count * CHUNK_MS
    for place, one in enumerate(members):
        if place == len(members) - 1 and one.spans(run.last_ms):
            length_ms = min(left_ms, run.last_ms - one.started_ms + _BURST_MS)
            sound: tuple[float, float] | None = (run.last_ms - max(0.0, length_ms - _BURST_MS), length_ms)
        else:
            sound = _by_itself(one, run.first_ms if one.spans(run.first_ms) else None)
        if sound is not None:
            sound = (sound[0], min(sound[1], left_ms, _LONGEST_MS))
            left_ms -= sound[1]
        if one is reply:
            return sound if sound is not None and sound[1] >= CHUNK_MS else None
    return None


def _is_in(reply: Reply, run: Summary) -> bool:
    known = reply.has_words or reply.spans(run.first_ms) or reply.spans(run.last_ms)
    return known and reply.started_ms <= run.last_ms and (reply.ended_ms or 0.0) >= run.first_ms


def _by_itself(reply: Reply, first_ms: float | None) -> tuple[float, float] | None:
    if first_ms is None:
        first_ms = reply.started_ms + _FIRST_SOUND_MS
        if reply.deltas:
            first_ms = max(reply.started_ms, reply.deltas[0].at_ms - _WORDS_AFTER_MS)
    last_ms = _last_sound_ms(reply)
    return (first_ms, min(last_ms - first_ms + _BURST_MS, _LONGEST_MS)) if first_ms < last_ms else None


def _last_sound_ms(reply: Reply) -> float:
    ended_ms = reply.ended_ms or reply.started_ms
    if reply.interrupted:
        return min(ended_ms, reply.told_ms if reply.told_ms is not None else ended_ms) - _CUT_AFTER_MS
    return ended_ms - _OVER_AFTER_MS


def _unknown_words(
    replies: Sequence[Reply], sounds: dict[int, tuple[float, float]], summaries: Sequence[Summary]
) -> dict[int, int]:
    """How many words of each reply are known to have been there, and no more than that."""
    run = next((one for one in summaries if one.kind == "transcript.agent.delta"), None)
    if run is None:
        return {}
    left = run.count - sum(len(reply.text.split()) for reply in replies if reply.number in sounds)
    untold = [reply.number for reply in replies if reply.number in sounds and not reply.text]
    cut = [reply.number for reply in replies if reply.number in sounds and reply.interrupted]
    among = untold or cut
    if left <= 0 or not among or not any(reply.spans(run.last_ms) for reply in replies):
        return {}
    share, more = divmod(min(left, 2000), len(among))
    return {number: share + (place < more) for place, number in enumerate(among)}


def _place(deltas: Sequence[Line], heard: int, length_ms: float) -> None:
    """Gives words their places in the sound, so many of them over the whole of it."""
    word_ms = length_ms / max(1, heard) if length_ms else float(_WORD_MS)
    for place, delta in enumerate(deltas):
        event = delta.content["m"]
        if not isinstance(event.get("start_ms"), int) or not isinstance(event.get("end_ms"), int):
            event["start_ms"], event["end_ms"] = round(place * word_ms), round((place + 1) * word_ms)
