"""The whole conversation in the browser: spoken words in, captions and speech out, and an interruption."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import trio

from bench.chromium import ON_CUE, Tab, chromium
from bench.speech import spoken
from playground.livekit_server import LiveKitServer
from playground.voice_agent_api import ServerOptions, voice_agent_server
from tests.agent_process import run_agent, settings_for
from tests.page.conftest import PageOf
from tests.page.passing import has_said, keep_what_it_says
from tests.talk import TIMES

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.browser]

LONG_SENTENCE = (
    "Please repeat after me. The old lighthouse keeper climbed the narrow stairs every evening and lit the "
    "great lamp and wrote the weather into his book and watched the ships until the morning came."
)
SOONEST_ANSWER_MS = -60
"""The page and the agent may take another sound for the last one of a question (listener.js)."""
STOP = "No, stop it please, I have heard enough of that story now."

AGENT_IS_HEARD = """(async () => {
    const stream = document.querySelector('audio').srcObject;
    const audio = new AudioContext();
    const analyser = audio.createAnalyser();
    audio.createMediaStreamSource(stream).connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    for (let tries = 0; tries < 800; tries += 1) {
        await new Promise((resolve) => setTimeout(resolve, 50));
        analyser.getFloatTimeDomainData(samples);
        if (Math.max(...samples.map(Math.abs)) > 0.05) return true;
    }
    return false;
})()"""


def words(text: str) -> list[str]:
    return re.findall(r"[a-z']+", text.lower())


def in_ms(shown: str) -> float:
    number, unit = shown.split()
    return float(number) * {"ms": 1, "s": 1000}[unit]


# What the agent answers to the last thing that was said with a word in it.
ANSWER = """(() => {
    const captions = [...document.querySelectorAll('#captions li')];
    const asked = captions.findLastIndex((each) => (
        each.matches('.you[data-final=true]') && each.innerText.includes('WORD')
    ));
    return asked < 0 ? null : captions.slice(asked).find((each) => each.matches('.agent'));
})()"""
TIMERS = """['latency', 'barge-in'].map((timer) => ['last', 'agent'].map((part) => (
    document.querySelector(`#${timer}-${part}`).textContent
)))"""

IS_TIMED = "/\\d/.test(document.querySelector('#latency-last').value)"
TURNS = "document.querySelectorAll('#chart-rows tr').length"


async def is_in_state(tab: Tab, state: str) -> None:
    await tab.until(f"document.body.dataset.state === '{state}'", within_s=60)


async def make(request: str, tab: Tab, *, own_word: str) -> str:
    """Makes a request until it is understood, up to `TIMES`.

    Args:
        request: in English.
        tab: of the page.
        own_word: of the request; it tells that it was understood.

    Returns:
        What the answer's caption is in JavaScript, when it has begun.
    """
    answer = ANSWER.replace("WORD", own_word)
    for _ in range(TIMES):
        await tab.say(spoken(request))
        await is_in_state(tab, "speaking")
        try:
            await tab.until(f"!!{answer}", within_s=10)
        except AssertionError:  # it was misheard, and the answer is to something else
            await is_in_state(tab, "listening")
        else:
            return answer
    raise AssertionError(f"{request!r} was not understood: {await tab.evaluate('document.body.innerText')}")


async def converse(tab: Tab, request: str, *, own_word: str) -> str:
    """Talks with the agent of a page that is open, over its answer, too; gives what was heard of the answer.

    Args:
        tab: of the page, with a microphone that is `ON_CUE`.
        request: what is said to the agent, whose answer has to be long.
        own_word: a word of it.
    """
    await keep_what_it_says(tab)
    await tab.click("#talk")
    await tab.until("document.querySelector('audio') !== null", within_s=60)
    assert await tab.evaluate(AGENT_IS_HEARD), "the greeting is heard"
    await has_said(tab, "Speaking")
    await is_in_state(tab, "listening")

    answer = await make(request, tab, own_word=own_word)
    assert await tab.evaluate(AGENT_IS_HEARD), "the answer is heard"
    # By then it is in the middle of it.
    await tab.until(f"{answer}.querySelector('p').textContent.split(' ').length > 11", within_s=60)
    await tab.evaluate(f"{{ window.answer = {answer} }}")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(tab.say, spoken(STOP))
        await tab.until("answer.innerText.includes('you interrupted here')")
        await has_said(tab, "Interrupted")
        heard: str = await tab.evaluate("answer.querySelector('p').textContent")
    await trio.sleep(1)
    assert await tab.evaluate("answer.querySelector('p').textContent") == heard, "and does not come later"
    await timers_are_shown(tab)
    assert tab.complaints == []
    return heard


async def timers_are_shown(tab: Tab) -> None:
    # The agent tells of a turn when it is over.
    await tab.until(f"{TIMERS}.every(([, agent]) => agent !== '')", within_s=60)
    # Where sound was too late for any turn, the page shows none of its own; then the next one is timed.
    for _ in range(3):
        if await tab.evaluate(IS_TIMED):
            break
        timed = await tab.evaluate(TURNS)
        await tab.say(spoken("What can you do?"))
        await tab.until(f"{TURNS} > {timed}", within_s=60)
    assert await tab.evaluate(IS_TIMED)
    # All at once: the next turn may come in between.
    for (here, part), least_ms in zip(await tab.evaluate(TIMERS), (SOONEST_ANSWER_MS, 0), strict=True):
        assert "in the agent: " in part
        # The way there and back is in what a listener measures. At the end of a sentence nobody can tell what
        # made the voice stop.
        assert here == "–" or in_ms(here) - in_ms(part.rpartition(": ")[2]) > least_ms


async def test_a_person_talks_in_the_browser_and_talks_over_the_answer(
    livekit: LiveKitServer, page_of: PageOf, tmp_path: Path
) -> None:
    room = f"page-{tmp_path.name}"
    async with (
        voice_agent_server(ServerOptions(endpointing_ms=None)) as service,
        run_agent(settings_for(livekit, service.url, room)) as agent,
        page_of(room) as url,
        chromium(tmp_path, microphone=ON_CUE) as browser,
    ):
        await agent.prints("joined", within_s=60)
        tab = await browser.open(url)
        heard = words(await converse(tab, LONG_SENTENCE, own_word="lighthouse"))
        assert "keeper" in heard, "it was heard for a while"
        assert "morning" not in heard, "what was not heard is not there"


async def test_it_is_so_with_an_empty_environment(tmp_path: Path) -> None:
    async with run_agent({}, folder=tmp_path) as agent:
        with trio.fail_after(120):
            while (told := re.search(r"http://127\.0\.0\.1:\d+", agent.printed)) is None:
                await trio.sleep(0.05)
        async with chromium(tmp_path, microphone=ON_CUE) as browser:
            tab = await browser.open(told[0])
            heard = words(await converse(tab, "Please tell me a long story.", own_word="story"))
            assert 7 < len(heard) < 60, "of the story, a few seconds"
            await tab.click("#open-settings")
            await tab.shows("The service fixes the voice when a session starts.")
            prompt = await tab.evaluate("document.querySelector('#setting-system_prompt').value")
            assert prompt, "on one's own machine the instructions are shown"
            await tab.evaluate("document.querySelector('#setting-system_prompt').select()")
            await tab.type("You are brief.")
            await tab.click("#apply-settings")
            await tab.shows("Changed.")
            await agent.leave()
            # The service is a process of its own: the same Ctrl-C does not end it before the session is.
            assert re.search(r"session_closed\s+confirmed=True", agent.printed)
