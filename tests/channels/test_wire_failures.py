"""Every way in which the service can fail has one error that says what to do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.errors import VoiceAgentError
from channels.wire.failures import (
    CODES,
    ConfigurationRefused,
    ConnectionLost,
    KeyRefused,
    MessageRefused,
    Retry,
    ServiceBusy,
    ServiceError,
    ServiceFault,
    SessionClosedByService,
    SessionGone,
    failure_of,
)

# code, the close that goes with it, the error, what may help
DOCUMENTED = [
    ("unauthorized", 1008, KeyRefused, Retry.NEVER),
    ("invalid_format", None, MessageRefused, Retry.NEVER),
    ("invalid_value", 1008, ConfigurationRefused, Retry.NEVER),
    ("invalid_config", 1008, ConfigurationRefused, Retry.NEVER),
    ("invalid_audio", None, MessageRefused, Retry.NEVER),
    ("invalid_webhook", 1008, ConfigurationRefused, Retry.NEVER),
    ("immutable_field", None, ConfigurationRefused, Retry.NEVER),
    ("agent_not_found", 1008, ConfigurationRefused, Retry.NEVER),
    ("agent_id_not_first", None, ConfigurationRefused, Retry.NEVER),
    ("audio_rate_violation", None, MessageRefused, Retry.NEVER),
    ("session_not_found", 1008, SessionGone, Retry.FRESH),
    ("session_forbidden", 1008, SessionGone, Retry.FRESH),
    ("session_expired", 1008, SessionGone, Retry.FRESH),
    ("concurrency_exceeded", 1008, ServiceBusy, Retry.LATER),
    ("at_capacity", 1008, ServiceBusy, Retry.LATER),
    ("internal_error", 1011, ServiceFault, Retry.LATER),
    # Named in the documentation or by other clients, and not in the schema.
    ("UNAUTHORIZED", 1008, KeyRefused, Retry.NEVER),
    ("FORBIDDEN", 1008, KeyRefused, Retry.NEVER),
    ("INTERNAL_ERROR", 1011, ServiceFault, Retry.LATER),
    ("server_error", 1011, ServiceFault, Retry.LATER),
    ("agent_init_failed", 1011, ServiceFault, Retry.LATER),
    ("agent_timeout", 1011, ServiceFault, Retry.LATER),
    ("a_code_of_next_year", 1011, ServiceFault, Retry.LATER),
]

# the close alone, before and after the session was ready
CLOSES = [
    (1000, SessionClosedByService, SessionClosedByService),
    (1008, KeyRefused, SessionGone),
    (1011, ServiceFault, ServiceFault),
    (1006, ConnectionLost, ConnectionLost),
    (1001, ConnectionLost, ConnectionLost),
    (1002, ConnectionLost, ConnectionLost),
    (1009, ConnectionLost, ConnectionLost),
    (1012, ConnectionLost, ConnectionLost),
    (4000, ConnectionLost, ConnectionLost),
    (None, ConnectionLost, ConnectionLost),
]


@pytest.mark.parametrize(("code", "close", "kind", "retry"), DOCUMENTED)
def test_every_documented_code_has_its_error_with_a_fix(
    code: str, close: int | None, kind: type[ServiceError], retry: Retry
) -> None:
    error = failure_of(code, "The words of the service.", close=close)
    assert type(error) is kind
    assert error.retry is retry
    assert str(error) == f"the Voice Agent API says {code.lower()}: The words of the service; {error.fix}"
    assert len(error.fix) > 10


@pytest.mark.parametrize(("code", "close", "kind", "retry"), DOCUMENTED)
def test_a_code_means_the_same_before_the_session_is_ready_whatever_close_follows(
    code: str, close: int | None, kind: type[ServiceError], retry: Retry
) -> None:
    for other in (None, 1000, 1006, 1008, 1011):
        assert type(failure_of(code, close=other)) is kind


def test_the_table_above_has_every_code_that_is_known_and_each_has_a_mend_of_its_own() -> None:
    assert {code.lower() for code, *_ in DOCUMENTED} - {"a_code_of_next_year"} == CODES.keys()
    fixes = [fix for _, fix in CODES.values()]
    assert len(set(fixes)) == len(fixes)


@pytest.mark.parametrize(("close", "before", "after"), CLOSES)
def test_every_close_has_its_error_with_a_fix(
    close: int | None, before: type[ServiceError], after: type[ServiceError]
) -> None:
    for running, kind in ((False, before), (True, after)):
        error = failure_of(None, close=close, running=running)
        assert type(error) is kind
        assert len(error.fix) > 10


@pytest.mark.parametrize(
    "code",
    [
        "invalid_format",
        "invalid_audio",
        "immutable_field",
        "agent_id_not_first",
        "audio_rate_violation",
        "invalid_value",
    ],
)
@pytest.mark.parametrize(("close", "_before", "after"), [row for row in CLOSES if row[0] != 1008])
def test_a_complaint_that_a_running_session_outlived_is_not_why_it_breaks_off(
    code: str, close: int | None, _before: type[ServiceError], after: type[ServiceError]
) -> None:
    assert type(failure_of(code, "No", close=close, running=True)) is after


@pytest.mark.parametrize(("code", "_close", "kind", "_retry"), DOCUMENTED)
def test_a_complaint_followed_by_a_refusal_is_the_refusals_reason(
    code: str, _close: int | None, kind: type[ServiceError], _retry: Retry
) -> None:
    assert type(failure_of(code, close=1008, running=True)) is kind


def test_the_field_that_the_service_names_is_named() -> None:
    error = failure_of("invalid_value", "Unknown voice 'james'.", param="output.voice", close=1008)
    assert "invalid_value at output.voice: Unknown voice 'james'; " in str(error)


def test_what_can_be_done_differs() -> None:
    assert "ASSEMBLYAI_API_KEY" in failure_of("unauthorized").fix
    assert "ASSEMBLYAI_API_KEY" in failure_of(None, close=1008).fix
    assert "region" in failure_of("agent_not_found").fix
    assert "wait" in failure_of("concurrency_exceeded").fix
    assert "report" in failure_of("invalid_format").fix


@given(
    st.none() | st.text(),
    st.text(),
    st.none() | st.text(),
    st.none() | st.integers(0, 5000),
    st.booleans(),
)
def test_whatever_the_service_says_the_error_is_one_printable_line_of_bounded_length(
    code: str | None, message: str, param: str | None, close: int | None, running: bool
) -> None:
    error = failure_of(code, message * 100, param=param, close=close, running=running)
    assert isinstance(error, VoiceAgentError)
    assert str(error).isprintable()
    assert len(str(error)) < 1200
