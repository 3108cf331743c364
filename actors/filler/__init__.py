"""Filler: our own quiet sound while a slow tool runs, since the service never says anything then."""

from actors.filler.actor import Filler
from actors.filler.sound import load_filler, tone

__all__ = ["Filler", "load_filler", "tone"]
