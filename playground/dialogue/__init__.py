"""A small dialogue for people without a language model: it knows little, and says so.

`Dialogue` is the brain. Everything it can talk about is in one file, talk.toml, which anybody can extend.
A pure function, `table.answer`, turns a turn into an answer.
"""

from playground.dialogue.brain import Dialogue

__all__ = ["Dialogue"]
