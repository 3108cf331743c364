"""Screen: shows the conversation in a terminal; `script` decides what, `actor` writes it."""

from actors.screen.actor import Screen

__all__ = ["Screen"]
