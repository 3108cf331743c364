"""A soft voice is brought up on its way to the service; nothing else is, and nothing ever clips."""

from __future__ import annotations

import contextlib
import math

import numpy as np
import numpy.typing as npt
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from actors.mic.level import Leveller
from bench.speech import noise, silence, spoken
from channels.happenings import FloorHolder, FloorPassed
from sound.pcm import bytes_of_ms
from tests.actors.mic_support import person, pump

FRAME = bytes_of_ms(50)
MOST_GAIN = 8.0
INTERRUPTS_FROM = 0.66
"""Of full scale: from this peak on the service was seen to notice an interruption."""
ANSWER = "I left my umbrella in the restaurant yesterday evening."
OVER_IT = "Stop, please, I would like to say something."

Samples = npt.NDArray[np.float64]


def unit(pcm: bytes) -> Samples:
    return np.frombuffer(pcm[: len(pcm) // 2 * 2], "<i2").astype(np.float64) / 32768


def pcm_of(sound: Samples) -> bytes:
    pcm: bytes = np.rint(sound * 32768).clip(-32768, 32767).astype("<i2").tobytes()
    return pcm


def at_peak(pcm: bytes, peak: float) -> bytes:
    """The same sound with this peak (of full scale), in whole frames."""
    sound = unit(pcm)
    louder = pcm_of(sound * (peak / np.abs(sound).max()))
    return louder + bytes(-len(louder) % FRAME)


def voice(text: str, peak: float, name: str = "reid") -> bytes:
    return at_peak(spoken(text, name), peak)


def leveller() -> Leveller:
    return Leveller(MOST_GAIN)


def fed(by: Leveller, pcm: bytes, *, agent_audible: bool = False) -> bytes:
    return b"".join(
        by.feed(pcm[at : at + FRAME], agent_audible=agent_audible) for at in range(0, len(pcm), FRAME)
    )


def greeted(background: bytes = b"") -> Leveller:
    """One that has heard the agent greet, and no echo of it."""
    by = leveller()
    fed(by, background or silence(2500), agent_audible=True)
    fed(by, silence(1000))
    return by


def peak(pcm: bytes) -> float:
    return float(np.abs(unit(pcm)).max())


def raised_db(before: bytes, after: bytes) -> float:
    return 10 * math.log10(float(np.mean(unit(after) ** 2)) / float(np.mean(unit(before) ** 2)))


def room_noise(ms: float, level: float, seed: int = 0) -> bytes:
    return noise(ms, level, seed)


# ---- what the service hears of a person


@pytest.mark.parametrize("name", ["reid", "alba", "charles", "eve"])
@pytest.mark.parametrize("softly", [0.12, 0.2, 0.33])
def test_whoever_speaks_softly_is_heard_at_full_level_from_their_first_sentence_on(
    name: str, softly: float
) -> None:
    by = greeted()
    fed(by, voice(ANSWER, softly, name))
    assert peak(fed(by, voice(OVER_IT, softly, name))) >= INTERRUPTS_FROM


@pytest.mark.parametrize("name", ["reid", "alba", "charles", "eve"])
@pytest.mark.parametrize("in_noise", [False, True])
def test_whoever_is_turned_down_to_a_third_beside_the_agent_is_at_full_level_within_a_word_or_two(
    name: str, in_noise: bool
) -> None:
    said = voice(OVER_IT, 0.8 / 3, name)
    by = greeted(room_noise(2500, 0.002))
    fed(by, voice(ANSWER, 0.8, name))
    if in_noise:
        said = pcm_of(unit(said) + unit(room_noise(len(said) / 48, 0.002, seed=1)))
    louder = fed(by, said, agent_audible=True)
    words = unit(said)
    begins = int(np.argmax(np.abs(words) > 0.05))
    assert peak(louder[2 * begins :][: bytes_of_ms(600)]) >= INTERRUPTS_FROM


def test_a_stranger_over_the_greeting_is_raised_too_once_it_is_known_that_there_is_no_echo() -> None:
    by = leveller()
    fed(by, silence(2000), agent_audible=True)
    assert peak(fed(by, voice(OVER_IT, 0.3), agent_audible=True)) >= INTERRUPTS_FROM


@pytest.mark.parametrize("agent_audible", [False, True])
def test_a_loud_voice_is_not_made_louder(agent_audible: bool) -> None:
    by = greeted()
    fed(by, voice(ANSWER, 0.95))
    fed(by, voice(ANSWER, 0.95), agent_audible=agent_audible)
    said = voice(OVER_IT, 0.95)
    after = fed(by, said, agent_audible=agent_audible)
    assert peak(after) <= 0.98
    assert raised_db(said, after) < 1


def test_nothing_is_ever_made_softer() -> None:
    by, said = greeted(), voice(ANSWER, 1.0) + voice(ANSWER, 0.2) + voice(ANSWER, 1.0)
    assert (np.abs(unit(fed(by, said))) >= np.abs(unit(said)) - 1 / 32768).all()


def test_a_gain_that_is_switched_off_leaves_every_sound_as_it_is() -> None:
    said = voice(ANSWER, 0.2)
    assert fed(Leveller(1.0), said) == said


def test_the_gain_moves_without_a_jump() -> None:
    by = greeted()
    fed(by, voice(ANSWER, 0.2))
    times = np.arange(24_000) / 24_000
    # A voice at a steady pitch, each period of which is the same: what changes between them is the gain.
    hum = sum(np.sin(2 * np.pi * 200 * k * times) / k for k in range(1, 6)) * 0.05
    said = pcm_of(np.pad(hum, (24_000, 0)))
    before, after = (unit(each)[24_000:].reshape(-1, 120) for each in (said, fed(by, said)))
    gains = np.abs(after).max(axis=1) / np.abs(before).max(axis=1)
    assert gains.max() > 2, "it was raised"
    steps = 20 * np.log10(gains[1:] / gains[:-1])
    assert np.abs(steps).max() < 2.3, "5 ms of it change it by 2 dB or so at most"


# ---- what is no person


@pytest.mark.parametrize("agent_audible", [False, True])
@pytest.mark.parametrize("level", [0.003, 0.02, 0.1])
def test_noise_alone_is_not_raised(level: float, agent_audible: bool) -> None:
    by = greeted()
    fed(by, voice(ANSWER, 0.2))
    fed(by, silence(1000))
    hiss = room_noise(4000, level)
    assert raised_db(hiss, fed(by, hiss, agent_audible=agent_audible)) < 0.5


def test_a_humming_machine_is_not_raised_for_long() -> None:
    by = leveller()
    times = np.arange(6 * 24_000) / 24_000
    hum = pcm_of(0.05 * (np.sin(2 * np.pi * 100 * times) + 0.5 * np.sin(2 * np.pi * 200 * times)))
    half = len(hum) // 2
    assert raised_db(hum[half:], fed(by, hum)[half:]) < 0.5


def test_between_words_the_noise_of_the_room_goes_back_to_what_it_was() -> None:
    by, said = greeted(), voice(ANSWER, 0.15)
    room = room_noise(len(said) / 48 + 2000, 0.002)
    both = pcm_of(unit(room) + np.pad(unit(said), (0, (len(room) - len(said)) // 2)))
    after = fed(by, both)
    last = bytes_of_ms(500)
    assert raised_db(both[-last:], after[-last:]) < 0.5


@pytest.mark.parametrize("echo_db", [-10, -20])
def test_the_agents_own_echo_is_not_raised(echo_db: int) -> None:
    by = leveller()
    reply = voice(
        "Once upon a time there was a robot who lived in a house by the sea. It counted boats.", 0.8
    )
    echo = pcm_of(unit(reply) * 10 ** (echo_db / 20))
    fed(by, echo, agent_audible=True)
    fed(by, voice(ANSWER, 0.5))
    assert raised_db(echo, fed(by, echo, agent_audible=True)) < 1


# ---- whatever comes


@given(
    pieces=st.lists(
        st.tuples(
            st.sampled_from(["zeros", "square", "hiss", "speech", "bytes", "one"]),
            st.integers(1, 5000),
            st.floats(0, 1),
            st.booleans(),
        ),
        max_size=12,
    ),
    garbage=st.binary(max_size=3000),
)
def test_never_a_clipped_sample_never_another_length_and_silence_stays_silence(
    pieces: list[tuple[str, int, float, bool]], garbage: bytes
) -> None:
    by = leveller()
    for kind, length, level, agent_audible in pieces:
        match kind:
            case "zeros":
                pcm = bytes(length)
            case "square":
                period = 1 + length % 97
                pcm = pcm_of(np.where(np.arange(length) // period % 2, level, -level))
            case "hiss":
                pcm = noise(length / 10, level)[:length]
            case "speech":
                pcm = voice(ANSWER, max(0.01, level))[: 40 * length]
            case "one":
                pcm = pcm_of(np.array([-level]))
            case _:
                pcm = garbage
        out = by.feed(pcm, agent_audible=agent_audible)
        assert len(out) == len(pcm)
        before = np.frombuffer(pcm[: len(pcm) // 2 * 2], "<i2")
        after = np.frombuffer(out[: len(out) // 2 * 2], "<i2")
        assert (after[before == 0] == 0).all()
        full = (after >= 32767) | (after <= -32768)
        assert (full <= ((before >= 32767) | (before <= -32768))).all(), "full scale only where it came so"
        assert (np.sign(after.astype(int)) * np.sign(before.astype(int)) >= 0).all()
        assert out[len(out) // 2 * 2 :] == pcm[len(pcm) // 2 * 2 :]


def test_a_frame_may_be_as_short_as_it_likes() -> None:
    by, said, at = greeted(), voice(ANSWER, 0.2), 0
    out = b""
    for length in [2, 3, 7, 480, 481, 1000, 2400, 5000] * 40:
        out += by.feed(said[at : at + length], agent_audible=False)
        at += length
    assert len(out) == min(at, len(said))


# ---- in the room


def frames_of(pcm: bytes) -> list[bytes]:
    return [pcm[at : at + FRAME] for at in range(0, len(pcm), FRAME)]


@pytest.mark.parametrize("listen", ["first", "active"])
async def test_the_service_gets_the_level_and_the_detector_the_sound_as_it_came(listen: str) -> None:
    alice = person("alice")
    async with pump(listen, most_gain=MOST_GAIN) as mic:
        await mic.come(alice)
        before = frames_of(silence(2000) + voice(ANSWER, 0.2) + voice(OVER_IT, 0.2))
        judged = []
        for frame in before:
            alice.sound(frame)
            await wait_all_tasks_blocked()
            with contextlib.suppress(trio.WouldBlock):
                judged.append(mic.onset.receive_nowait().untouched)
        sent = mic.sounds()
    assert peak(b"".join(sent)) >= INTERRUPTS_FROM
    # In turns, what is said before somebody's turn is settled comes later, and a pause is cut for it.
    assert b"".join(judged) == b"".join(before) if listen == "first" else peak(b"".join(judged)) < 0.21


async def test_a_person_is_raised_beside_the_agent_from_the_moment_that_it_is_audible() -> None:
    alice = person("alice")
    soft = voice(OVER_IT, 0.3)
    peaks = []
    for begun in (False, True):
        async with pump(most_gain=MOST_GAIN) as mic:
            await mic.come(alice)
            mic.happened.send_nowait(FloorPassed(FloorHolder.AGENT, 0, 0.0))
            await wait_all_tasks_blocked()
            for frame in frames_of(silence(2000)):
                alice.sound(frame)
            await wait_all_tasks_blocked()
            mic.happened.send_nowait(FloorPassed(FloorHolder.NOBODY, 0, 2.0))
            await wait_all_tasks_blocked()
            for frame in frames_of(silence(1000)):
                alice.sound(frame)
            await wait_all_tasks_blocked()
            if begun:
                mic.happened.send_nowait(FloorPassed(FloorHolder.AGENT, 1, 3.0))
                await wait_all_tasks_blocked()
            mic.sounds()
            first_words = frames_of(soft)[:6]
            for frame in first_words:
                alice.sound(frame)
            await wait_all_tasks_blocked()
            peaks.append(peak(b"".join(mic.sounds())))
        alice = person("alice")
    assert peaks[0] < 0.31
    assert peaks[1] >= INTERRUPTS_FROM


async def test_in_a_mix_a_soft_voice_is_raised_although_another_one_is_loud(
    autojump_clock: MockClock,
) -> None:
    alice, bob = person("alice"), person("bob")
    soft, loud = frames_of(voice(ANSWER, 0.15)), frames_of(voice(ANSWER, 0.9, "alba"))
    async with pump("mix", most_gain=MOST_GAIN) as mic:
        await mic.come(alice, bob)
        for frame in loud:
            bob.sound(frame)
            alice.sound(bytes(FRAME))
            await trio.sleep(0.05)
        await trio.sleep(0.5)
        mic.sounds()
        judged = b""
        for frame in soft:
            alice.sound(frame)
            bob.sound(bytes(FRAME))
            await trio.sleep(0.05)
            with contextlib.suppress(trio.WouldBlock):
                while True:
                    judged += mic.onset.receive_nowait().untouched
        assert peak(b"".join(mic.sounds())) >= INTERRUPTS_FROM
        assert peak(judged[-len(soft) // 2 * FRAME :]) <= 0.16
