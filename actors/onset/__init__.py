"""Onset detection: where the person's sounds begin and end, the agent's own echo left out."""

from actors.onset.detector import Judge, OnsetDetector

__all__ = ["Judge", "OnsetDetector"]
