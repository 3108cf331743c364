"""The page in a real Chromium, with a real LiveKit server and an agent that does as it is told."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
import trio_asyncio

from bench.chromium import ABSENT, REFUSED, Tab, chromium
from bench.speech import noise
from channels.settings import LiveKitAccount
from commands.check.clients import check_clients
from commands.check.finding import Colour
from playground.livekit_server import LiveKitServer
from tests.page.conftest import Microphone, PageOf
from tests.page.fake_agent import FakeAgent, fake_agent
from tests.page.passing import has_said, keep_what_it_says

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.browser]

LAST_CAPTION = "document.querySelector('#captions li:last-child')"
SETTINGS = {
    "voice": "reid",
    "voices": ["reid", "ada"],
    "profile": "calm",
    "profiles": ["calm", "brisk"],
    "profile_descriptions": {"calm": "takes its time", "brisk": "answers at once"},
    "system_prompt": "You are friendly.",
    "locked": {
        "voice": "The service fixes the voice when a session starts.",
        "greeting": "It has been spoken.",
    },
}


@attrs.frozen
class Call:
    """A page that has joined, and the agent in its room."""

    tab: Tab
    agent: FakeAgent
    me: str


@asynccontextmanager
async def call(
    livekit: LiveKitServer, page_of: PageOf, tmp_path: Path, microphone: Path
) -> AsyncIterator[Call]:
    room = f"page-{tmp_path.name}"
    async with (
        page_of(room) as url,
        fake_agent(livekit, room) as agent,
        chromium(tmp_path, microphone=microphone) as browser,
    ):
        tab = await browser.open(url)
        await tab.click("#talk")
        await agent.be("listening")
        await tab.shows("Listening")
        yield Call(tab, agent, await agent.meets_somebody())


async def test_the_page_loads_without_a_complaint_and_waits_for_one_button(
    page_of: PageOf, tmp_path: Path
) -> None:
    async with page_of("loads") as url, chromium(tmp_path) as browser:
        tab = await browser.open(url)
        await tab.shows("Say hello")
        assert await tab.evaluate("document.querySelector('audio')") is None
        await tab.look(width=320, height=600)
        assert await tab.evaluate("document.documentElement.scrollWidth <= 320"), "it fits a narrow phone"
        assert tab.complaints == []


async def test_what_is_in_the_way_is_said_in_words(page_of: PageOf, tmp_path: Path) -> None:
    told = {"what": "told", "told": {"what": "the room is full", "fix": "come back later"}}
    here = {"phase": "joined", "agentHere": True, "agentState": "listening", "microphone": "open"}
    expected: list[tuple[dict[str, Any], str]] = [
        ({"phase": "waiting", "obstacle": {"what": "runner"}}, "The agent has ended"),
        ({"phase": "waiting", "obstacle": {"what": "livekit"}}, "Reconnecting…"),
        ({"phase": "waiting", "obstacle": told}, "The room is full"),
        ({"phase": "removed"}, "The call is over"),
        ({"phase": "joined", "waitedS": 1}, "Connecting…"),
        ({"phase": "joined", "waitedS": 9}, "No agent yet"),
        ({"phase": "joined", "agentWasHere": True}, "The agent left"),
        (here, "Listening"),
        (here | {"agentState": "idle"}, "Listening"),
        (here | {"microphone": "muted"}, "Muted"),
        (here | {"microphone": "asked"}, "Ready"),
        ({"phase": "resting", "left": True}, "You left the call"),
        (here | {"agentState": ""}, "Connecting…"),
        (here | {"agentState": "something new"}, "Connecting…"),
        (here | {"interrupted": True}, "Interrupted"),
        (here | {"agentState": "thinking", "interrupted": True}, "Interrupted"),
        (here | {"someoneElseIsHeard": True, "agentState": "speaking"}, "Not your turn"),
    ]
    async with page_of("words") as url, chromium(tmp_path) as browser:
        tab = await browser.open(url)
        for known, title in expected:
            said = await tab.evaluate(f"import('/status.js').then((m) => m.describe({json.dumps(known)}))")
            assert said["title"] == title, known


async def test_the_policy_of_the_page_holds(page_of: PageOf, tmp_path: Path) -> None:
    async with page_of("policy") as url, chromium(tmp_path) as browser:
        tab = await browser.open(url)
        assert (
            await tab.evaluate("fetch('http://127.0.0.1:9/').then(() => 'let out', () => 'held')") == "held"
        )
        await complains(tab, "connect-src")
        script = "Object.assign(document.createElement('script'), {textContent: 'window.evil = 1'})"
        await tab.evaluate(f"document.body.append({script})")
        assert await tab.evaluate("window.evil ?? null") is None
        await complains(tab, "script-src")


async def complains(tab: Tab, directive: str) -> None:
    """Waits for a complaint about what a directive of the policy forbids: it comes beside the answers."""
    with trio.fail_after(30):
        while not any("Content Security Policy" in told and directive in told for told in tab.complaints):
            await trio.sleep(0.05)


async def test_what_the_agent_does_is_shown_as_it_does_it(
    livekit: LiveKitServer, page_of: PageOf, tmp_path: Path, microphone: Microphone
) -> None:
    async with call(livekit, page_of, tmp_path, microphone(noise(2000))) as talk:
        tab, agent = talk.tab, talk.agent
        await agent.caption_person(talk.me, "p-0", "Tell me", final=False)
        await tab.until(f"{LAST_CAPTION}.innerText.includes('Tell me')")
        assert await tab.evaluate(f"{LAST_CAPTION}.matches('.you[data-final=false]')")
        announced = "document.querySelector('#announcer').innerText"
        assert await tab.evaluate(announced) == "", "half a sentence is not news"
        await agent.caption_person(talk.me, "p-0", "Tell me a story.", final=True)
        await tab.until(f"{LAST_CAPTION}.matches('.you[data-final=true]')")
        assert await tab.evaluate("document.querySelectorAll('#captions li').length") == 1, (
            "replaced, not added"
        )
        await tab.until(f"{announced}.includes('You: Tell me a story.')")
        tree = (await tab.call("Accessibility.getFullAXTree"))["nodes"]
        roles = {node["nodeId"]: node["role"]["value"] for node in tree}
        parents = [roles[node["parentId"]] for node in tree if node["role"]["value"] == "listitem"]
        assert parents == ["list"], "a screen reader counts captions only in a list"

        await agent.be("thinking", tools="order_status")
        await tab.shows("Thinking…")
        await tab.shows("Using order status.")
        await agent.be("speaking")
        agent.loudness = 0.5
        await tab.shows("Speaking")
        await tab.until("Number(document.querySelector('#orb').style.getPropertyValue('--level')) > 0.3")
        writer = await agent.open_caption("reply-1")
        await trio_asyncio.aio_as_trio(writer.write)("Once there ")
        await tab.until(f"{LAST_CAPTION}.innerText.includes('Once there')")
        assert await tab.evaluate(f"{LAST_CAPTION}.matches('.agent[data-final=false]')")
        await trio_asyncio.aio_as_trio(writer.write)("was a lighthouse ")
        await tab.shows("Once there was a lighthouse")

        agent.loudness = 0
        await agent.close_caption(writer, "reply-1")
        await agent.be("listening")
        await keep_what_it_says(tab)
        await agent.tell_turn(
            1, latency_ms=640, barge_in_ms=180, outcome="cut", interrupted=True, heard_text="Once there was a"
        )
        await has_said(tab, "Interrupted")
        await tab.until(f"{LAST_CAPTION}.querySelector('p').textContent === 'Once there was a'")
        await tab.shows("you interrupted here")
        # No voice was in the microphone, so this browser knows of no turn: these are the agent's own figures.
        await tab.shows("in the agent: 640 ms")
        await tab.shows("in the agent: 180 ms")
        for timer in ("latency", "barge-in"):
            assert await tab.evaluate(f"document.querySelector('#{timer}-last').value") == "–"
        await tab.shows("Listening")
        assert tab.complaints == []


async def test_the_microphone_is_used_as_it_should_be(
    livekit: LiveKitServer, page_of: PageOf, tmp_path: Path, microphone: Microphone
) -> None:
    async with call(livekit, page_of, tmp_path, microphone(noise(2000))) as talk:
        asked = await talk.tab.evaluate(
            "(async () => { const m = await import('/microphone.js'); const mic = new m.Microphone();"
            "await mic.open(); return mic.track.getSettings() })()"
        )
        assert asked["echoCancellation"] is True
        assert asked["noiseSuppression"] is False
        with trio.fail_after(30):
            while not _microphones(talk):
                await trio.sleep(0.05)
        await talk.tab.click("#mute")
        await talk.tab.shows("Unmute")
        await talk.tab.shows("You are muted.")
        with trio.fail_after(30):
            while not all(muted for muted in _microphones(talk)):
                await trio.sleep(0.05)


def _microphones(talk: Call) -> list[bool]:
    """Whether each microphone of people is muted."""
    people = talk.agent.room.remote_participants.values()
    return [publication.muted for person in people for publication in person.track_publications.values()]


@pytest.mark.parametrize(
    ("missing", "words"), [(REFUSED, "The microphone is blocked."), (ABSENT, "No microphone was found.")]
)
async def test_without_a_microphone_the_page_says_why_and_one_types(
    livekit: LiveKitServer, page_of: PageOf, tmp_path: Path, missing: str, words: str
) -> None:
    room = f"page-{tmp_path.name}"
    async with (
        page_of(room) as url,
        fake_agent(livekit, room) as agent,
        chromium(tmp_path, microphone=missing) as browser,
    ):
        tab = await browser.open(url)
        await tab.click("#talk")
        await tab.shows(words)
        await agent.be("listening")
        await tab.shows("It reads what you type.")
        assert await tab.evaluate("document.activeElement.id") == "typed"
        await tab.type("What time is it?")
        await tab.press("Enter")
        with trio.fail_after(30):
            while not agent.typed:
                await trio.sleep(0.05)
        assert agent.typed == [(await agent.meets_somebody(), "What time is it?")]
        await tab.shows("What time is it?")
        await agent.say("reply-1", "It is noon.")
        await tab.shows("It is noon.")
        assert tab.complaints == []


async def test_settings_are_changed_where_that_can_be_and_the_page_says_why_not_where_it_cannot(
    livekit: LiveKitServer, page_of: PageOf, tmp_path: Path, microphone: Microphone
) -> None:
    async with call(livekit, page_of, tmp_path, microphone(noise(2000))) as talk:
        tab, agent = talk.tab, talk.agent
        await tab.click("#open-settings")
        await tab.shows("The agent has not sent its settings yet.")
        await agent.tell("voice-agent.session", SETTINGS)
        await tab.shows("The service fixes the voice when a session starts.")
        await tab.shows("Greeting: It has been spoken.")
        await tab.shows("takes its time")
        await tab.shows("Voice for the next call")
        await tab.evaluate(
            "{ const voice = document.querySelector('#setting-voice');"
            "voice.value = 'ada'; voice.dispatchEvent(new Event('change')) }"
        )
        await tab.shows("Next time, start it with python runner.py --voice ada")
        assert await tab.evaluate("document.querySelector('#setting-voice').getAttribute('aria-describedby')")

        await tab.evaluate("document.querySelector('#setting-system_prompt').select()")
        await tab.type("You are a pirate.")
        await tab.click("#apply-settings")
        await tab.shows("Changed.")
        assert agent.asked == [{"system_prompt": "You are a pirate."}]

        agent.answer = lambda changes: {"accepted": False, "why": "A call is going on."}
        await tab.evaluate("document.querySelector('#setting-profile').value = 'brisk'")
        await tab.click("#apply-settings")
        await tab.shows("Not changed: A call is going on.")
        assert agent.asked[-1] == {"profile": "brisk"}
        assert tab.complaints == []


async def test_the_owner_chooses_a_voice_for_the_next_call(
    livekit: LiveKitServer, page_of: PageOf, tmp_path: Path, microphone: Microphone
) -> None:
    choose = (
        "{ const voice = document.querySelector('#setting-voice');"
        "voice.value = 'ada'; voice.dispatchEvent(new Event('change')) }"
    )
    async with call(livekit, page_of, tmp_path, microphone(noise(2000))) as talk:
        tab, agent = talk.tab, talk.agent
        told = {**SETTINGS, "next_voice": None, "next_call_after_s": 10}
        await agent.tell("voice-agent.session", told)
        await tab.click("#open-settings")
        await tab.shows("Voice for the next call")
        await tab.evaluate(choose)
        await tab.shows("To hear ada, leave, wait 10 s, and talk again.")
        await tab.click("#apply-settings")
        await tab.shows("Chosen for the next call.")
        assert agent.asked == [{"next_voice": "ada"}]
        # The agent tells it to every page, and to this one when it is loaded again.
        await agent.tell("voice-agent.session", {**told, "next_voice": "ada"})
        await tab.click("#apply-settings")
        await tab.shows("Nothing to change.")
        assert await tab.evaluate("document.querySelector('#setting-voice').value") == "ada"
        assert tab.complaints == []


async def test_a_second_tab_waits_while_the_agent_listens_to_the_first(
    livekit: LiveKitServer, page_of: PageOf, tmp_path: Path, microphone: Microphone
) -> None:
    room = f"page-{tmp_path.name}"
    async with (
        page_of(room) as url,
        fake_agent(livekit, room) as agent,
        chromium(tmp_path, microphone=microphone(noise(2000))) as browser,
    ):
        first = await browser.open(url)
        await first.click("#talk")
        one = await agent.meets_somebody()
        await agent.be("listening", listening_to=one)
        await first.shows("Listening")
        second = await browser.open(url)
        await second.click("#talk")
        await second.shows("Not your turn")
        with trio.fail_after(30):
            while len(agent.people) < 2:
                await trio.sleep(0.05)
        (two,) = set(agent.people) - {one}
        await second.until("[...document.querySelectorAll('audio')].every((each) => each.muted)")
        await first.close()
        with trio.fail_after(30):
            while one in agent.people:
                await trio.sleep(0.05)
        await agent.be("listening", listening_to=two)
        await second.shows("Listening")
        await second.until("[...document.querySelectorAll('audio')].every((each) => !each.muted)")


async def test_everything_can_be_done_with_the_keyboard(
    livekit: LiveKitServer, page_of: PageOf, tmp_path: Path, microphone: Microphone
) -> None:
    room = f"page-{tmp_path.name}"
    focus = "document.activeElement.id"
    async with (
        page_of(room) as url,
        fake_agent(livekit, room) as agent,
        chromium(tmp_path, microphone=microphone(noise(2000))) as browser,
    ):
        tab = await browser.open(url)
        await tab.press("Tab")
        assert await tab.evaluate(focus) == "talk"
        await tab.press("Enter")
        await agent.be("listening")
        await agent.tell("voice-agent.session", SETTINGS)
        await tab.shows("Listening")
        await tab.until("!document.querySelector('#mute').hidden")
        await tab.until(f"{focus} === 'mute'"), "the button is gone, the focus is not"
        reached: list[str] = []
        while "typed" not in reached and len(reached) < 20:
            await tab.press("Tab")
            reached.append(await tab.evaluate(focus))
        assert reached[0] == "leave"
        assert "typed" in reached
        await tab.type("Hello")
        await tab.press("Enter")
        await tab.shows("Hello")
        await tab.evaluate("document.querySelector('#open-settings').focus()")
        await tab.press("Enter")
        await tab.until("document.querySelector('#settings').open")
        await tab.press("Escape")
        await tab.until("!document.querySelector('#settings').open")
        assert await tab.evaluate(focus) == "open-settings", "the focus comes back"
        await tab.evaluate("document.querySelector('#leave').focus()")
        await tab.press(" ")
        await tab.shows("You left the call")
        assert await tab.evaluate(focus) == "talk"
        assert tab.complaints == []


async def test_whoever_looks_after_the_agent_sees_that_the_page_cancels_its_echo(
    livekit: LiveKitServer, page_of: PageOf, tmp_path: Path, microphone: Microphone
) -> None:
    async with call(livekit, page_of, tmp_path, microphone(noise(1000))):
        account = LiveKitAccount(livekit.url, livekit.api_key, livekit.api_secret)
        room_name = f"page-{tmp_path.name}"
        with trio.fail_after(60):
            while (finding := await check_clients(account, room_name)).colour is not Colour.GREEN:
                await trio.sleep(0.1)
        assert finding.said.startswith("on for ")
