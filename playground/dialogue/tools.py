"""Tools of the session: called when they fit what was said, or asked about when something is missing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from playground.brain import CallTool
from playground.dialogue.tool_arguments import Heard, answered, arguments_in, required
from playground.dialogue.tool_choice import best_fit, human_name, name_words
from playground.dialogue.turn import Answer, Question, Turn
from playground.dialogue.words import plain, quotable, spoken_list

__all__ = ["fits_a_little", "fits_well", "human_name", "open_question"]

_ASKS = frozenset("what who when where why how which is are do does did can could".split())


def fits_well(turn: Turn) -> Answer | None:
    """Calls a tool that is clearly meant."""
    fit = best_fit(turn.words, turn.memory.tools)
    return _use(turn, fit.tool) if fit is not None and fit.well else None


def fits_a_little(turn: Turn) -> Answer | None:
    """Calls a tool that may be meant: for what nothing else here understands."""
    fit = best_fit(turn.words, turn.memory.tools)
    return None if fit is None else _use(turn, fit.tool)


def open_question(turn: Turn) -> Answer | None:
    """Takes the turn as the answer to what was asked for, if it can be one."""
    question = turn.memory.question
    tool = next((one for one in turn.memory.tools if question and one.get("name") == question.tool), None)
    if question is None or tool is None:
        return None
    asks = bool(turn.words) and turn.words.split()[0] in _ASKS
    value = None if asks else answered(Heard(turn.said, turn.now), tool, question.missing)
    if value is not None:
        return _call_or_ask(turn, tool, {**question.arguments, question.missing: value})
    if asks or question.again:
        return None
    return _ask(turn, tool, attrs.evolve(question, again=True))


def _use(turn: Turn, tool: Mapping[str, Any]) -> Answer:
    return _call_or_ask(turn, tool, arguments_in(Heard(turn.said, turn.now), tool))


def _call_or_ask(turn: Turn, tool: Mapping[str, Any], arguments: Mapping[str, Any]) -> Answer:
    missing = next((name for name in required(tool) if name not in arguments), None)
    if missing is not None:
        return _ask(turn, tool, Question(str(tool["name"]), arguments, missing))
    given = [f"{' '.join(name_words(name)) or name} {_shown(value)}" for name, value in arguments.items()]
    with_them = f", with {spoken_list(given)}" if given else ""
    name = human_name(str(tool["name"]))
    memory = attrs.evolve(turn.memory, question=None)
    return Answer(f"Let me ask {name}{with_them}.", memory, CallTool(str(tool["name"]), arguments))


def _ask(turn: Turn, tool: Mapping[str, Any], question: Question) -> Answer:
    schema = tool["parameters"]["properties"][question.missing]
    schema = schema if isinstance(schema, Mapping) else {}
    what = " ".join(name_words(question.missing)) or "value"
    choices = schema.get("enum")
    if isinstance(choices, list) and 0 < len(choices) <= 6:
        hint = f" It can be {spoken_list([_shown(one) for one in choices]).replace(' and ', ' or ')}."
    elif schema.get("type") in ("integer", "number"):
        hint = " It is a number."
    else:
        description = plain(str(schema.get("description", "")))
        hint = f" That is: {quotable(description, 12)}." if description and description != what else ""
    text = f"For {human_name(question.tool)} I need the {what}. What is it?{hint}"
    return Answer(text, attrs.evolve(turn.memory, question=question))


def _shown(value: object) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case list():
            return spoken_list([_shown(one) for one in value])
        case _:
            return quotable(str(value).replace("_", " "), 12)
