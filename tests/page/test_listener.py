"""What the page takes for a turn's timers, from nothing but how loud both voices were here."""

from __future__ import annotations

import json
import math
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path

import attrs
import pytest

from bench.chromium import Tab, chromium
from playground.page_server import page_server
from tests.page.test_page_server import join

pytestmark = [pytest.mark.slow, pytest.mark.browser]

SPEECH_DB = -20.0
ROOM_DB = -70.0
FRAME_S = 0.01

Spans = Sequence[tuple[float, float]]
Voice = Callable[[float], float]


@attrs.frozen
class Turn:
    """What the agent tells of a turn, and when (s); the page looks back `looks_s` later."""

    at: float
    latency_ms: int | None = None
    barge_in_ms: int | None = None
    looks_s: float = 0.8


def voice(*spans: tuple[float, float], room_db: float = ROOM_DB) -> Voice:
    """Speech in these spans, in syllables; else the noise of a room."""

    def loudness(at: float) -> float:
        spoken = any(begins <= at < ends for begins, ends in spans)
        return SPEECH_DB + 6 * math.sin(at * 25) if spoken else room_db

    return loudness


def echoing(person: Voice, agent: Voice, *, by_db: float, after_s: float = 0.1) -> Voice:
    """A microphone that hears the loudspeaker, too."""
    return lambda at: max(person(at), agent(at - after_s) + by_db)


@pytest.fixture
async def tab(tmp_path: Path) -> AsyncIterator[Tab]:
    async with page_server(port=0, join=join) as url, chromium(tmp_path) as browser:
        yield await browser.open(url)


async def timers(tab: Tab, agent: Voice, you: Voice, *turns: Turn) -> list[Mapping[str, int | None]]:
    """The timers that the page shows for each turn."""
    steps: list[dict[str, float | None]] = []
    for number in range(round((turns[-1].at + turns[-1].looks_s + 0.02) / FRAME_S)):
        at = number * FRAME_S
        steps.append({"at": at, "agent": agent(at), "you": you(at)})
        steps += [
            {"turn_latency_ms": turn.latency_ms, "barge_in_ms": turn.barge_in_ms, "until": turn.at}
            for turn in turns
            if abs(turn.at + turn.looks_s - at) < FRAME_S / 2
        ]
    told: list[Mapping[str, int | None]] = await tab.evaluate(
        "import('/listener.js').then(({ Listener }) => { const listener = new Listener();"
        f"return {json.dumps(steps)}.flatMap((step) =>"
        "'at' in step ? (listener.take(step), []) : [listener.timersOf(step, step.until)]) })"
    )
    return told


def near(ms: int | None, expected: int) -> bool:
    return ms is not None and abs(ms - expected) <= 25


async def test_it_is_measured_from_the_persons_last_sound_and_from_their_first(tab: Tab) -> None:
    agent, you = voice((3.8, 9.45), (11.0, 13)), voice((1, 3), (9, 10.2))
    cut, played = await timers(
        tab, agent, you, Turn(10.4, latency_ms=600, barge_in_ms=140), Turn(13.8, latency_ms=520)
    )
    assert near(cut["latency"], 800)
    assert near(cut["bargeIn"], 450)
    assert near(played["latency"], 800)
    assert played["bargeIn"] is None


async def test_a_short_answer_right_behind_an_interruption_is_the_next_turns(tab: Tab) -> None:
    agent, you = voice((3.8, 9.4), (11.0, 11.4)), voice((1, 3), (9, 10.2))
    cut, answer = await timers(
        tab, agent, you, Turn(10.8, latency_ms=600, barge_in_ms=140), Turn(11.5, latency_ms=600)
    )
    assert near(cut["bargeIn"], 400)
    assert near(answer["latency"], 800)


async def test_whoever_begins_while_the_agent_draws_breath_is_timed_too(tab: Tab) -> None:
    agent, you = voice((3.8, 8.8), (9.1, 9.3)), voice((1, 3), (9, 10.2))
    (turn,) = await timers(tab, agent, you, Turn(10.4, latency_ms=600, barge_in_ms=140))
    assert near(turn["bargeIn"], 300)


async def test_the_agents_echo_in_the_microphone_is_not_the_person(tab: Tab) -> None:
    agent = voice((0.5, 8), (11, 18.5))
    person = voice((9, 10), (18, 19))
    first, second = await timers(
        tab,
        agent,
        echoing(person, agent, by_db=-24),
        Turn(8.8),
        Turn(19.5, latency_ms=700, barge_in_ms=150),
    )
    assert first == {"latency": None, "bargeIn": None}
    assert near(second["latency"], 1000)
    assert near(second["bargeIn"], 500)


async def test_a_noisy_room_is_no_voice(tab: Tab) -> None:
    agent, you = voice((13, 16.4)), voice((10, 12.2), (16, 17), room_db=-42)
    (turn,) = await timers(tab, agent, you, Turn(17.5, latency_ms=600, barge_in_ms=130))
    assert near(turn["latency"], 800)
    assert near(turn["bargeIn"], 400)


async def test_a_mm_hm_that_only_held_the_voice_is_not_taken_for_the_interruption(tab: Tab) -> None:
    agent, you = voice((3.8, 6.4), (7.2, 9.4)), voice((1, 3), (6, 6.5), (9, 10.5))
    (turn,) = await timers(tab, agent, you, Turn(10.4, latency_ms=600, barge_in_ms=140))
    assert near(turn["latency"], 800)
    assert near(turn["bargeIn"], 400)


async def test_where_no_sound_fits_what_the_agent_tells_nothing_is_shown(tab: Tab) -> None:
    silent = voice()
    agent = voice((3.8, 6))
    # A microphone that was muted; a sound that came right before the answer; one that lasted into it.
    for you in (silent, voice((1, 3), (3.5, 3.7)), voice((1, 4.2))):
        (turn,) = await timers(tab, agent, you, Turn(6.8, latency_ms=600, barge_in_ms=140))
        assert turn == {"latency": None, "bargeIn": None}
    # It had come to the end of a sentence anyway.
    (turn,) = await timers(tab, voice((3.8, 9.05)), voice((1, 3), (9, 10.2)), Turn(10.4, barge_in_ms=40))
    assert turn["bargeIn"] is None
    # No figure of the agent, so no sound is meant; and what was before a turn is not the next one's.
    typed, later = await timers(
        tab, agent, voice((1, 3)), Turn(6.8), Turn(8, latency_ms=600, barge_in_ms=140)
    )
    assert typed == later == {"latency": None, "bargeIn": None}
