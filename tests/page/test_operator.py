"""The owner of the agent can steer the call from the page; nobody else is shown how."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from bench.chromium import Tab
from bench.speech import noise
from playground.livekit_server import LiveKitServer
from tests.page.conftest import Microphone, PageOf
from tests.page.test_page import SETTINGS, call

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.browser]

PANEL = "document.querySelector('#operator')"
FOCUS = "document.activeElement.id"
STRANGER = {**SETTINGS, "locked": {"system_prompt": "Only the operator of this agent may change it."}}


async def is_open(tab: Tab) -> None:
    await tab.until(f"!{PANEL}.hidden")
    await tab.click("#operator summary")
    await tab.until(f"{PANEL}.open")


async def test_the_owner_has_the_agent_say_something(
    livekit: LiveKitServer, page_of: PageOf, tmp_path: Path, microphone: Microphone
) -> None:
    async with call(livekit, page_of, tmp_path, microphone(noise(2000))) as talk:
        tab, agent = talk.tab, talk.agent
        assert await tab.evaluate(f"{PANEL}.hidden"), "nobody knows yet whose agent it is"
        await agent.tell("voice-agent.session", SETTINGS)
        height = "document.querySelector('#tape').getBoundingClientRect().height"
        before = await tab.evaluate(height)
        await is_open(tab)
        assert await tab.evaluate(height) == before, "nothing is squeezed by it"
        await tab.until(
            "document.querySelector('#operator-end').getBoundingClientRect().bottom <= innerHeight"
        )
        await tab.click("#operator-text")
        await tab.type("One moment, please.")
        await tab.press("Enter")
        await tab.shows("The agent will say it.")
        assert agent.commanded == [{"do": "say", "text": "One moment, please."}]
        assert await tab.evaluate("document.querySelector('#operator-text').value") == ""

        agent.obeys = False
        await tab.type("Again.")
        await tab.press("Enter")
        await tab.shows("Not done: there is no session")
        assert await tab.evaluate("document.querySelector('#operator-text').value") == "Again.", "not lost"
        assert tab.complaints == []


async def test_the_call_is_ended_only_by_who_really_wants_to(
    livekit: LiveKitServer, page_of: PageOf, tmp_path: Path, microphone: Microphone
) -> None:
    async with call(livekit, page_of, tmp_path, microphone(noise(2000))) as talk:
        tab, agent = talk.tab, talk.agent
        await agent.tell("voice-agent.session", SETTINGS)
        await is_open(tab)
        await tab.click("#operator-end")
        await tab.until(f"{FOCUS} === 'operator-keep'")
        await tab.press("Escape")
        await tab.until(f"{FOCUS} === 'operator-end'")
        await tab.press("Enter")
        await tab.until(f"{FOCUS} === 'operator-keep'")
        await tab.press("Enter")
        await tab.until(f"{FOCUS} === 'operator-end'")
        assert agent.commanded == []

        await tab.press("Enter")
        await tab.until(f"{FOCUS} === 'operator-keep'")
        await tab.press("Tab")
        assert await tab.evaluate(FOCUS) == "operator-really"
        await tab.press("Enter")
        await tab.shows("The call is ending.")
        assert agent.commanded == [{"do": "end"}]
        assert tab.complaints == []


async def test_a_stranger_is_not_shown_how(
    livekit: LiveKitServer, page_of: PageOf, tmp_path: Path, microphone: Microphone
) -> None:
    async with call(livekit, page_of, tmp_path, microphone(noise(2000))) as talk:
        tab, agent = talk.tab, talk.agent
        await agent.tell("voice-agent.session", STRANGER)
        await tab.click("#open-settings")
        await tab.shows("Only the operator of this agent may change it.")
        assert await tab.evaluate(f"{PANEL}.hidden")
        await agent.tell("voice-agent.session", SETTINGS)
        await tab.until(f"!{PANEL}.hidden")
        await agent.tell("voice-agent.session", STRANGER)
        await tab.until(f"{PANEL}.hidden")
        assert agent.commanded == []


async def test_it_fits_a_narrow_phone_and_is_read_in_light_and_in_the_dark(
    livekit: LiveKitServer, page_of: PageOf, tmp_path: Path, microphone: Microphone
) -> None:
    async with call(livekit, page_of, tmp_path, microphone(noise(2000))) as talk:
        tab, agent = talk.tab, talk.agent
        await agent.tell("voice-agent.session", SETTINGS)
        await is_open(tab)
        await tab.click("#operator-end")
        for width, height, dark in (
            (320, 600, False),
            (390, 844, True),
            (1280, 800, False),
            (1280, 800, True),
        ):
            await tab.look(width=width, height=height, dark=dark)
            await trio.sleep(0.2)
            assert await tab.evaluate(f"document.documentElement.scrollWidth <= {width}")
            await tab.evaluate("document.querySelector('#operator-answer').scrollIntoView({block: 'end'})")
            await tab.screenshot(tmp_path / f"operator-{width}-{'dark' if dark else 'light'}.png")
            for inside in ("#operator-text", "#operator-keep", "#operator-really"):
                box = f"document.querySelector('{inside}').getBoundingClientRect()"
                assert await tab.evaluate(f"{box}.width > 40 && {box}.height >= 44"), "a thumb hits it"
                assert await tab.evaluate(f"{box}.left >= 0 && {box}.right <= {width}")
        assert tab.complaints == []
