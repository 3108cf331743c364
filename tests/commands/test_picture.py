"""The picture of a call: what stands where, that it stands alone, and that no label covers another."""

from __future__ import annotations

import itertools
import re
import stat
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given

import runner
from actors.record.reading import read_record
from channels.messages import ConnectionBroke
from commands.arguments import parse
from commands.replay import replay
from commands.replay.picture import scene_of
from commands.replay.picture.labels import place, width_of
from commands.replay.picture.scene import Scene
from tests.actors.record.scripted import Cue, Script, record_call
from tests.commands.test_replay import a_call


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    return record_call(tmp_path / "call.jsonl", a_call(), ends_at=22.0)


def draw(recorded: Path, *more: str) -> str:
    replay(parse(["replay", str(recorded), *more]), runner.wire)
    return recorded.with_suffix(".html").read_text("utf-8")


@pytest.fixture
def scene(recorded: Path) -> Scene:
    record = read_record(recorded)
    return scene_of(record.entries, until=record.length_s)


def near(one: float, other: float) -> bool:
    return abs(one - other) < 0.1


def test_sounds_stand_where_they_were(scene: Scene) -> None:
    assert [(round(s.begins, 1), round(s.ends, 1)) for s in scene.person] == [
        (5, 6.8),
        (9.5, 9.9),
        (13.5, 15.6),
    ]
    greeting, *story, ending = scene.agent
    assert near(greeting.begins, 0.72)
    assert all(any(near(hold.begins, part.ends) for hold in scene.holds) for part in story)
    assert near(story[-1].ends, 13.6), "silent from the moment at which it was held"
    assert near(ending.begins, 17.12)


def test_words_stand_where_they_were_heard_and_a_hold_delays_those_after_it(scene: Scene) -> None:
    words = {word.text: word.at for word in scene.agent_words}
    assert near(words["Hello"], 0.72)
    hold = scene.holds[0]
    story = [word.at for word in scene.agent_words if 7.9 < word.at < 14]
    assert not any(hold.begins + 0.1 < at < hold.ends for at in story)
    assert any(at > hold.ends for at in story)
    assert "evening" not in words, "it was cut before that"


def test_words_of_the_person_stand_where_the_service_understood_them(scene: Scene) -> None:
    assert (
        " ".join(word.text for word in scene.person_words) == "Tell me a story, please. Stop, that is enough."
    )
    assert [word.at for word in scene.person_words] == sorted(word.at for word in scene.person_words)


def test_what_waits_falls_while_it_is_played_and_not_while_it_is_held(scene: Scene) -> None:
    hold = scene.holds[0]
    during = [ms for at, ms in scene.backlog if hold.begins + 0.2 < at < hold.ends]
    before = [ms for at, ms in scene.backlog if 8.1 < at < hold.begins]
    assert before == sorted(before, reverse=True)
    assert max(before) > 3000
    assert not during or max(during) - min(during) < 50
    assert all(ms == 0 for at, ms in scene.backlog if 16.3 < at < 16.9), "nothing waits once it was cut"


def test_a_lost_connection_is_seen_until_the_session_is_back(tmp_path: Path) -> None:
    script = Script()
    script.session(0.2)
    script.cues.append(Cue(2.0, ConnectionBroke()))
    script.session(4.5)
    script.reply(5.0, "r1", "Here I am again.")
    record = read_record(record_call(tmp_path / "lost.jsonl", script, ends_at=8))
    (outage,) = scene_of(record.entries, until=8).outages
    assert near(outage.begins, 2.0)
    assert near(outage.ends, 4.5)


def test_the_page_stands_alone_and_can_be_read_without_being_seen(recorded: Path) -> None:
    page = draw(recorded)
    assert not re.search(r"(src|href)=|@import|<script|url\((?!#)", page)
    assert "default-src 'none'" in page
    rows = re.findall(r'<svg viewBox="0 0 1400 .*?</svg>', page, re.DOTALL)
    assert len(rows) == 1 + 1 + 3, "rows of 60, of 30 and of 10 s"
    for row in rows:
        root = ElementTree.fromstring(row)
        title, told = root.findall("title")[0], root.findall("desc")[0]
        assert root.get("aria-labelledby") == f"{title.get('id')} {told.get('id')}"
        assert told.text
    assert "the reply r2 is cut" in page
    assert "barge-in" in page


def test_the_table_tells_where_the_time_of_a_turn_went(recorded: Path) -> None:
    rows = re.findall(r"<tr><td.*?</tr>", draw(recorded))
    cells = [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in rows]
    greeting, story, _ = [[cell.removesuffix(" ms").replace(",", "") for cell in row[2:6]] for row in cells]
    assert greeting == ["–"] * 4
    latency, endpointing, service, playing = map(int, story)
    assert latency == endpointing + service + playing
    assert 400 < service < 700, "from the decision to the burst"
    assert 100 < playing < 200, "a reply begins with 120 ms of silence"


def test_a_picture_is_as_private_as_its_record(recorded: Path) -> None:
    draw(recorded)
    assert stat.S_IMODE(recorded.with_suffix(".html").stat().st_mode) == 0o600


def test_differences_are_numbered_in_the_list_and_on_the_line(recorded: Path) -> None:
    page = draw(recorded, "--hold-ms", "0")
    listed = re.findall(r"<li>\d:\d\d\.\d{3} – ", page)
    marked = re.findall(r'class="differing"[^>]*>(\d+)<', page)
    assert listed
    assert {str(number) for number in range(1, len(listed) + 1)} == set(marked)
    assert 'class="replayed"' in page


def test_a_picture_alone_is_one_svg(recorded: Path, tmp_path: Path) -> None:
    picture = tmp_path / "call.svg"
    replay(parse(["replay", str(recorded), "--picture", str(picture)]), runner.wire)
    root = ElementTree.fromstring(picture.read_text("utf-8"))
    assert root.tag.endswith("svg")
    assert root.get("aria-labelledby") == "title desc"


def test_a_picture_that_cannot_be_written_is_one_line(
    recorded: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert replay(parse(["replay", str(recorded), "--picture", "/nowhere/x.html"]), runner.wire) == 2
    assert "/nowhere/x.html" in capsys.readouterr().err


@given(
    words=st.lists(st.tuples(st.floats(0, 1000), st.text("abcmwil…,", min_size=1, max_size=30)), max_size=60),
    lines=st.integers(1, 3),
)
def test_no_label_covers_another_or_stands_outside(words: list[tuple[float, str]], lines: int) -> None:
    placed = place(sorted(words), size=11, lines=lines, right=1100)
    for line in range(lines):
        here = sorted((one.x, one.x + width_of(one.text, 11)) for one in placed if one.line == line)
        assert all(ends <= begins for (_, ends), (begins, _) in itertools.pairwise(here))
        assert all(ends <= 1100 + width_of("…", 11) for _, ends in here)
