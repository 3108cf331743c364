"""The sound of a record: where each voice stands in the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors.record.sound import REACH_S, SoundFile, read_sound
from channels import private_files
from channels.messages import Sounding
from sound.pcm import SAMPLE_RATE_HZ, bytes_of_ms

LOUD = b"\1\0" * (bytes_of_ms(50) // 2)


def test_sound_that_comes_when_its_place_is_written_already_ends_no_record(tmp_path: Path) -> None:
    sound = SoundFile(private_files.create(tmp_path / "call.wav"))
    sound.put_person(10.0, LOUD)
    sound.put_agent(Sounding(30.0, LOUD))
    sound.settle(30.0 + REACH_S)
    sound.put_agent(Sounding(25.0, LOUD))
    first, samples = sound.put_person(10.05, LOUD)
    sound.close(36.0)
    both = read_sound(tmp_path / "call.wav")
    assert len(both) == 36 * SAMPLE_RATE_HZ
    assert (first, samples) == (10 * SAMPLE_RATE_HZ, 1200)
    assert both[:, 0].sum() == 1200, "what came late is missing, nothing else"


@pytest.mark.parametrize("stalls", [1, 40])
def test_a_machine_that_stalls_makes_the_persons_side_no_longer(tmp_path: Path, stalls: int) -> None:
    sound = SoundFile(private_files.create(tmp_path / "call.wav"))
    for number in range(20 * stalls):
        # They are put in bunches, and each tells when it was heard.
        sound.put_person(0.05 * (number + 1), LOUD)
        if number % 20 == 0:
            sound.settle(0.05 * (number + 20))
    sound.close(1.0 * stalls)
    assert len(read_sound(tmp_path / "call.wav")) == stalls * SAMPLE_RATE_HZ
