"""From the rows of a log to the lines of a script.

One pass over the rows gives the lines that stand in the log, with what they leave out filled in: ids in
order, the configuration as defaults. It keeps account of the replies and of the person on the way; from
these come the lines that do not stand there: sound and words of replies (`spread`), and when the person is
to be heard (`person`). All are then put in the order of their times.

What a client said is waited for where a connection begins, and where the service goes on only when it is
told to: there, at most some seconds longer than it took in the log, and without it all the same.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from channels.errors import PlaygroundFault
from playground.recording.log import Row, Side
from playground.recording.person import Heard, voices
from playground.recording.replies import Line, Reply, Summary
from playground.recording.secrecy import without_secrets
from playground.recording.spread import CHUNK_MS, fill_in
from playground.voice_agent.session_config import ResolvedSession
from sound.pcm import ms_of_bytes

__all__ = ["script_of"]

_BEGINS = ("session.update", "session.resume")
_ORDERS = (*_BEGINS, "tool.result", "reply.create", "reply.cancel")
"""What the service does something about, in its turn."""
_ANSWERS_TO_FIRST = ("session.ready", "session.updated", "session.error")
"""What comes on a new connection, even if nothing says that there is one; all else after a close is late."""
_GOES_ON_WITHIN_S = 5.0
_LONGEST_CHUNK_MS = 60_000.0
_MOST_TURNS = 2000
"""Replies, and beginnings and ends of the person's speech: one in six seconds of the longest session."""
_KEPT_OF_CONFIG = ("input", "output")
_STALE = ("timestamp", "expires_at", "session_id")
"""Times of another day would end a session at once; whoever has a session id could take the session up."""


def script_of(rows: Sequence[Row]) -> list[str]:
    """The lines of a script that plays what the log tells."""
    making = _Making()
    for row in rows:
        making.take(row)
    lines = ["# Made by python -m playground.recording: t is in seconds of the log's own clock."]
    return lines + [json.dumps(line) for line in making.lines()]


class _Making:
    def __init__(self) -> None:
        self._connection = 0
        """Which one the next line is of; 0: none has begun."""
        self._lines: list[Line] = []
        self._begun = False
        """The client has said its first word here, or what was said shows that it must have."""
        self._closed = False
        self._opened_ms = 0.0
        self._began_ms: list[float] = []
        """The first line of each connection."""
        self._replies: list[Reply] = []
        self._summaries: list[Summary] = []
        self._heard = Heard()
        self._turns = 0
        self._calls: dict[str, int] = {}
        """Of tools, with the connection on which each was made."""
        self._ends_ms = 0.0

    def take(self, row: Row) -> None:
        """Takes the next row."""
        self._ends_ms = row.at_ms
        if max(len(self._replies), self._heard.count) > _MOST_TURNS:
            raise PlaygroundFault(f"line {row.line} of the log: more than {_MOST_TURNS} turns", "cut the log")
        if row.close is not None:
            self._close(row.at_ms, row.close)
        elif row.side is Side.MARK:
            self._take_mark(row)
        elif row.message is None:
            pass
        elif row.side is Side.CLIENT:
            self._take_client(row.at_ms, row.message)
        else:
            self._take_server(row.at_ms, without_secrets(row.message), row.message)

    def lines(self) -> Iterator[dict[str, Any]]:
        """All lines, in the order of their times."""
        for reply in self._replies:
            if reply.ended_ms is None:
                reply.ended_ms = self._ends_ms
        made = fill_in(self._replies, self._summaries)
        for begins_ms, length_ms in voices(self._heard, self._replies, self._ends_ms):
            content = {"d": "person", "speaks_ms": round(length_ms)}
            made.append(Line(self._connection_at(begins_ms), begins_ms, content))
        for line in sorted([*self._lines, *made], key=lambda line: (line.connection, line.at_ms)):
            yield {"t": round(line.at_ms / 1000, 4), **line.content}

    # Marks and closes.

    def _take_mark(self, row: Row) -> None:
        mark, kind = row.mark, row.type.lower()
        if isinstance(mark.get("of"), str):
            summary = Summary.read(mark)
            if summary is not None:
                self._summaries.append(summary)
        elif "voiceOnsetMs" in mark:
            onset_ms = mark["voiceOnsetMs"]
            good = isinstance(onset_ms, int | float) and 0 <= onset_ms <= 10_000
            self._heard.onsets_ms.append(row.at_ms + (onset_ms if good else 0))
        elif "upgrade" in mark or kind in ("ws.connect", "ws.open", "connect", "open"):
            self._open(row.at_ms)
        elif "drop" in kind:
            self._close(row.at_ms, 1006)

    def _open(self, at_ms: float) -> None:
        self._opened_ms = at_ms
        if self._connection and (self._begun or self._closed):
            self._end_replies(at_ms)
            self._next(at_ms)
        elif not self._connection:
            self._connection = 1

    def _next(self, at_ms: float) -> None:
        self._connection += 1
        self._begun = self._closed = False
        self._add(at_ms, {"d": ">", "upgrade": {}})

    def _close(self, at_ms: float, code: int) -> None:
        # Both a drop and the close that it led to may be there; and what never began cannot close.
        if self._begun and not self._closed:
            self._add(at_ms, {"d": "<", "close": code})
            self._end_replies(at_ms)
            self._closed = True

    def _end_replies(self, at_ms: float) -> None:
        for reply in self._replies:
            if reply.ended_ms is None:
                reply.ended_ms = at_ms

    def _begin(self, at_ms: float, kind: str) -> None:
        self._add(at_ms, {"d": ">", "m": {"type": kind}})
        self._begun = True

    def _ready_for(self, at_ms: float) -> None:
        """Makes sure that there is a connection which goes on."""
        if not self._connection:
            self._connection, self._opened_ms = 1, at_ms
        if self._closed:
            self._next(at_ms)
            self._opened_ms = at_ms

    def _connection_at(self, at_ms: float) -> int:
        return max(1, bisect_right(self._began_ms, at_ms))

    def _add(self, at_ms: float, content: dict[str, Any]) -> Line:
        if "m" in content:
            content["m"] = {"type": content["m"]["type"], **content["m"]}
        if len(self._began_ms) < self._connection:
            self._began_ms.append(at_ms)
        line = Line(self._connection, at_ms, content)
        self._lines.append(line)
        return line

    # What was said.

    def _take_client(self, at_ms: float, message: Mapping[str, Any]) -> None:
        kind = message["type"]
        if kind == "session.end" and self._begun:
            # When a session ends is up to the client that meets the script: its end is answered then.
            self._end_replies(at_ms)
            self._closed = True
        if kind not in _ORDERS:
            return
        if self._closed and kind not in _BEGINS:
            return
        self._ready_for(at_ms)
        if not self._begun:
            if kind in _BEGINS:
                self._begin(at_ms, kind)
            return
        expected: dict[str, Any] = {"type": kind}
        if kind == "tool.result":
            call_id = message.get("call_id")
            if not isinstance(call_id, str) or self._calls.get(call_id[:200]) != self._connection:
                return  # A result of an earlier session has no effect on this one.
            expected["call_id"] = call_id[:200]
        # Its time is let come first, so that a client that is quicker does not hurry the service.
        self._add(at_ms, {"d": "note", "text": f"here the client sent {kind}"})
        self._add(at_ms, {"d": ">", "m": expected, "within": _GOES_ON_WITHIN_S, "must": False})

    def _take_server(self, at_ms: float, message: dict[str, Any], raw: Mapping[str, Any]) -> None:
        kind = message["type"]
        if self._closed and kind not in _ANSWERS_TO_FIRST:
            return
        self._ready_for(at_ms)
        if not self._begun:
            resumes = kind == "session.error" and self._connection > 1
            self._begin(self._opened_ms, "session.resume" if resumes else "session.update")
        event = {name: value for name, value in message.items() if name not in _STALE}
        match kind:
            case "session.ready" | "session.updated":
                given = event.get("config")
                kept = {n: given[n] for n in _KEPT_OF_CONFIG if n in given} if isinstance(given, dict) else {}
                event["config"] = {**ResolvedSession().echo(), **kept}
                if kind == "session.ready":
                    event["session_id"] = f"sess_recorded_{self._connection}"
            case "session.error":
                event = {"code": "", "message": "", "param": None, "session_id": None, **event}
            case "input.speech.started":
                self._heard.started_ms.append(at_ms)
            case "input.speech.stopped":
                self._heard.stopped_ms.append(at_ms)
            case "transcript.user.delta" | "transcript.user":
                event = {"text": "", "item_id": f"msg_person_{self._turns + 1}", **event}
                self._turns += kind == "transcript.user"
            case "tool.call":
                event = {"call_id": f"call_{len(self._calls) + 1}", "name": "", "arguments": {}, **event}
                self._calls[str(event["call_id"])] = self._connection
                if self._replies:
                    self._replies[-1].calls_tool = True
            case _ if re.match(r"reply\.|transcript\.agent", kind):
                self._take_reply(at_ms, event, raw)
                return
        self._add(at_ms, {"d": "<", "m": event})
        if kind == "session.ended":
            # The service closes then; not every log says so.
            self._close(at_ms, 1000)

    def _take_reply(self, at_ms: float, event: dict[str, Any], raw: Mapping[str, Any]) -> None:
        kind = event["type"]
        if kind == "reply.started":
            self._end_replies(at_ms)
            number = len(self._replies) + 1
            reply_id = event.get("reply_id")
            reply = Reply(
                number, reply_id if isinstance(reply_id, str) else f"resp_{number}", self._connection, at_ms
            )
            self._replies.append(reply)
            event = {**event, "reply_id": reply.reply_id}
            self._add(at_ms, {"d": "<", "m": {"item_id": f"msg_{number}", **event}})
            return
        found = self._reply(event.get("reply_id"))
        if found is None:
            # The log begins in the middle of a reply, or is of a service that never announces one.
            self._take_reply(at_ms, {"type": "reply.started", "reply_id": event.get("reply_id")}, raw)
            found = self._replies[-1]
        event["reply_id"] = found.reply_id
        match kind:
            case "reply.audio":
                self._take_sound(at_ms, event, raw, found)
                return
            case "transcript.agent.delta":
                event = {"delta": "", "item_id": f"msg_{found.number}", **event}
                found.deltas.append(self._add(at_ms, {"d": "<", "m": event}))
                return
            case "transcript.agent":
                event = {"text": "", "interrupted": False, "item_id": f"msg_{found.number}", **event}
                found.take_text(str(event["text"]), at_ms, interrupted=event["interrupted"] is True)
            case "reply.done":
                event = {"status": "completed", **event}
                found.interrupted = found.interrupted or event["status"] == "interrupted"
                found.ended_ms = at_ms
        self._add(at_ms, {"d": "<", "m": event})

    def _take_sound(self, at_ms: float, event: dict[str, Any], raw: Mapping[str, Any], reply: Reply) -> None:
        pcm = _sound(raw.get("data"))
        if pcm is not None:
            event["data"] = base64.b64encode(pcm).decode()
            self._add(at_ms, {"d": "<", "m": event})
            reply.sound_ms += ms_of_bytes(len(pcm))
            return
        length_ms = _length_ms(raw)
        sound = {"reply_id": reply.reply_id, "pitch": reply.number - 1, "ms": length_ms}
        sound |= {"from_ms": reply.sound_ms, "chunk_ms": min(1000.0, max(1.0, length_ms))}
        self._add(at_ms, {"d": "<", "sound": sound})
        reply.sound_ms += length_ms

    def _reply(self, reply_id: object) -> Reply | None:
        if isinstance(reply_id, str):
            return next((reply for reply in reversed(self._replies) if reply.reply_id == reply_id), None)
        return self._replies[-1] if self._replies else None


def _sound(data: object) -> bytes | None:
    if not isinstance(data, str) or len(data) < 4:
        return None
    try:
        return base64.b64decode(data, validate=True) or None
    except (binascii.Error, ValueError):
        return None


def _length_ms(raw: Mapping[str, Any]) -> float:
    """Of sound that was left out: by what the log says of it, or a chunk as the service sends them."""
    for name, per_ms in (
        ("ms", 1.0),
        ("duration_ms", 1.0),
        ("bytes", 48.0),
        ("n_bytes", 48.0),
        ("b64", 64.0),
    ):
        value = raw.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1e9:
            return float(min(value / per_ms, _LONGEST_CHUNK_MS))
    return CHUNK_MS
