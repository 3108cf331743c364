"""Whatever passes between the actors can be written down and read back as what it was."""

from __future__ import annotations

import enum
import importlib
import json
import types
from collections.abc import Mapping
from typing import Any, Union, get_args, get_origin, get_type_hints

import attrs
import hypothesis.strategies as st
import pytest
from hypothesis import given

from actors.record.codec import MESSAGES, decode, encode
from actors.record.sound_reference import AUDIBLE
from actors.speaker import playout
from channels.messages import Play
from channels.secret import is_secret
from channels.wire.events import SessionReady

WHERE_MESSAGES_LIVE = (
    "channels.messages",
    "channels.happenings",
    "channels.wire.events",
    "channels.wire.messages",
)

_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=8).filter(lambda name: not is_secret(name)), inner, max_size=3)
    ),
    max_leaves=8,
)
_sound = st.builds(
    lambda length, silent: decode("Play", {"reply_id": "", "pcm": {"bytes": length} | silent}).pcm,
    st.integers(0, 2400).map(lambda samples: 2 * samples),
    st.just({}) | st.integers(0, 2000).map(lambda at: {"audible_from": 2 * at}),
)


def values(hint: Any) -> st.SearchStrategy[Any]:
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        return st.one_of(*(values(each) for each in get_args(hint)))
    if origin is Mapping:
        return st.dictionaries(
            st.text(max_size=8).filter(lambda name: not is_secret(name)), _json, max_size=4
        )
    if origin is tuple and ... not in get_args(hint):
        return st.tuples(*(values(each) for each in get_args(hint)))
    if origin is not None and get_args(hint):  # a sequence
        (of,) = [each for each in get_args(hint) if each is not ...]
        return st.lists(values(of), max_size=3).map(tuple)
    if hint is float:
        return st.integers(-(10**12), 10**12).map(lambda number: number / 1e6)
    if hint is bytes:
        return _sound
    if hint is type(None):
        return st.none()
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return st.sampled_from(hint)
    if attrs.has(hint):
        return instances(hint)
    return st.from_type(hint)


def instances(kind: type[Any]) -> st.SearchStrategy[Any]:
    hints = get_type_hints(kind)
    visible = [
        f.name
        for f in attrs.fields(kind)
        if f.default is attrs.NOTHING or (not is_secret(f.name) and f.metadata.get("recorded", True))
    ]
    return st.builds(kind, **{name: values(hints[name]) for name in visible})


@pytest.mark.parametrize("name", MESSAGES)
@given(data=st.data())
def test_every_message_reads_back_as_what_it_was(name: str, data: st.DataObject) -> None:
    message = data.draw(instances(MESSAGES[name]))
    line = json.dumps(encode(message))
    assert decode(name, json.loads(line)) == message


@pytest.mark.parametrize("module", WHERE_MESSAGES_LIVE)
def test_no_class_of_message_is_forgotten(module: str) -> None:
    inside = vars(importlib.import_module(module))
    public = [inside[name] for name in inside["__all__"]]
    messages = {each for each in public if isinstance(each, type) and attrs.has(each)}
    assert messages
    assert {each.__name__ for each in messages} <= set(MESSAGES)
    assert all(MESSAGES[each.__name__] is each for each in messages)


@pytest.mark.parametrize("kind", MESSAGES.values())
def test_no_field_has_the_name_of_what_every_line_says(kind: type[Any]) -> None:
    assert {field.name for field in attrs.fields(kind)}.isdisjoint({"t", "on", "is"})


def samples(pcm: bytes) -> list[int]:
    return memoryview(pcm[: len(pcm) // 2 * 2]).cast("h").tolist()


def silence(pcm: bytes) -> int:
    """How many samples pass before the first audible one."""
    return next((at for at, sample in enumerate(samples(pcm)) if abs(sample) > AUDIBLE), len(samples(pcm)))


@given(pcm=st.binary(max_size=400) | st.integers(0, 300).map(lambda n: bytes(n) + b"\x00\x40" * 20))
def test_sound_is_written_as_its_length_and_its_first_audible_sample_and_reads_back_so(pcm: bytes) -> None:
    written = encode(Play("r", pcm))["pcm"]
    stand_in = decode("Play", {"reply_id": "r", "pcm": written}).pcm
    assert len(stand_in) == len(pcm) == written["bytes"]
    assert [abs(a) > AUDIBLE for a in samples(stand_in)].count(True) == len(samples(pcm)) - silence(pcm)
    assert silence(stand_in) == silence(pcm)
    assert encode(Play("r", stand_in))["pcm"] == written


def test_what_is_audible_is_what_the_speaker_takes_for_audible() -> None:
    assert AUDIBLE == playout.AUDIBLE


def test_a_secret_field_is_left_out() -> None:
    ready = SessionReady(
        "s1", {"voice": "alba", "tools": [{"headers": {"X": "hidden"}}]}, 17, "token-of-resume"
    )
    written = json.dumps(encode(ready))
    assert "alba" in written
    assert "hidden" not in written
    assert "token-of-resume" not in written
    assert "resume_token" not in written
