"""Simulated calls, with everything that can go wrong in them, replay as they were."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest.mock import patch

import attrs
import pytest
import trio

import runner
from actors.record.file import RecordFile
from actors.record.recorder import RecordTap
from channels.seen import Noted
from channels.settings import BargeInSettings, SpeakerSettings
from commands.arguments import parse
from commands.replay import replay
from tests.actors.record.scripted import ACCOUNTS, SETTINGS
from tests.simulation import call
from tests.simulation.plan import Plan, draw_plan


def record_simulated(path: Path, plan: Plan) -> None:
    ear, began, wire = RecordTap(capacity=10_000_000), list[float](), runner.wire

    def recorded(*given: Any, **more: Any) -> runner.Graph:
        graph = wire(*given, **more)
        began.append(trio.current_time())
        ear.listen(graph.channels.recorded(with_sound=False), graph.taps, graph.seen)
        return graph

    with patch.object(runner, "wire", recorded):
        outcome = call.take_place(plan)
    ear.close()

    async def heard() -> list[Noted]:
        return [noted async for noted in ear.channel.receiver()]

    settings = attrs.evolve(
        SETTINGS,
        barge_in=BargeInSettings(plan.on_speech_started, longest_hold_ms=plan.hold_ms),
        speaker=SpeakerSettings(plan.queue_ms),
    )
    file = RecordFile.create(path, settings, ACCOUNTS.secrets, started=began[0], with_sound=False)
    file.write(trio.run(heard), lost=0)
    file.end(began[0] + outcome.simulated_s)


# The first two cut a reply's sound in the middle of a sample.
@pytest.mark.parametrize("seed", ["55", "42", "6"])
def test_a_simulated_call_replays_as_it_was(
    seed: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "call.jsonl"
    record_simulated(path, draw_plan(seed))
    code = replay(parse(["replay", str(path)]), runner.wire)
    said = capsys.readouterr().out
    assert code == 0, said
    assert "× reply audible" in said
    assert "within 0 ms" in said
