"""Tools in the small dialogue: which is called, with what was really said, and how results are told."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pytest
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from playground.dialogue import Dialogue
from playground.dialogue.table import answer
from playground.dialogue.tool_results import spoken_result
from playground.dialogue.turn import Memory, Turn
from playground.ears import SpeechOnset, TurnEnded
from playground.voice_agent_api import ServerOptions, ToneSpeech, VoiceAgentServer
from tests.playground.caller import calling

NOW = datetime(2026, 11, 3, 8, 5)


def tool(tool_name: str, description: str, required: list[str], **properties: object) -> dict[str, Any]:
    parameters = {"type": "object", "properties": properties, "required": required}
    return {"type": "function", "name": tool_name, "description": description, "parameters": parameters}


TEXT = {"type": "string"}
TOOLS = (
    tool(
        "get_weather",
        "Current weather in a city.",
        ["city"],
        city=TEXT,
        unit={"type": "string", "enum": ["celsius", "fahrenheit"]},
    ),
    tool("order_status", "The status of an order.", ["order_id"], order_id=TEXT),
    tool(
        "book_table",
        "Books a table at the restaurant.",
        ["people", "date", "time"],
        people={"type": "integer"},
        date={"type": "string", "format": "date"},
        time=TEXT,
        outside={"type": "boolean"},
        name=TEXT,
    ),
    tool(
        "set_light",
        "Switches a light on or off.",
        ["room", "state"],
        room={"type": "string", "enum": ["kitchen", "living_room"]},
        state={"type": "string", "enum": ["on", "off"]},
    ),
    tool("sendMessage", "Sends a message to a contact.", ["contact", "text"], contact=TEXT, text=TEXT),
    tool(
        "find_part", "Finds a spare part.", ["code"], code={"type": "string", "pattern": "[A-Z]{2}-[0-9]{3}"}
    ),
    tool("shuffle_songs", "Plays music.", []),
)

CALLS = [
    ("What's the weather in Paris?", "get_weather", {"city": "Paris"}),
    ("weather in New York in celsius please", "get_weather", {"city": "New York", "unit": "celsius"}),
    ("Where is order 4471?", "order_status", {"order_id": "4471"}),
    ("What is the status of my order A17-B?", "order_status", {"order_id": "A17-B"}),
    (
        "Book a table for four people tomorrow at seven pm",
        "book_table",
        {"people": 4, "date": "2026-11-04", "time": "19:00"},
    ),
    (
        "I want to book a table outside on December 24th for 2 people at 18:30",
        "book_table",
        {"people": 2, "date": "2026-12-24", "time": "18:30", "outside": True},
    ),
    ("Turn the kitchen light on.", "set_light", {"room": "kitchen", "state": "on"}),
    ("Switch off the lights in the living room", "set_light", {"room": "living_room", "state": "off"}),
    ("Send a message to Anna saying I am late", "sendMessage", {"contact": "Anna", "text": "I am late"}),
    ("Find part A B one two three", "find_part", {"code": "AB-123"}),
    ("Shuffle some songs", "shuffle_songs", {}),
]


@pytest.mark.parametrize(("said", "name", "arguments"), CALLS, ids=[said for said, _, _ in CALLS])
def test_a_tool_that_fits_is_called_with_what_was_said(
    said: str, name: str, arguments: Mapping[str, Any]
) -> None:
    call = answer(Turn(said, Memory(tools=TOOLS), NOW)).call
    assert call is not None
    assert (call.name, call.arguments) == (name, arguments)


@pytest.mark.parametrize(
    "said",
    ["What time is it?", "Hello.", "What is 3 times 4?", "My name is Anton.", "Tell me a story.", "Stop."],
)
def test_what_fits_no_tool_is_answered_as_before(said: str) -> None:
    with_tools, without = (answer(Turn(said, Memory(tools=tools), NOW)) for tools in (TOOLS, ()))
    assert with_tools.call is None
    assert with_tools.sentences == without.sentences


def conversation(*said: str) -> list[str]:
    """What comes of some turns: a call as it is made, or what is said."""
    memory, came = Memory(tools=TOOLS), []
    for turn in said:
        given_answer = answer(Turn(turn, memory, NOW))
        memory = given_answer.memory or memory
        call = given_answer.call
        came.append(
            " ".join(given_answer.sentences) if call is None else f"{call.name} {dict(call.arguments)}"
        )
    return came


def test_what_a_tool_needs_and_nobody_said_is_asked_for() -> None:
    assert conversation("How is the weather?", "In London.") == [
        "For weather I need the city. What is it?",
        "get_weather {'city': 'London'}",
    ]
    assert conversation("Book a table", "six", "next Friday", "at half past nine") == [
        "For book table I need the people. What is it? It is a number.",
        "For book table I need the date. What is it?",
        "For book table I need the time. What is it?",
        "book_table {'people': 6, 'date': '2026-11-06', 'time': 'half past nine'}",
    ]


def test_an_answer_that_cannot_be_one_is_asked_for_once_more_and_then_let_go() -> None:
    asked, again, let_go = conversation("Turn on the light", "banana", "banana")
    assert "It can be kitchen or living room." in asked
    assert again == asked
    assert let_go.startswith('I heard "')


def test_a_question_in_between_is_answered_and_ends_the_asking() -> None:
    _, time, after = conversation("Turn on the light", "What time is it?", "kitchen")
    assert time == "It is 8:05 AM."
    assert after.startswith('I heard "')


def test_never_mind_ends_the_asking() -> None:
    assert conversation("Turn on the light", "Never mind.", "kitchen")[1] == "Okay."


@pytest.mark.parametrize(
    ("result", "said"),
    [
        ('{"state": "shipped", "eta": "tomorrow"}', "Order status says: state shipped, eta tomorrow."),
        ("It is on its way.", "Order status says: It is on its way."),
        ('{"answer": "On its way"}', "Order status says: On its way."),
        ('[{"item": "cup"}, {"item": "plate"}]', "Order status says: item cup and item plate."),
        ("true", "Order status says: yes."),
        ("", "Order status is done."),
        ("null", "Order status is done."),
    ],
)
def test_results_are_told_plainly(result: str, said: str) -> None:
    assert spoken_result("get_order_status", result, is_error=False) == said


def test_a_tool_that_failed_is_told_as_one() -> None:
    assert (
        spoken_result("get_weather", '{"message": "no such city"}', is_error=True)
        == "I am sorry, weather failed. It said: no such city."
    )


def seconds_to_answer(pattern: str) -> float:
    """The quickest of three."""
    code = {"type": "string", "pattern": pattern}
    memory = Memory(tools=(tool("find_part", "Finds a spare part.", ["code"], code=code),))
    took = []
    for _ in range(3):
        begun = time.perf_counter()
        said = " ".join(answer(Turn(f"Find part {'a' * 20}1", memory, NOW)).sentences)
        took.append(time.perf_counter() - begun)
        assert said.startswith("For part I need the code.")
    return min(took)


@pytest.mark.parametrize("pattern", ["(a+)+", "(a|a)+", "a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a{20}"])
def test_a_pattern_that_tries_a_million_ways_does_not_keep_the_person_waiting(pattern: str) -> None:
    assert seconds_to_answer(pattern) < 20 * seconds_to_answer("[b-z]{2}-[0-9]{3}")


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=8)
    | st.sampled_from(["string", "integer", "date", "["]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["type", "enum", "examples", "format", "pattern", "items", "description", "city", "n"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(
    st.dictionaries(st.sampled_from(["city", "people", "date", "", "x"]), JSON, max_size=4),
    JSON,
    JSON,
    st.text(max_size=60),
)
def test_any_declaration_gets_an_answer_that_can_be_said(
    properties: dict[str, Any], required: Any, description: Any, said: str
) -> None:
    parameters = {"type": "object", "properties": properties, "required": required}
    declared = {"name": "order_status", "description": str(description), "parameters": parameters}
    memory = Memory(tools=(declared,))
    for turn in (f"order status {said}", said, "four in Paris tomorrow"):
        given_answer = answer(Turn(turn, memory, NOW))
        assert any(letter.isalnum() for letter in "".join(given_answer.sentences))
        memory = given_answer.memory or memory


@given(st.text(max_size=200) | st.from_regex(r"[\[{\"0-9a-z:,\]}]{0,40}"), st.booleans())
def test_any_result_can_be_told(result: str, failed: bool) -> None:
    assert any(letter.isalnum() for letter in spoken_result("order_status", result, is_error=failed))


def a_server() -> VoiceAgentServer:
    return VoiceAgentServer(ServerOptions(speech=ToneSpeech, brain=lambda: Dialogue(lambda: NOW)))


DECLARED = [
    {**tool("order_status", "The status of an order.", ["order_id"], order_id=TEXT), "timeout_seconds": 5},
]


async def asks(server: VoiceAgentServer, text: str) -> None:
    await server.hear(SpeechOnset())
    await server.hear(TurnEnded(text))


async def test_a_tool_is_called_inside_a_reply_and_its_result_is_another(
    autojump_clock: trio.testing.MockClock,
) -> None:
    server = a_server()
    async with calling(server) as caller:
        await caller.start(tools=DECLARED)
        await asks(server, "Where is order 4471?")
        call = await caller.until("tool.call")
        await caller.send("tool.result", call_id=call["call_id"], result='{"state": "shipped"}')
        await caller.until("reply.done", 2)
    assert call["name"] == "order_status"
    assert call["arguments"] == {"order_id": "4471"}
    kinds = [
        kind for kind in caller.types if not kind.startswith(("session", "reply.audio", "transcript.agent"))
    ]
    assert kinds[-5:] == ["reply.started", "tool.call", "reply.done", "reply.started", "reply.done"]
    said = [event["text"] for event in caller.of("transcript.agent")]
    assert said == ["Let me ask order status, with order id 4471.", "Order status says: state shipped."]


async def test_a_tool_that_takes_too_long_is_apologised_for_and_its_late_result_ignored(
    autojump_clock: trio.testing.MockClock,
) -> None:
    server = a_server()
    async with calling(server) as caller:
        await caller.start(tools=DECLARED)
        await asks(server, "Where is order 4471?")
        call = await caller.until("tool.call")
        await caller.until("reply.done", 2)
        await caller.send("tool.result", call_id=call["call_id"], result="late")
        await trio.sleep(10)
    assert caller.times("reply.started")[1] - caller.times("tool.call")[0] == pytest.approx(5, abs=0.1)
    assert [event["text"] for event in caller.of("transcript.agent")][1:] == [
        "I am sorry, order status failed. It said: it gave no answer within 5 seconds."
    ]


async def test_a_result_does_not_talk_over_the_person(autojump_clock: trio.testing.MockClock) -> None:
    server = a_server()
    async with calling(server) as caller:
        await caller.start(tools=DECLARED)
        await asks(server, "Where is order 4471?")
        call = await caller.until("tool.call")
        await caller.until("reply.done")
        await server.hear(SpeechOnset())
        await caller.send("tool.result", call_id=call["call_id"], result="shipped")
        await trio.sleep(3)
        assert len(caller.of("reply.started")) == 1, "the person speaks"
        await server.hear(TurnEnded("What is two plus two?"))
        await caller.until("reply.done", 3)
    assert [event["text"] for event in caller.of("transcript.agent")][1:] == [
        "2 plus 2 is 4.",
        "Order status says: shipped.",
    ]


async def test_the_call_of_an_interrupted_reply_is_forgotten_without_an_apology(
    autojump_clock: trio.testing.MockClock,
) -> None:
    server = a_server()
    async with calling(server) as caller:
        await caller.start(tools=DECLARED)
        await asks(server, "Where is order 4471?")
        call = await caller.until("tool.call")
        await caller.until("reply.audio", 30)
        await server.hear(SpeechOnset())
        await caller.send("tool.result", call_id=call["call_id"], result="shipped")
        await server.hear(TurnEnded("What is two plus two?"))
        await trio.sleep(20)
    assert [event["status"] for event in caller.of("reply.done")] == ["interrupted", "completed"]
    assert caller.of("transcript.agent")[-1]["text"] == "2 plus 2 is 4."


async def test_tools_can_be_changed_in_the_middle_of_a_session(
    autojump_clock: trio.testing.MockClock,
) -> None:
    server = a_server()
    async with calling(server) as caller:
        await caller.start(tools=DECLARED)
        await caller.send("session.update", session={"tools": []})
        await caller.until("session.updated", 2)
        await asks(server, "Where is order 4471?")
        await caller.until("reply.done")
    assert caller.of("tool.call") == []
