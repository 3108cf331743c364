"""What is a command, and who is an operator."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from livekit import api

from actors.operator.commands import (
    LONGEST_TEXT,
    MOST_COMMANDS,
    End,
    Refused,
    Say,
    Statistics,
    Tell,
    ToPrompt,
    read_commands,
    refusal_of,
)
from actors.room.actor import mint_client_token, mint_operator_token
from channels.secret import Secret
from channels.settings import LiveKitAccount

ACCOUNT = LiveKitAccount("ws://localhost:7880", "key", Secret("s" * 32))
HOUR = timedelta(hours=1)
"""Tokens are made when the tests are collected, and the whole of them may take a while."""

any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
near_commands = st.fixed_dictionaries(
    {"do": st.sampled_from(["say", "prompt", "tell", "end", "statistics", "sey", ""]) | any_json},
    optional={"text": any_json, "token": any_json},
)


def lines(*contents: Any) -> str:
    return "\n".join(content if isinstance(content, str) else json.dumps(content) for content in contents)


def test_each_line_is_a_command_and_the_first_may_be_the_token() -> None:
    token, commands = read_commands(
        lines(
            {"token": "t"},
            {"do": "say", "text": "Hello."},
            "",
            {"do": "prompt", "text": "Be brief."},
            {"text": "It rains.", "do": "tell"},
            {"do": "statistics"},
            {"do": "end"},
        )
    )
    assert token == "t"
    assert commands == [Say("Hello."), ToPrompt("Be brief."), Tell("It rains."), Statistics(), End()]


def test_a_text_may_hold_what_javascript_leaves_as_it_is() -> None:
    said = "one\u2028two\u2029three\u0085four"
    assert read_commands(json.dumps({"do": "say", "text": said}, ensure_ascii=False)) == (None, [Say(said)])


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("hello", "one line of JSON"),
        ("[" * 5000, "one line of JSON"),
        ("5", "one line of JSON"),
        ({"text": "x"}, "one line of JSON"),
        ({"do": 5}, "one line of JSON"),
        ({"do": "sey", "text": "x"}, "did you mean 'say'?"),
        ({"do": "dance"}, "the commands are say, prompt, tell, end, statistics"),
        ({"do": "say"}, "text must be text of 1 to 8000 characters"),
        ({"do": "say", "text": ""}, "text must be text"),
        ({"do": "say", "text": " \n"}, "text must be text"),
        ({"do": "say", "text": 5}, "text must be text"),
        ({"do": "say", "text": "x" * (LONGEST_TEXT + 1)}, "text must be text"),
        ('{"do": "say", "text": "a\\ud800b"}', "text must be text"),
        ({"do": "say", "text": "x", "voice": "eve"}, "say takes text, and nothing else"),
        ({"do": "end", "text": "x"}, "end takes nothing, and nothing else"),
    ],
)
def test_a_bad_line_is_refused_with_the_reason_and_the_next_is_still_a_command(line: Any, why: str) -> None:
    token, (refused, command) = read_commands(lines(line, {"do": "end"}))
    assert token is None
    assert isinstance(refused, Refused)
    assert why in str(refused)
    assert command == End()


def test_a_flood_of_lines_is_cut() -> None:
    _, commands = read_commands(lines(*[{"do": "end"}] * 5000))
    assert commands[:-1] == [End()] * MOST_COMMANDS
    assert isinstance(commands[-1], Refused)


@given(st.lists(st.text() | (any_json | near_commands).map(json.dumps), max_size=30))
def test_whatever_comes_is_read(written: list[str]) -> None:
    _, commands = read_commands("\n".join(written))
    assert len(commands) <= MOST_COMMANDS + 1
    for command in commands:
        match command:
            case Say(text=text) | Tell(text=text) | ToPrompt(text=text):
                assert text.strip()
                assert len(text.encode()) <= 4 * LONGEST_TEXT


@given(st.sampled_from(["do", "text", "more"]), st.text(min_size=4).filter(str.strip))
def test_a_refusal_never_repeats_what_was_sent(field: str, secret: str) -> None:
    secret = f"eyJ{secret}"
    for content in ({"do": "say", "text": 5, field: secret}, {"do": "say", "text": "x", secret: secret}):
        for command in read_commands(lines(content))[1]:
            assert not isinstance(command, Refused) or secret not in str(command)


def test_who_has_the_token_of_an_operator_is_one() -> None:
    token = mint_operator_token(ACCOUNT, "lobby", "bob", HOUR).reveal()
    assert refusal_of(token, "bob", ACCOUNT, "lobby") is None


def grants(**grant: Any) -> api.VideoGrants:
    return api.VideoGrants(room_join=True, **grant)


def signed(given: api.VideoGrants, key: str = "key", secret: str = "s" * 32, life: timedelta = HOUR) -> str:
    token = api.AccessToken(key, secret).with_identity("bob").with_ttl(life).with_grants(given)
    return token.to_jwt()


ADMIN = grants(room="lobby", room_admin=True)


@pytest.mark.parametrize(
    ("token", "why"),
    [
        (None, "needs a token"),
        ("", "needs a token"),
        ("nonsense", "not valid here"),
        ("a.b.c", "not valid here"),
        (signed(ADMIN, life=timedelta(hours=-1)), "not valid here"),
        (signed(ADMIN, secret="t" * 32), "not valid here"),
        (signed(ADMIN, key="another"), "not valid here"),
        (signed(ADMIN)[:-4] + "AAAA", "not valid here"),
        (signed(grants(room="cellar", room_admin=True)), "not have the roomAdmin grant for this room"),
        (signed(grants(room="lobby", room_admin=False)), "not have the roomAdmin grant"),
        (mint_client_token(ACCOUNT, "lobby", "bob", HOUR).reveal(), "not have the roomAdmin grant"),
        (mint_operator_token(ACCOUNT, "lobby", "carol", HOUR).reveal(), "issued to somebody else"),
    ],
)
def test_nobody_else_is(token: str | None, why: str) -> None:
    refusal = refusal_of(token, "bob", ACCOUNT, "lobby")
    assert refusal is not None
    assert why in refusal
    assert not token or token not in refusal


def test_a_token_without_a_signature_is_none() -> None:
    import base64

    def part(content: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()

    claims = {"iss": "key", "sub": "bob", "exp": 2**40, "video": {"room": "lobby", "roomAdmin": True}}
    assert refusal_of(f"{part({'alg': 'none'})}.{part(claims)}.", "bob", ACCOUNT, "lobby") is not None


@given(st.text())
def test_no_text_is_a_token_and_none_is_repeated(text: str) -> None:
    refusal = refusal_of(text, "bob", ACCOUNT, "lobby")
    assert refusal is not None
    assert len(text) < 12 or text not in refusal
