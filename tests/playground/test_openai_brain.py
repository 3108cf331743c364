"""A language model as the brain, over real HTTP: what it is told, what is said, and how it fails."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from typing import Any

import attrs
import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from channels.errors import SettingsError
from channels.secret import Secret
from playground.brain import CallTool, Thought
from playground.chat_completions import Endpoint, Patience, read_endpoint
from playground.ears import SpeechOnset, TurnEnded
from playground.openai_brain import APOLOGY, APOLOGY_IN_THE_MIDDLE, OpenAIBrain, SentenceSplitter
from playground.voice_agent_api import ServerOptions, ToneSpeech, voice_agent_server
from tests.playground.caller import on_the_line
from tests.playground.sse_server import FakeEndpoint, chunk, fake_endpoint, speaking, sse

KEY = "sk-a-key-that-must-not-be-seen"


def a_brain(endpoint: FakeEndpoint, **settings: Any) -> OpenAIBrain:
    return OpenAIBrain(Endpoint(endpoint.url, **({"model": "tiny"} | settings)))


async def all_of(thoughts: AsyncGenerator[Thought, None]) -> list[Thought]:
    with trio.fail_after(60):
        return [thought async for thought in thoughts]


def told(endpoint: FakeEndpoint) -> list[tuple[str, str]]:
    """The messages of the latest request."""
    return [(message["role"], message["content"]) for message in endpoint.asked[-1].body["messages"]]


async def test_sentences_are_said_while_the_model_is_still_writing() -> None:
    pieces, written = speaking("First this. Then that. And " + "word " * 20 + "end."), list[bytes]()

    def write() -> Iterator[bytes]:
        for piece in pieces:
            written.append(piece)
            yield piece

    async with fake_endpoint(pause_s=0.02) as endpoint:
        endpoint.answers = [write]
        came = [(sentence, len(written)) async for sentence in a_brain(endpoint).answer("Hello?")]
    assert [sentence for sentence, _ in came][:2] == ["First this.", "Then that."]
    assert came[0][1] < len(pieces) / 2, "the first sentence does not wait for the last word"


async def test_the_system_prompt_and_what_was_heard_are_what_the_model_reads() -> None:
    async with fake_endpoint(speaking("It is a long story. It begins in winter.")) as endpoint:
        brain = a_brain(endpoint)
        brain.prompt("You are a pirate.")
        brain.heard_of_me("Ahoy!", interrupted=False)
        await all_of(brain.answer("Tell me a story."))
        brain.heard_of_me("It is a long", interrupted=True)
        await all_of(brain.answer("Shorter!"))
    assert told(endpoint) == [
        ("system", "You are a pirate."),
        ("user", "(The call begins.)"),
        ("assistant", "Ahoy!"),
        ("user", "Tell me a story."),
        ("assistant", "It is a long"),
        ("user", "Shorter!"),
    ]
    assert endpoint.asked[-1].body["model"] == "tiny"
    assert endpoint.asked[-1].path == "/v1/chat/completions"


async def test_what_was_typed_and_instructions_for_one_reply_reach_the_model() -> None:
    async with fake_endpoint() as endpoint:
        brain = a_brain(endpoint)
        brain.remember("user", "I like tea.")
        await all_of(brain.instruct("Answer in French."))
        instructions = "(For your next answer, and not said by the person: Answer in French.)"
        assert told(endpoint) == [("user", f"I like tea.\n{instructions}")]
        brain.heard_of_me("Oui.", interrupted=False)
        await all_of(brain.answer("And coffee?"))
    assert told(endpoint) == [("user", "I like tea."), ("assistant", "Oui."), ("user", "And coffee?")]


async def test_somebody_who_interrupts_stops_the_model_too() -> None:
    async with fake_endpoint(speaking("One. " * 3000), pause_s=0.001) as endpoint:
        answer = a_brain(endpoint).answer("Count.")
        assert await answer.__anext__() == "One."
        await answer.aclose()
        with trio.fail_after(60):
            await endpoint.closed.wait()


FAILURES: list[tuple[str, dict[str, Any], list[bytes], str]] = [
    ("HTTP 500", {"status": 500}, [b"oops"], "HTTP 500"),
    (
        "an explained 404",
        {"status": 404},
        [b'{"error":{"message":"model tiny not found"}}'],
        "model tiny not found",
    ),
    ("nonsense for HTTP", {"raw": b"SSH-2.0-OpenSSH\r\n\r\n"}, [], "does not speak HTTP"),
    ("nonsense with the key in it", {"raw": f"Bearer {KEY}\r\n\r\n".encode()}, [], "does not speak HTTP"),
    ("nothing at all", {"raw": b""}, [], "hung up"),
    ("a web page", {}, [b"<html><body>Welcome!</body></html>"], "not a chat completion"),
    ("data that is no JSON", {}, [sse("{{{")], "not JSON"),
    ("JSON that is no completion", {}, [sse("[1, 2]")], "not a chat completion"),
    ("an error in the stream", {}, [sse('{"error": {"message": "out of memory"}}')], "out of memory"),
    ("no words", {}, speaking(""), "said nothing"),
    ("a line without end", {}, [b"data: " + b"x" * 3_000_000], "does not end"),
    ("silence", {"hangs": True}, [], "takes too long"),
]


@pytest.mark.parametrize(
    ("settings", "answer", "why"), [row[1:] for row in FAILURES], ids=[row[0] for row in FAILURES]
)
async def test_every_failure_is_one_honest_sentence_and_a_line_in_the_log(
    settings: dict[str, Any], answer: list[bytes], why: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with fake_endpoint(answer, **settings) as endpoint:
        # Whoever waits too long is told of that, and of nothing else.
        patience = Patience(1, 0.5, 2) if endpoint.hangs else Patience(30, 30, 60)
        brain = a_brain(endpoint, key=Secret(KEY), patience=patience)
        with caplog.at_level(logging.WARNING):
            assert await all_of(brain.answer("Hello?")) == [APOLOGY]
    assert len(caplog.records) == 1
    assert why in caplog.text
    assert KEY not in caplog.text


async def test_an_endpoint_that_is_not_there_is_told(caplog: pytest.LogCaptureFixture) -> None:
    async with fake_endpoint() as endpoint:
        brain = a_brain(endpoint)
    assert await all_of(brain.answer("Hello?")) == [APOLOGY]
    assert "cannot be reached" in caplog.text


async def test_a_model_that_trickles_for_ever_is_given_up() -> None:
    async with fake_endpoint([b": still here\n"] * 10_000, pause_s=0.05) as endpoint:
        brain = a_brain(endpoint, patience=Patience(1, 0.5, 1.0))
        began = time.monotonic()
        assert await all_of(brain.answer("Hello?")) == [APOLOGY]
    assert time.monotonic() - began < 60


async def test_an_answer_that_breaks_off_keeps_what_was_said_and_the_model_never_reads_the_apology() -> None:
    async with fake_endpoint(speaking("The first part. The sec")[:-2], speaking("Well.")) as endpoint:
        brain = a_brain(endpoint)
        said = [str(sentence) for sentence in await all_of(brain.answer("Go."))]
        assert said == ["The first part.", "The sec", APOLOGY_IN_THE_MIDDLE]
        brain.heard_of_me(" ".join(said), interrupted=False)
        assert await all_of(brain.answer("Again?")) == ["Well."]
    assert told(endpoint) == [("user", "Go."), ("assistant", "The first part. The sec"), ("user", "Again?")]


async def test_the_key_is_sent_and_a_complaint_that_quotes_it_is_not_logged_with_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    complaint = json.dumps({"error": {"message": f"Incorrect API key provided: {KEY}"}}).encode()
    async with fake_endpoint([complaint], status=401) as endpoint:
        await all_of(a_brain(endpoint, key=Secret(KEY)).answer("Hello?"))
    assert endpoint.asked[0].headers["authorization"] == f"Bearer {KEY}"
    assert "Incorrect API key" in caplog.text
    assert KEY not in caplog.text


async def test_without_a_key_none_is_sent() -> None:
    async with fake_endpoint() as endpoint:
        await all_of(a_brain(endpoint).answer("Hello?"))
    assert "authorization" not in endpoint.asked[0].headers


async def test_the_first_model_that_is_listed_is_asked_if_none_was_named() -> None:
    listed = [b'{"object":"list","data":[{"id":"llama"},{"id":"other"}]}']
    async with fake_endpoint(listed, speaking("Hello.")) as endpoint:
        brain = a_brain(endpoint, model=None)
        assert await all_of(brain.answer("Hello?")) == ["Hello."]
        await all_of(brain.answer("Hello again?"))
    assert [asked.path for asked in endpoint.asked] == ["/v1/models", *["/v1/chat/completions"] * 2]
    assert endpoint.asked[-1].body["model"] == "llama"


async def test_an_endpoint_that_does_not_stream_is_understood_too() -> None:
    whole = {
        "choices": [
            {"message": {"role": "assistant", "content": "All at once. Really."}, "finish_reason": "stop"}
        ]
    }
    async with fake_endpoint([json.dumps(whole).encode()]) as endpoint:
        assert await all_of(a_brain(endpoint).answer("Hello?")) == ["All at once.", "Really."]


ORDER_STATUS = {
    "type": "function",
    "name": "order_status",
    "description": "Status of an order.",
    "parameters": {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]},
    "timeout_seconds": 120,
}


def calling_a_tool(*pieces: str) -> list[bytes]:
    first = {"index": 0, "id": "x", "type": "function", "function": {"name": "order_status", "arguments": ""}}
    rest = [{"index": 0, "function": {"arguments": piece}} for piece in pieces]
    return [*(chunk(tool_calls=[call]) for call in (first, *rest)), chunk("tool_calls"), sse("[DONE]")]


async def test_the_model_calls_tools_and_reads_their_results() -> None:
    async with fake_endpoint(calling_a_tool('{"id": "44', '71"}'), speaking("It has shipped.")) as endpoint:
        brain = a_brain(endpoint)
        brain.offer([ORDER_STATUS])
        [call] = await all_of(brain.answer("Where is order 4471?"))
        assert isinstance(call, CallTool)
        assert (call.name, call.arguments) == ("order_status", {"id": "4471"})
        assert await all_of(brain.tool_returned(call, '{"state":"shipped"}', is_error=False)) == [
            "It has shipped."
        ]
    first, second = endpoint.asked
    assert first.body["tools"][0]["function"]["name"] == "order_status"
    assert "timeout_seconds" not in json.dumps(first.body)
    asked, called, returned = second.body["messages"]
    assert asked["content"] == "Where is order 4471?"
    assert called["tool_calls"][0]["id"] == returned["tool_call_id"]
    assert returned["content"] == '{"state":"shipped"}'


async def test_a_call_that_was_never_answered_does_not_spoil_the_next_request() -> None:
    async with fake_endpoint(calling_a_tool("{}"), speaking("As you like.")) as endpoint:
        brain = a_brain(endpoint)
        await all_of(brain.answer("Where is my order?"))
        await all_of(brain.answer("Forget it."))
    assert [message["role"] for message in endpoint.asked[-1].body["messages"]] == [
        "user",
        "assistant",
        "tool",
        "assistant",
        "user",
    ]


async def test_a_call_with_arguments_that_are_no_json_is_not_made() -> None:
    async with fake_endpoint(calling_a_tool('{"id": ')) as endpoint:
        assert await all_of(a_brain(endpoint).answer("Where is my order?")) == [APOLOGY]


async def test_a_spoken_turn_is_answered_by_the_model_through_the_real_server() -> None:
    async with fake_endpoint(speaking("Good day to you. How can I help?")) as endpoint:
        options = ServerOptions(speech=ToneSpeech, brain=lambda: a_brain(endpoint))
        async with (
            voice_agent_server(options) as server,
            await trio.open_tcp_stream("127.0.0.1", int(server.url.split(":")[2].split("/")[0])) as stream,
            on_the_line(stream) as caller,
        ):
            await caller.start(system_prompt="Be polite.")
            await server.hear(SpeechOnset())
            await server.hear(TurnEnded("Hello"))
            await caller.until("reply.done")
    assert caller.of("transcript.agent")[0]["text"] == "Good day to you. How can I help?"
    assert told(endpoint) == [("system", "Be polite."), ("user", "Hello")]


@pytest.mark.parametrize(
    "found",
    [
        {"OPENAI_BASE_URL": "http://example.org/v1", "OPENAI_API_KEY": KEY},
        {"OPENAI_BASE_URL": "http://127.0.0.1.example.org/v1", "OPENAI_API_KEY": KEY},
        {"OPENAI_BASE_URL": "ftp://127.0.0.1/v1"},
        {"OPENAI_BASE_URL": "127.0.0.1:11434"},
        {"OPENAI_BASE_URL": f"https://{KEY}@example.org/v1"},
        {"OPENAI_BASE_URL": f"https://example.org/v1?key={KEY}"},
        {"OPENAI_BASE_URL": "http://[::1/v1"},
        {"OPENAI_BASE_URL": "http://127.0.0.1:99999999/v1"},
        {"OPENAI_BASE_URL": "https://example.org/v1", "OPENAI_API_KEY": f"{KEY}\r\nX: y"},
    ],
)
def test_settings_that_are_wrong_or_would_show_the_key_are_refused_without_quoting_it(
    found: dict[str, str],
) -> None:
    with pytest.raises(SettingsError) as refused:
        read_endpoint(found)
    assert KEY not in str(refused.value)


def test_settings_that_are_right_are_taken() -> None:
    assert read_endpoint({"OPENAI_BASE_URL": " "}) is None
    assert read_endpoint({"OPENAI_BASE_URL": "http://192.168.1.5:11434/v1/"}) == Endpoint(
        "http://192.168.1.5:11434/v1"
    )
    for url in (
        "https://example.org/v1",
        "http://localhost:1/v1",
        "http://[::1]:1/v1",
        "http://127.0.0.1/v1",
    ):
        endpoint = read_endpoint({"OPENAI_BASE_URL": url, "OPENAI_API_KEY": KEY, "OPENAI_MODEL": "m"})
        assert endpoint == Endpoint(url, Secret(KEY), "m")
        assert KEY not in repr(endpoint)


def cut(*pieces: str) -> list[str]:
    scissors = SentenceSplitter()
    return [sentence for piece in pieces for sentence in scissors.feed(piece)] + scissors.end()


def test_a_stream_is_cut_where_sentences_end() -> None:
    assert cut("Hello", " there. I", " am at 5 p.m", ". sharp.\n- **Milk**", "\n- Eggs") == [
        "Hello there.",
        "I am at 5 p.m. sharp.",
        "- Milk",
        "- Eggs",
    ]


def test_what_a_model_only_thinks_is_not_said() -> None:
    assert cut("<thi", "nk>Hm. The person. Greets.</th", "ink>\n\nHello. You.") == ["Hello.", "You."]
    assert cut("Well. <think>Hm. Hm.", " Hm.</think> Yes.") == ["Well.", "Yes."]
    assert cut("<think>Hm. And it never ends.") == []


@given(st.text(), st.integers(1, 5))
def test_however_the_text_is_cut_into_pieces_the_sentences_are_the_same(text: str, size: int) -> None:
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    assert "".join("".join(cut(*pieces)).split()) == "".join("".join(cut(text)).split())


async def test_a_turn_that_is_taken_back_is_told_to_the_model_once() -> None:
    async with fake_endpoint() as endpoint:
        brain = a_brain(endpoint)
        brain.answer("Examine me")
        brain.take_back()
        await all_of(brain.answer("Examine me on attention"))
    assert told(endpoint) == [("user", "Examine me on attention")]


async def test_a_call_that_nobody_made_is_taken_back_with_its_turn() -> None:
    async with fake_endpoint(calling_a_tool('{"id": "4471"}'), speaking("Nobody.")) as endpoint:
        brain = a_brain(endpoint)
        brain.offer([ORDER_STATUS])
        assert isinstance((await all_of(brain.answer("What is")))[0], CallTool)
        brain.remember("system", "Ada has come.")
        brain.take_back()
        await all_of(brain.answer("What is there?"))
    assert told(endpoint) == [("system", "Ada has come."), ("user", "What is there?")]


@attrs.frozen
class Deciding(Endpoint):
    """Calls a tool, once it may."""

    may: trio.Event = attrs.field(factory=trio.Event)
    told: list[Sequence[Mapping[str, Any]]] = attrs.field(factory=list)

    async def stream(
        self, model: str, messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]]
    ) -> AsyncGenerator[Mapping[str, Any], None]:
        self.told.append(messages)
        await self.may.wait()
        yield {"tool_calls": [{"index": 0, "id": "1", "function": {"name": "order_status"}}]}

    def roles_told(self) -> list[str]:
        return [message["role"] for message in self.told[-1]]


async def test_a_turn_that_is_taken_back_while_its_last_bytes_arrive_leaves_no_call() -> None:
    endpoint = Deciding("http://localhost", model="tiny")
    brain = OpenAIBrain(endpoint)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(all_of, brain.answer("What is"))
        await trio.testing.wait_all_tasks_blocked()
        endpoint.may.set()
        brain.take_back()
    await all_of(brain.answer("What is there?"))
    assert endpoint.roles_told() == ["user"]


async def test_a_call_of_the_turn_before_is_not_taken_back() -> None:
    endpoint = Deciding("http://localhost", model="tiny")
    brain = OpenAIBrain(endpoint)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(all_of, brain.answer("Look it up"))
        await trio.testing.wait_all_tasks_blocked()
        brain.answer("And")
        endpoint.may.set()
    brain.take_back()
    await all_of(brain.answer("And then?"))
    assert endpoint.roles_told() == ["user", "assistant", "tool", "assistant", "user"]
