"""The rules of a session's configuration and of the first message: pure, no socket."""

from __future__ import annotations

import json
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from channels.wire.messages import InputAudio, ReplyCreate, SessionEnd, SessionResume, SessionUpdate
from channels.wire.session import SessionInput, TurnSettings
from playground.turns import ADAPTIVE, TurnRules
from playground.voice_agent.config_refused import ConfigRefused
from playground.voice_agent.hearing import turn_detection
from playground.voice_agent.reception import Begin, Discard, Hang, Refuse, Resume, first_step
from playground.voice_agent.session_config import ResolvedSession, configured
from playground.voice_agent_api import (
    VOICES_2026_04,
    VOICES_2026_07,
    Faults,
    ServerOptions,
    ToneSpeech,
    VoiceAgentServer,
)
from tests.playground.caller import calling


def first(session: dict[str, Any], **options: Any) -> ResolvedSession:
    options = {"voices": VOICES_2026_07, "agents": {}} | options
    return configured(None, session, **options)


def later(session: dict[str, Any], current: ResolvedSession | None = None) -> ResolvedSession:
    return configured(current or first({}), session, voices=VOICES_2026_07, agents={})


def refusal(session: dict[str, Any], current: ResolvedSession | None = None) -> tuple[str, str | None]:
    with pytest.raises(ConfigRefused) as refused:
        configured(
            current, session, voices=VOICES_2026_07, agents={"agent_1": {"system_prompt": "Be brief."}}
        )
    return refused.value.code, refused.value.param


def test_the_echo_of_an_empty_update_has_the_shape_that_was_recorded() -> None:
    assert first({}).echo() == {
        "id": "",
        "system_prompt": "",
        "greeting": None,
        "input": {
            "type": "audio",
            "format": {"encoding": "audio/pcm", "sample_rate": 24000},
            "turn_detection": None,
            "keyterms": None,
            "transcription_mode": None,
            "continuous_partials": None,
            "transcription_prompt": None,
            "language_codes": None,
            "voice_focus": None,
            "voice_focus_threshold": None,
        },
        "output": {
            "type": "audio",
            "voice": "alba",
            "format": {"encoding": "audio/pcm", "sample_rate": 24000},
            "volume": None,
        },
        "tools": [],
        "llm": [],
        "pre_connect_requests": [],
    }


def test_a_tool_is_echoed_with_all_that_it_left_out() -> None:
    (tool,) = first(
        {"tools": [{"type": "function", "name": "f", "description": "d", "parameters": {}}]}
    ).echo()["tools"]
    assert tool == {
        "type": "function",
        "name": "f",
        "description": "d",
        "parameters": {"type": "object", "properties": {}, "required": []},
        "timeout_seconds": 120,
        "execution_mode": "interactive",
        "http": None,
        "response_instructions": None,
        "deployment_id": None,
        "session_update": None,
        "image_tag": None,
    }


def test_the_formats_of_g711_have_no_rate_and_one_that_is_given_is_dropped() -> None:
    echo = first({"output": {"format": {"encoding": "audio/pcmu", "sample_rate": 44100}}}).echo()
    assert echo["output"]["format"] == {"encoding": "audio/pcmu"}
    assert echo["input"]["format"] == {"encoding": "audio/pcm", "sample_rate": 24000}


@pytest.mark.parametrize(
    "session",
    [
        {"sytem_prompt": "a typing error"},
        {"input": {"turn_detection": {"silence": 3}}},
        {"input": {"foo": 1}},
        {"output": {"speed": 1}},
        {"tools": [{"name": "f", "colour": "red"}]},
    ],
)
def test_a_key_that_does_not_exist_is_an_error_of_form(session: dict[str, Any]) -> None:
    assert refusal(session) == ("invalid_format", None)


@pytest.mark.parametrize(
    "session",
    [
        {"greeting": None},
        {"system_prompt": 3},
        {"tools": {}},
        {"input": []},
        {"input": {"keyterms": "one"}},
        {"input": {"turn_detection": {"interrupt_response": "no"}}},
        {"input": {"turn_detection": {"min_silence": 1.5}}},
        {"output": {"voice": None}},
        {"output": {"volume": True}},
        {"output": {"format": "audio/pcm"}},
    ],
)
def test_a_value_of_the_wrong_type_is_an_error_of_form(session: dict[str, Any]) -> None:
    assert refusal(session) == ("invalid_format", None)


@pytest.mark.parametrize(
    ("session", "param"),
    [
        ({"output": {"voice": "james"}}, "output.voice"),
        ({"output": {"volume": 101}}, "output.volume"),
        ({"output": {"volume": float("nan")}}, "output.volume"),
        ({"output": {"format": {"encoding": "audio/opus"}}}, "output.format.encoding"),
        ({"input": {"format": {"encoding": "audio/pcm", "sample_rate": 16000}}}, "input.format.sample_rate"),
        ({"input": {"type": "text"}}, "input.type"),
        ({"input": {"keyterms": ["x"] * 101}}, "input.keyterms"),
        ({"input": {"keyterms": ["x" * 51]}}, "input.keyterms"),
        ({"input": {"transcription_prompt": "x" * 1751}}, "input.transcription_prompt"),
        ({"input": {"transcription_mode": "fast"}}, "input.transcription_mode"),
        ({"input": {"voice_focus_threshold": 1.5}}, "input.voice_focus_threshold"),
        ({"input": {"turn_detection": {"vad_threshold": -1}}}, "input.turn_detection.vad_threshold"),
        (
            {"input": {"turn_detection": {"interruption_delay": 1001}}},
            "input.turn_detection.interruption_delay",
        ),
        ({"tools": [{"name": "f", "parameters": {"properties": []}}]}, "tools[0].parameters.properties"),
        ({"tools": [{"name": "f", "http": {"url": "https://x"}}]}, "tools[0].http"),
        ({"tools": [{"name": "f", "timeout_seconds": 301}]}, "tools[0].timeout_seconds"),
        ({"llm": [{"model": "mine"}]}, "llm"),
    ],
)
def test_a_value_that_is_not_possible_is_named(session: dict[str, Any], param: str) -> None:
    assert refusal(session) == ("invalid_value", param)


def test_a_voice_that_is_not_there_is_answered_with_the_list_of_those_that_are() -> None:
    with pytest.raises(ConfigRefused, match=r"'james'.*alba, anna, charles"):
        first({"output": {"voice": "james"}})


def test_the_voices_of_the_earlier_era_are_a_preset_with_its_own_default() -> None:
    assert first({"output": {"voice": "james"}}, voices=VOICES_2026_04).output.voice == "james"
    assert first({}, voices=VOICES_2026_04).output.voice == "ivy"
    assert (len(VOICES_2026_04), len(VOICES_2026_07)) == (34, 18)


@pytest.mark.parametrize(
    ("session", "param"),
    [
        ({"greeting": "Hello again."}, "greeting"),
        ({"output": {"voice": "eve"}}, "output.voice"),
        ({"output": {"voice": "no such voice"}}, "output.voice"),
        ({"output": {"format": {"encoding": "audio/pcmu"}}}, "output.format"),
        ({"input": {"format": {"encoding": "audio/pcmu"}}}, "input.format"),
    ],
)
def test_what_is_fixed_by_the_first_update_cannot_be_changed(session: dict[str, Any], param: str) -> None:
    assert refusal(session, current=first({})) == ("immutable_field", param)


def test_an_update_merges_objects_and_replaces_arrays() -> None:
    config = first(
        {
            "system_prompt": "one",
            "input": {"keyterms": ["a", "b"], "turn_detection": {"min_silence": 100, "max_silence": 900}},
            "tools": [{"name": "f"}, {"name": "g"}],
        }
    )
    config = later(
        {"input": {"keyterms": ["c"], "turn_detection": {"min_silence": 200}}, "tools": [{"name": "h"}]},
        config,
    )
    assert config.system_prompt == "one"
    assert config.input.keyterms == ("c",)
    assert config.input.turn_detection == TurnSettings(min_silence=200, max_silence=900)
    assert [tool["name"] for tool in config.tools] == ["h"]


def test_null_clears_what_may_be_empty() -> None:
    config = first({"input": {"keyterms": ["a"]}, "output": {"volume": 30}})
    config = later({"input": {"keyterms": None}, "output": {"volume": None}}, config)
    assert config.input.keyterms is None
    assert config.output.volume is None


def test_an_update_that_is_refused_changes_nothing() -> None:
    current = first({"system_prompt": "one"})
    assert refusal({"system_prompt": "two", "output": {"voice": "eve"}}, current)[0] == "immutable_field"
    assert current.system_prompt == "one"


def test_a_minimum_above_the_maximum_is_no_configuration() -> None:
    assert refusal({"input": {"turn_detection": {"min_silence": 2, "max_silence": 1}}})[0] == "invalid_config"


def test_a_stored_agent_is_asked_for_alone_and_first() -> None:
    agents = {"agent_1": {"system_prompt": "Be brief."}}
    config = first({"agent_id": "agent_1"}, agents=agents)
    assert (config.id, config.system_prompt) == ("agent_1", "Be brief.")
    assert refusal({"agent_id": "agent_2"}) == ("agent_not_found", "agent_id")
    assert refusal({"agent_id": "agent_1", "greeting": "Hi"}) == ("invalid_value", "agent_id")
    assert refusal({"agent_id": "agent_1"}, current=config) == ("agent_id_not_first", "agent_id")


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
_names = st.sampled_from(
    "agent_id greeting input llm output pre_connect_requests system_prompt tools webhook format voice type "
    "turn_detection keyterms volume encoding sample_rate min_silence max_silence name parameters".split()
)
_likely = st.recursive(
    _json,
    lambda inner: st.dictionaries(_names, inner, max_size=4) | st.lists(inner, max_size=2),
    max_leaves=10,
)


@given(st.dictionaries(_names, _likely, max_size=4), st.dictionaries(_names, _likely, max_size=4))
def test_whatever_an_update_says_it_is_configured_or_refused(
    one: dict[str, Any], two: dict[str, Any]
) -> None:
    current: ResolvedSession | None = None
    for session in (one, two):
        try:
            current = configured(current, session, voices=VOICES_2026_07, agents={"agent_1": {}})
        except ConfigRefused:
            continue
        json.dumps(current.echo())
        turn_detection(current.input, {"min_latency": 1, "balanced": 2, "max_accuracy": 3})


def test_without_settings_turns_end_adaptively_or_as_the_server_is_told() -> None:
    assert turn_detection(SessionInput(), None) == ADAPTIVE
    balanced = turn_detection(SessionInput(), {"balanced": 1950})
    assert (balanced.min_silence, balanced.max_silence, balanced.interruption_delay) == (1950, 1950, 500)


def test_setting_a_silence_ends_the_adaptive_mode_and_setting_anything_else_does_not() -> None:
    explicit = turn_detection(SessionInput(turn_detection=TurnSettings(max_silence=2000)), None)
    assert explicit == TurnRules(max_silence=2000)
    other = turn_detection(SessionInput(turn_detection=TurnSettings(vad_threshold=0.7)), None)
    assert (other.min_silence, other.vad_threshold) == (ADAPTIVE.min_silence, 0.7)


def test_the_first_message_begins_or_resumes_a_session() -> None:
    assert isinstance(first_step(SessionUpdate({}), ServerOptions()), Begin)
    assert first_step(SessionResume("sess_1"), ServerOptions()) == Resume("sess_1")


def test_sound_before_the_first_update_is_discarded_without_a_word() -> None:
    assert first_step(InputAudio(b"\0\0"), ServerOptions()) == Discard()


@pytest.mark.parametrize("message", [ReplyCreate(), SessionEnd()])
def test_any_other_first_message_is_refused_and_the_connection_stays_open(message: Any) -> None:
    step = first_step(message, ServerOptions())
    assert isinstance(step, Refuse)
    assert (step.error.code, step.code) == ("invalid_format", None)


def test_a_first_update_with_a_bad_value_is_fatal_and_one_with_a_bad_form_is_not() -> None:
    step = first_step(SessionUpdate({"output": {"voice": "james"}}), ServerOptions())
    assert isinstance(step, Refuse)
    assert (step.error.param, step.code) == ("output.voice", 1008)
    step = first_step(SessionUpdate({"foo": 1}), ServerOptions())
    assert isinstance(step, Refuse)
    assert step.code is None


def test_sixteen_thousand_hertz_can_fail_in_both_of_the_ways_that_were_seen() -> None:
    update = SessionUpdate({"input": {"format": {"encoding": "audio/pcm", "sample_rate": 16000}}})
    assert first_step(update, ServerOptions(faults=Faults(pcm_16k="never_ready"))) == Hang()
    step = first_step(update, ServerOptions(faults=Faults(pcm_16k="internal_error")))
    assert isinstance(step, Refuse)
    assert (step.error.code, step.code) == ("internal_error", 1011)


async def test_a_refused_later_update_leaves_the_session_as_it_was(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with calling(VoiceAgentServer(ServerOptions(speech=ToneSpeech))) as caller:
        ready = await caller.start()
        await caller.send("session.update", session={"output": {"voice": "eve"}})
        error = await caller.until("session.error")
        assert error["message"] == "'output.voice' cannot be changed after the first session.update"
        assert (error["code"], error["param"]) == ("immutable_field", "output.voice")
        assert error["session_id"] == ready["session_id"]
        await caller.send("session.update", session={"system_prompt": "two"})
        updated = await caller.until("session.updated", 2)
        assert updated["config"] == ready["config"] | {"system_prompt": "two"}


async def test_a_fatal_first_update_is_explained_and_closes_with_1008(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with calling(VoiceAgentServer(ServerOptions(speech=ToneSpeech))) as caller:
        await caller.send("session.update", session={"output": {"voice": "james"}})
        assert await caller.until_closed() == 1008
    assert caller.of("session.error")[0]["param"] == "output.voice"


async def test_a_session_under_any_other_key_is_ignored_as_it_is_live(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with calling(VoiceAgentServer(ServerOptions(speech=ToneSpeech))) as caller:
        await caller.send("session.update", config={"greeting": "Hello."})
        ready = await caller.until("session.ready")
        assert ready["config"]["greeting"] is None
