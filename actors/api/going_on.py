"""Whether the agent has to speak first in a fresh session because the last one broke in the middle.
No I/O, no clock.

A drop loses everything in progress: the reply being said, the answer being prepared, the tool being called.
The fresh session knows what was said (`Story`), but it would wait for the person, who is waiting for the
agent. So the agent first asks it for a reply, once. It does not if nothing was going on, if the session was
given up on purpose, or while somebody else speaks:

- the rest of the old reply that the room is still playing is heard first;
- a person who makes a sound may finish. If the service takes the sound for speech, it answers by itself; if
  it has not by `LONGEST_WAIT_S`, it will not.
"""

from __future__ import annotations

import json
import math

import attrs

from channels.happenings import (
    Happening,
    ReplyBegan,
    ReplyEnded,
    SoundStarted,
    SoundStopped,
    ToolCalled,
    ToolDropped,
    WordsHeard,
)
from channels.instructions import GO_ON
from channels.wire.events import (
    AgentTranscript,
    AgentTranscriptDelta,
    ReplyAudio,
    ReplyDone,
    ReplyFailed,
    ReplyStarted,
    ServerEvent,
    SpeechStarted,
    SpeechStopped,
    UserTranscript,
    UserTranscriptDelta,
)
from channels.wire.messages import ClientMessage, ReplyCreate, ToolResult

__all__ = ["GoingOn"]

FORGOTTEN_AFTER_S = 25.0
"""If nothing has moved for this long, the drop did not interrupt it: 10 s that an answer may take, plus 15 s
before anybody notices that the service is gone."""

RECOGNISED_WITHIN_S = 1.2
"""From the end of a sound to the service's word that it was speech: live, 0.6 to 1.1 s from its beginning."""

LONGEST_WAIT_S = 3.0
"""If the service has not taken a sound for speech by then, it is not speech: live, it took up to 1.8 s."""

LAST_WORDS = 200
"""How many characters of its own words the agent is reminded of."""

LONGEST_WISH = 2_000
"""Characters of the instructions of a reply that was cut off."""

_ANSWER = (
    "If nobody has answered the person's last words in the record, answer them; if they break off, ask "
    "for the rest."
)
_TOOL = (
    "A tool had been called. If the record says what it returned, go on with that. If not, its result is "
    "lost: ask for it again only if running it twice does no harm; otherwise say that you do not know."
)


@attrs.frozen
class _Left:
    """What a broken connection left unfinished."""

    reply: str | None
    wish: str
    """The instructions of that reply, if somebody had asked for it."""
    turn: bool
    tool: bool


@attrs.define
class GoingOn:
    """What is in progress, in one call."""

    _reply: str | None = attrs.field(default=None, init=False)
    """The one that is arriving."""
    _moved_at: float = attrs.field(default=-math.inf, init=False)
    """When something of it came."""
    _wanted: str = attrs.field(default="", init=False)
    """Instructions of a reply that has not begun."""
    _wish: str = attrs.field(default="", init=False)
    """Those of the one that is arriving."""
    _turn_at: float = attrs.field(default=-math.inf, init=False)
    """The last sign of a turn of the person that has no answer."""
    _tools: set[str] = attrs.field(factory=set, init=False)
    """Calls that have not returned."""
    _returned_at: float = attrs.field(default=-math.inf, init=False)
    """When a result went out that no reply has followed."""
    _playing: str | None = attrs.field(default=None, init=False)
    _heard: tuple[str | None, str] = attrs.field(default=(None, ""), init=False)
    """The reply that was heard last, and its last words."""
    _quiet_from: float = attrs.field(default=-math.inf, init=False)
    """From when on the person is silent, as far as is known; infinity: they make a sound."""
    _ready_at: float = attrs.field(default=-math.inf, init=False)
    _left: _Left | None = attrs.field(default=None, init=False)

    def take(self, what: ServerEvent | ClientMessage | Happening, now: float) -> None:
        """Something went through, or happened."""
        match what:
            case ReplyStarted(reply_id=reply_id):
                self._reply, self._moved_at = reply_id, now
                self._wish, self._wanted = self._wanted, ""
                self._turn_at = self._returned_at = -math.inf
                self._left = None
            case AgentTranscript(reply_id=reply_id, interrupted=True):
                if reply_id == self._reply:
                    self._reply, self._turn_at = None, now
            case ReplyAudio() | AgentTranscriptDelta() | AgentTranscript():
                self._moved_at = now
            case ReplyDone(reply_id=reply_id, status=status):
                if reply_id == self._reply:
                    self._reply = None
                    # What was said during a reply that was not interrupted needs no separate answer.
                    self._turn_at = now if status == "interrupted" else -math.inf
            case ReplyFailed(reply_id=reply_id):
                if reply_id in (self._reply, ""):
                    self._reply = None
            case SpeechStarted() | SpeechStopped():
                self._person_speaks(now)
            case UserTranscriptDelta(text=text) | UserTranscript(text=text):
                if text.strip():
                    self._person_speaks(now)
            case ReplyCreate(instructions=instructions):
                self._wanted = (instructions or "")[:LONGEST_WISH]
            case ToolCalled(call_id=call_id):
                self._tools.add(call_id)
            case ToolDropped(call_id=call_id):
                self._tools.discard(call_id)
            case ToolResult(call_id=call_id):
                self._tools.discard(call_id)
                self._returned_at = now
            case ReplyBegan(reply_id=reply_id):
                self._playing = reply_id
            case WordsHeard(reply_id=reply_id, text=text):
                before = self._heard[1] if self._heard[0] == reply_id else ""
                self._heard = reply_id, f"{before} {text}"[-LAST_WORDS:]
            case ReplyEnded(reply_id=reply_id, heard_text=text):
                if self._playing == reply_id:
                    self._playing = None
                if text.strip():
                    self._heard = reply_id, text[-LAST_WORDS:]
            case SoundStarted():
                self._quiet_from = math.inf
            case SoundStopped():
                self._quiet_from = now + RECOGNISED_WITHIN_S
            case _:
                pass

    def broke(self, now: float) -> None:
        """The connection is gone, and nobody wanted that."""
        since = now - FORGOTTEN_AFTER_S
        reply = self._reply if self._moved_at > since else None
        turn, tool = self._turn_at > since, bool(self._tools) or self._returned_at > since
        if reply is not None or turn or tool:
            self._left = _Left(reply, self._wish, turn, tool)
        self._forget_session()

    def ready(self, now: float) -> None:
        """A fresh session listens."""
        self._ready_at = now
        if self._quiet_from <= now + RECOGNISED_WITHIN_S:
            self._quiet_from = now  # this session has heard nothing of that sound

    def forget(self) -> None:
        """There is nothing to continue: the session was given up on purpose, or something else handles it."""
        self._left = None
        self._forget_session()

    def at(self) -> float | None:
        """When to ask for a reply (s), as far as is known now; infinity: not yet; None: not at all."""
        if self._left is None:
            return None
        if self._playing is not None:
            return math.inf
        return min(self._quiet_from, self._ready_at + LONGEST_WAIT_S)

    def request(self) -> ReplyCreate | None:
        """What to request now, once."""
        left, self._left = self._left, None
        if left is None:
            return None
        heard = self._heard[1].strip() if left.reply is not None and left.reply == self._heard[0] else ""
        if left.wish and not heard:
            return ReplyCreate(left.wish)  # nobody has heard any of it: it is wanted as it was
        lines = [GO_ON]
        if heard:
            lines.append(
                f"You were cut off. The last of your words that were heard are {_quoted(heard)}: go on from "
                "there and repeat nothing."
            )
        if left.wish:
            lines.append(f"You were following these instructions: {_quoted(left.wish)}")
        if left.tool:
            lines.append(_TOOL)
        if left.turn or not (heard or left.tool):
            lines.append(_ANSWER)
        return ReplyCreate("\n".join(lines))

    def _person_speaks(self, now: float) -> None:
        self._turn_at = now
        self._left = None  # in the new session: what they say now is answered

    def _forget_session(self) -> None:
        self._reply = None
        self._wish = self._wanted = ""
        self._turn_at = self._returned_at = -math.inf
        self._tools.clear()


def _quoted(text: str) -> str:
    return json.dumps(" ".join(text.split()), ensure_ascii=False)
