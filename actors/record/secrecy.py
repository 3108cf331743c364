"""What must never stand in a record, and how it is kept out.

Three nets, one behind the other: fields that are secret by their name, the secrets that this agent knows,
and whatever looks like a token.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence

from channels.secret import DOTS, Secret

__all__ = ["blotter"]

_LOOKS_SECRET = re.compile(
    r"(?P<naming>token=|Bearer\s+|Basic\s+)[\w.~+/=-]{12,}"
    r"|(?P<user>://[^/\s:@\"\\]*:)[^/\s@\"\\]+(?=@)"
    r"|eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*|\bsk-[\w-]{16,}"
)


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
