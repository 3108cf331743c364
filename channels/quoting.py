"""Words from outside, in an instruction of ours: as data, never as an instruction."""

from __future__ import annotations

import json

__all__ = ["LONGEST_QUOTE", "quoted"]

LONGEST_QUOTE = 2_000
"""Characters: three minutes of reading."""


def quoted(text: str) -> str:
    """The words on one line, cut to `LONGEST_QUOTE`, in quotation marks that they cannot leave."""
    return json.dumps(" ".join(text[: 4 * LONGEST_QUOTE].split())[:LONGEST_QUOTE], ensure_ascii=False)
