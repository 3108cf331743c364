"""The small dialogue as the server uses it: interruptions, what was typed, the prompt."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import datetime

import pytest
import trio.testing

from channels.instructions import TYPED, quoted
from playground.brain import Thought
from playground.dialogue import Dialogue
from playground.dialogue.brain import unheard
from playground.voice_agent_api import ServerOptions, ToneSpeech, VoiceAgentServer
from tests.playground.caller import calling

NOW = datetime(2026, 11, 3, 8, 5)


def a_brain() -> Dialogue:
    return Dialogue(lambda: NOW, lambda: 0.3)


async def all_of(thoughts: AsyncGenerator[Thought, None]) -> list[str]:
    return [str(thought) async for thought in thoughts]


async def says(brain: Dialogue, said: str) -> list[str]:
    """The answer, played to the end."""
    answer = await all_of(brain.answer(said))
    brain.heard_of_me(" ".join(answer), interrupted=False)
    return answer


async def says_until(brain: Dialogue, said: str, words: int) -> list[str]:
    """The answer, interrupted when so many words of it were heard."""
    answer = await all_of(brain.answer(said))
    brain.heard_of_me(" ".join(" ".join(answer).split()[:words]), interrupted=True)
    return answer


async def test_go_on_continues_with_the_sentence_that_was_cut() -> None:
    brain = a_brain()
    story = await says_until(brain, "Tell me a story.", 5 + 9)
    assert len(" ".join(story[:2]).split()) > 14 > len(story[0].split()), "it was cut in the second sentence"
    assert await says(brain, "What time is it?") == ["It is 8:05 AM."]
    assert await says(brain, "Go on.") == ["I was here.", *story[1:]]
    assert "not in the middle of anything" in " ".join(await says(brain, "Go on."))


async def test_go_on_can_be_interrupted_again() -> None:
    brain = a_brain()
    story = await says_until(brain, "Tell me a story.", 60)
    first = await says_until(brain, "continue", 3)
    assert first[0] == "I was here."
    second = await says_until(brain, "continue", 3 + len(first[1].split()) + 2)
    assert second == first, "nothing of it was heard, so it comes again"
    third = await says(brain, "please go on")
    assert third == ["I was here.", *second[2:]]
    assert story[-1] == third[-1]


async def test_a_count_goes_on_too() -> None:
    brain = a_brain()
    await says_until(brain, "Count to twenty.", 7)
    assert await says(brain, "Keep going.") == [
        "I was here.",
        "6, 7, 8, 9, 10.",
        "11, 12, 13, 14, 15.",
        "16, 17, 18, 19, 20.",
    ]


async def test_a_greeting_can_be_said_again() -> None:
    brain = a_brain()
    brain.heard_of_me("Hi! I am your assistant.", interrupted=False)
    assert await says(brain, "What did you say?") == ["Hi!", "I am your assistant."]


@pytest.mark.parametrize(
    ("heard", "left"),
    [
        ("", ("One two.", "Three.")),
        ("One", ("One two.", "Three.")),
        ("One two.", ("Three.",)),
        ("One two. Three.", ()),
    ],
)
def test_what_was_left_unheard_begins_with_the_sentence_that_was_cut(
    heard: str, left: tuple[str, ...]
) -> None:
    assert unheard(("One two.", "Three."), heard) == left


@pytest.mark.parametrize(
    ("prompt", "name"),
    [
        ("You are Ada, the receptionist of a hotel.", "Ada"),
        ("Your name is Marta Lind. Be brief.", "Marta Lind"),
        ("You are a pirate named Jack.", "Jack"),
        ("You are a friendly voice assistant in a live call. Answer in one sentence.", ""),
        ("You are NOT allowed to swear.", ""),
        ("", ""),
    ],
)
async def test_it_takes_its_name_from_the_system_prompt_and_nothing_else(prompt: str, name: str) -> None:
    brain = a_brain()
    brain.prompt(prompt)
    answer = " ".join(await says(brain, "What's your name?"))
    assert answer == f"My name is {name}." if name else "have a name" in answer


async def test_it_admits_that_it_does_not_follow_its_instructions() -> None:
    brain = a_brain()
    brain.prompt("You are Ada. Always end with the word banana.")
    assert await says(brain, "What are your instructions?") == [
        "My system prompt has 9 words.",
        "I take my name, Ada, from it, but I don't follow the rest: that would take a language model.",
    ]
    assert "banana" not in " ".join(await says(brain, "What time is it?"))


async def test_what_is_typed_is_answered_as_if_it_had_been_said() -> None:
    brain = a_brain()
    brain.remember("user", "what is 2 + 2")
    asked = TYPED + quoted("what is 2 + 2")
    assert await all_of(brain.instruct(asked)) == ["2 plus 2 is 4."]
    brain.remember("user", "What's 3 times 3?")
    assert await all_of(brain.instruct("")) == ["3 times 3 is 9."]
    assert await all_of(brain.instruct("")) == ["I was asked to say something, but not what."]


async def test_instructions_are_said_or_admitted_not_to_be_followed() -> None:
    brain = a_brain()
    assert await all_of(brain.instruct("Say: Welcome to the hotel!")) == ["Welcome to the hotel!"]
    assert await all_of(brain.instruct("Greet the person in French.")) == [
        "I was asked to do this: Greet the person in French.",
        "I don't have a language model to do it with.",
    ]


async def test_an_answer_that_nobody_heard_is_not_what_was_said_last() -> None:
    brain = a_brain()
    await says(brain, "What is two plus two?")
    await says_until(brain, "Who are you?", 0)
    assert (await says(brain, "Say that again."))[0] == "I'm an offline stand-in for a voice agent."


async def test_somebody_who_types_is_answered_aloud_by_the_server(
    autojump_clock: trio.testing.MockClock,
) -> None:
    server = VoiceAgentServer(ServerOptions(speech=ToneSpeech, brain=a_brain))
    async with calling(server) as caller:
        await caller.start(system_prompt="You are Ada.")
        typed = "who are you"
        await caller.send("conversation.message", role="user", content=typed)
        asked = TYPED + quoted(typed)
        await caller.send("reply.create", instructions=asked)
        await caller.until("reply.done")
    assert caller.of("transcript.agent")[0]["text"].startswith("I'm Ada, an offline stand-in")
