"""A page that is reloaded, and a second one: who comes back, and who is somebody else."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from bench.chromium import chromium
from playground.livekit_server import LiveKitServer
from tests.page.conftest import PageOf
from tests.page.fake_agent import fake_agent

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.browser]


async def test_a_reloaded_page_is_the_same_person_and_another_tab_is_another(
    livekit: LiveKitServer, page_of: PageOf, tmp_path: Path
) -> None:
    async with (
        page_of("reload") as url,
        fake_agent(livekit, "reload") as agent,
        chromium(tmp_path) as browser,
    ):
        tab = await browser.open(url)
        await tab.click("#type-only")
        me = await agent.meets_somebody()
        sid = agent.room.remote_participants[me].sid
        await tab.call("Page.reload")
        await tab.until("document.readyState === 'complete' && !document.querySelector('#type-only').hidden")
        await tab.click("#type-only")
        with trio.fail_after(30):
            while (person := agent.room.remote_participants.get(me)) is None or person.sid == sid:
                await trio.sleep(0.05)
        assert agent.people == [me]
        other = await browser.open(url)
        await other.click("#type-only")
        with trio.fail_after(30):
            while len(agent.people) < 2:
                await trio.sleep(0.05)
        assert len(set(agent.people)) == 2
        assert me in agent.people, "nobody was thrown out"
        key = await tab.evaluate("localStorage.getItem('voice-agent.browser')")
        assert key not in str(agent.people), "who sees the identity cannot take it"
        assert tab.complaints == other.complaints == []
