"""A call with a moderator goes another way, or ends, by what the person says."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from channels.errors import ActorFailed, SettingsError
from channels.happenings import Leaving, PersonSaid, ReplyEnded
from channels.streams import Addition
from channels.wire.messages import ReplyCreate, SessionEnd, SessionUpdate
from examples.moderator import Moderator, read_rules
from tests.examples.scripted_call import scripted_call

RULES = Path(__file__).parents[2] / "examples" / "moderator.toml"
MODERATED = Addition(Moderator, {"rules": str(RULES)})


async def test_what_fits_no_rule_changes_nothing(autojump_clock: MockClock) -> None:
    async with scripted_call(MODERATED) as call:
        await call.person_says("What are your opening hours?")
        await trio.sleep(5)
        assert len(call.asked(SessionUpdate)) == 1
        assert not call.asked(ReplyCreate)
        assert not call.over.is_set()


async def test_a_rule_redirects_the_call(autojump_clock: MockClock) -> None:
    async with scripted_call(MODERATED) as call:
        await call.person_says("Could I SPEAK to your manager, please?")
        await call.agent_says("r1", "I am afraid not.", s=1)  # the service has its own answer
        await trio.sleep(0.5)
        assert call.asked(ReplyCreate) == [], "nobody is talked over"
        await trio.sleep(1)
        assert call.asked(ReplyCreate) == [
            ReplyCreate("Tell the person that a colleague will call them back today.")
        ]
        await call.agent_says("r2", "A colleague will call you back today.", s=1)
        await trio.sleep(2)
        await call.person_says("Then diagnose my cough.")
        await trio.sleep(0.1)
        assert call.asked(SessionUpdate)[1].session == {
            "system_prompt": "You only help to find the right doctor now. Give no medical advice."
        }
        assert not call.over.is_set()


async def test_a_rule_is_applied_once_to_a_turn_however_it_grows(autojump_clock: MockClock) -> None:
    async with scripted_call(MODERATED) as call:
        await call.person_says("Diagnose my cough,")
        await call.person_says("please.")
        await call.agent_says("r1", "Let me find you a doctor.", s=1)
        await trio.sleep(2)
        assert len(call.asked(SessionUpdate)) == 2
        assert [said.text for said in call.happened(PersonSaid) if said.final] == [
            "Diagnose my cough, please."
        ]


async def test_a_rule_ends_the_call_after_the_goodbye_was_heard(autojump_clock: MockClock) -> None:
    async with scripted_call(MODERATED) as call:
        await call.person_says("Stop calling me!")
        await call.agent_says("r1", "Pardon?", s=1)  # the service had thought of an answer already
        await trio.sleep(1.5)
        assert call.asked(ReplyCreate) == [ReplyCreate("Apologise in one short sentence, and say goodbye.")]
        await call.agent_says("r2", "I am sorry. Goodbye!", s=3)
        with trio.fail_after(6):
            await call.over.wait()
        assert [(reply.reply_id, reply.heard_text) for reply in call.happened(ReplyEnded)] == [
            ("r1", "Pardon?"),
            ("r2", "I am sorry. Goodbye!"),
        ]
        assert call.happened(Leaving) == [Leaving("the person wants no calls")]
        assert len(call.asked(SessionEnd)) == 1
        assert call.failure is None


async def test_it_ends_even_if_no_goodbye_ever_comes(autojump_clock: MockClock) -> None:
    async with scripted_call(MODERATED) as call:
        await call.person_says("Stop calling me!")
        with trio.fail_after(17):
            await call.over.wait()


async def test_a_call_does_not_go_on_without_its_moderator(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Moderator, "_apply", fail)
    async with scripted_call(MODERATED) as call:
        await call.person_says("Stop calling me!")
        with trio.fail_after(3):
            await call.over.wait()
        assert isinstance(call.failure, ActorFailed)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("[[rule]\n", "is not TOML"),
        ("", "has no rules; begin each one with [[rule]]"),
        ("[rule]\nwhen = 'x'\n", "has no rules"),
        ("[[rule]]\nwhen = 'x'\n", "rule 1 of {} does nothing; give it `when`, and `say`, `prompt` or `end`"),
        ("[[rule]]\nwhen = 'x'\nend = true\n", "rule 1 of {} has a value that is not text"),
        (
            "[[rule]]\nwhen = '('\nend = 'y'\n",
            "rule 1 of {}: `when` is not a regular expression (missing ), ",
        ),
        (
            "[[rule]]\nwhen = 'x'\nend = 'y'\n[[rule]]\nwen = 'x'\nsay = 'y'\n",
            "rule 2 of {} has a field 'wen'; its fields are when, say, prompt, end",
        ),
    ],
)
def test_a_rule_that_is_none_is_named(written: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text(written)
    with pytest.raises(SettingsError) as error:
        read_rules(path)
    assert said.format(path) in str(error.value)


def test_rules_that_are_not_there_are_said_to_be_so(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none.toml cannot be read \(No such file or directory\)"):
        read_rules(tmp_path / "none.toml")
