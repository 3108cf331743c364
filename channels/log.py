"""Sets up the log: structlog on stderr, as text for people or as JSON lines. Nothing waits for its reader.

Where a person reads the conversation itself, the log beside it is in plain sentences (`conversation`), and
what libraries warn of, which our own errors say better, is left out.

Warnings from libraries go the same way. Foreign text is made printable. Access tokens that a library quotes
in a URL are masked, and so are the session's secrets that the service repeats: its webhook's, its tools'
headers.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, Literal, TextIO, cast

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

from channels.printable import printable, printable_json
from channels.secret import blot_out_fields
from channels.standard_streams import Unwaiting

__all__ = ["LogFormat", "open_log", "warnings_alone"]

LogFormat = Literal["conversation", "text", "json"]

_TOKEN = re.compile(r"(access_token=|token=|Bearer )[\w.~+/=-]+")


def open_log(form: LogFormat, *, verbose: bool = False) -> FilteringBoundLogger:
    """Sets the log up for the process and gives the logger of the runner."""
    unicode = (getattr(sys.stderr, "encoding", None) or "utf-8").lower().startswith("utf")
    processors: list[Processor] = [structlog.processors.add_log_level]
    match form:
        case "json":
            renderer: Processor = structlog.processors.JSONRenderer(ensure_ascii=not unicode)
            time = structlog.processors.TimeStamper(fmt="iso", utc=True)
            processors += [time, _blot_out, renderer, _escape]
        case "text":
            renderer = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=20)
            time = structlog.processors.TimeStamper(fmt="%H:%M:%S.%f", utc=False)
            processors += [time, _blot_out, _make_printable, renderer]
        case "conversation":
            trace = structlog.processors.format_exc_info
            processors += [_leave_out, trace, _blot_out, _make_printable, _as_sentence]
    if isinstance(sys.stderr, Unwaiting):
        sys.stderr.remark = functools.partial(_remark, processors)
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG if verbose else logging.INFO),
        # In one piece, line break and all: what is dropped is dropped by the line.
        logger_factory=structlog.WriteLoggerFactory(cast(TextIO, _StandardError())),
        cache_logger_on_first_use=False,
    )
    log = cast(FilteringBoundLogger, structlog.get_logger())
    level = logging.CRITICAL if form == "conversation" else logging.WARNING
    logging.basicConfig(handlers=[_ToStructlog(log)], level=level, force=True)
    return log


def warnings_alone() -> FilteringBoundLogger:
    """A logger for what something else tells already, all but its warnings and errors."""
    return cast(
        FilteringBoundLogger,
        structlog.wrap_logger(
            structlog.WriteLogger(cast(TextIO, _StandardError())),
            wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        ),
    )


def _remark(processors: list[Processor], lost: int) -> str:
    """What the log says of lines that it dropped."""
    line: Any = {"event": "log_lines_lost", "lines": lost, "why": "nobody read the log"}
    for process in processors:
        line = process(None, "warning", line)
    return f"{line}\n"


def _blot_out(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    return {
        name: _TOKEN.sub(r"\1•••", value) if isinstance(value, str) else blot_out_fields(value)
        for name, value in event.items()
    }


def _make_printable(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    # Values that are not text are written with `repr`, which escapes. A traceback has many lines.
    return {
        name: printable(value, lines=name == "exception") if isinstance(value, str) else value
        for name, value in event.items()
    }


def _escape(_logger: WrappedLogger, _method: str, rendered: Any) -> str:
    return printable_json(rendered)


HEARD_MS = 500
"""A held loop that people may hear, as a gap. Shorter ones of our own say that the machine is busy."""


def _leave_out(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Drops what is of no use to somebody who talks."""
    is_of_a_tool = str(event.get("by")).startswith("tool ")
    if event.get("event") == "loop_held" and not is_of_a_tool and event.get("ms", 0) < HEARD_MS:
        raise structlog.DropEvent
    return event


def _as_sentence(_logger: WrappedLogger, _method: str, event: MutableMapping[str, Any]) -> str:
    """What happened, why, and what to do about it; then whatever else is known."""
    fields = {name: value for name, value in event.items() if name not in _UNSAID and value not in _NOTHING}
    fields.pop("fix", None)
    marked = "! " if event.get("level") in ("warning", "error", "critical") else ""
    what = str(fields.pop("event", "")).replace("_", " ")
    what = what[:1].upper() + what[1:]
    why = [str(fields.pop(name)) for name in ("why", "message") if name in fields]
    lines = [marked + ": ".join([what, *why])]
    if event.get("fix"):
        lines.append(f"{' ' * len(marked)}{event['fix']}")
    trace = fields.pop("exception", "")
    if fields:
        lines[0] += f" ({', '.join(_measured(name, value) for name, value in fields.items())})"
    return "\n".join([*lines, trace] if trace else lines)


def _measured(name: str, value: Any) -> str:
    if value is True:
        return name.replace("_", " ")
    for unit in ("ms", "s"):
        if name == unit:
            return f"{value} {unit}"
        if name.endswith(f"_{unit}"):
            return f"{name.removesuffix(f'_{unit}').replace('_', ' ')} {value} {unit}"
    return f"{name.replace('_', ' ')} {value}"


_UNSAID = ("level", "room")
_NOTHING = (None, False, "")


class _StandardError:
    """`sys.stderr` as it is at the moment of writing: a bottom line puts something else in its place.

    If its reader went away (`| head`) or its disk is full, the line is lost, but the call goes on.
    """

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError):
            sys.stderr.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            sys.stderr.flush()


class _ToStructlog(logging.Handler):
    def __init__(self, log: FilteringBoundLogger) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        fields: dict[str, Any] = {"library": record.name, "said": record.getMessage()}
        self._log.log(record.levelno, "library", **fields)
