"""Reads the log of a call: JSON lines, with the names that eleven people's logs have for the same things.

| | |
|---|---|
| time | `ms`, `t_ms`, `at_ms`, `wall_ms`, … in ms; `t`, `at`, `time`, `ts` in s, or in ms where no session could be that long; or a moment as ISO 8601 has it |
| direction | `d`, `dir`, `direction`, `from`: `<` `in` `recv` `server` …, `>` `out` `sent` `client` …; else by the type |
| message | under `m`, `msg`, `message`, `event`, `data`, `payload`, as an object or as its JSON; or flattened, with `type` |
| close | `close` with a code, or a `type` or `kind` that says so, with `code` |
| marks | any other direction, with `kind`: where a connection began or was dropped, a clip with `voiceOnsetMs` |
| summaries | `of` with `count`, `firstMs`, `lastMs`: a run of messages in one line |

Anything else on a line is passed by. A line that is no JSON object is an error that names it, and so is a
line or a log that is too long; a time that runs backwards or leaps by more than ten minutes is clamped.
"""  # noqa: E501

from __future__ import annotations

import enum
import json
import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import count
from typing import Any, BinaryIO

import attrs

from channels.errors import PlaygroundFault
from channels.wire.events import EVENTS
from channels.wire.messages import MESSAGES

__all__ = ["Row", "Side", "read_log"]

_LONGEST_LINE = 4 * 2**20
"""Bytes: one message with four minutes of sound would be longer, and no service sent one."""
_LONGEST_LOG = 512 * 2**20
_MOST_ROWS = 300_000
_LONGEST_LEAP_MS = 600_000.0
_LONGEST_SESSION_S = 3 * 3600
_CALENDAR_MS = 1e11
"""1973: a time beyond it is one of the calendar, and counts from the first row."""

_MS_NAMES = ("ms", "t_ms", "at_ms", "time_ms", "ts_ms", "elapsed_ms", "wall_ms")
_TIME_NAMES = ("t", "t_s", "at", "at_s", "time", "ts", "timestamp")
_DIRECTION_NAMES = ("d", "dir", "direction", "from", "side")
_MESSAGE_NAMES = ("m", "msg", "message", "event", "data", "payload", "frame")
_CLOSES = ("close", "closed", "ws.close", "ws.closed")
_FROM_SERVER = {"<", "<-", "<<", "in", "recv", "received", "receive", "server", "rx", "s2c", "down"}
_FROM_CLIENT = {">", "->", ">>", "out", "sent", "send", "client", "tx", "c2s", "up"}


class Side(enum.Enum):
    """Who said it."""

    SERVER = "server"
    CLIENT = "client"
    MARK = "mark"
    """Whoever wrote the log."""


@attrs.frozen
class Row:
    """One line of a log that says something."""

    line: int
    at_ms: float
    side: Side
    message: Mapping[str, Any] | None = None
    close: int | None = None
    mark: Mapping[str, Any] = attrs.field(factory=dict)
    """What the line says itself, if it has no message."""

    @property
    def type(self) -> str:
        """Of the message, or what kind of mark it is."""
        found = self.mark.get("kind") if self.message is None else self.message["type"]
        return found if isinstance(found, str) else ""


def read_log(log: BinaryIO, *, unit: str | None = None) -> list[Row]:
    """Reads a log.

    Args:
        log: the file.
        unit: of times under `t` and the like, `s` or `ms`; None: as it seems.

    Raises:
        PlaygroundFault: it is none; the text names the line.
    """
    rows: list[tuple[Row, _Time | None]] = []
    for line, content in _objects(log):
        if len(rows) >= _MOST_ROWS:
            raise _fault(line, f"more than {_MOST_ROWS} messages", "cut the log")
        row = _row(line, content)
        if row is not None:
            rows.append((row, _time(line, content)))
    if not rows:
        raise _fault(1, "no message of the Voice Agent API", "give a log with JSON lines")
    return _timed(rows, unit)


def _objects(log: BinaryIO) -> Iterator[tuple[int, dict[str, Any]]]:
    total = 0
    for number in count(1):
        text = log.readline(_LONGEST_LINE + 1)
        total += len(text)
        if len(text) > _LONGEST_LINE:
            raise _fault(number, f"longer than {_LONGEST_LINE >> 20} MiB", "leave out the sound")
        if total > _LONGEST_LOG:
            raise _fault(number, f"beyond the first {_LONGEST_LOG >> 20} MiB", "cut the log")
        if not text:
            return
        stripped = text.strip()
        if not stripped or stripped.startswith(b"#"):
            continue
        try:
            content = json.loads(stripped)
        except (ValueError, RecursionError) as error:
            raise _fault(
                number, f"not JSON ({type(error).__name__})", "give one JSON object per line"
            ) from None
        if not isinstance(content, dict):
            raise _fault(number, "not a JSON object", "give one JSON object per line")
        yield number, content


def _row(line: int, content: dict[str, Any]) -> Row | None:
    said = next((content[name] for name in _DIRECTION_NAMES if isinstance(content.get(name), str)), "")
    side = _side(said)
    message = _message(line, content)
    close = _close(content, message)
    if close is not None:
        return Row(line, 0.0, side or Side.SERVER, close=close)
    if message is None or (side is Side.MARK and ("of" in content or "kind" in content)):
        return Row(line, 0.0, Side.MARK, mark=content) if _is_mark(content) else None
    if side is None or side is Side.MARK:
        kind = message["type"]
        side = Side.SERVER if kind in EVENTS else Side.CLIENT if kind in MESSAGES else Side.MARK
    if side is Side.MARK or message["type"] == "input.audio":
        return None
    return Row(line, 0.0, side, message)


def _side(said: str) -> Side | None:
    said = said.strip().lower()
    if said in _FROM_SERVER:
        return Side.SERVER
    if said in _FROM_CLIENT:
        return Side.CLIENT
    return Side.MARK if said else None


def _is_mark(content: Mapping[str, Any]) -> bool:
    return isinstance(content.get("kind"), str) or isinstance(content.get("of"), str) or "upgrade" in content


def _message(line: int, content: dict[str, Any]) -> dict[str, Any] | None:
    for name in _MESSAGE_NAMES:
        inner = content.get(name)
        if isinstance(inner, str) and inner.lstrip().startswith("{"):
            try:
                inner = json.loads(inner)
            except (ValueError, RecursionError):
                raise _fault(line, f"not JSON under {name!r}", "give complete messages") from None
        if isinstance(inner, dict) and isinstance(inner.get("type"), str):
            return inner
    kind = content.get("type") or content.get("event")
    if not isinstance(kind, str):
        return None
    envelope = {*_MS_NAMES, *_TIME_NAMES, *_DIRECTION_NAMES, "event"}
    rest = {name: value for name, value in content.items() if name not in envelope}
    data = rest.get("data")
    if isinstance(data, dict):
        # {"event": "reply.done", "data": {"status": …}}: another way to flatten.
        rest = {**rest, **data}
        del rest["data"]
    return {**rest, "type": kind}


def _close(content: Mapping[str, Any], message: Mapping[str, Any] | None) -> int | None:
    code = content.get("close")
    kind = content.get("kind") or (message or {}).get("type")
    if (
        code is None
        and isinstance(kind, str)
        and kind.lower() in ("close", "closed", "ws.close", "ws.closed")
    ):
        code = content.get("code", (message or {}).get("code", 1006))
    return code if isinstance(code, int) and 1000 <= code <= 4999 else None


@attrs.frozen
class _Time:
    value: float
    may_be_s: bool


def _time(line: int, content: Mapping[str, Any]) -> _Time | None:
    for names, may_be_s in ((_MS_NAMES, False), (_TIME_NAMES, True)):
        for name in names:
            value = content.get(name)
            if isinstance(value, str):
                try:
                    moment = datetime.fromisoformat(value.strip().replace("Z", "+00:00"))
                    utc = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
                    return _Time(utc.timestamp() * 1000, False)
                except (ValueError, OverflowError):
                    continue
            if isinstance(value, int | float) and not isinstance(value, bool):
                try:
                    number = float(value)
                except OverflowError:
                    number = math.inf
                if not math.isfinite(number):
                    raise _fault(line, f"no time under {name!r}", "give seconds or milliseconds")
                return _Time(number, may_be_s)
    return None


def _timed(rows: list[tuple[Row, _Time | None]], unit: str | None) -> list[Row]:
    scale = _scale([time.value for _, time in rows if time is not None and time.may_be_s], unit)
    timed: list[Row] = []
    before_ms = shift_ms = None
    for row, time in rows:
        if time is None:
            if before_ms is None:
                raise _fault(row.line, "no time", "give each line its time in ms")
            timed.append(attrs.evolve(row, at_ms=before_ms))
            continue
        at_ms = time.value * (scale if time.may_be_s else 1.0)
        if shift_ms is None:
            shift_ms = -at_ms if abs(at_ms) > _CALENDAR_MS or at_ms < 0 else 0.0
            before_ms = at_ms + shift_ms
        assert before_ms is not None
        at_ms += shift_ms
        if at_ms > before_ms + _LONGEST_LEAP_MS:
            shift_ms -= at_ms - before_ms - _LONGEST_LEAP_MS
        before_ms = min(max(at_ms, before_ms), before_ms + _LONGEST_LEAP_MS)
        # The times within a summary are of the same clock as its own.
        mark = {
            name: value + shift_ms if name in ("firstMs", "lastMs") and _is_number(value) else value
            for name, value in row.mark.items()
        }
        timed.append(attrs.evolve(row, at_ms=before_ms, mark=mark))
    return timed


def _scale(times: list[float], unit: str | None) -> float:
    """How many ms one of these is."""
    if unit is not None or not times:
        return 1.0 if unit == "ms" else 1000.0
    return 1.0 if max(times) - min(times) > _LONGEST_SESSION_S or abs(times[0]) > _CALENDAR_MS else 1000.0


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e15


def _fault(line: int, what: str, fix: str) -> PlaygroundFault:
    return PlaygroundFault(f"line {line} of the log: {what}", fix)
