"""Simulated calls, with everything that can go wrong in them, replay as they were."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import patch

import attrs
import pytest
import trio

import runner
from actors.record.file import RecordFile
from actors.record.notes import Noted
from actors.record.recorder import Ear
from channels.happenings import Taps
from channels.settings import BargeInSettings, SpeakerSettings
from commands.arguments import parse
from commands.replay import replay
from tests.actors.record.scripted import SETTINGS
from tests.simulation import call
from tests.simulation.plan import Plan, draw_plan


def record_simulated(path: Path, plan: Plan) -> None:
    ear, began = Ear(capacity=10_000_000), list[float]()

    class OverheardChannels(runner.Channels):
        def __init__(self) -> None:
            super().__init__()
            began.append(trio.current_time())
            ear.listen(*self.recorded(with_sound=False))

    class OverheardTaps(Taps):
        def __init__(self) -> None:
            super().__init__()
            ear.listen_to_taps(self)

    with patch.object(runner, "Channels", OverheardChannels), patch.object(call, "Taps", OverheardTaps):
        outcome = call.take_place(plan)
    ear.close()

    async def heard() -> list[Noted]:
        return [noted async for noted in ear.channel.receiver()]

    settings = attrs.evolve(
        SETTINGS,
        barge_in=BargeInSettings(plan.on_speech_started, longest_hold_ms=plan.hold_ms),
        speaker=SpeakerSettings(plan.queue_ms),
    )
    file = RecordFile.create(path, settings, started=began[0], with_sound=False)
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
