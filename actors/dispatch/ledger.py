"""Which jobs are offered, accepted and running. No I/O, no clock: time is passed in.

```
offered ──Accept──▶ accepted ──assignment──▶ running ──JobStatus: success or failed──▶ gone
   │                    │
   └──Decline, 10 s─────┴──10 s, termination, the connection breaks──▶ gone
```
A running job outlives the connection; offers do not. What does not fit this drawing is passed over, or told
the server if it waits for an answer: an assignment that nobody accepted, or that comes too late, is answered
with "failed", so that the server does not count on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from attrs import define, field, frozen

from actors.dispatch.protocol import Assignment, Offer, ServerSaid, Termination, UnusableJob
from channels.jobs import (
    Accept,
    Decline,
    Job,
    JobAssigned,
    JobOffered,
    JobOutcome,
    JobStatus,
    JobTerminated,
    OfferLapsed,
    WorkerEvent,
    WorkerOrder,
    WorkerStatus,
)
from channels.net.proxies import is_secure

__all__ = ["ANSWERED_WITHIN_S", "ASSIGNED_WITHIN_S", "MOST_OPEN", "Ledger", "Step"]

ANSWERED_WITHIN_S = 9.5
"""The server waits 10 s for an answer."""

ASSIGNED_WITHIN_S = 10.0
"""From the answer on; on one machine it takes 1 ms."""

MOST_OPEN = 256
"""Offers at a time. A server that asks for more is not in its right mind; further ones are declined."""

NOT_ACCEPTED = "this worker did not accept the job, or not in time"


@frozen
class Step:
    """What follows from something."""

    events: Sequence[WorkerEvent] = ()
    """For the owner."""
    answers: Sequence[WorkerOrder] = ()
    """For the server."""


@frozen
class _Open:
    job: Job
    until: float
    accepted: bool = False


@define
class Ledger:
    """The jobs of one worker."""

    _open: dict[str, _Open] = field(factory=dict, init=False)
    """By job, the oldest first."""
    _running: dict[str, bool] = field(factory=dict, init=False)
    """By job: whether the server has asked to end it."""
    _status: WorkerStatus | None = field(default=None, init=False)

    def said(self, said: ServerSaid, now: float, url: str) -> Step:
        """The server at this URL said something."""
        match said:
            case Offer(job=job):
                if job.job_id in self._open:
                    return Step()
                if job.job_id in self._running or len(self._open) >= MOST_OPEN:
                    return Step(answers=[Decline(job.job_id)])
                self._open[job.job_id] = _Open(job, now + ANSWERED_WITHIN_S)
                return Step([JobOffered(job, said.resuming)])
            case Assignment():
                return self._assigned(said, url)
            case UnusableJob(job_id=job_id, why=why):
                if job_id in self._running:
                    return Step()
                if (waits := self._open.pop(job_id, None)) is None:
                    return Step(answers=[Decline(job_id)])
                failed = [JobStatus(job_id, JobOutcome.FAILED, why)] if waits.accepted else []
                return Step([OfferLapsed(job_id, why)], failed)
            case Termination(job_id=job_id):
                if self._open.pop(job_id, None) is not None:
                    return Step([OfferLapsed(job_id, "the server withdrew it")])
                if self._running.get(job_id) is False:
                    self._running[job_id] = True
                    return Step([JobTerminated(job_id)])
        return Step()

    def _assigned(self, said: Assignment, url: str) -> Step:
        job_id = said.job_id
        if job_id in self._running:
            return Step()
        waits = self._open.pop(job_id, None)
        if waits is None or not waits.accepted:
            lapsed = [] if waits is None else [OfferLapsed(job_id, "it was assigned before it was answered")]
            return Step(lapsed, [JobStatus(job_id, JobOutcome.FAILED, NOT_ACCEPTED)])
        at = said.url or url
        if is_secure(urlsplit(url)) and not is_secure(urlsplit(at)):
            why = "its room is to be reached without TLS, unlike the server that says so"
            return Step([OfferLapsed(job_id, why)], [JobStatus(job_id, JobOutcome.FAILED, why)])
        self._running[job_id] = False
        return Step([JobAssigned(waits.job, at, said.token)])

    def ordered(self, order: WorkerOrder, now: float) -> Step:
        """The owner wants something."""
        match order:
            case Accept(job_id=job_id):
                waits = self._open.get(job_id)
                if waits is None or waits.accepted:
                    return Step()  # the owner has been told that it lapsed
                # To the end, so that the order stays that of time.
                del self._open[job_id]
                self._open[job_id] = _Open(waits.job, now + ASSIGNED_WITHIN_S, accepted=True)
            case Decline(job_id=job_id):
                if job_id not in self._open or self._open[job_id].accepted:
                    return Step()
                del self._open[job_id]
            case JobStatus(job_id=job_id, status=status):
                if job_id not in self._running:
                    return Step()
                if status is not JobOutcome.RUNNING:
                    del self._running[job_id]
            case WorkerStatus():
                self._status = order
        return Step(answers=[order])

    def passed(self, now: float) -> Step:
        """Time has passed."""
        late = [waits for waits in self._open.values() if waits.until <= now]
        for waits in late:
            del self._open[waits.job.job_id]
        return Step(
            [
                OfferLapsed(
                    waits.job.job_id, "it was not assigned" if waits.accepted else "it was not answered"
                )
                for waits in late
            ],
            [Decline(waits.job.job_id) for waits in late if not waits.accepted],
        )

    def broke(self) -> Step:
        """The connection is gone, and with it every offer."""
        lapsed = [OfferLapsed(job_id, "the connection to LiveKit broke") for job_id in self._open]
        self._open.clear()
        return Step(lapsed)

    @property
    def running(self) -> tuple[str, ...]:
        """The jobs that run."""
        return tuple(self._running)

    @property
    def status(self) -> WorkerStatus | None:
        """How busy the worker said it is."""
        return self._status
