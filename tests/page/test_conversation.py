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

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.browser]

LONG_SENTENCE = (
    "Please repeat after me. The old lighthouse keeper climbed the narrow stairs every evening and lit the "
    "great lamp and wrote the weather into his book and watched the ships until the morning came."
)
STOP = "No, stop it please, I have heard enough of that story now."

AGENT_IS_HEARD = """(async () => {
    const stream = document.querySelector('audio').srcObject;
    const audio = new AudioContext();
    const analyser = audio.createAnalyser();
    audio.createMediaStreamSource(stream).connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    for (let tries = 0; tries < 200; tries += 1) {
        await new Promise((resolve) => setTimeout(resolve, 50));
        analyser.getFloatTimeDomainData(samples);
        if (Math.max(...samples.map(Math.abs)) > 0.05) return true;
    }
    return false;
})()"""


SAID = "[...document.querySelectorAll('#captions .you[data-final=true]')].map((each) => each.innerText)"
ANSWERS = "[...document.querySelectorAll('#captions .agent p')].map((each) => each.textContent)"
CUT_ANSWER = "[...document.querySelectorAll('#captions .agent[data-cut] p')].at(-1).textContent"


def words(text: str) -> list[str]:
    return re.findall(r"[a-z']+", text.lower())


def in_ms(shown: str) -> float:
    number, unit = shown.split()
    return float(number) * {"ms": 1, "s": 1000}[unit]


async def is_in_state(tab: Tab, state: str) -> None:
    await tab.until(f"document.body.dataset.state === '{state}'", within_s=60)


async def make(request: str, tab: Tab, *, own_word: str) -> None:
    """Makes a request until it is understood, up to three times, and waits for the first word of the answer.

    Args:
        request: in English.
        tab: of the page.
        own_word: of the request; it tells that it was understood.
    """
    for _ in range(3):
        before, answers = len(await tab.evaluate(SAID)), len(await tab.evaluate(ANSWERS))
        await tab.say(spoken(request))
        await is_in_state(tab, "speaking")
        if own_word in " ".join((await tab.evaluate(SAID))[before:]):
            await tab.until(f"{ANSWERS}.length > {answers}")
            return
        await is_in_state(tab, "listening")
    raise AssertionError(f"{request!r} was not understood: {await tab.evaluate(SAID)}")


async def converse(tab: Tab, request: str, *, own_word: str, until_heard: str) -> str:
    """Talks with the agent of a page that is open, and gives what was heard of the answer.

    Args:
        tab: of the page.
        request: whose answer is long.
        own_word: of the request.
        until_heard: a regular expression; when the answer has come so far, it is talked over.
    """
    await tab.click("#talk")
    await tab.until("document.querySelector('audio') !== null", within_s=60)
    assert await tab.evaluate(AGENT_IS_HEARD), "the greeting is heard"
    await is_in_state(tab, "listening")
    await make(request, tab, own_word=own_word)
    await tab.until(f"/{until_heard}/.test({ANSWERS}.at(-1))", within_s=60)
    assert await tab.evaluate(AGENT_IS_HEARD), "the answer is heard"

    async with trio.open_nursery() as nursery:
        nursery.start_soon(tab.say, spoken(STOP))
        await is_in_state(tab, "interrupted")
    await tab.shows("you interrupted here")
    heard: str = await tab.evaluate(CUT_ANSWER)
    await trio.sleep(1)
    assert await tab.evaluate(CUT_ANSWER) == heard, "and does not come later"
    await tab.until("/\\d/.test(document.querySelector('#latency-last').value)")
    for timer in ("latency", "barge-in"):
        # The agent tells of a turn when it is over.
        await tab.until(f"document.querySelector('#{timer}-agent').textContent !== ''", within_s=30)
        here = await tab.evaluate(f"document.querySelector('#{timer}-last').value")
        part = await tab.evaluate(f"document.querySelector('#{timer}-agent').textContent")
        assert "in the agent: " in part
        # The way there and back is in what a listener measures. At the end of a sentence nobody can tell what
        # made the voice stop.
        assert here == "–" or in_ms(here) > in_ms(part.rpartition(": ")[2])
    assert tab.complaints == []
    return heard


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
        heard = words(await converse(tab, LONG_SENTENCE, own_word="lighthouse", until_heard="keeper"))
        assert "keeper" in heard, "it was heard for a while"
        assert "morning" not in heard, "what was not heard is not there"


async def test_it_is_so_with_an_empty_environment(tmp_path: Path) -> None:
    async with run_agent({}, folder=tmp_path) as agent:
        with trio.fail_after(120):
            while (told := re.search(r"http://127\.0\.0\.1:\d+", agent.printed)) is None:
                await trio.sleep(0.05)
        async with chromium(tmp_path, microphone=ON_CUE) as browser:
            tab = await browser.open(told[0])
            request = "Please tell me a long story."
            heard = words(await converse(tab, request, own_word="story", until_heard=r"(\S+ ){8}"))
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
