"""The whole of it, as somebody without an account meets it: `python runner.py` with an empty environment."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from actors.filler.sound import TONE_HZ
from bench.guest import Guest, join_as_guest
from tests.agent_process import run_agent
from tests.playground.sse_server import fake_endpoint, speaking
from tests.talk import answer_to

pytestmark = [pytest.mark.server, pytest.mark.slow]


@asynccontextmanager
async def on_this_machine(folder: Path, *arguments: str, **settings: str) -> AsyncIterator[Guest]:
    """A guest in the agent's room, when the greeting is over."""
    async with (
        run_agent(settings, *arguments, folder=folder) as agent,
        join_as_guest(await agent.way_in(), "", "") as guest,
    ):
        await guest.hear_sound(within_s=60)
        await guest.hear_silence(for_s=0.8, within_s=60)
        yield guest


async def test_a_sum_is_answered_by_voice_and_a_soft_tone_is_heard_while_a_slow_function_of_ones_own_runs(
    tmp_path: Path,
) -> None:
    (tmp_path / "library.py").write_text(
        '''
import trio


async def library_hours(day: str) -> str:
    """The opening hours of the library on a day.

    Args:
        day: of the week.
    """
    await trio.sleep(5)
    return f"On {day} it is open from nine to five."
'''
    )
    arguments = ("--tools", "library.py", "--set", "tools.filler=tone")
    async with on_this_machine(tmp_path, *arguments) as guest:
        await answer_to(
            guest, "What is twelve times seven?", lambda words: "eighty four" in words or "84" in words
        )
        _, heard = await answer_to(
            guest, "What are the library hours on Monday?", are_the_hours_of_monday, silence_s=3
        )
    pure = [is_pure_tone(heard[at : at + 4800]) for at in range(0, len(heard) - 4800, 480)]
    assert sum(pure) >= 5, "a tenth of a second at a time of nothing but the tone"


async def test_a_language_model_of_ones_own_takes_the_place_of_the_small_dialogue(tmp_path: Path) -> None:
    async with (
        fake_endpoint(speaking("The penguins are asleep. Come back in the morning.")) as endpoint,
        on_this_machine(tmp_path, OPENAI_BASE_URL=endpoint.url, OPENAI_MODEL="tiny") as guest,
    ):

        def was_asked_and_answers(words: str) -> bool:
            return "asleep" in words and "penguins" in endpoint.asked[-1].body["messages"][-1]["content"]

        await answer_to(guest, "What are the penguins doing?", was_asked_and_answers)
    told = endpoint.asked[0].body["messages"]
    assert [message["role"] for message in told] == ["system", "user", "assistant", "user"], "turn by turn"
    assert told[2]["content"], "the greeting is part of the history"


def are_the_hours_of_monday(words: str) -> bool:
    said = words.replace("9", "nine").replace("5", "five")
    return "open from nine to five" in said and "monday" in said


def is_pure_tone(pcm: bytes) -> bool:
    samples = np.frombuffer(pcm, "<i2").astype(float)
    power = np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) ** 2
    peak = int(power[5:].argmax()) + 5
    share = power[peak - 3 : peak + 4].sum() / max(1.0, power.sum())
    hertz = peak * 24_000 / len(samples)
    return bool(samples.std() > 150 and share > 0.95 and abs(hertz - TONE_HZ) < 15)
