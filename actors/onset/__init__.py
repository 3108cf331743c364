"""Onset detection: where the person's sounds begin and end, without the agent's own echo."""

from actors.onset.detector import Judge, OnsetDetector

__all__ = ["Judge", "OnsetDetector"]
