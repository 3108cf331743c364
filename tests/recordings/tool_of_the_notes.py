"""The one tool of the recorded calls, for an agent in a process of its own."""

from __future__ import annotations


def verify_claim(claim: str = "", concept: str = "") -> str:
    """Looks a claim up in the notes.

    Args:
        claim: what was claimed.
        concept: what it is about.
    """
    return f"The notes say otherwise of {concept or claim or 'it'}."
