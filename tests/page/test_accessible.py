"""Nobody is shut out: axe finds nothing on any screen of the page or a replay, in light and in dark."""

from __future__ import annotations

from pathlib import Path

import pytest

import runner
from bench.chromium import Tab, chromium
from bench.speech import noise
from commands.arguments import parse
from commands.replay import replay
from playground.livekit_server import LiveKitServer
from tests.actors.record.scripted import record_call
from tests.commands.test_replay import a_call
from tests.page.axe import violations
from tests.page.conftest import Microphone, PageOf
from tests.page.fake_agent import fake_agent
from tests.page.test_page import SETTINGS

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.browser]

REAL_CALL = Path(__file__).parents[2] / "docs/tutorials/call.jsonl"
FALLBACK = 'I heard "the north", but that is beyond me. You can say "tell me a story" or "flip a coin".'


STAND_STILL = """(() => {
    const still = new CSSStyleSheet();
    still.replaceSync("*, ::before, ::after { transition: none !important; animation: none !important }");
    document.adoptedStyleSheets = [still];
})()"""
"""A colour that is just fading over, since the agent's state has changed, is no screen."""


async def shuts_nobody_out(tab: Tab, screen: str) -> None:
    for width, height, dark in ((1280, 900, False), (1280, 900, True), (390, 844, False)):
        await tab.look(width=width, height=height, dark=dark, calm=True)
        await tab.evaluate(STAND_STILL)
        assert await violations(tab) == [], f"{screen}, {width} px, {'dark' if dark else 'light'}"


async def test_axe_finds_nothing_from_the_first_screen_to_the_last(
    livekit: LiveKitServer, page_of: PageOf, tmp_path: Path, microphone: Microphone
) -> None:
    async with (
        page_of("axe") as url,
        fake_agent(livekit, "axe") as agent,
        chromium(tmp_path, microphone=microphone(noise(2000))) as browser,
    ):
        tab = await browser.open(url)
        await tab.look(calm=True)
        await shuts_nobody_out(tab, "first screen")
        await tab.click("#talk")
        me = await agent.meets_somebody()
        await agent.be("listening")
        await tab.shows("Listening")
        await shuts_nobody_out(tab, "nothing said yet")

        await agent.tell("voice-agent.session", SETTINGS)
        await agent.say("reply-1", "Once there was a lighthouse")
        for turn in range(4):
            await agent.tell_turn(turn, latency_ms=600, barge_in_ms=140, outcome="cut", interrupted=True)
        await agent.say("reply-2", FALLBACK)
        await agent.caption_person(me, "p-0", "Tell me", final=False)
        await tab.look(calm=True)
        await tab.until("document.querySelector('#chart circle') !== null")
        await tab.evaluate("document.querySelectorAll('details').forEach((each) => (each.open = true))")
        await shuts_nobody_out(tab, "in the call")
        await tab.click("#mute")
        await tab.shows("Unmute")
        await shuts_nobody_out(tab, "muted")

        await tab.click("#open-settings")
        await tab.shows("Voice for the next call")
        await shuts_nobody_out(tab, "settings")
        await tab.press("Escape")
        await tab.click("#leave")
        await tab.shows("You left the call")
        await shuts_nobody_out(tab, "after leaving")
        assert tab.complaints == []


@pytest.fixture
def replayed(tmp_path: Path) -> Path:
    """The page of a call whose replay decides differently."""
    recorded = record_call(tmp_path / "call.jsonl", a_call(), ends_at=22.0)
    replay(parse(["replay", str(recorded), "--hold-ms", "0"]), runner.wire)
    return recorded.with_suffix(".html")


@pytest.fixture
def real_call(tmp_path: Path) -> Path:
    """The same of a call that was held with the offline agent."""
    picture = tmp_path / "real.html"
    replay(parse(["replay", str(REAL_CALL), "--hold-ms", "0", "--picture", str(picture)]), runner.wire)
    return picture


async def test_no_screen_has_to_scroll_a_replay_of_a_real_call_sideways(
    real_call: Path, tmp_path: Path
) -> None:
    async with chromium(tmp_path) as browser:
        tab = await browser.open(real_call.as_uri())
        for width, height in ((1280, 860), (820, 1180), (844, 390), (390, 844), (320, 568)):
            await tab.look(width=width, height=height)
            parts = "[...document.querySelectorAll('h1, h2, p, li, tr, td')].map((each) =>"
            parts += " each.getBoundingClientRect().right)"
            assert await tab.evaluate(f"Math.max(...{parts})") <= width, f"{width} px"


async def test_axe_finds_nothing_on_a_replay_and_a_phone_shows_it_without_scrolling_sideways(
    replayed: Path, tmp_path: Path
) -> None:
    async with chromium(tmp_path) as browser:
        tab = await browser.open(replayed.as_uri())
        await shuts_nobody_out(tab, "replay")
        await tab.look(width=390, height=844)
        assert await tab.evaluate("document.documentElement.scrollWidth") <= 390
        scrolled = "[...document.querySelectorAll('main *')].filter((each) => each.clientWidth > 0 &&"
        scrolled += " each.scrollWidth > each.clientWidth + 1 && !each.closest('svg')).length"
        assert await tab.evaluate(scrolled) == 0, "nothing inside of it scrolls, either"
        shown = "[...document.querySelectorAll('.rows')].filter((each) => each.clientHeight > 0)"
        assert await tab.evaluate(f"{shown}.map((each) => each.className)") == ["rows narrow"]
