"""What the agent and a front end tell each other in the room, read off `channels.texts`."""

from __future__ import annotations

import channels.texts
from docs._ext.markdown import docs_of_constants, inline, table

__all__ = ["texts_of_the_room"]


def texts_of_the_room() -> str:
    """Each attribute, text stream and RPC method: its name, its kind, and what it says."""
    rows = []
    for name, doc in docs_of_constants("channels.texts").items():
        kind, colon, meaning = doc.partition(": ")
        if colon:
            rows.append([inline(getattr(channels.texts, name)), kind, meaning[0].upper() + meaning[1:]])
    return table(["Name", "Kind", "What it says"], rows)
