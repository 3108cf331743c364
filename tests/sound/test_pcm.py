"""Bytes and milliseconds of the one form that sound has inside the agent."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sound.pcm import BYTES_PER_MS, SAMPLE_BYTES, bytes_of_ms, ms_of_bytes


def test_a_second_is_48000_bytes() -> None:
    assert bytes_of_ms(1000) == 48_000
    assert ms_of_bytes(48_000) == 1000
    assert BYTES_PER_MS == 48


@given(st.integers(0, 10_000_000))
def test_whole_milliseconds_come_through(ms: int) -> None:
    assert ms_of_bytes(bytes_of_ms(ms)) == ms


@given(st.floats(0, 1e7))
def test_a_sample_is_never_cut_in_two_and_sound_never_made_longer(ms: float) -> None:
    count = bytes_of_ms(ms)
    assert count % SAMPLE_BYTES == 0
    assert count <= ms * BYTES_PER_MS + 1e-6
    assert count > ms * BYTES_PER_MS - SAMPLE_BYTES - 1e-6
