"""Who and what this agent is, what it can do, and what it takes from its system prompt."""

from __future__ import annotations

import re

from playground.dialogue.turn import Answer, Turn, first_answer, when
from playground.dialogue.words import spoken_list

__all__ = ["TOPIC", "name_in"]

_NAME = re.compile(
    r"(?:\b[Yy]our name is|\b[Yy]ou(?: are|'re|\u2019re)(?: called| named)?|\b(?:called|named)"
    r"|\b[Cc]all yourself)\s+"
    r"[\"'\u201c]?((?:[A-Z][\w'\u2019-]*)(?:\s+[A-Z][\w'\u2019-]*){0,2})"
)
_NO_NAME = re.compile(
    r"^(?:A|An|The|I|In|On|At|Not|NOT|Always|Never|Now|Here|Very|Your|Our|My|If|To|All|AI|An?\s.*)$"
)


def name_in(system_prompt: str) -> str:
    """The agent's name by its system prompt ("You are Ada, …", "Your name is Ada"); "" if it gives none."""
    for found in _NAME.finditer(system_prompt[:20_000]):
        first = found[1].split()[0]
        if not _NO_NAME.match(first):
            return found[1][:60].rstrip("'\u2019-")
    return ""


def _who(turn: Turn, _: re.Match[str]) -> Answer:
    name = f"I am {turn.memory.my_name}, an" if turn.memory.my_name else "I am an"
    return Answer(
        f"{name} offline stand-in for a voice agent. I am a small program with no language model, so I know "
        "little, and I say so. Ask me what I can do."
    )


def _name(turn: Turn, match: re.Match[str]) -> Answer:
    if turn.memory.my_name:
        return Answer(f"My name is {turn.memory.my_name}.")
    return Answer(
        "I have no name of my own. I am the offline stand-in, a small program with no language model."
    )


def _person(turn: Turn, _: re.Match[str]) -> Answer:
    return Answer(
        "No. I am a small program on this machine: there is no person here, and no language model either."
    )


def _help(turn: Turn, _: re.Match[str]) -> Answer:
    tools = [str(tool.get("name", "")).replace("_", " ") for tool in turn.memory.tools][:5]
    with_tools = f" I can also call these tools: {spoken_list(tools)}." if tools else ""
    return Answer(
        "I tell the time and the date. I do sums, count, spell words, flip coins, and remember what you tell "
        "me. I tell stories, too: interrupt one whenever you like, and say go on to hear the rest."
        + with_tools
    )


def _prompt(turn: Turn, _: re.Match[str]) -> Answer:
    if not turn.memory.prompt_words:
        return Answer("I was given no system prompt. If I had one, I would take nothing but a name from it.")
    name = turn.memory.my_name
    taken = (
        f"my name, {name}, from it and do" if name else "nothing from it, since it gives me no name, and do"
    )
    return Answer(
        f"I have a system prompt of {turn.memory.prompt_words} words. I take {taken} not follow the rest: "
        "that would need a language model."
    )


TOPIC = first_answer(
    (
        when(
            r"\b(?:system prompt|your (?:prompt|instructions|orders|rules)|were you told|instructed)\b",
            then=_prompt,
        ),
        when(
            r"\b(?:what is|tell me|say|know|what) your name\b",
            r"^your name$",
            r"^what (?:are you called|should i call you)",
            then=_name,
        ),
        when(
            r"^(?:are you|am i (?:talking|speaking) (?:to|with)|is this)\b.*\b(?:human|person|robot|machine"
            r"|real|bot|ai|a i|computer|alive|somebody|someone|gpt|chatgpt|model)\b",
            then=_person,
        ),
        when(
            r"\b(?:who|what) are you\b",
            r"^introduce yourself",
            r"^(?:tell me )?about yourself$",
            r"^who (?:is this|made you|am i talking to)",
            then=_who,
        ),
        when(
            r"\bwhat (?:else )?(?:can|do|could) you (?:do|know|understand)$",
            r"^help\b",
            r"^(?:can you )?help me$",
            then=_help,
        ),
        when(r"\bwhat (?:can|could|should|may) i (?:ask|say|do)\b", r"\bhow can you help\b", then=_help),
    )
)
