"""`check` without an account: whether the language model that is set up is there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from commands.check.finding import Colour
from commands.check.language_model import check_language_model
from tests.playground.sse_server import fake_endpoint

LISTED = [json.dumps({"data": [{"id": "small:latest"}, {"id": "large"}]}).encode()]


@pytest.fixture(autouse=True)
def nothing_is_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("BASE_URL", "MODEL", "API_KEY"):
        monkeypatch.delenv(f"OPENAI_{name}", raising=False)


async def test_a_language_model_that_is_dead_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    finding = await check_language_model()
    assert finding.colour is Colour.RED
    assert finding.said == "http://127.0.0.1:9/v1: it cannot be reached (Connection refused)"
    assert "OPENAI_BASE_URL" in finding.fix


async def test_an_address_that_is_none_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "localhost")
    assert (await check_language_model()).colour is Colour.RED


async def test_without_one_the_small_dialogue_is_named() -> None:
    finding = await check_language_model()
    assert (finding.colour, "dialogue" in finding.said) == (Colour.GREEN, True)


@pytest.mark.parametrize(
    ("server", "model", "colour", "said"),
    [
        ({}, "", Colour.GREEN, "the model is small:latest"),
        ({}, "small", Colour.GREEN, "the model is small"),
        ({}, "tiny", Colour.YELLOW, "does not list tiny"),
        ({"status": 401}, "", Colour.RED, "HTTP 401"),
        ({"status": 404}, "", Colour.YELLOW, "HTTP 404"),
        ({"status": 500}, "", Colour.RED, "HTTP 500"),
        ({"raw": b"SSH-2.0\r\n"}, "", Colour.RED, "does not speak HTTP"),
    ],
)
async def test_what_the_endpoint_answers_is_said(
    monkeypatch: pytest.MonkeyPatch, server: Mapping[str, object], model: str, colour: Colour, said: str
) -> None:
    async with fake_endpoint(LISTED, **server) as endpoint:
        monkeypatch.setenv("OPENAI_BASE_URL", endpoint.url)
        monkeypatch.setenv("OPENAI_MODEL", model)
        finding = await check_language_model()
    assert finding.colour is colour
    assert said in finding.said
    assert [asked.path for asked in endpoint.asked] == ["/v1/models"]
