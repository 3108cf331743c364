"""Hello, thank you, goodbye, and other short things that people say to each other."""

from __future__ import annotations

import re
from collections.abc import Callable

import attrs

from playground.dialogue.turn import Answer, Turn, first_answer, when

__all__ = ["TOPIC"]

_JOKES = (
    "Why did the clock leave the room? It had run out of time.",
    "I told my microphone a secret. It was all ears, and then it was all over the room.",
    "What does a lighthouse keeper say at breakfast? Good morning, and then nothing for twelve hours.",
)


def _saying(text: str) -> Callable[[Turn, re.Match[str]], Answer]:
    return lambda turn, match: Answer(text)


def _hello(turn: Turn, _: re.Match[str]) -> Answer:
    part = "morning" if turn.now.hour < 12 else "afternoon" if turn.now.hour < 18 else "evening"
    name = f", {turn.memory.person}" if turn.memory.person else ""
    return Answer(f"Good {part}{name}.")


def _goodbye(turn: Turn, _: re.Match[str]) -> Answer:
    return Answer(f"Goodbye{f', {turn.memory.person}' if turn.memory.person else ''}.")


def _joke(turn: Turn, _: re.Match[str]) -> Answer:
    joke = next((one for one in _JOKES if one not in turn.memory.told), None)
    if joke is None:
        told = tuple(title for title in turn.memory.told if title not in _JOKES)
        return Answer("I know no more jokes than these three.", attrs.evolve(turn.memory, told=told))
    return Answer(joke, attrs.evolve(turn.memory, told=(*turn.memory.told, joke)))


TOPIC = first_answer(
    (
        when(
            r"^(?:hello|hi|hey|hiya|greetings|good (?:morning|afternoon|evening|day))(?: there| again)?$",
            then=_hello,
        ),
        when(
            r"\b(?:good ?bye|bye(?: bye)?|see you|farewell|good night|talk to you later)\b",
            r"\bi (?:have to|must|need to) (?:go|leave)$",
            then=_goodbye,
        ),
        when(r"^(?:thanks|thank you|cheers|many thanks)\b", then=_saying("You are welcome.")),
        when(
            r"^how (?:are you|are things|is it going|do you do)\b",
            then=_saying("Quite well for a small program, thank you."),
        ),
        when(
            r"\b(?:hear me|are you (?:still )?(?:there|here|listening)|anybody there|anyone there)\b",
            then=_saying("Yes, I hear you."),
        ),
        when(
            r"^(?:this is a )?test(?:ing)?\b(?: test| one two(?: three)?| 1 2(?: 3)?)*$",
            then=_saying("I hear you well."),
        ),
        when(
            r"^(?:yes|yeah|yep|no|nope|okay|ok|sure|fine|good|great|nice|right|all right|alright|i see)$",
            then=_saying("All right."),
        ),
        when(r"^(?:i am )?sorry$", then=_saying("No harm done.")),
        when(r"^(?:nice|pleased|good|glad) to meet you\b", then=_saying("And I am glad to meet you.")),
        when(
            r"\b(?:well done|good job|good answer|that is (?:right|correct|great|good))$",
            r"^you are (?:great|good|nice|clever)$",
            then=_saying("Thank you."),
        ),
        when(
            r"\b(?:tell me|know|another|one more)\b.*\bjokes?\b",
            r"^(?:a )?joke$",
            r"^make me laugh$",
            then=_joke,
        ),
    )
)
