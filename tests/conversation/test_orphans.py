"""An agent that is lost together with its worker: another one comes, once, and only where one is wanted."""

from __future__ import annotations

import time
from typing import Any

import pytest
import trio

from bench.guest import join_as_guest
from channels.settings import WorkerSettings
from commands.dispatch import create_dispatch, list_dispatches, renew_dispatch
from playground.livekit_server import LiveKitServer
from tests.agent_process import run_agent, settings_for
from tests.conversation.test_dispatch import SEEN_WITHIN_S, agents_heard_by, fleet_at, lines

__all__ = ["lines"]

pytestmark = [pytest.mark.server, pytest.mark.slow]


async def test_a_caller_whose_worker_was_killed_hears_an_agent_again_and_one_who_was_left_does_not(
    livekit: LiveKitServer, lines: list[Any]
) -> None:
    ends = {"VOICE_AGENT_CALL_WHEN_OVER": "leave", "VOICE_AGENT_CALL_LONGEST_MS": "6000"}
    async with (
        fleet_at(livekit, lines) as fleet,
        join_as_guest(livekit, "lost", "alice") as alice,
        join_as_guest(livekit, "ended", "bob") as bob,
    ):
        quiet = {"VOICE_AGENT_HEALTH_LISTEN": ""}
        async with run_agent(
            {**settings_for(livekit, fleet.accounts.api.url, "none"), **quiet},
            *("--set", "worker.most_load=1", "serve", "--agent", "orphan", "--rooms", "1"),
        ) as doomed:
            await doomed.prints("worker_registered", within_s=60)
            await trio.sleep(SEEN_WITHIN_S)
            first = await create_dispatch(fleet.account, "lost", "orphan", '{"listen": "mix"}')
            await alice.hear_sound(within_s=60)
            (killed,) = agents_heard_by(alice)
            # This one ends its calls by itself.
            await fleet.start(WorkerSettings("orphan", look_every_s=1), set_to=ends)
            await create_dispatch(fleet.account, "ended", "orphan")
            await bob.hear_sound(within_s=60)
            await fleet.until(lambda: fleet.told("left", room="ended"))
            await fleet.start(WorkerSettings("orphan", look_every_s=1))
            await fleet.job_of(first.id, "lost")
            doomed.process.kill()
            killed_at = time.monotonic()
            await fleet.until(
                lambda: [each for each in agents_heard_by(alice) if each != killed], within_s=120
            )
            alice.heard.clear()
            await alice.hear_sound(within_s=60)
            print(f"heard again {time.monotonic() - killed_at:.1f} s after its worker was killed")
        assert len(fleet.told("another_agent_asked_for", room="lost")) == 1, "one of two did"
        (renewed,) = [
            each for each in await list_dispatches(fleet.account, "lost") if each.agent_name == "orphan"
        ]
        assert (renewed.id != first.id, renewed.metadata) == (True, '{"listen": "mix"}')
        assert len(fleet.told("call_began", room="ended")) == 1
        assert not agents_heard_by(bob)
        assert "orphan" not in {each.agent_name for each in await list_dispatches(fleet.account, "ended")}


async def test_of_all_who_try_one_renews_a_dispatch(livekit: LiveKitServer, lines: list[Any]) -> None:
    async with fleet_at(livekit, lines) as fleet:
        await create_dispatch(fleet.account, "raced for", "nobody", '{"listen": "mix"}')
        (old,) = [
            each for each in await list_dispatches(fleet.account, "raced for") if each.agent_name == "nobody"
        ]
        won = list[bool]()

        async def race() -> None:
            won.append(await renew_dispatch(fleet.account, old))

        async with trio.open_nursery() as nursery:
            for _ in range(10):
                nursery.start_soon(race)
        assert sorted(won) == [False] * 9 + [True]
        (new,) = [
            each for each in await list_dispatches(fleet.account, "raced for") if each.agent_name == "nobody"
        ]
        assert (new.id != old.id, new.metadata) == (True, old.metadata)
