"""Manner: in which of all the ways that the reference allows, or warns of, the service gives one reply.

Drawn from the call's seed and the reply's number alone. A calm manner is a short reply with nothing odd in
it: after each bout of trouble the service is calm for a while, and its reply must be heard.
"""

from __future__ import annotations

import enum
import math
from random import Random

from attrs import frozen

from sound.pcm import SAMPLE_BYTES, SAMPLE_RATE_HZ

__all__ = ["Interruption", "Manner", "draw_manner"]


class Interruption(enum.Enum):
    """What the service says when the person interrupts."""

    AT_ONCE = "at once, with speech.started"
    DONE = "at once, by done{interrupted} alone"
    LATER = "0.3 s after speech.started, with more sound before it"
    AT_THE_END = "at the end of the sentence, with all of the sound before it"
    CALLED_COMPLETED = "at the end of the sentence, by the transcript alone; it is called completed"
    NEVER = "never: the reply goes on"


@frozen
class Manner:
    """How a reply is given."""

    number: int
    samples: int = SAMPLE_RATE_HZ * 3 // 2
    silent: int = SAMPLE_RATE_HZ // 5
    """Near-silent samples that it begins with."""
    chunk_bytes: int = 4800
    pace: float = math.inf
    """How much faster than real time it is sent; infinity: in one burst."""
    named: float = 1.0
    """The share of chunks with a `reply_id`."""
    words: str = "timed"
    """timed, untimed or none"""
    stall_after: float = 1.0
    """After which part of it the service pauses."""
    stall_s: float = 0.0
    tool: bool = False
    """It is the preamble of a tool call."""
    dones: int = 1
    """How often `reply.done` is sent."""
    status: str = "completed"
    late_bytes: int = 0
    """Sound that follows its end."""
    interruption: Interruption = Interruption.AT_ONCE
    answered: bool = True
    """What was said over it has an answer of its own, where it did not interrupt."""
    thinks_s: float = 0.0
    """From its beginning to its first sound."""
    final: str = "in time"
    """Its text: in time, missing, or late (after its end)."""
    calls: int = 1
    """How often it calls its tool with the same arguments."""
    oddities: int = 0
    """Events in its middle that the agent does not know, or that are malformed."""

    @property
    def ms(self) -> int:
        """Its length."""
        return round(self.samples / SAMPLE_RATE_HZ * 1000)

    def __str__(self) -> str:
        pace = "in one burst" if math.isinf(self.pace) else f"at {self.pace:.2f}x real time"
        odd = [
            f"{self.chunk_bytes} bytes a chunk",
            f"{self.named:.0%} of them named" * (self.named < 1),
            f"words {self.words}" * (self.words != "timed"),
            f"stalls {self.stall_s:.1f} s" * (self.stall_s > 0),
            "calls a tool" * self.tool,
            f"done {self.dones} times" * (self.dones != 1),
            f"status {self.status}" * (self.status != "completed"),
            f"{self.late_bytes} bytes late" * (self.late_bytes > 0),
            f"interrupted {self.interruption.value}" * (self.interruption is not Interruption.AT_ONCE),
            f"thinks for {self.thinks_s:.1f} s" * (self.thinks_s > 0),
            f"text {self.final}" * (self.final != "in time"),
            f"calls it {self.calls} times" * (self.tool and self.calls > 1),
            f"{self.oddities} odd events" * (self.oddities > 0),
        ]
        return f"{self.ms} ms {pace}, " + ", ".join(filter(None, odd))


def draw_manner(random: Random, number: int, *, calm: bool, tool: bool = False) -> Manner:
    """How the reply of that number is given."""
    if calm:
        return Manner(number)
    length_s = random.choice(
        [0.0, random.uniform(0.005, 0.3), *[random.uniform(0.3, 6)] * 4, random.uniform(6, 20)]
    )
    if random.random() < 0.03:
        length_s = random.uniform(30, 90)
    pace = random.choice([random.uniform(0.9, 1.1), random.uniform(1.5, 10), math.inf])
    chunk_bytes = random.choice([480, 960, 1800, 2400, 4800, 9600, 48_000, random.randint(1, 5000)])
    # Thousands of tiny events say nothing new and take all the time.
    chunk_bytes = max(chunk_bytes, int(length_s * SAMPLE_RATE_HZ * SAMPLE_BYTES / 400))
    return Manner(
        number,
        samples=int(length_s * SAMPLE_RATE_HZ),
        silent=int(random.choice([0.0, 0.2, 0.25, random.uniform(0, 2)]) * SAMPLE_RATE_HZ),
        chunk_bytes=chunk_bytes,
        pace=pace,
        named=random.choice([1, 1, 1, 0.5, 0]),
        words=random.choice(["timed", "timed", "untimed", "none"]),
        stall_after=random.random(),
        stall_s=random.choice([0, 0, 0, 0, 0, random.uniform(0.3, 6)]),
        tool=tool or random.random() < 0.1,
        dones=random.choice([1] * 16 + [2, 3, 0]),
        status=random.choice(["completed"] * 9 + ["failed", "cancelled"]),
        late_bytes=random.choice([0, 0, 0, random.randint(2, 9600)]),
        interruption=random.choice([Interruption.AT_THE_END] * 2 + list(Interruption)),
        answered=random.random() < 0.5,
        thinks_s=random.choice([0.0, 0.0, 0.5, random.uniform(3.4, 4.9)]),
        final=random.choice(["in time"] * 4 + ["missing", "late"]),
        calls=random.choice([1, 1, random.randint(2, 6)]),
        oddities=random.choice([0] * 6 + [1, 3]),
    )
