"""A secret does not print, whatever one does to it."""

from __future__ import annotations

import copy
import json
import logging
import pickle
import sys
import traceback
from io import StringIO

import attrs
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from channels.secret import Secret

TEXT = "a-text-that-nobody-may-see"


@attrs.frozen
class Holder:
    secret: Secret
    other: int = 1


def printed() -> list[str]:
    secret = Secret(TEXT)
    return [
        str(secret),
        repr(secret),
        ascii(secret),
        f"{secret}",
        f"{secret!r} {secret!s} {secret=}",
        f"{secret} {secret!r}",
        "%s %r" % (secret, secret),  # noqa: UP031
        str([secret]),
        str({"secret": secret}),
        repr(Holder(secret)),
        str(attrs.asdict(Holder(secret))),
        repr(attrs.evolve(Holder(secret), other=2)),
    ]


@pytest.mark.parametrize("text", printed())
def test_a_secret_prints_as_dots(text: str) -> None:
    assert TEXT not in text
    assert "•••" in text or "\\u2022" in text


@pytest.mark.parametrize("how", [">40", "<", "s", "40s", ".3"])
def test_a_secret_is_not_formatted_to_a_width_either(how: str) -> None:
    try:
        text = format(Secret(TEXT), how)
    except TypeError as error:
        text = str(error)
    assert TEXT[:3] not in text


def test_a_secret_in_a_log_record_is_dots() -> None:
    out = StringIO()
    handler = logging.StreamHandler(out)
    log = logging.getLogger("test_secret")
    log.propagate = False
    log.addHandler(handler)
    try:
        log.error("the key is %s, %r, %(x)s", Secret(TEXT), Secret(TEXT))
        log.error("the key is %s and %r", Secret(TEXT), Secret(TEXT))
        log.error(Secret(TEXT))
    finally:
        log.removeHandler(handler)
    assert TEXT not in out.getvalue()
    assert out.getvalue().count("•••") >= 3


@pytest.mark.parametrize(
    "renderer", [structlog.dev.ConsoleRenderer(), structlog.processors.JSONRenderer(default=repr)]
)
def test_a_secret_in_a_structured_log_is_dots(renderer: structlog.typing.Processor) -> None:
    out = StringIO()
    log = structlog.wrap_logger(structlog.PrintLogger(out), processors=[renderer])
    log.info("started", key=Secret(TEXT), holder=Holder(Secret(TEXT)))
    assert TEXT not in out.getvalue()


def test_a_secret_in_a_traceback_is_dots_with_the_local_variables_shown() -> None:
    def fail(secret: Secret) -> None:
        holder = Holder(secret)
        raise ValueError(f"bad: {holder}")

    try:
        fail(Secret(TEXT))
    except ValueError as error:
        shown = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    assert "•••" in shown
    # The test's own line above names the constant, never the text.
    assert TEXT not in shown


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_secret_is_not_pickled(protocol: int) -> None:
    with pytest.raises(TypeError) as raised:
        pickle.dumps({"settings": Holder(Secret(TEXT))}, protocol)
    assert TEXT not in str(raised.value)


def test_a_secret_is_not_copied_into_json() -> None:
    with pytest.raises(TypeError) as raised:
        json.dumps({"key": Secret(TEXT)})
    assert TEXT not in str(raised.value)


def test_a_secret_is_not_copied_by_way_of_pickling() -> None:
    for way in (copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            way(Secret(TEXT))


def test_a_secret_has_no_other_text_than_by_asking_for_it() -> None:
    secret = Secret(TEXT)
    assert secret.reveal() == TEXT
    assert not hasattr(secret, "__dict__")
    for name in dir(secret):
        if name not in ("reveal", "_text", "__getstate__"):
            assert TEXT not in repr(getattr(secret, name))
    assert sys.getsizeof(secret) > 0


def test_a_secret_is_no_key_of_a_dictionary() -> None:
    with pytest.raises(TypeError):
        hash(Secret(TEXT))


@given(st.text(), st.text())
def test_secrets_are_equal_when_their_texts_are_and_never_equal_to_a_text(one: str, other: str) -> None:
    assert (Secret(one) == Secret(other)) is (one == other)
    assert Secret(one) == Secret(one)
    assert Secret(one) != one
