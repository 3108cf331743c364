"""What an operator can command, and who counts as one. No I/O, no clock.

A call of the RPC method `voice-agent.operate` carries JSON lines: the first may be `{"token": …}`, each
other one is a command:

    {"do": "say", "text": "One moment, please."}      the agent says this, word for word
    {"do": "prompt", "text": "…"}                     another system prompt from the next turn on
    {"do": "tell", "text": "…"}                       the model knows this from now on; nothing is said
    {"do": "end"}                                     the agent leaves the room
    {"do": "statistics"}                              what the channels have carried

The answer has one line for each: `{"done": true}`, with what was requested, or `{"done": false, "why": …}`.
Neither answers nor the log quote what was sent: it may contain a token in the wrong place.
"""

from __future__ import annotations

import difflib
import json
from datetime import timedelta
from typing import Any, ClassVar, TypeAlias

import attrs
from livekit import api

from channels.program import COMMAND
from channels.settings import LiveKitAccount

__all__ = [
    "Command",
    "End",
    "Refused",
    "Say",
    "Statistics",
    "Tell",
    "ToPrompt",
    "read_commands",
    "refusal_of",
]

MOST_COMMANDS = 20
LONGEST_TEXT = 8_000
"""Characters; LiveKit carries 15 KiB in one call."""
_LEEWAY = timedelta(seconds=10)


class Refused(Exception):
    """Why a line is not a command."""


@attrs.frozen
class Say:
    """The agent says a text, word for word."""

    do: ClassVar[str] = "say"
    text: str


@attrs.frozen
class ToPrompt:
    """Another system prompt."""

    do: ClassVar[str] = "prompt"
    text: str


@attrs.frozen
class Tell:
    """Something the model should know."""

    do: ClassVar[str] = "tell"
    text: str


@attrs.frozen
class End:
    """The agent leaves the room."""

    do: ClassVar[str] = "end"


@attrs.frozen
class Statistics:
    """What the channels have carried."""

    do: ClassVar[str] = "statistics"


Command: TypeAlias = Say | ToPrompt | Tell | End | Statistics

_COMMANDS: dict[str, type[Any]] = {kind.do: kind for kind in (Say, ToPrompt, Tell, End, Statistics)}


def read_commands(payload: str) -> tuple[str | None, list[Command | Refused]]:
    """The token, if given, and the commands or what is wrong with them, in order; never empty."""
    # Not splitlines(): JSON may contain other line ends unescaped.
    lines = [line for line in payload.split("\n") if line.strip()]
    token: str | None = None
    commands: list[Command | Refused] = []
    for number, line in enumerate(lines):
        try:
            content = json.loads(line)
        except (ValueError, RecursionError):
            content = None
        if number == 0 and isinstance(content, dict) and content.keys() == {"token"}:
            token = content["token"] if isinstance(content["token"], str) else ""
        elif len(commands) == MOST_COMMANDS:
            commands.append(Refused(f"at most {MOST_COMMANDS} commands fit in one call"))
            break
        else:
            try:
                commands.append(_command(content))
            except Refused as refused:
                commands.append(refused)
    return token, commands or [Refused("there is no command")]


def _command(content: object) -> Command:
    if not isinstance(content, dict) or not isinstance(content.get("do"), str):
        raise Refused('a command is one line of JSON such as {"do": "say", "text": "…"}')
    kind = _COMMANDS.get(content["do"])
    if kind is None:
        nearest = difflib.get_close_matches(content["do"], _COMMANDS, n=1)
        meant = f"did you mean {nearest[0]!r}?" if nearest else f"the commands are {', '.join(_COMMANDS)}"
        raise Refused(f"there is no such command; {meant}")
    fields = [field.name for field in attrs.fields(kind)]
    for name in fields:
        text = content.get(name)
        if not isinstance(text, str) or not text.strip() or len(text) > LONGEST_TEXT or not _is_unicode(text):
            raise Refused(f"{name} must be text of 1 to {LONGEST_TEXT} characters")
    if content.keys() != {"do", *fields}:
        raise Refused(f"{content['do']} takes {' and '.join(fields) or 'nothing'}, and nothing else")
    command: Command = kind(**{name: content[name] for name in fields})
    return command


def _is_unicode(text: str) -> bool:
    # JSON can contain half a character, which no encoding can carry.
    return not any("\ud800" <= character <= "\udfff" for character in text)


def refusal_of(token: str | None, identity: str, account: LiveKitAccount, room_name: str) -> str | None:
    """Why a participant is not an operator; None: the token says that they are.

    It must be a valid LiveKit token of this server, with the grant `roomAdmin` for this room, issued to the
    caller. A participant attribute would not do: people may set their own.
    """
    if not token:
        return f"this needs a token with the roomAdmin grant ({COMMAND} token --operator)"
    verifier = api.TokenVerifier(account.api_key, account.api_secret.reveal(), leeway=_LEEWAY)
    try:
        claims = verifier.verify(token)
    except Exception:  # the library's message about a bad token may quote it
        return "the token is not valid here, or no longer valid"
    if claims.identity != identity:
        return "the token was issued to somebody else"
    if claims.video is None or not claims.video.room_admin or claims.video.room != room_name:
        return "the token does not have the roomAdmin grant for this room"
    return None
