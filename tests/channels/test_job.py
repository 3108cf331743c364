from __future__ import annotations

import json
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from channels.errors import SettingsError
from channels.settings.catalogue import CATALOGUE
from channels.settings.job import MOST_METADATA, read_job
from tests.channels.configuring import Person

OWNER = """
profile = "standard"
template = "support"
[variables]
company = "Acme"
[session]
greeting = "Hello from Acme."
[session.output]
voice = "anna"
"""


def test_a_job_chooses_among_what_the_owner_has(person: Person) -> None:
    chosen = {"profile": "deliberate", "voice": "alba", "listen": "identity:bob", "tools": ["hours"]}
    settings = person.configure(OWNER, job=chosen).settings()
    assert settings.room_name == "its-room"
    assert settings.front_end.profile == "deliberate"
    assert settings.api.session.output.voice == "alba"
    assert settings.listen.identity == "bob"
    assert "Acme" in (settings.api.session.system_prompt or ""), "the owner's template stays"
    assert settings.api.session.greeting == "Hello from Acme."
    assert read_job(json.dumps(chosen)).tools == frozenset(["hours"])


def test_without_metadata_everything_is_the_owners(person: Person) -> None:
    settings = person.configure(OWNER, job="  ").settings()
    assert settings.front_end.profile == "standard"
    assert read_job("{}").tools is None


def test_a_template_of_the_job_comes_with_its_variables_and_greeting(person: Person) -> None:
    person.write(
        "prompts/books.toml",
        'system_prompt = "You sell {kind}."\ngreeting = "Books!"\n'
        '[variables.kind]\nabout = "what it sells"\n',
    )
    job: dict[str, Any] = {"template": "books", "variables": {"kind": "atlases"}}
    session = person.configure(OWNER, job=job).settings().api.session
    assert "You sell atlases." in (session.system_prompt or "")
    assert session.greeting == "Books!"
    assert person.problem(OWNER, job={"template": "books"}).startswith("the template books needs kind")


@pytest.mark.parametrize(
    ("job", "said"),
    [
        ("support", "the job's metadata is not JSON; write an object"),
        ("[1]", "the job's metadata is not an object (found a list)"),
        (
            {"profil": "deliberate"},
            "there is no setting profil (in the job's metadata); did",
        ),
        ({"profile": "deliberat"}, "profile in the job's metadata names no profile (found 'deliberat')"),
        ({"profile": "../../etc/passwd"}, "profile in the job's metadata names no profile"),
        ({"template": "/etc/passwd"}, "template in the job's metadata names no template"),
        ({"voice": "nobody"}, "nobody"),
        ({"voice": 7}, "voice in the job's metadata is not a text (found 7)"),
        ({"listen": "everybody"}, "listen in the job's metadata"),
        ({"tools": "hours"}, "tools in the job's metadata is not a list of texts"),
        ({"variables": "x"}, "variables in the job's metadata is not a table"),
        ({"tools": {"modules": ["evil.py"]}}, "tools in the job's metadata"),
    ],
)
def test_what_a_job_cannot_choose_is_told_in_a_line(person: Person, job: Any, said: str) -> None:
    assert said in person.problem(OWNER, job=job)


def test_no_path_but_the_six_can_be_chosen(person: Person) -> None:
    for path in CATALOGUE:
        if path in ("profile", "template"):
            continue
        nested: Any = "x"
        for name in reversed(path.split(".")):
            nested = {name: nested}
        for job in ({path: "x"}, nested):
            with pytest.raises(SettingsError):
                read_job(json.dumps(job))


@given(
    st.text(max_size=200)
    | st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=20),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["profile", "template", "variables", "voice", "listen", "tools"])
                | st.text(max_size=9),
                inner,
                max_size=4,
            )
        ),
    ).map(json.dumps)
)
def test_whatever_a_job_says_is_read_or_refused(metadata: str) -> None:
    chosen, said = set(), ""
    try:
        chosen = {path for path in read_job(metadata).chosen if not path.startswith("variables.")}
    except SettingsError as error:
        said = str(error)
    assert chosen <= {"profile", "template", "session.output.voice", "listen.to"}
    assert all(line.isprintable() for line in said.split("\n"))


@pytest.mark.parametrize("metadata", ["[" * 10_000, "{" * 5000, "x" * (MOST_METADATA + 1), "\ud800"])
def test_a_hostile_text_is_refused(metadata: str) -> None:
    with pytest.raises(SettingsError):
        read_job(metadata)
