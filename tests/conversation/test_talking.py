"""A person talks with the agent: `python runner.py`, the real LiveKit server, the real websocket, real sound.

The service is the playground's, with real ears and a real voice, so what comes back is speech that can be
understood again.
"""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import attrs
import pytest
import trio

from bench.guest import Guest, join_as_guest
from bench.speech import spoken, word_errors
from channels.wire.events import SessionReady, SpeechStarted
from channels.wire.messages import InputAudio, SessionEnd, SessionResume, SessionUpdate
from playground.livekit_server import LiveKitServer
from playground.voice_agent_api import (
    Burst,
    Pacing,
    RealTime,
    ServerOptions,
    VoiceAgentServer,
    voice_agent_server,
)
from tests.agent_process import LEAVES_WITHIN_S, AgentProcess, run_agent, settings_for
from tests.talk import answer_to

pytestmark = [pytest.mark.server, pytest.mark.slow]

LONG_SENTENCE = (
    "Please repeat after me. The old lighthouse keeper climbed the narrow stairs every evening, lit the "
    "great lamp, wrote the weather into his book, and watched the ships until the morning came."
)

FRESH_AND_SPEAKING = re.compile(r"session_not_found[\s\S]*session_started +resumed=False[\s\S]*reply_began")


@attrs.frozen
class Call:
    """A conversation that can be listened to."""

    agent: AgentProcess
    guest: Guest
    service: VoiceAgentServer

    def sent(self, kind: type) -> list[float]:
        """When the service sent events of a kind, by Trio's clock."""
        return [entry.at_s for entry in self.service.sent if isinstance(entry.what, kind)]

    async def sends(self, kind: type, count: int, *, within_s: float) -> None:
        """Waits until the service has sent so many events of a kind."""
        with trio.fail_after(within_s):
            for _ in itertools.repeat(None):
                if len(self.sent(kind)) >= count:
                    return
                await trio.sleep(0.01)

    async def ask_for_a_long_answer(self) -> None:
        """Returns in the middle of it: what is held or ends at once answered half of the sentence."""

        def troubled() -> list[int]:
            return [self.agent.printed.count(what) for what in ("voice_held", "reply_ended")]

        await self.guest.say(spoken(LONG_SENTENCE))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.guest.hush, 200)
            before: list[int] | None = None
            while before != troubled():
                before = troubled()
                await self.guest.hear_sound(within_s=60, since=time.monotonic())
                await trio.sleep(2)
            nursery.cancel_scope.cancel()

    def received(self, kind: type) -> int:
        """How many messages of a kind the service received."""
        return sum(isinstance(entry.what, kind) for entry in self.service.received)


@asynccontextmanager
async def call(
    livekit: LiveKitServer, room_name: str, pacing: Pacing, settings: Mapping[str, str] | None = None
) -> AsyncIterator[Call]:
    options = ServerOptions(pacing=pacing, endpointing_ms=None)
    async with (
        voice_agent_server(options) as service,
        run_agent({**settings_for(livekit, service.url, room_name), **(settings or {})}) as agent,
        join_as_guest(livekit, room_name) as guest,
        trio.open_nursery() as nursery,
    ):
        await guest.hear_sound(within_s=60)  # the greeting; models may have to be loaded first
        await guest.hear_silence(for_s=0.8, within_s=60)
        yield Call(agent, guest, service)
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("pacing", [RealTime(), Burst()], ids=["real time", "burst"])
async def test_a_person_is_answered_by_voice_and_talks_over_the_answer(
    livekit: LiveKitServer, pacing: Pacing
) -> None:
    async with call(livekit, f"talk-{type(pacing).__name__}", pacing) as talk:
        said = "The weather is very nice today."
        await answer_to(talk.guest, said, lambda words: word_errors(f"You said: {said}", words) < 0.35)

        await talk.ask_for_a_long_answer()
        decisions = len(talk.sent(SpeechStarted))
        spoken_to_the_end_at = float("inf")

        async def interrupt() -> None:
            nonlocal spoken_to_the_end_at
            await talk.guest.say(
                spoken("No, stop it please, I have heard enough of that story now, and of all the others.")
            )
            spoken_to_the_end_at = time.monotonic()
            await talk.guest.hush(60)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(interrupt)
            with trio.fail_after(60):
                while len(talk.sent(SpeechStarted)) == decisions:
                    await trio.sleep(0.01)
            # For longer than any pause between words.
            await talk.guest.hear_silence(for_s=1.0, within_s=60)
            assert talk.guest.last_audible_at() < spoken_to_the_end_at, "silent before the person is"
            await talk.agent.prints("outcome=cut", within_s=60)
            nursery.cancel_scope.cancel()


async def test_who_is_not_listened_to_does_not_hold_the_agents_voice(livekit: LiveKitServer) -> None:
    async with (
        call(livekit, "bystander", RealTime(), {"VOICE_AGENT_LISTEN": "first"}) as talk,
        join_as_guest(livekit, "bystander", "bob") as bob,
    ):
        await talk.agent.prints("identity=bob", within_s=60)

        async def talks_over_an_answer(talker: Guest) -> bool:
            """Whether the voice was held for it."""
            await talk.ask_for_a_long_answer()
            ended, held = (talk.agent.printed.count(what) for what in ("reply_ended", "voice_held"))
            await talker.say(spoken("I think that we could go to the cinema tonight."))
            async with trio.open_nursery() as nursery:
                nursery.start_soon(talk.guest.hush, 60)
                with trio.fail_after(60):
                    while talk.agent.printed.count("reply_ended") == ended:
                        await trio.sleep(0.05)
                nursery.cancel_scope.cancel()
            return talk.agent.printed.count("voice_held") > held

        assert not await talks_over_an_answer(bob)
        assert await talks_over_an_answer(talk.guest)


async def test_a_dropped_websocket_gives_the_conversation_back(livekit: LiveKitServer) -> None:
    async with call(livekit, "dropped-websocket", RealTime()) as talk:
        await talk.ask_for_a_long_answer()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(talk.guest.hush, 200)
            await talk.service.drop_connections()
            await talk.agent.prints("session_not_found", within_s=60)
            with trio.fail_after(60):
                while not FRESH_AND_SPEAKING.search(talk.agent.printed):
                    await trio.sleep(0.02)
            await talk.guest.hear_sound(within_s=60, since=time.monotonic())  # it goes on by itself
            await talk.guest.hear_silence(for_s=0.8, within_s=90)
            nursery.cancel_scope.cancel()
        await answer_to(talk.guest, "Are you still there?", lambda words: "still there" in words)
        assert talk.received(SessionUpdate) == 2
        assert talk.received(SessionResume) == 1, "one try"


async def test_ctrl_c_in_the_middle_of_a_reply_leaves_cleanly(livekit: LiveKitServer) -> None:
    async with call(livekit, "ctrl-c", RealTime()) as talk:
        await talk.ask_for_a_long_answer()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(talk.guest.hush, 60)
            took_s = await talk.agent.leave()
            nursery.cancel_scope.cancel()
        assert talk.agent.process.returncode == 0
        assert took_s < LEAVES_WITHIN_S
        assert "Traceback" not in talk.agent.printed
        with trio.fail_after(20):  # what it said last may still be on its way
            while talk.service.connections:
                await trio.sleep(0.05)
        assert talk.received(SessionEnd) == 1, "the session was ended, so that it stops costing"


async def test_sound_reaches_the_service_only_when_it_listens_and_in_real_time(
    livekit: LiveKitServer,
) -> None:
    async with call(livekit, "pace", RealTime()) as talk:
        await talk.guest.hush(3)
        sounds = [entry for entry in talk.service.received if isinstance(entry.what, InputAudio)]
        heard_ms = sum(len(entry.what.audio) for entry in sounds if isinstance(entry.what, InputAudio)) / 48
        # A busy machine bunches frames; what it heard before the service listened would be seconds.
        listened_ms = (sounds[-1].at_s - talk.sent(SessionReady)[0]) * 1000
        assert heard_ms <= listened_ms + 500
        # It also drops what is seconds late; without silence, there would be nothing: nobody speaks here.
        passed_ms = (sounds[-1].at_s - sounds[0].at_s) * 1000
        assert heard_ms >= passed_ms * 0.6, "the microphone is sent without gaps, silence too"
