"""Whatever a server sends, the session goes on: it is passed by, counted, and harms nobody."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from channels.happenings import SessionStarted
from channels.wire.events import EVENTS, UserTranscript
from playground.voice_agent_api import SendRaw
from tests.actors.test_api_support import START, conversation, in_virtual_time

# An interruption, an end or an error mean something; all the rest is only noise here.
MEANS_NOTHING = sorted(EVENTS.keys() - {"session.ended", "session.error", "session.ready"})

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
fields = st.sampled_from(
    [
        "reply_id",
        "item_id",
        "data",
        "text",
        "delta",
        "start_ms",
        "end_ms",
        "config",
        "call_id",
        "name",
        "arguments",
    ]
)
frames = st.one_of(
    st.text(max_size=200),
    values.map(json.dumps),
    st.builds(
        lambda kind, more: json.dumps({**more, "type": kind}),
        st.sampled_from(MEANS_NOTHING) | st.text(max_size=10),
        st.dictionaries(fields, values, max_size=5),
    ),
    st.integers(1, 50_000).map(lambda depth: "[" * depth),
    st.integers(1, 50_000).map(lambda depth: '{"type":"session.updated","config":' + '{"a":' * depth),
    st.sampled_from([
        '{"type":"reply.audio","reply_id":"r","data":"%%%"}',
        '{"type":"reply.audio","reply_id":"r","data":"AAA="}',
        '{"type":"transcript.user","item_id":"i","text":"\\ud800"}',
        '{"type":"transcript.agent.delta","reply_id":"r","item_id":"i","delta":"x","start_ms":NaN,"end_ms":1e999}',
        '{"type":"reply.started","reply_id":"r","reply_id":"s","item_id":"i"}',
        '{"type":"tool.call","call_id":"c","name":"f","arguments":{"a":Infinity}}',
        '{"type":"reply.error"}',
    ]),
).filter(lambda frame: '"error"' not in frame)  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(st.lists(frames, max_size=10))
def test_hostile_frames_are_passed_by_and_the_next_event_is_understood(noise: list[str]) -> None:
    async def scene() -> None:
        last = SendRaw('{"type":"transcript.user","item_id":"i","text":"still here"}')
        async with conversation([*START, *(SendRaw(frame) for frame in noise), last]) as talk:
            await talk.until(SessionStarted)
            while True:
                heard = talk.heard(UserTranscript)
                if heard and heard[-1].text == "still here":
                    break
                await talk.until(UserTranscript, len(heard) + 1)
            for event in talk.heard(UserTranscript):
                event.text.encode()
            assert len(talk.happened(SessionStarted)) == 1
            assert await talk.stop() < 3
            assert talk.failure is None

    in_virtual_time(scene)
