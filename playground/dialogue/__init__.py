"""A small dialogue for those who have no language model: it knows little, and says so.

`Dialogue` is the brain. What it can talk about is written in one file, talk.toml, which anybody can add to.
A turn becomes an answer by a pure function, `table.answer`.
"""

from playground.dialogue.brain import Dialogue

__all__ = ["Dialogue"]
