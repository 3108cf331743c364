"""MetricsActor: counts what happens in one room into the metrics of its process.

In: happenings. Out: nothing. A bystander: what it counts may be late or lack what its tap has dropped, and
the conversation does not notice.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING

from attrs import define

from actors.metrics.labels import JUDGEMENTS, MISSING, UNHEARD, known
from channels.bounded import ChannelStatistics, Receiver
from channels.happenings import (
    AnswerMissing,
    BystanderFailed,
    CallBegan,
    Happening,
    Interrupted,
    ModelFailed,
    ReplyEnded,
    RoomJoined,
    RoomLost,
    RoomRestored,
    ServiceComplained,
    SessionLost,
    SessionStarted,
    SoundJudged,
    SoundWasLate,
    ToolAnswered,
    ToolCalled,
    ToolDropped,
    TurnTimed,
    VoiceHeld,
    VoiceResumed,
    VoiceUnheard,
)

if TYPE_CHECKING:
    from actors.metrics.process import Metrics, RoomCounts

__all__ = ["MetricsActor"]


@define
class MetricsActor:
    """Counts what happens in a room.

    Args:
        metrics: of the process.
        tools: the names of the owner's tools; any other is counted as unknown.
        statistics: what the room's channels have carried so far.
        happenings: a tap.
    """

    metrics: Metrics
    tools: Collection[str]
    statistics: Callable[[], Sequence[ChannelStatistics]]
    happenings: Receiver[Happening]

    async def run(self) -> None:
        """Counts until the happenings end."""
        self.metrics.series.begin_tools(self.tools)
        async with self.happenings:
            with self.metrics.room(self.statistics) as room:
                async for happening in self.happenings:
                    self._count(happening, room)

    def _count(self, happening: Happening, room: RoomCounts) -> None:
        series = self.metrics.series
        match happening:
            case TurnTimed(turn_latency_ms=latency, barge_in_ms=barge_in, endpointing_ms=endpointing):
                for histogram, ms in (
                    (series.turn_latency, latency),
                    (series.barge_in, barge_in),
                    (series.endpointing, endpointing),
                ):
                    if ms is not None:
                        histogram.observe(ms / 1000)
            case ReplyEnded(outcome=outcome, underruns=underruns):
                series.replies.labels(outcome.value).inc()
                series.underruns.inc(underruns)
            case Interrupted(by_person=by_person):
                series.interruptions.labels("person" if by_person else "other").inc()
            case AnswerMissing(why=why):
                series.answers_missing.labels(known(why, MISSING)).inc()
            case VoiceHeld():
                series.holds.inc()
            case VoiceResumed(held_ms=held_ms):
                series.holds_given_back.observe(held_ms / 1000)
            case SoundJudged(why=why):
                series.sounds_judged.labels(known(why, JUDGEMENTS)).inc()
            case SoundWasLate(worst_ms=worst, silence_dropped_ms=silence, speech_dropped_ms=speech):
                series.late_sound.observe(worst / 1000)
                series.late_sound_dropped.labels("silence").inc(silence / 1000)
                series.late_sound_dropped.labels("speech").inc(speech / 1000)
            case ToolCalled(name=name):
                series.tool_calls.labels(known(name, self.tools)).inc()
            case ToolAnswered(name=name, took_ms=took_ms, error=error):
                tool = known(name, self.tools)
                series.tool_seconds.labels(tool).observe(took_ms / 1000)
                if error is not None:
                    series.tool_failures.labels(tool).inc()
            case ToolDropped(name=name):
                series.tools_dropped.labels(known(name, self.tools)).inc()
            case BystanderFailed():
                series.bystanders_failed.inc()
            case _:
                self._count_connection(happening, room)

    def _count_connection(self, happening: Happening, room: RoomCounts) -> None:
        series = self.metrics.series
        match happening:
            case RoomJoined():
                self.metrics.connected(room, True)
            case RoomLost():
                series.rooms_lost.inc()
                self.metrics.connected(room, False)
            case RoomRestored():
                series.rooms_restored.inc()
                self.metrics.connected(room, True)
            case SessionStarted(resumed=resumed):
                series.sessions_started.labels("resumed" if resumed else "fresh").inc()
            case SessionLost():
                series.sessions_lost.inc()
            case ServiceComplained():
                series.service_complaints.inc()
            case ModelFailed():
                series.model_failures.inc()
            case VoiceUnheard(why=why):
                series.unheard.labels(known(why, UNHEARD)).inc()
            case CallBegan():
                series.calls.inc()
            case _:
                pass
