"""Every series that a process exports: its name, its meaning, its labels and its buckets.

Labels are few, and their values come from this file, from the wiring (channels) or from the owner (tools).
Nothing that a participant, the model or a service chooses is ever a label: it could be a secret, and each new
value would be one more series for ever.

Times are in seconds, as Prometheus has it. Buckets are dense where a person begins to notice, and coarse
beyond: below, more detail changes no decision, and above it is bad in any case.

Everything here works in prometheus-client's multiprocess mode: counters and histograms of all processes are
added up, those of processes that have ended included, and gauges are of live processes only.
`docs/observing.md` tells what is good and what is not.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from actors.metrics.labels import JUDGEMENTS, MISSING, UNHEARD, UNKNOWN, Declined
from channels.happenings import ReplyOutcome

__all__ = ["PREFIX", "Series"]

PREFIX = "voice_agent"

TURN_LATENCY_S = (0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.5, 1.8, 2.2, 2.6, 3.0, 4.0, 6.0, 10.0)
"""People leave some 0.2 s between turns. Up to 0.8 s feels like talking, from 1.5 s on one notices the
wait, at 3 s people ask "hello?", and at 10 s the agent itself apologises (`barge_in.answer_within_ms`)."""

ENDPOINTING_S = (0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0, 1.3, 1.6, 2.0, 2.5, 4.0)
"""From the sane range of the service's silences, 0.3 to 2.5 s, and what lies on both sides of it."""

BARGE_IN_S = (0.04, 0.06, 0.08, 0.1, 0.15, 0.2, 0.3, 0.5, 0.8, 1.2, 2.0, 4.0)
"""The agent's own ear needs some 0.06 s, more than 0.2 s is heard as being talked over, and from 1 s on it
was the service and not the ear that noticed."""

HOLD_S = (0.15, 0.25, 0.4, 0.6, 0.8, 1.1, 1.5, 2.5, 4.0, 8.0, 20.0)
"""A judged cough gives the voice back in 0.25 s, `linger_ms` does after 0.8 s and more, `alone_ms` after 4 s,
and nothing lasts longer than `longest_hold_ms`, 20 s."""

LATE_SOUND_S = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0)
"""The age of words when they were sent: up to 0.5 s adds to a turn latency without being noticed as such, and
a microphone's channel holds 20 s."""

TOOL_S = (0.05, 0.1, 0.25, 0.5, 0.8, 1.5, 3.0, 6.0, 12.0, 30.0, 120.0)
"""The filler begins after 0.8 s of silence; a call may take 120 s."""

LOOP_LAG_S = (0.002, 0.005, 0.01, 0.02, 0.04, 0.06, 0.1, 0.2, 0.5, 1.0)
"""A frame of sound has 0.02 s, and LiveKit's queue holds 0.1 s: beyond that people hear a gap."""

HELD_LOOP_S = (0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0)
"""Told from 0.1 s on, which is where people hear it."""

MULTIPROCESS = Literal["livesum", "livemax"]


class Series:
    """The series of one process.

    Attributes:
        registry: what they are registered with. In multiprocess mode it is not what is exported.
    """

    def __init__(self) -> None:
        # They would double the series for a time that no query here needs.
        prometheus_client.disable_created_metrics()
        self.registry = CollectorRegistry()

        # Turns.
        self.turn_latency = self._histogram(
            "turn_latency_seconds",
            "From the person's last sound to the first audible sound of the reply at the room",
            TURN_LATENCY_S,
        )
        self.endpointing = self._histogram(
            "endpointing_seconds",
            "Of the turn latency: from the person's last sound to the service's decision that they are done",
            ENDPOINTING_S,
        )
        self.barge_in = self._histogram(
            "barge_in_seconds",
            "From the person's first sound to the agent's silence, where that sound led to it",
            BARGE_IN_S,
        )
        self.replies = self._counter("replies", "Replies that ended, by how they did", "outcome")
        self.interruptions = self._counter(
            "interruptions", "Replies that the service called interrupted, by what interrupted them", "by"
        )
        self.underruns = self._counter("underruns", "Gaps in the sound of replies")
        self.answers_missing = self._counter(
            "answers_missing", "Turns of a person that got no answer in time, by why", "why"
        )

        # Holds and sounds.
        self.holds = self._counter("holds", "Times that the voice was held since somebody seemed to speak")
        self.holds_given_back = self._histogram(
            "hold_given_back_seconds", "How long the holds lasted that were no interruption", HOLD_S
        )
        self.sounds_judged = self._counter(
            "sounds_judged", "Short sounds that were judged on this machine, by what they were", "judgement"
        )
        self.late_sound = self._histogram(
            "late_sound_seconds",
            "The age of the oldest words when a person's sound was late on its way to the service",
            LATE_SOUND_S,
        )
        self.late_sound_dropped = self._counter(
            "late_sound_dropped_seconds", "Sound of people that was cut to catch up, by what it was", "sound"
        )

        # Connections.
        self.sessions_started = self._counter(
            "sessions_started", "Sessions with the Voice Agent API that began, by how", "how"
        )
        self.sessions_lost = self._counter("sessions_lost", "Connections to the Voice Agent API that broke")
        self.service_complaints = self._counter(
            "service_complaints", "Errors that the Voice Agent API reported, and after which it went on"
        )
        self.model_failures = self._counter("model_failures", "Replies whose model failed")
        self.rooms_begun = self._counter("rooms_begun", "Rooms that this worker began to serve")
        self.rooms_lost = self._counter("rooms_lost", "Connections to a room that broke")
        self.rooms_restored = self._counter("rooms_restored", "Connections to a room that came back")
        self.unheard = self._counter("unheard", "Times that nobody could hear the agent, by why", "why")
        self.calls = self._counter("calls", "Calls that began")

        # Tools and additions.
        self.tool_calls = self._counter("tool_calls", "Calls of tools by the model", "tool")
        self.tool_failures = self._counter("tool_failures", "Calls of tools that failed", "tool")
        self.tool_seconds = self._histogram("tool_seconds", "How long calls of tools took", TOOL_S, "tool")
        self.tools_dropped = self._counter(
            "tool_results_dropped", "Results of tools that the service was never sent", "tool"
        )
        self.bystanders_failed = self._counter("bystanders_failed", "Bystanders that crashed")

        # The inside of rooms.
        self.channel_depth = self._gauge(
            "channel_depth", "Messages waiting in the fullest channel of that name", "livemax", "channel"
        )
        self.channel_deepest = self._gauge(
            "channel_deepest",
            "The most messages that ever waited in a channel of that name in a room that is running",
            "livemax",
            "channel",
        )
        self.channel_capacity = self._gauge(
            "channel_capacity", "How many messages a channel of that name holds", "livemax", "channel"
        )
        self.channel_age = self._gauge(
            "channel_age_seconds",
            "The age of the oldest message that a reader of that channel finished last",
            "livemax",
            "channel",
        )
        self.channel_passed = self._counter("channel_passed", "Messages taken in by channels", "channel")
        self.channel_dropped = self._counter("channel_dropped", "Messages dropped by channels", "channel")

        # The process.
        self.processes = self._gauge("processes", "Processes that run rooms", "livesum")
        self.rooms = self._gauge("rooms", "Rooms that are being served", "livesum")
        self.rooms_connected = self._gauge("rooms_connected", "Rooms whose connection stands", "livesum")
        self.jobs_accepted = self._counter("jobs_accepted", "Jobs that were accepted")
        self.jobs_declined = self._counter("jobs_declined", "Jobs that were declined, by why", "reason")
        self.loop_lag = self._histogram(
            "loop_lag_seconds",
            "How late the loop woke a task that sleeps, asked ten times a second",
            LOOP_LAG_S,
        )
        self.loop_held = self._histogram(
            "loop_held_seconds",
            "How long single steps of a task held the loop, by whose it is",
            HELD_LOOP_S,
            "whose",
        )
        self.cpu = self._counter("cpu_seconds", "CPU time")
        self.cpu_share = self._gauge(
            "cpu_share", "How much of the CPU that it may use the busiest process uses, 0 to 1", "livemax"
        )
        self.load = self._gauge(
            "load",
            "What the busiest process decides by whether to take one more room, 0 to 1; at worker.most_load "
            "it takes none",
            "livemax",
        )
        self.memory = self._gauge(
            "memory_bytes", "Resident memory, where the system tells (Linux)", "livesum"
        )
        self.tasks = self._gauge("tasks", "Tasks that are alive in the loop", "livesum")
        self._begin()

    def begin_tools(self, names: Iterable[str]) -> None:
        """Begins the series of these tools at 0, and that of those that nobody knows."""
        for name in (*names, UNKNOWN):
            for counter in (self.tool_calls, self.tool_failures, self.tools_dropped):
                counter.labels(name)
            self.tool_seconds.labels(name)

    def _begin(self) -> None:
        """Begins series at 0 where their labels are known: a rate needs a first value to rise from."""
        known: tuple[tuple[Counter, Iterable[str]], ...] = (
            (self.replies, [outcome.value for outcome in ReplyOutcome]),
            (self.interruptions, ["person", "other"]),
            (self.answers_missing, MISSING),
            (self.sounds_judged, JUDGEMENTS),
            (self.late_sound_dropped, ["silence", "speech"]),
            (self.sessions_started, ["fresh", "resumed"]),
            (self.unheard, UNHEARD),
            (self.jobs_declined, Declined),
        )
        for counter, values in known:
            for value in values:
                counter.labels(value)
        for whose in ("tool", "actor", "ours"):
            self.loop_held.labels(whose)

    def _counter(self, name: str, meaning: str, *labels: str) -> Counter:
        return Counter(f"{PREFIX}_{name}", meaning, labels, registry=self.registry)

    def _gauge(self, name: str, meaning: str, mode: MULTIPROCESS, *labels: str) -> Gauge:
        return Gauge(f"{PREFIX}_{name}", meaning, labels, registry=self.registry, multiprocess_mode=mode)

    def _histogram(self, name: str, meaning: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(f"{PREFIX}_{name}", meaning, labels, registry=self.registry, buckets=buckets)
