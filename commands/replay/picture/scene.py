"""What there is to be seen in a record, with its times.
No I/O, no clock: from entries to spans, words and marks.

Times are seconds since the record began. The words of a reply are placed where their sound was played,
which a hold delays; those of the person where the service first understood them.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

from attrs import define, field, frozen

from actors.record.notes import PlayingRun, RecordLine, ReplyAudioRun
from channels.happenings import (
    Interrupted,
    PersonSaid,
    ReplyBegan,
    ReplyEnded,
    SessionStarted,
    SoundStarted,
    SoundStopped,
    TurnStarted,
    TurnStopped,
    TurnTimed,
    VoiceHeld,
    VoiceResumed,
)
from channels.messages import ConnectionBroke
from channels.seen import On
from channels.wire.events import (
    AgentTranscriptDelta,
    ReplyDone,
    ReplyFailed,
    ReplyStarted,
    SessionFailed,
    SessionReady,
    ToolCall,
)
from commands.replay.picture.backlog import backlog_of

__all__ = ["Mark", "Scene", "Span", "Timer", "Word", "scene_of"]

GAP_S = 0.06
"""Reports of 20 ms frames that are no farther apart belong to one sound."""


@frozen
class Span:
    """Something that lasts."""

    begins: float
    ends: float
    about: str = ""


@frozen
class Word:
    """A word, and when it is heard."""

    at: float
    text: str


@frozen
class Mark:
    """Something that happens at once. `about` is the whole of it, `label` the short of it."""

    at: float
    label: str
    about: str


@frozen
class Timer:
    """One of the two timers of a turn, as a bracket over the time that it measured."""

    begins: float
    ends: float
    name: str


@define
class Scene:
    """One call."""

    length: float
    person: list[Span] = field(factory=list)
    person_words: list[Word] = field(factory=list)
    agent: list[Span] = field(factory=list)
    agent_words: list[Word] = field(factory=list)
    holds: list[Span] = field(factory=list)
    cuts: list[Mark] = field(factory=list)
    service: list[Mark] = field(factory=list)
    outages: list[Span] = field(factory=list)
    timers: list[Timer] = field(factory=list)
    turns: list[TurnTimed] = field(factory=list)
    came: dict[str, float] = field(factory=dict)
    """When the first sound of each reply that could be heard had come from the service."""
    began: dict[str, float] = field(factory=dict)
    """When it was heard."""
    backlog: list[tuple[float, float]] = field(factory=list)
    """(s, ms of sound that waited), in between a straight line."""


def scene_of(entries: Sequence[RecordLine], *, until: float) -> Scene:
    """What is to be seen up to `until` (s)."""
    scene = Scene(until)
    playing = [entry for entry in entries if isinstance(entry.what, PlayingRun)]
    scene.agent = _audible(playing)
    scene.backlog = backlog_of(entries)
    happenings = [entry for entry in entries if entry.on == On.HAPPENINGS]
    scene.person = _pairs(happenings, SoundStarted, (SoundStopped,), until)
    scene.holds = _pairs(happenings, VoiceHeld, (VoiceResumed, Interrupted, ReplyBegan), until)
    scene.outages = _pairs(entries, ConnectionBroke, (SessionStarted, SessionReady), until)
    scene.person_words = _person_words(happenings, scene.person)
    scene.agent_words = _agent_words(entries, playing)
    _mark(scene, entries)
    return scene


def _audible(playing: Iterable[RecordLine]) -> list[Span]:
    spans: list[Span] = []
    for entry in playing:
        run: PlayingRun = entry.what
        if not run.audible:
            continue
        begins = run.since - 0.02
        if spans and spans[-1].about == run.reply_id and begins - spans[-1].ends <= GAP_S:
            spans[-1] = Span(spans[-1].begins, entry.t, run.reply_id)
        else:
            spans.append(Span(begins, entry.t, run.reply_id))
    return spans


def _pairs(
    entries: Iterable[RecordLine], opens: type[object], closes: tuple[type[object], ...], until: float
) -> list[Span]:
    spans: list[Span] = []
    begins: float | None = None
    for entry in entries:
        at = getattr(entry.what, "at", entry.t)
        if isinstance(entry.what, opens):
            begins = at if begins is None else begins
        elif isinstance(entry.what, closes) and begins is not None:
            spans.append(Span(begins, max(begins, at)))
            begins = None
    return spans if begins is None else [*spans, Span(begins, max(begins, until))]


def _person_words(happenings: Iterable[RecordLine], sounds: Sequence[Span]) -> list[Word]:
    words: list[Word] = []
    seen: list[float] = []  # when the first, second, … word of this turn was understood
    for entry in happenings:
        if not isinstance(entry.what, PersonSaid):
            continue
        texts = entry.what.text.split()
        seen += _spread(len(texts) - len(seen), seen, entry, sounds)
        if entry.what.final:
            words += [Word(at, text) for at, text in zip(seen, texts, strict=False)]
            seen = []
    return words


def _spread(count: int, seen: Sequence[float], entry: RecordLine, sounds: Sequence[Span]) -> list[float]:
    """Times for words that were understood together: over the sound since those before them."""
    sound = next((span for span in reversed(sounds) if span.begins < entry.t), Span(entry.t, entry.t))
    begins = seen[-1] if seen else sound.begins
    ends = max(begins, min(entry.t, sound.ends) if entry.what.final else entry.t)
    return [begins + (ends - begins) * (number + bool(seen)) / count for number in range(count)]


def _agent_words(entries: Iterable[RecordLine], playing: Iterable[RecordLine]) -> list[Word]:
    way: dict[str, list[tuple[float, float]]] = {}
    for entry in playing:
        run: PlayingRun = entry.what
        way.setdefault(run.reply_id, []).extend(
            [(run.from_ms - 20, run.since - 0.02), (run.played_ms, entry.t)]
        )
    words = []
    timed = {entry.what.reply_id for entry in entries if _is_timed_word(entry)}
    for entry in entries:
        match entry.what:
            case AgentTranscriptDelta(delta=delta, reply_id=reply_id, start_ms=int(start)):
                at = _played_at(way.get(reply_id, []), start)
                if at is not None and delta.strip():
                    words.append(Word(at, delta.strip()))
            case ReplyEnded(reply_id=reply_id, heard_text=text) if text and reply_id not in timed:
                words.append(Word(way.get(reply_id, [(0.0, entry.t)])[0][1], text))
            case _:
                pass
    return sorted(words, key=lambda word: word.at)


def _is_timed_word(entry: RecordLine) -> bool:
    return isinstance(entry.what, AgentTranscriptDelta) and entry.what.start_ms is not None


def _played_at(way: Sequence[tuple[float, float]], place_ms: float) -> float | None:
    """When a place of a reply's sound was played; None if it never was."""
    for (from_ms, begins), (to_ms, ends) in itertools.pairwise(way):
        if from_ms <= place_ms < to_ms:
            return begins + (ends - begins) * (place_ms - from_ms) / (to_ms - from_ms)
    return None


def _mark(scene: Scene, entries: Iterable[RecordLine]) -> None:
    began, came = scene.began, scene.came
    silent: dict[str, float] = {}
    held: float | None = None
    for entry in entries:
        match entry.what:
            case TurnStarted(at=at):
                scene.service.append(Mark(at, "speaks", "the service decides that the person is speaking"))
            case TurnStopped(at=at):
                scene.service.append(Mark(at, "finished", "the service decides that the person has finished"))
            case ReplyStarted(reply_id=reply_id):
                scene.service.append(Mark(entry.t, "reply", f"the service begins the reply {reply_id}"))
            case ReplyDone(reply_id=reply_id, status=status):
                label = "done" if status == "completed" else status
                scene.service.append(Mark(entry.t, label, f"the service ends the reply {reply_id}: {status}"))
            case ReplyFailed(reply_id=reply_id, code=code):
                scene.service.append(Mark(entry.t, "failed", f"the reply {reply_id} failed: {code}"))
            case SessionFailed(code=code, message=message):
                scene.service.append(Mark(entry.t, "error", f"the service reports {code}: {message}"))
            case ToolCall(name=name):
                scene.service.append(Mark(entry.t, f"tool {name}"[:16], f"the model calls the tool {name}"))
            case ReplyAudioRun(reply_id=str(reply_id), pieces=pieces):
                audible = next((at for at, _, audible_from in pieces if audible_from is not None), None)
                if audible is not None:
                    came.setdefault(reply_id, audible)
            case VoiceHeld(at=at):
                held = at
            case VoiceResumed():
                held = None
            case ReplyBegan(reply_id=reply_id, at=at):
                began[reply_id], held = at, None
            case Interrupted(reply_id=reply_id, at=at):
                silent[reply_id] = at if held is None else held
                scene.cuts.append(Mark(at, "cut", f"the reply {reply_id} is cut"))
            case TurnTimed() as timed if entry.on == On.HAPPENINGS:
                scene.turns.append(timed)
                reply_id = timed.reply.reply_id
                if timed.turn_latency_ms is not None and reply_id in began:
                    heard = began[reply_id]
                    name = f"turn {timed.turn_latency_ms:,} ms"
                    scene.timers.append(Timer(heard - timed.turn_latency_ms / 1000, heard, name))
                if timed.barge_in_ms is not None and reply_id in silent:
                    quiet = silent[reply_id]
                    name = f"barge-in {timed.barge_in_ms:,} ms"
                    scene.timers.append(Timer(quiet - timed.barge_in_ms / 1000, quiet, name))
            case _:
                pass
    scene.timers.sort(key=lambda timer: timer.begins)
