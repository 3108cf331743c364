"""Bad days of the page: an agent that is late or leaves, a server that dies, a lid that is closed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
import trio
import trio_asyncio
from livekit import api, rtc

from actors.room.actor import mint_client_token
from bench.chromium import chromium
from bench.speech import noise
from channels.settings import LiveKitAccount
from playground.livekit_build.binary import find_or_build
from playground.livekit_server import LiveKitServer, ServerConfig, run_server
from playground.page_server import Joining, page_server
from tests.page.conftest import Microphone, PageOf
from tests.page.fake_agent import fake_agent
from tests.page.passing import has_said, keep_what_it_says

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.browser]

JOINS_LATE = """(() => {
    const ask = window.fetch;
    window.fetch = async (url, options) => {
        await new Promise((resolve) => setTimeout(resolve, 5000));
        return ask(url, { ...options, signal: null });
    };
})()"""
"""Later than the page says that there is no agent; which it cannot know before it is in the room."""
IN_THE_ROOM = "document.body.dataset.call === 'joined'"


@asynccontextmanager
async def runner(config: ServerConfig, port: int) -> AsyncIterator[str]:
    """A LiveKit server and the page, as the runner starts them; yields the page's URL."""
    account = LiveKitAccount(config.server.url, config.api_key, config.api_secret)

    def join(identity: str) -> Joining:
        return Joining(account.url, mint_client_token(account, "ends", identity, timedelta(minutes=10)))

    async with run_server(config), page_server(port=port, join=join) as url:
        yield url


async def test_an_agent_that_is_late_or_leaves_is_waited_for(
    livekit: LiveKitServer, page_of: PageOf, tmp_path: Path, microphone: Microphone
) -> None:
    async with page_of("late") as url, chromium(tmp_path, microphone=microphone(noise(2000))) as browser:
        tab = await browser.open(url)
        await keep_what_it_says(tab)
        await tab.evaluate(JOINS_LATE)
        await tab.click("#talk")
        await has_said(tab, "You are in the room; the agent is on its way.")
        await tab.shows("No agent yet")
        async with fake_agent(livekit, "late") as agent:
            await agent.be("listening")
            await tab.shows("Listening")
            await agent.open_caption("reply-1")
            await trio.sleep(0.5)
            # As words come: each when it has been heard.
            await agent.say("reply-1", "I was about to", pause_s=0.1)
            await tab.shows("I was about to")
        await tab.shows("The agent left")
        await tab.shows("I was about to")
        await tab.type("anybody?")
        async with fake_agent(livekit, "late") as agent:
            await agent.be("listening")
            await tab.shows("Listening")
            await agent.say("reply-2", "Here I am again")
            await tab.shows("Here I am again")
            await tab.shows("I was about to")
        assert tab.complaints == []


async def test_a_livekit_server_that_dies_and_comes_back_is_joined_again(
    tmp_path: Path, microphone: Microphone
) -> None:
    config = ServerConfig.choose(await find_or_build(progress=print), tmp_path / "livekit.log")
    account = LiveKitAccount(config.server.url, config.api_key, config.api_secret)

    def join(identity: str) -> Joining:
        return Joining(account.url, mint_client_token(account, "dies", identity, timedelta(minutes=10)))

    async with (
        page_server(port=0, join=join) as url,
        chromium(tmp_path, microphone=microphone(noise(2000))) as browser,
    ):
        tab = await browser.open(url)
        async with run_server(config) as running:
            await tab.click("#talk")
            await tab.until(IN_THE_ROOM)
            async with fake_agent(config.server, "dies") as agent:
                await agent.be("speaking")
                writer = await agent.open_caption("reply-1")
                await trio_asyncio.aio_as_trio(writer.write)("Once there was ")
                await tab.shows("Once there was")
                running.kill()
                await tab.shows("Reconnecting…")
            await tab.until("document.querySelector('#captions li').dataset.final === 'true'")
        async with run_server(config), fake_agent(config.server, "dies") as agent:
            await agent.be("listening")
            await tab.shows("Listening", within_s=60)
            me = await agent.meets_somebody()
            with trio.fail_after(30):
                while not agent.tracks_of(me):
                    await trio.sleep(0.05)


async def test_a_runner_that_ends_is_told_and_one_that_starts_again_is_joined(
    tmp_path: Path, microphone: Microphone
) -> None:
    config = ServerConfig.choose(await find_or_build(progress=print), tmp_path / "livekit.log")

    async with chromium(tmp_path, microphone=microphone(noise(2000))) as browser:
        async with runner(config, 0) as url:
            tab = await browser.open(url)
            await tab.click("#talk")
            await tab.until(IN_THE_ROOM)
            port = int(url.rpartition(":")[2])
        await tab.shows("The agent has ended")
        # Of another run: other keys, and LiveKit at another port, which the page may not connect to as it is.
        again = ServerConfig.choose(config.binary, config.log)
        assert again.server.url != config.server.url
        async with runner(again, port), fake_agent(again.server, "ends") as agent:
            await agent.be("listening")
            await tab.shows("Listening", within_s=60)
            await tab.until("!document.querySelector('#mute').hidden")


async def test_a_lid_that_was_closed_is_a_call_that_goes_on(
    livekit: LiveKitServer, page_of: PageOf, tmp_path: Path, microphone: Microphone
) -> None:
    async with (
        page_of("lid") as url,
        fake_agent(livekit, "lid") as agent,
        chromium(tmp_path, microphone=microphone(noise(2000))) as browser,
    ):
        tab = await browser.open(url)
        await tab.click("#talk")
        await agent.be("listening")
        await tab.shows("Listening")
        before = await agent.meets_somebody()
        with browser.asleep():
            # Longer than a nap of the network: until LiveKit has given the person up.
            await agent.is_left_alone(within_s=90)
            await trio.sleep(5)
        assert await agent.meets_somebody(within_s=60) == before, "it is the same browser"
        await tab.shows("Listening")
        await tab.until("document.querySelector('#notice').hidden")


async def test_a_page_that_is_closed_in_mid_sentence_leaves_the_room_at_once(
    livekit: LiveKitServer, page_of: PageOf, tmp_path: Path, microphone: Microphone
) -> None:
    async with (
        page_of("closed") as url,
        fake_agent(livekit, "closed") as agent,
        chromium(tmp_path, microphone=microphone(noise(2000))) as browser,
    ):
        tab = await browser.open(url)
        await tab.click("#talk")
        await agent.meets_somebody()
        await agent.be("listening")
        await tab.shows("Listening")
        gone = list[rtc.RemoteParticipant]()
        agent.room.on("participant_disconnected", gone.append)
        await tab.close()
        await agent.is_left_alone()
        # Whoever does not say goodbye is waited for, and given up later for another reason.
        assert [each.disconnect_reason for each in gone] == [rtc.DisconnectReason.CLIENT_INITIATED]


async def test_who_was_removed_is_told_and_is_not_back_by_itself(
    livekit: LiveKitServer, page_of: PageOf, tmp_path: Path, microphone: Microphone
) -> None:
    async with (
        page_of("removed") as url,
        fake_agent(livekit, "removed") as agent,
        chromium(tmp_path, microphone=microphone(noise(2000))) as browser,
    ):
        tab = await browser.open(url)
        await tab.click("#talk")
        me = await agent.meets_somebody()
        await agent.be("listening")
        await tab.shows("Listening")

        async def remove() -> None:
            http = livekit.url.replace("ws", "http", 1)
            async with api.LiveKitAPI(http, livekit.api_key, livekit.api_secret.reveal()) as room_service:
                await room_service.room.remove_participant(
                    api.RoomParticipantIdentity(room="removed", identity=me)
                )

        await trio_asyncio.aio_as_trio(remove)()
        await tab.shows("The call is over")
        await agent.is_left_alone()
        await trio.sleep(1)
        assert agent.people == []
        await tab.click("#talk")
        await agent.meets_somebody()
