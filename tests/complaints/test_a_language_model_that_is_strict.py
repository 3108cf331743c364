"""A model of one's own answered with an apology: it takes turns by turns only, or numbers calls 0."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from playground.brain import CallTool
from playground.chat_completions import ChatFailed, Endpoint
from playground.chat_messages import Called, Calls, ChatEntry, Line, messages
from playground.openai_brain import APOLOGY, OpenAIBrain
from tests.playground.sse_server import FakeEndpoint, chunk, fake_endpoint, speaking, sse

FOLLOWS = {
    "user": {"assistant"},
    "assistant": {"user"},
    "assistant with calls": {"tool"},
    "tool": {"tool", "assistant", "assistant with calls"},
}
FOLLOWS["user"].add("assistant with calls")


def complaint(told: Sequence[Mapping[str, Any]]) -> str | None:
    """What Mistral's and Gemma's templates raise, put together."""
    turns = told[1:] if told and told[0]["role"] == "system" else told
    if any(turn["role"] == "system" for turn in turns):
        return "System messages are only allowed at the beginning"
    kinds = ["assistant with calls" if turn.get("tool_calls") else turn["role"] for turn in turns]
    if not kinds or kinds[0] != "user":
        return "Conversation must begin with a user turn"
    for before, after in itertools.pairwise(kinds):
        if after not in FOLLOWS[before]:
            return f"Unexpected role {after!r} after role {before!r}"
    if kinds[-1] not in ("user", "tool"):
        return "Expected last role User or Tool"
    calls = [call["id"] for turn in turns for call in turn.get("tool_calls", ())]
    if calls != [turn["tool_call_id"] for turn in turns if turn["role"] == "tool"]:
        return "Not the same number of function calls and responses"
    if not all(re.fullmatch("[a-zA-Z0-9]{9}", call) for call in calls):
        return "Tool call id must be a-z, A-Z, 0-9, with a length of 9"
    if not all(turn["content"] or turn.get("tool_calls") for turn in turns):
        return "Content must not be empty"
    return None


def strict(endpoint: FakeEndpoint, *answers: Sequence[bytes]) -> None:
    """Has the endpoint answer so, and with HTTP 400 whatever its template does not take."""
    left = list(answers)

    def answer() -> Sequence[bytes]:
        wrong = complaint(endpoint.asked[-1].body["messages"])
        endpoint.status = 200 if wrong is None else 400
        return left.pop(0) if wrong is None else [json.dumps({"error": {"message": wrong}}).encode()]

    endpoint.answers = [answer]


def calling(*calls: Mapping[str, Any]) -> list[bytes]:
    return [*(chunk(tool_calls=[call]) for call in calls), chunk("tool_calls"), sse("[DONE]")]


async def test_a_whole_conversation_is_taken_by_a_model_that_is_strict() -> None:
    two = calling(
        {"index": 0, "id": "a", "function": {"name": "weather", "arguments": '{"in": "Rome"}'}},
        {"index": 0, "id": "b", "function": {"name": "weather", "arguments": '{"in": "Oslo"}'}},
    )
    async with fake_endpoint() as endpoint:
        strict(endpoint, two, *[speaking("Fine.")] * 5)
        brain = OpenAIBrain(Endpoint(endpoint.url, model="strict"))
        brain.prompt("You are brief.")
        brain.heard_of_me("Hello!", interrupted=False)
        brain.remember("user", "I am in Rome.")
        brain.remember("system", "The person has paid.")
        calls = [thought async for thought in brain.answer("The weather here, and in Oslo?")]
        said: list[Any] = []
        for call in calls:
            assert isinstance(call, CallTool)
            said += [thought async for thought in brain.tool_returned(call, "Sun.", is_error=False)]
        brain.heard_of_me("Fine.", interrupted=True)
        said += [thought async for thought in brain.instruct("Say goodbye.")]
        brain.heard_of_me("Fine.", interrupted=False)
        said += [thought async for thought in brain.instruct("Say it again.")]
        said += [thought async for thought in brain.answer("Bye.")]
    assert [call.arguments for call in calls if isinstance(call, CallTool)] == [
        {"in": "Rome"},
        {"in": "Oslo"},
    ]
    assert APOLOGY not in said
    assert said == ["Fine."] * 5
    last = endpoint.asked[-1].body["messages"]
    assert last[0] == {"role": "system", "content": "You are brief.\n\nThe person has paid."}
    assert last[-1]["content"].endswith("Bye.")


entries = st.one_of(
    st.builds(Line, st.sampled_from(["user", "assistant", "system"]), st.sampled_from(["Yes.", "No.", " "])),
    st.builds(Called, st.builds(CallTool, st.just("weather")), st.sampled_from([None, "", "Sun."])),
)


@given(st.lists(entries, max_size=12), st.sampled_from(["", "Be brief."]), st.sampled_from(["Hello?", None]))
def test_whatever_was_said_it_is_told_in_the_one_shape_that_all_take(
    history: list[ChatEntry], prompt: str, heard: str | None
) -> None:
    said = [*history, Line("user", heard)] if heard else history
    told = messages(prompt, said, None if heard else "Greet.")
    assert complaint(told) is None
    text = json.dumps(told)
    for entry in history:
        assert not isinstance(entry, Line) or entry.content.strip() in text


ONE, TWO = {"in": "Rome"}, {"in": "Oslo"}
W1, W2 = json.dumps(ONE), json.dumps(TWO)


def piece(name: str = "", arguments: str = "", **more: Any) -> dict[str, Any]:
    return {**more, "function": {"arguments": arguments, **({"name": name} if name else {})}}


SIDE_BY_SIDE = {
    "numbered": [piece("w", W1, index=0, id="a"), piece("w", W2, index=1, id="b")],
    "all 0": [piece("w", W1, index=0, id="a"), piece("w", W2, index=0, id="b")],
    "all 0, in pieces": [
        piece("w", index=0, id="a"),
        piece("", W1, index=0),
        piece("w", index=0, id="b"),
        piece("", W2[:5], index=0),
        piece("", W2[5:], index=0),
    ],
    "all 0, mixed": [
        piece("w", W1[:5], index=0, id="a"),
        piece("w", W2[:5], index=0, id="b"),
        piece("", W1[5:], index=0, id="a"),
        piece("", W2[5:], index=0, id="b"),
    ],
    "all 0, no ids": [piece("w", W1, index=0), piece("w", W2, index=0)],
    "all 0, blank ids": [piece("w", W1, index=0, id=""), piece("w", W2, index=0, id=None)],
    "no numbers": [piece("w", W1), piece("w", W2)],
    "no numbers, in pieces": [piece("w"), piece("", W1), piece("w"), piece("", W2)],
    "the name each time": [
        piece("w", W1[:5], index=0),
        piece("w", W1[5:], index=0),
        piece("w", W2, index=1),
    ],
}


@pytest.mark.parametrize("pieces", SIDE_BY_SIDE.values(), ids=SIDE_BY_SIDE)
def test_tools_that_are_called_side_by_side_are_told_apart(pieces: list[dict[str, Any]]) -> None:
    for at_once in (True, False):
        calls = Calls()
        for part in [pieces] if at_once else [[each] for each in pieces]:
            calls.take(part)
        assert [call.arguments for call in calls.complete()] == [ONE, TWO]


@pytest.mark.parametrize(
    "pieces", [["x"], [{"function": 1}], [piece("", "{}")], [piece(f"w{n}", "{}") for n in range(9)]]
)
def test_what_is_no_call_is_none(pieces: list[Any]) -> None:
    with pytest.raises(ChatFailed):
        Calls().take(pieces)
