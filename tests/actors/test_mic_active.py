"""Whoever speaks is listened to: when the turn passes on, and that no word is lost on the way."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
import trio
from trio.testing import MockClock

from actors.mic.active import LONGEST_WORD_S, TAKES_OVER_S, ActiveSpeaker
from actors.mic.following import PRE_ROLL_MS, WAITS_AT_MOST_MS, Following
from actors.mic.roster import GRACE_S
from bench.speech import spoken
from channels.messages import MicrophoneFrame
from sound.loudness import QUIET_DB, level_db
from sound.pcm import bytes_of_ms
from tests.actors.mic_support import person, pump

FRAME_S = 0.05
FRAME_BYTES = bytes_of_ms(50)

LOUD, TALK, HUM, QUIET = -15.0, -25.0, -40.0, -70.0


def tone(db: float) -> bytes:
    """50 ms of a tone of this level."""
    times = np.arange(FRAME_BYTES // 2) / 24_000
    samples = np.sin(2 * np.pi * 200 * times) * 32767 * np.sqrt(2) * 10 ** (db / 20)
    pcm: bytes = samples.astype("<i2").tobytes()
    return pcm


def say(scene: Mapping[str, str], heard: str | None = "alice") -> list[tuple[str | None, float]]:
    """Plays a scene (a sign is 50 ms of somebody) and gives to whom the turn passed, and when (s).

    `L` loud, `t` talking, `h` humming below what counts as speaking, and `.` silence.
    """
    levels = {"L": LOUD, "t": TALK, "h": HUM, ".": QUIET}
    speaker, turns = ActiveSpeaker(), []
    for number in range(max(map(len, scene.values()))):
        now = number * FRAME_S
        for name, signs in scene.items():
            if number < len(signs):
                turn = speaker.take(name, levels[signs[number]], FRAME_S, heard, now)
                if turn != heard:
                    heard = turn
                    turns.append((heard, round(now, 2)))
    return turns


def test_the_turn_passes_to_who_speaks_while_the_other_is_silent_within_the_pre_roll() -> None:
    ((turn, at),) = say({"alice": "." * 60, "bob": "." * 20 + "t" * 40})
    assert turn == "bob"
    assert (at - 1.0) * 1000 <= PRE_ROLL_MS, "his first word is still there"


def test_an_answer_right_after_a_sentence_gets_the_turn_within_the_pre_roll() -> None:
    ((turn, at),) = say({"alice": "t" * 40 + "." * 40, "bob": "." * 40 + "t" * 40})
    assert turn == "bob"
    assert (at - 2.0) * 1000 <= PRE_ROLL_MS


def test_the_turn_passes_to_and_fro() -> None:
    scene = {
        "alice": "t" * 40 + "." * 60 + "t" * 40 + "." * 60,
        "bob": "." * 45 + "t" * 40 + "." * 115,
        "carol": "." * 145 + "t" * 55,
    }
    assert [turn for turn, _ in say(scene)] == ["bob", "alice", "carol"]


@pytest.mark.parametrize(
    "bob",
    ["t" * 3 + "." * 77, "h" * 80, ("t" + "...." * 2) * 8, "L" + "." * 79],
    ids=["a cough", "a hum", "a keyboard", "a knock"],
)
def test_a_short_or_faint_sound_does_not_get_the_turn(bob: str) -> None:
    assert say({"alice": "." * 80, "bob": bob}) == []


def test_talking_at_the_same_level_over_somebody_does_not_get_the_turn() -> None:
    assert say({"alice": "tttttttt.." * 20, "bob": "." * 10 + "tttttttt.." * 19}) == []


def test_being_louder_for_long_gets_the_turn_and_only_in_a_gap_of_the_other() -> None:
    alice = "ttttttttt." * 20
    ((turn, at),) = say({"alice": alice, "bob": "." * 20 + "L" * 180})
    assert turn == "bob"
    assert at >= 1.0 + TAKES_OVER_S
    assert alice[round(at / FRAME_S)] == ".", "no word of hers is cut"


def test_a_sound_without_any_gap_cannot_keep_the_turn_for_ever() -> None:
    ((turn, at),) = say({"music": "t" * 200, "bob": "." * 20 + "L" * 180}, heard="music")
    assert turn == "bob"
    assert at <= 1.0 + 0.25 + TAKES_OVER_S + LONGEST_WORD_S + 0.1


def test_being_louder_now_and_then_does_not_add_up() -> None:
    assert say({"alice": "t" * 300, "bob": ("L" * 20 + "." * 20) * 7}) == []


def test_of_two_who_begin_together_the_louder_one_gets_the_turn() -> None:
    scene = {"alice": "." * 60, "bob": "." * 20 + "t" * 40, "carol": "." * 20 + "L" * 40}
    assert [turn for turn, _ in say(scene)] == ["carol"]


def test_somebody_begins_again_in_the_nick_of_time_and_keeps_the_turn() -> None:
    # Bob is about to get it when alice is in the middle of a word again.
    assert say({"alice": "t" * 40 + "." * 5 + "t" * 60, "bob": "." * 42 + "t" * 3 + "." * 60}) == []


def test_when_nobody_has_the_turn_the_first_who_speaks_gets_it() -> None:
    assert [turn for turn, _ in say({"bob": "." * 10 + "t" * 10}, heard=None)] == ["bob"]


def test_a_level_is_that_of_the_sound() -> None:
    assert level_db(tone(-20)) == pytest.approx(-20, abs=0.1)
    assert level_db(bytes(FRAME_BYTES)) == -120


# ---- one voice after another


def frames(text: str) -> list[bytes]:
    """What a voice says, in frames, with a quarter of a second of silence after it."""
    pcm = spoken(text) + bytes(bytes_of_ms(250))
    return [pcm[at : at + FRAME_BYTES].ljust(FRAME_BYTES, b"\0") for at in range(0, len(pcm), FRAME_BYTES)]


def loud(pcms: list[bytes]) -> list[bytes]:
    return [pcm for pcm in pcms if level_db(pcm) >= QUIET_DB]


def test_no_sound_of_whose_turn_comes_is_lost_doubled_or_out_of_order_and_the_lateness_is_made_good() -> None:
    following = Following(50)
    following.hear("alice")
    said = frames("I have seen it, and I would like to say something. It was late, but not too late.")
    kept = PRE_ROLL_MS // 50
    begins = next(number for number, pcm in enumerate(said) if level_db(pcm) >= QUIET_DB)
    out = []
    for number, pcm in enumerate(said):
        if number == begins + kept:
            following.hear("bob")
        alice = following.take("alice", MicrophoneFrame(bytes(FRAME_BYTES), at=0.0))
        assert (alice is None) == (number >= begins + kept)
        bob = following.take("bob", MicrophoneFrame(pcm, at=0.0))
        if bob is not None:
            out.append(bob.pcm)
            assert len(out) <= number + 1 - (begins + kept) + 1, "no faster than real time"
    assert loud(out) == loud(said)
    assert following.late_ms == 0


def test_a_gap_that_is_cut_short_still_is_one() -> None:
    following = Following(50)
    following.hear("alice")
    speech = [tone(TALK)] * 5 + [tone(QUIET)] * 5 + [tone(TALK)] * 5
    for pcm in speech[:10]:
        following.take("bob", MicrophoneFrame(pcm, at=0.0))
    following.hear("bob")
    out = [following.take("bob", MicrophoneFrame(pcm, at=0.0)) for pcm in [*speech[10:], *[tone(QUIET)] * 20]]
    levels = "".join("." if frame is None or level_db(frame.pcm) < QUIET_DB else "t" for frame in out)
    assert levels.startswith("ttttt.ttttt.")


def test_what_was_heard_already_is_not_heard_again_when_the_turn_comes_back() -> None:
    following, said, heard = Following(50), [], []
    for number in range(200):
        # Everything that anybody says in three turns of the two is different, and there are pauses.
        pcm = tone(TALK - number / 20) if number % 10 < 5 else bytes(FRAME_BYTES)
        sid, other = ("alice", "bob") if number // 50 % 2 else ("bob", "alice")
        if number % 50 == 3:
            following.hear(sid)
        said.append(pcm)
        silence = MicrophoneFrame(bytes(FRAME_BYTES), at=0.0)
        for taken in (following.take(sid, MicrophoneFrame(pcm, at=0.0)), following.take(other, silence)):
            heard += [] if taken is None else [taken.pcm]
    assert loud(heard) == loud(said)


def test_lateness_has_a_bound_whoever_speaks_without_a_pause() -> None:
    following = Following(50)
    for number in range(400):
        following.hear("ab"[number // 20 % 2])
        for sid in "ab":
            following.take(sid, MicrophoneFrame(tone(LOUD), at=0.0))
        assert following.late_ms <= WAITS_AT_MOST_MS


# ---- in the room


async def test_the_first_word_of_the_next_speaker_is_sent(autojump_clock: MockClock) -> None:
    alice, bob = person("alice"), person("bob")
    words = loud(frames("Stop. I want to say something."))
    async with pump("active") as mic:
        await mic.come(alice, bob)
        assert (alice.open, bob.open) == (1, 1)
        sent: list[bytes] = []
        for pcm in [tone(TALK)] * 20 + [tone(QUIET)] * (len(words) + 60):
            alice.sound(pcm)
            bob.sound(words.pop(0) if words and pcm == tone(QUIET) else bytes(FRAME_BYTES))
            await trio.sleep(FRAME_S)
            sent += mic.sounds()
        assert [heard_by.identity for heard_by in mic.told()] == ["alice", "bob"]
        expected = loud(frames("Stop. I want to say something."))
        assert [pcm for pcm in loud(sent) if pcm != tone(TALK)] == expected


async def test_whoever_has_the_turn_and_goes_gives_it_to_whoever_speaks_then_or_waits(
    autojump_clock: MockClock,
) -> None:
    alice, bob, carol = person("alice"), person("bob"), person("carol")
    async with pump("active") as mic:
        await mic.come(alice, bob, carol)
        await mic.go(alice)
        for _ in range(20):
            bob.sound(bytes(FRAME_BYTES))
            carol.sound(tone(TALK))
            await trio.sleep(FRAME_S)
        assert mic.listened_to() == ["alice", None, "carol"]
        await mic.go(carol)
        await trio.sleep(GRACE_S + 0.1)
        assert mic.listened_to() == [None, "bob"]


async def test_who_has_just_left_does_not_get_the_turn_for_their_last_word(autojump_clock: MockClock) -> None:
    alice, bob = person("alice"), person("bob")
    async with pump("active") as mic:
        await mic.come(alice, bob)
        for number in range(30):
            alice.sound(tone(TALK) if number > 8 else bytes(FRAME_BYTES))
            if number == 6:
                await mic.go(bob)
            elif number < 6:
                bob.sound(tone(TALK))
            await trio.sleep(FRAME_S)
        assert mic.listened_to() == ["alice"]
