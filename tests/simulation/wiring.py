"""The wiring of a simulated call: `runner.serve_room` itself, with two of its channels overheard.

`serve_room` makes its channels by the name `runner.Channels`. While a call runs, that name stands for a
subclass whose channels to the controller also tell the ledger what passes, at the instant it is sent. It
is the one thing that is changed; all else is what the runner wires.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest.mock import patch

import runner
from channels.messages import ApiEvent, SpeakerReport

__all__ = ["overheard_channels"]


@contextmanager
def overheard_channels(
    on_event: Callable[[ApiEvent], None], on_report: Callable[[SpeakerReport], None]
) -> Iterator[list[runner.Channels]]:
    """While it is open, `serve_room` uses channels that tell; they are put into the list."""
    made: list[runner.Channels] = []

    class OverheardChannels(runner.Channels):
        def __init__(self) -> None:
            super().__init__()
            self.service.overhear(on_event)
            self.reports.overhear(on_report)
            made.append(self)

    with patch.object(runner, "Channels", OverheardChannels):
        yield made
