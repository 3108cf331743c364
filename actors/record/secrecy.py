"""What must never stand in a record, and how it is kept out.

Three nets, one behind the other: fields that are secret by their name, the secrets that this agent knows,
and whatever looks like a token.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from channels.secret import Secret

__all__ = ["blot_out_fields", "blotter", "is_secret"]

DOTS = "•••"

_SECRET_NAME = re.compile(
    r"(?i)(api|access|private)[_-]?key|^key$|token(?!s)|secret|passw|authorization|credential|cookie|headers?$"
)
_LOOKS_SECRET = re.compile(
    r"(?P<naming>token=|Bearer\s+|Basic\s+)[\w.~+/=-]{12,}"
    r"|(?P<user>://[^/\s:@\"\\]*:)[^/\s@\"\\]+(?=@)"
    r"|eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*|\bsk-[\w-]{16,}"
)


def is_secret(name: str) -> bool:
    """Whether a field of that name holds something to be kept to oneself."""
    return _SECRET_NAME.search(name) is not None


def blot_out_fields(value: Any, *, secret: bool = False) -> Any:
    """A JSON value; every text below a name that is secret becomes dots."""
    match value:
        case Mapping():
            return {
                str(key): blot_out_fields(v, secret=secret or is_secret(str(key))) for key, v in value.items()
            }
        case str():
            return DOTS if secret and value else value
        case list() | tuple():
            return [blot_out_fields(each, secret=secret) for each in value]
        case _:
            return value


def blotter(known: Sequence[Secret]) -> Callable[[str], str]:
    """What takes the known secrets, and whatever looks like one, out of a line of JSON."""
    texts = sorted(
        {json.dumps(each.reveal())[1:-1] for each in known if each.reveal()}, key=len, reverse=True
    )

    def blot_out(line: str) -> str:
        for text in texts:
            line = line.replace(text, DOTS)
        return _LOOKS_SECRET.sub(lambda found: (found["naming"] or found["user"] or "") + DOTS, line)

    return blot_out
