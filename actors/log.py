"""EventLog: logs what happens, for people or machines. A tap: it can be slow, and nothing waits for it.

Each happening becomes one structlog event named after its class, with its fields. What people say, type and
hear is included only if you ask for it.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Any

import attrs
from structlog.typing import FilteringBoundLogger

from channels.bounded import Receiver
from channels.happenings import (
    AnswerMissing,
    AskGivenUp,
    AskSent,
    BystanderFailed,
    FloorPassed,
    Happening,
    LoopHeld,
    ModelFailed,
    OperatorRefused,
    PersonSaid,
    PersonTyped,
    ReplyCutShort,
    ReplyEnded,
    ReplyGivenUp,
    RequestWithheld,
    RoomLost,
    ServiceComplained,
    SessionConfigured,
    SessionLost,
    SoundJudged,
    SoundRose,
    SoundStarted,
    SoundStopped,
    SoundWasLate,
    TextDropped,
    ToolAnswered,
    TurnStarted,
    TurnStopped,
    TurnTimed,
    UpdateAnswered,
    VoiceAudible,
    VoiceChosen,
    VoiceUnheard,
    WordsHeard,
)

__all__ = ["EventLog"]


@attrs.define
class EventLog:
    """Writes happenings to a structlog logger."""

    happenings: Receiver[Happening]
    log: FilteringBoundLogger
    speech: bool = False
    """Whether to log what people say, type and hear; otherwise only its length."""

    async def run(self) -> None:
        """Logs until the happenings end."""
        async with self.happenings:
            async for happening in self.happenings:
                try:
                    self._write(happening)
                except Exception as error:
                    # If one happening cannot be written, carry on with the others.
                    what, why = type(happening).__name__, type(error).__name__
                    self.log.warning("not_logged", what=what, why=why)

    def _write(self, happening: Happening) -> None:
        fields = {name: _plain(value) for name, value in attrs.asdict(happening, recurse=False).items()}
        fields.pop("at", None)  # the log has its own clock
        if isinstance(happening, ToolAnswered | BystanderFailed) and happening.traceback is not None:
            fields["exception"] = happening.traceback  # what structlog writes below the line
        fields.pop("traceback", None)
        if not self.speech:
            fields = _without_speech(happening, fields)
        if isinstance(happening, UpdateAnswered):
            fields["session"] = ", ".join(happening.session)
        if isinstance(happening, AskSent | AskGivenUp):
            del fields["request"]  # it quotes what somebody typed
        if isinstance(happening, TurnTimed):
            fields["reply"] = happening.reply.reply_id
        match happening:
            case (
                PersonSaid(final=False)
                | WordsHeard()
                | SoundJudged()
                | SoundRose()
                | SoundStarted()
                | SoundStopped()
                | SessionConfigured()
            ):
                write = self.log.debug
            case VoiceAudible() | VoiceUnheard(why="alone"):
                write = self.log.debug  # each call begins with it
            case TurnStarted() | TurnStopped() | FloorPassed() | AskSent() | UpdateAnswered():
                write = self.log.debug
            case ToolAnswered(error=str()) | BystanderFailed() | LoopHeld():
                write = self.log.warning
            case SoundWasLate(speech_dropped_ms=lost) if lost:
                write = self.log.warning
            case (
                RoomLost()
                | OperatorRefused()
                | TextDropped()
                | SessionLost()
                | ServiceComplained()
                | ModelFailed()
                | RequestWithheld()
                | AskGivenUp()
                | AnswerMissing()
                | ReplyCutShort()
                | ReplyGivenUp()
                | VoiceUnheard()
                | VoiceChosen(voice=None)
            ):
                write = self.log.warning
            case _:
                write = self.log.info
        write(re.sub(r"(?<!^)(?=[A-Z])", "_", type(happening).__name__).lower(), **fields)


_SPEECH = {
    PersonSaid: "text",
    PersonTyped: "text",
    WordsHeard: "text",
    AnswerMissing: "text",
    ReplyEnded: "heard_text",
}
"""Which field of which happening is somebody's words."""


def _without_speech(happening: Happening, fields: dict[str, Any]) -> dict[str, Any]:
    if isinstance(happening, SessionConfigured):
        return {}  # its prompt contains what was said before
    name = _SPEECH.get(type(happening))
    if name is None:
        return fields
    return {
        f"{key}_characters" if key == name else key: len(value) if key == name else value
        for key, value in fields.items()
    }


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, Enum) else value
