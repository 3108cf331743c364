"""The whole conversation in the browser: spoken words in, captions and speech out, and an interruption."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import trio

from bench.chromium import ON_CUE, Tab, chromium
from bench.speech import silence, spoken
from playground.livekit_server import LiveKitServer
from playground.voice_agent_api import ServerOptions, voice_agent_server
from tests.agent_process import run_agent, settings_for
from tests.page.conftest import Microphone, PageOf

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


def words(text: str) -> list[str]:
    return re.findall(r"[a-z']+", text.lower())


def in_ms(shown: str) -> float:
    number, unit = shown.split()
    return float(number) * {"ms": 1, "s": 1000}[unit]


def what_is_said(request: str) -> bytes:
    """After the greeting a request whose answer is long, and then, into the answer, `STOP`.

    By the clock: the pause is for an agent that takes long on a busy machine, and still has much to say.
    """
    return silence(7000) + spoken(request) + silence(8000) + spoken(STOP) + silence(30_000)


async def talk(tab: Tab) -> None:
    """Says the same by what is heard: the request after the greeting, and `STOP` at a word of the answer."""
    for state in ("speaking", "listening"):
        await tab.until(f"document.body.dataset.state === '{state}'", within_s=60)
    await tab.say(spoken(LONG_SENTENCE))
    await tab.until(
        "[...document.querySelectorAll('#captions .agent')].at(-1).innerText.includes('keeper')", within_s=60
    )
    await tab.say(spoken(STOP))


async def converse(tab: Tab, *, own_word: str) -> str:
    """Talks with the agent of a page that is open, and gives what was heard of the answer.

    Args:
        tab: of the page; whoever is at its microphone makes a request, and talks over the answer.
        own_word: a word of the request.
    """
    await tab.click("#talk")
    await tab.until("document.querySelector('audio') !== null", within_s=60)
    assert await tab.evaluate(AGENT_IS_HEARD), "the greeting is heard"
    await tab.until(
        "[...document.querySelectorAll('#captions .you[data-final=true]')].some("
        f"(each) => each.innerText.includes('{own_word}'))",
        within_s=60,
    )
    await tab.until("document.body.dataset.state === 'speaking'", within_s=15)
    assert await tab.evaluate(AGENT_IS_HEARD), "the answer is heard"

    await tab.until("document.body.dataset.state === 'interrupted'", within_s=30)
    await tab.shows("you interrupted here")
    caption = "[...document.querySelectorAll('#captions .agent[data-cut] p')].at(-1).textContent"
    heard: str = await tab.evaluate(caption)
    await trio.sleep(1)
    assert await tab.evaluate(caption) == heard, "and does not come later"
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
        trio.open_nursery() as nursery,
    ):
        await agent.prints("joined", within_s=60)
        tab = await browser.open(url)
        nursery.start_soon(talk, tab)
        heard = words(await converse(tab, own_word="lighthouse"))
        assert "keeper" in heard, "it was heard for a while"
        assert "morning" not in heard, "what was not heard is not there"


async def test_it_is_so_with_an_empty_environment(tmp_path: Path, microphone: Microphone) -> None:
    sound = microphone(what_is_said("Please tell me a long story."))
    async with run_agent({}, folder=tmp_path) as agent:
        with trio.fail_after(120):
            while (told := re.search(r"http://127\.0\.0\.1:\d+", agent.printed)) is None:
                await trio.sleep(0.05)
        async with chromium(tmp_path, microphone=sound) as browser:
            tab = await browser.open(told[0])
            heard = words(await converse(tab, own_word="story"))
            assert 3 < len(heard) < 60, "of the story, a few seconds"
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
