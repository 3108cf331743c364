"""What must never stand in a record, and how it is kept out.

Three nets, one behind the other: fields that are secret by their name, the secrets that this agent knows,
and whatever looks like a token.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from channels.json_text import write_json
from channels.secret import DOTS, Secret

__all__ = ["blotter"]

_LOOKS_SECRET = re.compile(
    r"(?P<naming>token=|Bearer\s+|Basic\s+)[\w.~+/=-]{12,}"
    r"|(?P<user>://[^/\s:@\"\\]*:)[^/\s@\"\\]+(?=@)"
    r"|\bsk-[\w-]{16,}"
)
_JWT = re.compile(r"eyJ[\w-]*(?:\.[\w-]{8,}\.[\w-]*)?")
"""Takes all that may begin one, whether it is one or not, so that it looks at nothing again and again."""

_SHORTEST_JWT = len("eyJ") + 8


def blotter(known: Sequence[Secret]) -> Callable[[str], str]:
    """What takes the known secrets, and whatever looks like one, out of a line of JSON."""
    texts = sorted(
        {write_json(each.reveal())[1:-1] for each in known if each.reveal()}, key=len, reverse=True
    )

    def blot_out(line: str) -> str:
        for text in texts:
            line = line.replace(text, DOTS)
        line = _JWT.sub(_blot_token, line)
        return _LOOKS_SECRET.sub(lambda found: (found["naming"] or found["user"] or "") + DOTS, line)

    return blot_out


def _blot_token(found: re.Match[str]) -> str:
    head, dot, _ = found[0].partition(".")
    return DOTS if dot and len(head) >= _SHORTEST_JWT else found[0]
