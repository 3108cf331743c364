"""The drawing shows what the wiring joins, an added actor included, and the docs show the drawing."""

from __future__ import annotations

import functools
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import attrs
import pytest

import runner
from channels.bounded import Receiver, Sender
from channels.errors import SettingsError
from channels.messages import LeaveRoom, MicrophoneFrame
from channels.streams import Addition
from channels.wire.messages import ClientMessage
from commands.graph import draw, print_graph

PAGE = Path(__file__).parents[2] / "docs" / "graph.md"


@attrs.define
class Parrot:
    heard: Receiver[MicrophoneFrame]
    requests: Sender[ClientMessage]
    departures: Sender[LeaveRoom]

    async def run(self) -> None: ...


def test_every_channel_of_the_wiring_is_in_the_drawing_with_its_rule() -> None:
    drawing = draw(functools.partial(runner.wire, additions=[Addition(Parrot)]))
    for channel in vars(runner.Channels()).values():
        assert f'"{channel.name}<br/><small>{channel.capacity} {channel.unit}<br/>' in drawing


def test_the_way_of_the_sound_can_be_followed() -> None:
    drawing = draw(runner.wire).splitlines()

    def joined(source: str, target: str, channel: str) -> bool:
        return any(
            line.strip().startswith(source) and line.endswith(target) and channel in line for line in drawing
        )

    assert joined("MicPump", "ApiSession", '"microphone<')
    assert joined("ApiSession", "BargeInController", '"service<')
    assert joined("BargeInController", "SpeakerPump", '"orders<')
    assert joined("SpeakerPump", "BargeInController", '"reports<')


def test_an_actor_of_ones_own_is_drawn_where_it_is_joined() -> None:
    drawing = draw(functools.partial(runner.wire, additions=[Addition(Parrot)]))
    assert 'Parrot("Parrot"):::bystander' in drawing
    assert 'MicPump -."Parrot<br/>' in drawing
    assert 'Parrot --"requests of Parrot<br/>' in drawing
    assert 'RequestGate --"requests<br/>' in drawing
    assert "Parrot" not in draw(runner.wire)


def test_two_actors_of_one_class_are_two_in_the_drawing_each_with_streams_of_its_own() -> None:
    drawing = draw(functools.partial(runner.wire, additions=[Addition(Parrot), Addition(Parrot)]))
    assert 'Parrot_2("Parrot 2"):::bystander' in drawing
    assert 'Parrot --"requests of Parrot<br/>' in drawing
    assert 'Parrot_2 --"requests of Parrot 2<br/>' in drawing
    assert drawing.count('MicPump -."Parrot') == 2
    assert 'RequestGate_2 --"requests<br/>' in drawing


def test_the_page_in_the_docs_is_the_drawing_of_today() -> None:
    assert f"```mermaid\n{draw(runner.wire)}```\n" in PAGE.read_text("utf-8"), (
        "docs/graph.md is out of date: paste what `python runner.py graph` prints"
    )


def test_the_picture_is_an_svg_with_every_actor_in_it(tmp_path: Path) -> None:
    picture = tmp_path / "graph.svg"
    assert print_graph(draw(runner.wire), picture) == 0
    said = " ".join(ElementTree.parse(picture).getroot().itertext())
    for name in ("RoomActor", "MicPump", "ApiSession", "BargeInController", "SpeakerPump", "OnsetDetector"):
        assert name in said


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be written"):
        print_graph("flowchart LR\n", tmp_path / "none" / "graph.svg")
