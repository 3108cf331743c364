"""Profiles: ours have the articles' figures, a user's own stand beside them, and each can be changed to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from channels.settings import Configuration
from channels.settings.profiles import OUR_FOLDER, Profile, read_profiles, wire_updates
from playground.voice_agent.session_config import configured
from tests.channels.configuring import Person
from tests.wire_schema import part

VOICES = ("alba", "eve")


def turns(in_force: Configuration) -> Any:
    return in_force.settings().api.session.as_wire().get("input", {}).get("turn_detection")


@pytest.mark.parametrize(
    ("name", "least", "most"), [("fast-paced", 300, 1500), ("standard", 600, 1500), ("deliberate", 600, 2500)]
)
def test_three_profiles_have_the_figures_of_the_articles(
    person: Person, name: str, least: int, most: int
) -> None:
    in_force = person.configure(flags={"profile": name})
    assert turns(in_force) == {
        "vad_threshold": 0.5,
        "min_silence": least,
        "max_silence": most,
        "interrupt_response": True,
    }
    assert person.warnings == []
    assert in_force.profile.description


def test_the_fourth_sends_nothing_and_is_the_default(person: Person) -> None:
    assert turns(person.configure()) is None
    assert turns(person.configure(flags={"profile": "adaptive"})) is None


def test_a_folder_beside_the_file_adds_profiles_and_may_replace_ours(person: Person) -> None:
    person.write("profiles/patient.toml", "[input.turn_detection]\nmin_silence = 1400\nmax_silence = 4000\n")
    person.write("profiles/standard.toml", 'input.transcription_mode = "max_accuracy"\n')
    in_force = person.configure('profile = "patient"')
    assert turns(in_force) == {"min_silence": 1400, "max_silence": 4000}
    assert set(in_force.profiles) == {"adaptive", "deliberate", "fast-paced", "patient", "standard"}
    in_force = person.configure('profile = "standard"')
    assert in_force.settings().api.session.as_wire()["input"] == {"transcription_mode": "max_accuracy"}
    # Without a file there is no folder of one's own: what lies about where one happens to be does not count.
    assert "patient" not in person.configure().profiles


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (
            "[input.turn_detection]\nmin_silence = 99999",
            "input.turn_detection.min_silence in profile mine.toml is not a whole number of ms from 0 to "
            "60000 (found 99999); see our profiles/standard.toml",
        ),
        (
            'output.voice = "eve"',
            "there is no setting output (in profile mine.toml); see our profiles/standard.toml",
        ),
        (
            "[input.turn_detection]\nmin_silense = 1",
            "there is no setting input.turn_detection.min_silense (in profile mine.toml); "
            "did you mean input.turn_detection.min_silence?",
        ),
        (
            "description = 3",
            "description in profile mine.toml is not a text (found 3); see our profiles/standard.toml",
        ),
    ],
)
def test_what_a_profile_cannot_have_is_said_with_its_file(person: Person, content: str, line: str) -> None:
    person.write("profiles/mine.toml", content)
    assert person.problem("") == line


def test_a_change_to_a_profile_in_mid_call_leaves_nothing_of_the_one_before(tmp_path: Path) -> None:
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "exact.toml").write_text(
        'input.transcription_mode = "max_accuracy"\ninput.turn_detection.interruption_delay = 200'
    )
    profiles = read_profiles([OUR_FOLDER, tmp_path])
    updates = wire_updates(profiles)
    assert all(part("session").is_valid(update) for each in updates.values() for update in each)
    first: dict[str, Any] = {"system_prompt": "Be brief."}
    for before in profiles:
        for after in profiles:
            config = configured(None, first, voices=VOICES, agents={})
            for update in (*updates[before], *updates[after]):
                config = configured(config, update, voices=VOICES, agents={})
            alone = configured(None, {**first, **_sent(profiles[after])}, voices=VOICES, agents={})
            assert config == alone, f"{before} → {after}"


def _sent(profile: Profile) -> dict[str, Any]:
    """What a session that begins with the profile sends of it."""
    content: dict[str, Any] = {}
    for path, value in profile.values.items():
        *tables, name = path.split(".")[1:]
        table = content
        for each in tables:
            table = table.setdefault(each, {})
        table[name] = value
    return content
