"""A server that plays a script, a sequence of steps, instead of acting as a voice agent; for tests.

A script is a list of connections, each a list of steps, played one after another. In a file it is JSON
lines in the way of the protocol reference's examples: `t` in seconds, `d` the direction, and

    {"t": 0.0, "d": ">", "m": {"type": "session.update"}}     wait until the client has sent this
    {"t": 0.5, "d": "<", "m": {"type": "session.ready", …}}   send this, 0.5 s after the line before
    {"t": 0.6, "d": "<", "close": 1000}                       close; 1006 resets the socket instead
    {"t": 0.7, "d": "<", "raw": "no JSON"}                    send this text, whatever it is
    {"t": 0.8, "d": "<", "stall": 5}                          read nothing for 5 s
    {"t": 1.0, "d": "<", "sound": {"reply_id": "r", "ms": 4000}}   send sound from here on
    {"t": 2.0, "d": "person", "speaks_ms": 1500}              a person is heard in the room from here on
    {"t": 2.5, "d": "note", "text": "the network is slow"}    send nothing; let the time come
    {"t": 9.0, "d": ">", "upgrade": {}}                       the next connection starts here

An expected message matches if all fields that the line names are equal; others that come before it
are passed by. It is waited for `"within": 30` s; then the connection is closed with 1011, or, with
`"must": false`, the script goes on. A client's own times are not checked: a delay counts from the line
before. When the steps are played, the connection stays open, and a `session.end` is answered.

`sound` is a glide (`playground.glide`) of `ms` in chunks of `chunk_ms` (10), in real time after a first
burst of `burst_ms` (0); `pitch` (0) is its number, `from_ms` (0) the place in it. It becomes `reply.audio`
events, each at its time among the other lines; what is left of it when the connection closes is not sent.
A `person` says nothing to the client: whoever plays the script beside a room makes the sound (`watch`).
"""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import attrs
import trio

from channels.errors import PlaygroundFault
from channels.wire.events import ReplyAudio, ServerEvent, SessionEnded
from channels.wire.messages import ClientMessage, InputAudio, SessionEnd
from playground.glide import glide
from playground.voice_agent.connection import ClientConnection, ConnectionGone, Goodbye, RawFrame, Reset

__all__ = [
    "Close",
    "Drop",
    "Expect",
    "Note",
    "PersonSpeaks",
    "Script",
    "ScriptPlayer",
    "Send",
    "SendRaw",
    "Stall",
    "Step",
    "Wait",
    "read_script",
]


@attrs.frozen
class Send:
    """Sends an event; a mapping is sent as it is, with a timestamp if it has none."""

    event: ServerEvent | Mapping[str, Any]


@attrs.frozen
class SendRaw:
    """Sends a text frame as it is."""

    text: str


@attrs.frozen
class Expect:
    """Waits until the client sends a message of this type with these fields.

    If none comes `within_s`, the miss is noted, and the connection is closed with 1011 if it `must`.
    """

    type: str
    fields: Mapping[str, Any] = attrs.field(factory=dict)
    within_s: float = 30.0
    must: bool = True


@attrs.frozen
class Wait:
    """Lets time pass."""

    seconds: float


@attrs.frozen
class PersonSpeaks:
    """A person is heard in the room from now on: sends nothing, tells those who watch the player."""

    ms: float


@attrs.frozen
class Note:
    """Sends nothing, tells those who watch the player."""

    text: str


@attrs.frozen
class Stall:
    """Reads nothing from the socket for a while, as a server that hangs."""

    seconds: float


@attrs.frozen
class Close:
    """Closes the WebSocket."""

    code: int = 1000
    reason: str = ""


@attrs.frozen
class Drop:
    """Ends the connection with no close frame; over TCP by a reset."""


_MOST_UNHEARD = 1000
"""Messages kept while a script waits; beyond it the oldest sound goes, for it comes without end."""

_LONGEST_SOUND_MS = 600_000
_MOST_SOUND_MS = 3_600_000
"""In a whole script: an hour is some 200 MB of it."""

Step: TypeAlias = Send | SendRaw | Expect | Wait | PersonSpeaks | Note | Stall | Close | Drop


def _connections(given: Iterable[Step] | Iterable[Iterable[Step]]) -> tuple[tuple[Step, ...], ...]:
    steps = list(given)
    if all(isinstance(step, Step) for step in steps):
        return (tuple(steps),)  # type: ignore[arg-type]
    return tuple(tuple(connection) for connection in steps)  # type: ignore[arg-type]


@attrs.frozen
class Script:
    """Steps for each connection in turn; a list of steps is a script of one connection."""

    connections: tuple[tuple[Step, ...], ...] = attrs.field(converter=_connections)


def read_script(path: str | Path) -> Script:
    """Reads a script from a file of JSON lines.

    Raises:
        PlaygroundFault: the file is missing, or a line is none of the above; the text names the line.
    """
    try:
        lines = Path(path).read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        what = f"the script {path} cannot be read ({error})"
        raise PlaygroundFault(what, "give the path of a script") from error
    reading = _Reading()
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            reading.take(json.loads(line))
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise PlaygroundFault(
                f"line {number} of the script {path} is not a line of a script",
                "the top of playground/voice_agent/script.py lists the possible lines",
            ) from error
    reading.send_sound_until(math.inf)
    return Script(reading.connections)


class _Reading:
    """A script in the making: its steps so far, and the sound that is still to be put among the next."""

    def __init__(self) -> None:
        self.connections: list[list[Step]] = [[]]
        self._before_s: float | None = None
        self._sound: deque[tuple[float, Send]] = deque()
        """Chunks with their times, in order."""
        self._sound_ms = 0.0

    def take(self, content: Mapping[str, Any]) -> None:
        """Takes the next line.

        Raises:
            ValueError: it is none, or one of several errors that say as much.
        """
        at_s = float(content.get("t", self._before_s or 0.0))
        if not math.isfinite(at_s):
            raise ValueError("not a time")
        if "upgrade" in content:
            self.send_sound_until(math.inf)
            if self.connections[-1]:
                self.connections.append([])
            self._before_s = at_s
            return
        if content.get("d") == "<" and "sound" in content:
            self.send_sound_until(at_s)
            self._begin_sound(at_s, content["sound"])
            return
        step = _step(content)
        self.send_sound_until(at_s)
        self._add(at_s, step)
        if isinstance(step, Close | Drop):
            self._sound.clear()

    def send_sound_until(self, at_s: float) -> None:
        """Puts what is due of the sound among the steps."""
        while self._sound and self._sound[0][0] <= at_s:
            self._add(*self._sound.popleft())

    def _add(self, at_s: float, step: Step) -> None:
        before_s = self._before_s
        if before_s is not None and not isinstance(step, Expect) and at_s > before_s:
            self.connections[-1].append(Wait(at_s - before_s))
        self._before_s = at_s
        self.connections[-1].append(step)

    def _begin_sound(self, at_s: float, content: Mapping[str, Any]) -> None:
        chunks = list(_chunks(at_s, content))
        self._sound_ms += float(content["ms"])
        if self._sound_ms > _MOST_SOUND_MS:
            raise ValueError("too much sound")
        self._sound = deque(sorted([*self._sound, *chunks], key=lambda chunk: chunk[0]))


def _chunks(at_s: float, content: Mapping[str, Any]) -> Iterator[tuple[float, Send]]:
    def ms_of(name: str, default: float, low: float, high: float = _LONGEST_SOUND_MS) -> float:
        value = float(content.get(name, default))
        if not low <= value <= high:
            raise ValueError(f"{name} must be from {low} to {high}")
        return value

    reply_id, pitch = str(content["reply_id"]), int(content.get("pitch", 0))
    if not content.keys() <= {"reply_id", "pitch", "ms", "from_ms", "burst_ms", "chunk_ms"}:
        raise ValueError("an unknown field")
    begin_ms, length_ms = ms_of("from_ms", 0, 0), ms_of("ms", -1, 0)
    burst_ms, chunk_ms = ms_of("burst_ms", 0, 0), ms_of("chunk_ms", 10, 1, 1000)
    place_ms = 0.0
    while place_ms < length_ms:
        pcm = glide(pitch, begin_ms + place_ms, min(chunk_ms, length_ms - place_ms))
        yield at_s + max(0.0, place_ms - burst_ms) / 1000, Send(ReplyAudio(pcm, reply_id))
        place_ms += chunk_ms


def _step(content: Mapping[str, Any]) -> Step:
    match content:
        case {"d": ">", "m": {"type": str(kind), **fields}}:
            within_s = float(content.get("within", 30.0))
            must = bool(content.get("must", True))
            return Expect(kind, {str(name): value for name, value in fields.items()}, within_s, must)
        case {"d": "<", "m": dict(event)}:
            return Send(event)
        case {"d": "<", "raw": str(text)}:
            return SendRaw(text)
        case {"d": "<", "close": 1006}:
            return Drop()
        case {"d": "<", "close": int(code)}:
            return Close(code, str(content.get("reason", "")))
        case {"d": "<", "stall": int(seconds) | float(seconds)}:
            return Stall(float(seconds))
        case {"d": "person", "speaks_ms": int(ms) | float(ms)} if 0 <= ms <= _LONGEST_SOUND_MS:
            return PersonSpeaks(float(ms))
        case {"d": "note", "text": str(text)}:
            return Note(text)
        case _:
            raise ValueError("not a step")


class ScriptPlayer:
    """Plays a script on the connections of one server.

    Attributes:
        missed: expectations that were not met, with the number of their connection.
        played: how many connections have played all their steps.
        ended: whether the last one has. A client may leave an earlier one before its end.
    """

    def __init__(self, script: Script) -> None:
        self.missed: list[tuple[int, Expect]] = []
        self.played = 0
        self.ended = False
        self._script = script
        self._begun = 0
        self._watchers: list[Callable[[Step], None]] = []

    def watch(self, watcher: Callable[[Step], None]) -> None:
        """From now on `watcher` is called with each step but waiting, when it is taken."""
        self._watchers.append(watcher)

    async def play(self, connection: ClientConnection) -> None:
        """Plays the next connection's steps, then listens until the client is gone."""
        if self._begun >= len(self._script.connections):
            await connection.send(Goodbye(1011, "the script has no more connections"))
            return
        steps = self._script.connections[self._begun]
        self._begun += 1
        ear = _Ear()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ear.listen, connection)
            await self._play_all(steps, connection, ear)
            nursery.cancel_scope.cancel()

    async def _play_all(self, steps: tuple[Step, ...], connection: ClientConnection, ear: _Ear) -> None:
        unmet: Expect | None = None
        started = due = trio.current_time()
        try:
            for step in steps:
                unmet = step if isinstance(step, Expect) else None
                if isinstance(step, Wait):
                    # By the clock, so that thousands of short waits end up no later than one long one.
                    due += step.seconds
                    await trio.sleep_until(due)
                    continue
                await self._take(step, connection, ear)
                if isinstance(step, Expect | Stall):
                    due = trio.current_time()
        except _Over:
            if unmet is not None:
                self.missed.append((connection.number, unmet))
            return
        except ConnectionGone:
            return
        self.played += 1
        self.ended = self._begun == len(self._script.connections)
        while (message := await ear.next()) is not None:
            if isinstance(message, SessionEnd):
                lasted = trio.current_time() - started
                await connection.send(SessionEnded(session_duration_seconds=lasted), Goodbye(1000))

    async def _take(self, step: Step, connection: ClientConnection, ear: _Ear) -> None:
        for watcher in self._watchers:
            watcher(step)
        match step:
            case Send(event=event):
                if isinstance(event, Mapping):
                    await connection.send(RawFrame(json.dumps({"timestamp": connection.clock(), **event})))
                else:
                    await connection.send(event)
            case SendRaw(text=text):
                await connection.send(RawFrame(text))
            case PersonSpeaks() | Note() | Wait():
                pass
            case Stall(seconds=seconds):
                connection.stop_reading()
                await trio.sleep(seconds)
                connection.read_on()
            case Expect():
                await self._await_message(step, connection, ear)
            case Close(code=code, reason=reason):
                await connection.send(Goodbye(code, reason))
            case Drop():
                await connection.send(Reset())

    async def _await_message(self, expected: Expect, connection: ClientConnection, ear: _Ear) -> None:
        with trio.move_on_after(expected.within_s):
            while (message := await ear.next()) is not None:
                if _meets(message, expected):
                    return
            raise _Over
        if not expected.must:
            self.missed.append((connection.number, expected))
            return
        await connection.send(Goodbye(1011, f"the script expected {expected.type}"[:120]))
        raise _Over


class _Ear:
    """Takes what a client says, whatever the script does meanwhile: an unread socket answers no ping."""

    def __init__(self) -> None:
        self._messages: deque[ClientMessage] = deque()
        self._over = False
        self._news = trio.Event()

    async def listen(self, connection: ClientConnection) -> None:
        """Listens until the client is gone."""
        async for message in connection.messages:
            self._messages.append(message)
            if len(self._messages) > _MOST_UNHEARD:
                self._forget_one()
            self._news.set()
        self._over = True
        self._news.set()

    async def next(self) -> ClientMessage | None:
        """The next message, in order; None: the client is gone."""
        while not self._messages:
            if self._over:
                return None
            self._news = trio.Event()
            await self._news.wait()
        return self._messages.popleft()

    def _forget_one(self) -> None:
        for place, message in enumerate(self._messages):
            if isinstance(message, InputAudio):
                del self._messages[place]
                return
        self._messages.popleft()


class _Over(Exception):
    """What was expected did not come."""


def _meets(message: ClientMessage, expected: Expect) -> bool:
    return message.type == expected.type and all(
        getattr(message, name, None) == value for name, value in expected.fields.items()
    )
