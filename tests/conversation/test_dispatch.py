"""An agent that LiveKit's own dispatch sends into rooms: a person comes, and hears it."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import attrs
import pytest
import structlog
import trio
from google.protobuf.json_format import Parse
from livekit import api, rtc
from livekit.protocol.agent import Job
from livekit.protocol.agent_dispatch import AgentDispatch

from actors.room.actor import AGENT_IDENTITY, mint_watcher_token
from actors.room.livekit_edge import line_to_agent
from bench.guest import Guest, join_as_guest
from bench.scraping import get, read_samples, value
from channels.errors import NoDispatch, VoiceAgentError, WorkerRefused
from channels.secret import Secret
from channels.settings import Accounts, ApiAccount, LiveKitAccount, ToolSettings, WorkerSettings, gather
from channels.texts import OPERATE_METHOD
from commands.check.accounts import ask_livekit
from commands.dispatch import at_any_node, cancel_dispatch, create_dispatch, is_open, list_dispatches
from commands.fleet import JobRoomMaker, serve_jobs
from playground.livekit_build.binary import find_or_build
from playground.livekit_server import LiveKitServer, ServerConfig, run_server
from playground.voice_agent_api import ServerOptions, ToneSpeech, voice_agent_server
from runner import wire
from sound.recogniser import Recogniser
from tests.agent_process import LEAVES_WITHIN_S, run_agent, settings_for

pytestmark = [pytest.mark.server, pytest.mark.slow]

SEEN_WITHIN_S = 2.5
"""How long a LiveKit server may take to find a worker that has just registered."""


@attrs.define
class Fleet:
    """Workers of one LiveKit server, and what they logged."""

    account: LiveKitAccount
    accounts: Accounts
    nursery: trio.Nursery
    lines: list[Any]
    failures: list[VoiceAgentError] = attrs.field(factory=list)

    async def start(
        self, worker: WorkerSettings, *, rooms: int = 10, set_to: Mapping[str, str] | None = None
    ) -> trio.CancelScope:
        """Runs a worker until its scope is cancelled; returns when it is registered."""
        scope = trio.CancelScope()
        maker = JobRoomMaker(
            gather(None, set_to or {}, Path("there-is-none"), {}, print),
            ToolSettings(),
            self.accounts,
            lambda settings, accounts, edge, seat: wire(settings, accounts, edge, seat=seat),
            print,
            nodes=worker.urls,
        )
        # On a machine that runs tests, the load says nothing.
        busy = attrs.evolve(worker, most_load=1.0)

        async def run() -> None:
            with scope:
                try:
                    await serve_jobs(maker, busy, structlog.get_logger(), most_rooms=rooms)
                except VoiceAgentError as error:
                    self.failures.append(error)

        before = len(self.told("worker_registered"))
        self.nursery.start_soon(run)
        await self.until(lambda: self.failures or len(self.told("worker_registered")) > before)
        await trio.sleep(SEEN_WITHIN_S)
        return scope

    def told(self, event: str, **fields: Any) -> list[Any]:
        """The lines of the log with that event and these fields."""
        return [
            line
            for line in self.lines
            if line["event"] == event and all(line.get(name) == value for name, value in fields.items())
        ]

    async def until(self, holds: Callable[[], object], *, within_s: float = 60) -> None:
        """Waits until something holds."""
        with trio.fail_after(within_s):
            while not holds():
                await trio.sleep(0.02)

    async def send_for(self, room: str, agent_name: str, metadata: str = "") -> AgentDispatch:
        """Asks for an agent in a room until it has come.

        LiveKit asks its workers once, and on a busy machine it may miss their answer.
        """
        before = len(self.told("room_joined", room=room))
        for _ in range(3):
            made = await create_dispatch(self.account, room, agent_name, metadata)
            with trio.move_on_after(20):
                await self.until(lambda: len(self.told("room_joined", room=room)) > before)
                return made
            await cancel_dispatch(self.account, room, made.id)
        raise AssertionError(f"{agent_name!r} did not come to {room!r}")

    async def job_of(self, dispatch_id: str, room: str) -> Job:
        """The job of a dispatch, which the server lists some seconds after it was assigned."""
        with trio.fail_after(60):
            while True:
                for each in await list_dispatches(self.account, room):
                    if each.id == dispatch_id and each.state.jobs:
                        return each.state.jobs[0]
                await trio.sleep(0.1)

    async def in_room(self, room: str) -> dict[str, Any]:
        """The participants of a room by identity, as the server knows them."""
        grants = api.VideoGrants(room_admin=True, room=room)
        answer = await ask_livekit(self.account, "ListParticipants", grants, {"room": room})
        listed = api.ListParticipantsResponse()
        Parse(answer.body, listed, ignore_unknown_fields=True)
        return {each.identity: each for each in listed.participants}

    async def delete_room(self, room: str) -> None:
        """Closes it for all."""
        grants = api.VideoGrants(room_create=True)
        assert (await ask_livekit(self.account, "DeleteRoom", grants, {"room": room})).status == 200


@pytest.fixture
def lines() -> Iterator[list[Any]]:
    with structlog.testing.capture_logs() as captured:
        yield captured


@asynccontextmanager
async def fleet_at(
    livekit: LiveKitServer, lines: list[Any], *, sessions: int | None = None
) -> AsyncIterator[Fleet]:
    options = ServerOptions(speech=ToneSpeech, endpointing_ms=None, concurrency=sessions)
    async with voice_agent_server(options) as service, trio.open_nursery() as nursery:
        account = LiveKitAccount(livekit.url, livekit.api_key, livekit.api_secret)
        accounts = Accounts(account, ApiAccount(service.url, api_key=Secret("0" * 32)))
        yield Fleet(account, accounts, nursery, lines)
        nursery.cancel_scope.cancel()


def agents_heard_by(guest: Guest) -> list[str]:
    return sorted(
        each.identity
        for each in guest.room.remote_participants.values()
        if each.kind == rtc.ParticipantKind.PARTICIPANT_KIND_AGENT
    )


async def test_an_agent_that_was_sent_for_talks_and_its_room_shows_whose_it_is(
    livekit: LiveKitServer, lines: list[Any]
) -> None:
    async with fleet_at(livekit, lines) as fleet:
        await fleet.start(WorkerSettings("waiter"))
        made = await fleet.send_for("sent for", "waiter", '{"listen": "mix"}')
        async with join_as_guest(livekit, "sent for", "alice") as alice:
            await alice.hear_sound(within_s=60)
            (agent,) = agents_heard_by(alice)
            job = await fleet.job_of(made.id, "sent for")
            assert (job.state.participant_identity, job.metadata) == (agent, '{"listen": "mix"}')
            assert job.id in agent
            known = (await fleet.in_room("sent for"))[agent]
            assert known.kind == api.ParticipantInfo.Kind.AGENT
            assert known.attributes["lk.agent_name"] == "waiter"
            # Whoever may steer it finds it.
            token = mint_watcher_token(fleet.account, "sent for", "operator", timedelta(minutes=1))
            shown = json.dumps({"token": token.reveal()})
            async with line_to_agent(livekit.url, token, AGENT_IDENTITY) as line:
                answer = await line.call(OPERATE_METHOD, f'{shown}\n{{"do": "statistics"}}')
            assert json.loads(answer.partition("\n")[0])["done"] is True
        # Nobody but the agent is left: the job is not over until the room closes, so it can come again.
        async with join_as_guest(livekit, "sent for", "bob") as bob:
            await bob.hear_sound(within_s=60)
            assert agents_heard_by(bob) == [agent]


async def test_models_are_loaded_before_the_first_room_which_would_look_like_a_busy_machine(
    livekit: LiveKitServer, lines: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    registered_by_then = list[int]()
    warm = Recogniser.warm

    def noted(recogniser: Recogniser) -> None:
        registered_by_then.append(sum(line["event"] == "worker_registered" for line in lines))
        warm(recogniser)

    monkeypatch.setattr(Recogniser, "warm", noted)
    async with fleet_at(livekit, lines) as fleet:
        await fleet.start(WorkerSettings("models"))
        assert registered_by_then == [0]


async def test_an_agent_without_a_name_comes_to_every_new_room(
    livekit: LiveKitServer, lines: list[Any]
) -> None:
    async with fleet_at(livekit, lines) as fleet:
        await fleet.start(WorkerSettings())
        for room in ("new one", "new two"):
            async with join_as_guest(livekit, room, "alice") as alice:
                await alice.hear_sound(within_s=60)
                assert len(agents_heard_by(alice)) == 1


@pytest.mark.parametrize("kind", ["participant", "publisher"])
async def test_an_agent_comes_for_each_person_when_its_jobs_are_made_for_people(
    livekit: LiveKitServer, lines: list[Any], kind: str
) -> None:
    async with fleet_at(livekit, lines) as fleet:
        await fleet.start(WorkerSettings(kind=kind))
        async with (
            join_as_guest(livekit, f"each {kind}", "alice") as alice,
            join_as_guest(livekit, f"each {kind}", "bob"),
        ):
            await alice.hear_sound(within_s=60)
            await fleet.until(lambda: len(agents_heard_by(alice)) == 2)


async def test_a_worker_without_a_place_declines_and_another_takes_the_job(
    livekit: LiveKitServer, lines: list[Any]
) -> None:
    async with fleet_at(livekit, lines) as fleet:
        await fleet.start(WorkerSettings("full"), rooms=1)
        await fleet.send_for("first", "full")
        await create_dispatch(fleet.account, "second", "full")
        await trio.sleep(1)
        assert not fleet.told("room_joined", room="second")
        await fleet.start(WorkerSettings("full"), rooms=1)
        await fleet.send_for("second", "full")


async def test_whoever_finds_the_service_full_hears_a_tone_and_then_the_agent(
    livekit: LiveKitServer, lines: list[Any]
) -> None:
    async with fleet_at(livekit, lines, sessions=1) as fleet:
        await fleet.start(WorkerSettings("crowded"))
        first = await fleet.send_for("has the place", "crowded")
        async with (
            join_as_guest(livekit, "has the place", "alice") as alice,
            join_as_guest(livekit, "waits for it", "bob") as bob,
        ):
            await alice.hear_sound(within_s=60)
            await fleet.send_for("waits for it", "crowded")
            await fleet.until(lambda: fleet.told("service_full"))
            await bob.hear_sound(within_s=60)
            assert fleet.told("session_lost", room="waits for it", no_place=True)
            assert not fleet.told("session_started", room="waits for it")
            await cancel_dispatch(fleet.account, "has the place", first.id)
            await fleet.until(lambda: fleet.told("reply_began", room="waits for it"))
        assert not fleet.told("ended")


async def test_a_worker_gets_a_job_for_each_of_its_places(livekit: LiveKitServer, lines: list[Any]) -> None:
    async with fleet_at(livekit, lines) as fleet:
        await fleet.start(WorkerSettings("places"), rooms=4)
        for number in range(4):
            await fleet.send_for(f"place {number}", "places")


async def test_two_agents_in_one_room_do_not_throw_each_other_out(
    livekit: LiveKitServer, lines: list[Any]
) -> None:
    async with fleet_at(livekit, lines) as fleet:
        await fleet.start(WorkerSettings("one"))
        await fleet.start(WorkerSettings("two"))
        async with join_as_guest(livekit, "both", "alice") as alice:
            for name in ("one", "two"):
                await fleet.send_for("both", name)
            await alice.hear_sound(within_s=60)
            await fleet.until(lambda: len(agents_heard_by(alice)) == 2)
            await trio.sleep(3)
            assert len(agents_heard_by(alice)) == 2
            assert not fleet.told("ended")


async def test_a_dispatch_that_is_taken_back_ends_its_job_and_no_other(
    livekit: LiveKitServer, lines: list[Any]
) -> None:
    async with fleet_at(livekit, lines) as fleet:
        await fleet.start(WorkerSettings("waiter"))
        kept = await fleet.send_for("kept", "waiter")
        made = await fleet.send_for("taken back", "waiter")
        async with (
            join_as_guest(livekit, "taken back", "alice") as alice,
            join_as_guest(livekit, "kept", "bob") as bob,
        ):
            await alice.hear_sound(within_s=60)
            await bob.hear_sound(within_s=60)
            await cancel_dispatch(fleet.account, "taken back", made.id)
            await fleet.until(lambda: not agents_heard_by(alice))
            assert len(agents_heard_by(bob)) == 1
            with pytest.raises(NoDispatch, match="no dispatch"):
                await cancel_dispatch(fleet.account, "taken back", made.id)
        assert kept.id != made.id
        assert not fleet.told("ended")


async def test_a_deleted_room_ends_its_job_in_good_order_and_is_not_opened_again(
    livekit: LiveKitServer, lines: list[Any]
) -> None:
    async with fleet_at(livekit, lines) as fleet:
        await fleet.start(WorkerSettings("waiter"))
        await fleet.send_for("deleted", "waiter")
        await fleet.delete_room("deleted")
        await fleet.until(lambda: fleet.told("left", room="deleted"))
        await trio.sleep(2)
        assert not fleet.told("ended")
        assert len(fleet.told("room_joined", room="deleted")) == 1
        with pytest.raises(NoDispatch, match="no room 'deleted' is open"):
            await list_dispatches(fleet.account, "deleted")


async def test_a_room_that_everybody_left_ends_its_job(livekit: LiveKitServer, lines: list[Any]) -> None:
    async with fleet_at(livekit, lines) as fleet:
        await fleet.start(WorkerSettings("waiter"))
        room = {"name": "everybody left", "departure_timeout": 1, "empty_timeout": 60}
        grants = api.VideoGrants(room_create=True)
        assert (await ask_livekit(fleet.account, "CreateRoom", grants, room)).status == 200
        await fleet.send_for("everybody left", "waiter")
        async with join_as_guest(livekit, "everybody left", "alice") as alice:
            await alice.hear_sound(within_s=60)
        await fleet.until(lambda: fleet.told("left", room="everybody left"))
        await trio.sleep(1)
        assert not fleet.told("ended")
        assert len(fleet.told("room_joined")) == 1


async def test_a_worker_that_ends_leaves_its_rooms_at_once(livekit: LiveKitServer, lines: list[Any]) -> None:
    async with fleet_at(livekit, lines) as fleet:
        scope = await fleet.start(WorkerSettings("waiter"))
        await fleet.send_for("ends", "waiter")
        async with join_as_guest(livekit, "ends", "alice") as alice:
            why = list[object]()
            alice.room.on("participant_disconnected", lambda left: why.append(left.disconnect_reason))
            await alice.hear_sound(within_s=60)
            scope.cancel()
            await fleet.until(lambda: not agents_heard_by(alice))
            assert why == [rtc.DisconnectReason.CLIENT_INITIATED], "nobody has to miss it first"


async def test_a_wrong_secret_is_told_once_with_its_fix(livekit: LiveKitServer, lines: list[Any]) -> None:
    wrong = attrs.evolve(livekit, api_secret=Secret("not-the-secret-of-this-server-0123456789"))
    async with fleet_at(wrong, lines) as fleet:
        await fleet.start(WorkerSettings("waiter"))
        (failure,) = fleet.failures
        assert isinstance(failure, WorkerRefused)
        assert "LIVEKIT_API_SECRET" in failure.fix
        assert not fleet.told("worker_lost")
        with pytest.raises(NoDispatch, match="refuses the key"):
            await create_dispatch(fleet.account, "sent for", "waiter")


@pytest.mark.parametrize("name", ["waiter", None])
async def test_a_server_that_was_killed_has_its_worker_back_and_the_call_goes_on(
    lines: list[Any], tmp_path: Path, name: str | None
) -> None:
    config = ServerConfig.choose(await find_or_build(progress=print), tmp_path / "server.log")
    async with fleet_at(config.server, lines) as fleet:
        async with run_server(config) as running:
            await fleet.start(WorkerSettings(name))
            if name:
                await fleet.send_for("outlives", name)
            async with join_as_guest(config.server, "outlives", "alice") as alice:
                await alice.hear_sound(within_s=60)
                (agent,) = agents_heard_by(alice)
            running.kill()
        await fleet.until(lambda: fleet.told("worker_lost"))
        async with run_server(config):
            await fleet.until(lambda: len(fleet.told("worker_registered")) > 1)
            assert fleet.told("worker_registered")[-1]["running"] == 1
            async with join_as_guest(config.server, "outlives", "bob") as bob:
                await fleet.until(lambda: agents_heard_by(bob) == [agent])
                await bob.hear_sound(within_s=60)
                assert agents_heard_by(bob) == [agent]
            # The worker is there for new rooms, too.
            if name:
                await fleet.send_for("after", name)
            async with join_as_guest(config.server, "after", "carol") as carol:
                await carol.hear_sound(within_s=60)
            fleet.nursery.cancel_scope.cancel()


async def test_an_agent_whose_node_died_comes_to_its_room_at_another_and_goes_on(
    livekit: LiveKitServer, lines: list[Any], tmp_path: Path
) -> None:
    config = ServerConfig.choose(
        await find_or_build(progress=print),
        tmp_path / "server.log",
        api_key=livekit.api_key,
        api_secret=livekit.api_secret,
    )
    # They share no rooms, so that somebody who waits at the second one sees who comes by themselves.
    async with fleet_at(config.server, lines) as fleet, run_server(config) as running:
        await fleet.start(WorkerSettings("waiter", urls=(livekit.url,)))
        await fleet.send_for("moved", "waiter")
        async with (
            join_as_guest(config.server, "moved", "alice") as alice,
            join_as_guest(livekit, "moved", "alice") as waiting,
        ):
            await alice.hear_sound(within_s=60)
            agents = agents_heard_by(alice)
            running.kill()
            # LiveKit's SDK gives up after some 25 s.
            await fleet.until(lambda: agents_heard_by(waiting) == agents, within_s=120)
            await fleet.until(lambda: fleet.told("room_joined", rejoined=True))
            assert len(fleet.told("session_started")) == 1, "it is the same conversation"
        fleet.nursery.cancel_scope.cancel()


async def test_a_dispatch_is_open_until_it_is_taken_back(livekit: LiveKitServer, lines: list[Any]) -> None:
    async with fleet_at(livekit, lines) as fleet:
        made = await create_dispatch(fleet.account, "open", "nobody")
        assert await is_open(fleet.account, "open", made.id)
        dead = attrs.evolve(fleet.account, url="ws://127.0.0.1:9")
        assert await at_any_node(dead, [livekit.url], lambda node: is_open(node, "open", made.id))
        assert not await is_open(fleet.account, "open", "AD_none")
        await cancel_dispatch(fleet.account, "open", made.id)
        assert not await is_open(fleet.account, "open", made.id)


async def test_on_the_command_line_a_worker_serves_what_is_sent_for_until_ctrl_c(
    livekit: LiveKitServer,
) -> None:
    options = ServerOptions(speech=ToneSpeech, endpointing_ms=None)
    async with voice_agent_server(options) as service:
        settings = settings_for(livekit, service.url, "not this one")
        health = {"VOICE_AGENT_HEALTH_LISTEN": "127.0.0.1:0"}
        async with run_agent(
            {**settings, **health},
            *("--set", "worker.most_load=1", "serve", "--agent", "waiter", "--rooms", "2"),
        ) as agent:
            await agent.prints("worker_registered", within_s=60)
            url = re.search(r"http://127\.0\.0\.1:\d+", agent.printed.partition(" health")[2])
            assert url is not None
            assert (await get(url[0], "/readyz")).status == 200
            await trio.sleep(SEEN_WITHIN_S)

            async def command(*arguments: str) -> tuple[int, str]:
                async with run_agent(settings, "dispatch", "command line", *arguments) as asked:
                    with trio.fail_after(60):
                        code = await asked.ended()
                    return code, asked.printed

            code, said = await command("--agent", "waiter", "--metadata", '{"listen": "mix"}')
            assert (code, "'waiter'" in said, "'command line'" in said) == (0, True, True)
            dispatch_id = said.split()[-1]
            async with join_as_guest(livekit, "command line", "alice") as alice:
                await alice.hear_sound(within_s=60)
                samples = read_samples((await get(url[0], "/metrics")).body)
                assert value(samples, "voice_agent_jobs_accepted_total") == 1
                assert value(samples, "voice_agent_rooms_connected") == 1
                with trio.fail_after(60):  # the server lists its jobs some seconds later
                    while f"{dispatch_id}: agent 'waiter', AJ_" not in said:
                        code, said = await command("--list")
                assert f"running as {agents_heard_by(alice)[0]}" in said
                code, said = await command("--list", "--json")
                assert dispatch_id in {each["id"] for each in json.loads(said)}
                code, said = await command("--cancel", "AD_none")
                assert (code, "--list" in said) == (1, True)
                code, said = await command("--cancel", dispatch_id)
                assert code == 0
                with trio.fail_after(60):
                    while agents_heard_by(alice):
                        await trio.sleep(0.02)
                code, said = await command("--metadata", "{")
                assert (code, "--metadata is not JSON" in said) == (2, True)
                code, said = await command("--agent", "waiter")
                await alice.hear_sound(within_s=60)
                agent.process.send_signal(signal.SIGINT)
                await agent.prints("draining", within_s=20)
                assert (await get(url[0], "/readyz")).status == 503
                await trio.sleep(1)
                assert agents_heard_by(alice), "the call goes on"
                assert await agent.leave() < LEAVES_WITHIN_S, "the second time it is meant"
            assert agent.process.returncode == 0
        assert "Traceback" not in agent.printed
        assert livekit.api_secret.reveal() not in agent.printed
