"""What the page offers to somebody who does not know what to say, or has no voice, or a small screen."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from bench.chromium import Tab, chromium
from bench.speech import noise
from playground.livekit_server import LiveKitServer
from tests.page.conftest import Microphone, PageOf
from tests.page.fake_agent import FakeAgent, fake_agent
from tests.page.test_page import call

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.browser]

ROOM = "inviting"
IN_SIGHT = """(() => { const box = document.querySelector('%s').getBoundingClientRect();
  return box.height >= 44 && box.top >= 0 && box.bottom <= innerHeight &&
    box.left >= 0 && box.right <= innerWidth })()"""


async def typed(agent: FakeAgent, *texts: str) -> None:
    """Waits until the agent has been sent these."""
    with trio.fail_after(30):
        while len(agent.typed) < len(texts):
            await trio.sleep(0.05)
    assert [text for _, text in agent.typed] == list(texts)


async def test_one_click_on_the_first_screen_asks_for_a_story_without_a_microphone(
    livekit: LiveKitServer, page_of: PageOf, tmp_path: Path
) -> None:
    async with page_of(ROOM) as url, chromium(tmp_path) as browser:
        tab = await browser.open(url)
        offers = "document.querySelectorAll('#first-words .offer').length"
        assert await tab.evaluate(offers) == 3
        await tab.click("#first-words .offer")
        await tab.shows("Sent as soon as the agent is here.")
        async with fake_agent(livekit, ROOM) as agent:
            await agent.be("speaking")
            await tab.shows("Speaking")
            assert agent.typed == [], "its greeting comes first"
            await agent.be("listening")
            await typed(agent, "Tell me a story")
            await tab.until("!document.body.innerText.includes('Sent as soon')")
            assert await tab.evaluate("document.querySelector('#notice').hidden"), "nobody asked to be heard"

            # What it offers, when it has not understood, can be clicked, too.
            await agent.say(
                "reply-1",
                'I heard "story", but that is beyond me. You can say "flip a coin" or "tell me a joke".',
            )
            await tab.until("document.querySelectorAll('#captions .offer').length === 2")
            await tab.click("#captions .offer")
            await typed(agent, "Tell me a story", "flip a coin")

            # Whoever left joins again by typing.
            await tab.click("#leave")
            await agent.is_left_alone()
            await tab.shows("You left the call")
            await tab.click("#typed")
            await tab.type("I am back")
            await tab.press("Enter")
            await typed(agent, "Tell me a story", "flip a coin", "I am back")
        assert tab.complaints == []


async def test_what_the_agent_cannot_answer_is_offered_to_be_sent_again(
    livekit: LiveKitServer, page_of: PageOf, tmp_path: Path, microphone: Microphone
) -> None:
    async with call(livekit, page_of, tmp_path, microphone(noise(2000))) as talk:
        tab, agent = talk.tab, talk.agent
        await tab.click("#typed")
        await tab.type("Are you open?")
        await tab.press("Enter")
        await typed(agent, "Are you open?")
        await agent.tell("voice-agent.unanswered", {"text": "Are you open?", "why": "too much was waiting"})
        await tab.shows("Not answered: too much was waiting.")
        await tab.click("#captions .again")
        await typed(agent, "Are you open?", "Are you open?")
        await tab.until("document.querySelectorAll('#captions .again').length === 0")
        await agent.tell("voice-agent.unanswered", {"text": "what another tab typed", "why": "too late"})
        await agent.say("reply-1", "We are.")
        await tab.shows("We are.")
        assert tab.complaints == []


async def test_what_is_said_now_stands_large_beside_the_voices(
    livekit: LiveKitServer, page_of: PageOf, tmp_path: Path, microphone: Microphone
) -> None:
    async with call(livekit, page_of, tmp_path, microphone(noise(2000))) as talk:
        tab, agent = talk.tab, talk.agent
        live = "document.querySelector('#live')"
        await agent.caption_person(talk.me, "p-0", "Tell me", final=False)
        await tab.until(f"{live}.innerText === 'Tell me' && {live}.dataset.speaker === 'you'")
        await agent.caption_person(talk.me, "p-0", "Tell me a story.", final=True)
        await tab.until(f"{live}.innerText === 'Tell me a story.'")
        await agent.say("reply-1", "Once there was a lighthouse.")
        await tab.until(
            f"{live}.innerText === 'Once there was a lighthouse.' && {live}.dataset.speaker === 'agent'"
        )


async def test_whoever_is_muted_sees_it_and_nothing_that_listens_is_red(
    livekit: LiveKitServer, page_of: PageOf, tmp_path: Path, microphone: Microphone
) -> None:
    orb = "getComputedStyle(document.querySelector('#orb i')).backgroundColor"
    async with call(livekit, page_of, tmp_path, microphone(noise(2000))) as talk:
        tab = talk.tab
        for dark in (False, True):
            await tab.look(dark=dark, calm=True)
            await tab.until("document.getAnimations().length === 0")
            red, _, blue = await tab.evaluate(f"{orb}.match(/\\d+/g).map(Number)")
            assert blue > red, "no lamp of a tape recorder"
        listening = await tab.evaluate(orb)
        await tab.click("#mute")
        await tab.shows("Unmute")
        await tab.until("document.querySelector('#state').textContent === 'Muted'")
        await tab.until(f"{orb} !== '{listening}'")
        assert await tab.evaluate("getComputedStyle(document.querySelector('#orb .icon')).display") == "block"


async def test_the_title_stays_where_it_is(
    livekit: LiveKitServer, page_of: PageOf, tmp_path: Path, microphone: Microphone
) -> None:
    top = "document.querySelector('#state').getBoundingClientRect().top"
    async with call(livekit, page_of, tmp_path, microphone(noise(2000))) as talk:
        tab, agent = talk.tab, talk.agent
        for width, height in ((1280, 900), (390, 844)):
            await tab.look(width=width, height=height)
            seen = {await tab.evaluate(top)}
            for state, title in (
                ("thinking", "Thinking…"),
                ("speaking", "Speaking"),
                ("listening", "Listening"),
            ):
                await agent.be(state)
                await tab.shows(title)
                seen.add(await tab.evaluate(top))
            await tab.click("#mute")
            await tab.shows("You are muted.")
            seen.add(await tab.evaluate(top))
            await tab.click("#mute")
            await tab.until("document.querySelector('#state').textContent === 'Listening'")
            assert len(seen) == 1


async def test_nothing_is_pushed_away_when_words_and_figures_come(
    livekit: LiveKitServer, page_of: PageOf, tmp_path: Path, microphone: Microphone
) -> None:
    # A list that became smaller follows its last line a frame later.
    drawn = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
    tops = (
        f"{drawn}.then(() => {drawn}).then(() =>"
        " ['#tape', '#mute', '#timers', '#conversation', '#captions li'].map((each) =>"
        " document.querySelector(each)?.getBoundingClientRect().top ?? 0))"
    )
    async with call(livekit, page_of, tmp_path, microphone(noise(2000))) as talk:
        tab, agent = talk.tab, talk.agent
        for turn, (width, height) in enumerate(((1280, 900), (1024, 640), (390, 844)), 1):
            await tab.look(width=width, height=height, calm=True)
            before = await tab.evaluate(tops)
            if turn == 1:
                await agent.say("reply-0", "Good morning. How can I help?")
                await tab.shows("How can I help?")
                first = (await tab.evaluate(tops))[-1]
                before[-1] = first
            await agent.caption_person(talk.me, f"p-{turn}", "Tell me a story.", final=True)
            await agent.say(f"reply-{turn}", f"Once there was a lighthouse, {turn}.")
            await tab.shows(f"lighthouse, {turn}.")
            if turn < 3:  # by then the list scrolls on a phone
                assert await tab.evaluate(tops) == before, f"words, {width} px"
            said = await tab.evaluate(tops)
            await agent.tell_turn(turn, latency_ms=640, barge_in_ms=180, reply_id=f"reply-{turn}")
            await tab.until(f"document.querySelectorAll('#chart-rows tr').length === {turn}")
            assert await tab.evaluate(tops) == said, f"figures, {width} px"
        for width, height in ((360, 640), (844, 390)):
            await tab.look(width=width, height=height, calm=True)
            said = await tab.evaluate(tops)
            await tab.evaluate(
                "document.querySelectorAll('output').forEach((each) => (each.value = '888 ms'))"
            )
            assert await tab.evaluate(tops) == said, f"figures of this browser, {width} px"
            await tab.evaluate("document.querySelectorAll('output').forEach((each) => (each.value = '–'))")


async def fits(tab: Tab, width: int, height: int, text: int = 16) -> None:
    await tab.look(width=width, height=height)
    await tab.call("Page.setFontSizes", fontSizes={"standard": text, "fixed": text})
    await tab.until(f"getComputedStyle(document.documentElement).fontSize === '{text}px'")
    where = f"{width}x{height}, letters of {text} px"
    assert await tab.evaluate("document.documentElement.scrollWidth") <= width, where
    for part in ("#typed", "#composer button"):
        assert await tab.evaluate(IN_SIGHT % part), f"{part} at {where}"


async def test_on_every_screen_the_line_to_type_in_is_in_sight_and_a_phone_has_room_for_the_conversation(
    livekit: LiveKitServer, page_of: PageOf, tmp_path: Path, microphone: Microphone
) -> None:
    async with call(livekit, page_of, tmp_path, microphone(noise(2000))) as talk:
        tab, agent = talk.tab, talk.agent
        for turn in range(1, 5):
            await agent.tell_turn(turn, latency_ms=600, barge_in_ms=140, reply_id=f"reply-{turn}")
        await agent.say("reply-4", "Once there was a lighthouse. " * 40)
        await tab.shows("in the agent: 600 ms")
        for width, height in ((1280, 900), (820, 1180), (390, 844), (844, 390), (320, 568)):
            await fits(tab, width, height)
            await fits(tab, width, height, text=32)
        await fits(tab, 390, 844)
        share = "document.querySelector('#conversation').getBoundingClientRect().height / innerHeight"
        assert await tab.evaluate(share) > 0.5
        drawn = "[...document.querySelectorAll('#chart .turn')].map((each) => each.textContent).join(' ')"
        await fits(tab, 1280, 900)
        await tab.until(f"{drawn} === '1 2 3 4'")


async def test_another_microphone_can_be_chosen_in_the_call(
    livekit: LiveKitServer, page_of: PageOf, tmp_path: Path, microphone: Microphone
) -> None:
    async with call(livekit, page_of, tmp_path, microphone(noise(2000))) as talk:
        tab, agent = talk.tab, talk.agent
        with trio.fail_after(30):
            while not (before := agent.tracks_of(talk.me)):
                await trio.sleep(0.05)
        await tab.click("#open-settings")
        await tab.until("document.querySelectorAll('#microphone-choice option').length > 1")
        await tab.evaluate(
            "{ const choice = document.querySelector('#microphone-choice'); choice.selectedIndex = 1;"
            "choice.dispatchEvent(new Event('change')) }"
        )
        with trio.fail_after(30):
            while agent.tracks_of(talk.me) in ([], before):
                await trio.sleep(0.05)
        await tab.until("!document.querySelector('#mute').hidden")
        assert await tab.evaluate("localStorage.getItem('voice-agent.microphone')"), "and the next time"
        assert tab.complaints == []


async def test_another_loudspeaker_can_be_chosen_in_the_call_and_is_used_in_the_next(
    livekit: LiveKitServer, page_of: PageOf, tmp_path: Path, microphone: Microphone
) -> None:
    played = "[...document.querySelectorAll('audio')].map((each) => each.sinkId).join()"
    async with call(livekit, page_of, tmp_path, microphone(noise(2000))) as talk:
        tab = talk.tab
        await tab.until("document.querySelector('audio') !== null")
        await tab.click("#open-settings")
        await tab.until("document.querySelectorAll('#loudspeaker-choice option').length > 1")
        assert await tab.evaluate(played) in {"", "default"}
        await tab.evaluate(
            "{ const choice = document.querySelector('#loudspeaker-choice'); choice.selectedIndex = 1;"
            "choice.dispatchEvent(new Event('change')) }"
        )
        chosen = await tab.evaluate("document.querySelector('#loudspeaker-choice').value")
        assert chosen
        await tab.until(f"{played} === '{chosen}'")
        await tab.call("Page.reload")
        await tab.until("document.readyState === 'complete' && document.body.dataset.state === 'resting'")
        await tab.click("#talk")
        await tab.until(f"{played} === '{chosen}'")
        await tab.click("#open-settings")
        await tab.until(f"document.querySelector('#loudspeaker-choice').value === '{chosen}'")
        assert tab.complaints == []
