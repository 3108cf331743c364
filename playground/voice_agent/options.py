"""Every switch of the playground's Voice Agent API server, with its unit and its default.

The defaults are what the live service was seen to do, but for its slowness (`Delays`). `Personality.DOCS`
turns the points where the documentation says something else: those switches are `None` here, which
means "by personality"; the properties at the end of `ServerOptions` give what holds. What belongs together
stands in a module of its own: `interruption`, `requests`, `pacing`, `delays`, `faults`.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any, Literal

import attrs

from channels.secret import Secret
from playground.voice_agent.delays import QUICK, RECORDED, Delays
from playground.voice_agent.faults import Faults
from playground.voice_agent.interruption import Interruption
from playground.voice_agent.pacing import Burst, Pacing, RealTime, Times
from playground.voice_agent.requests import Requests

if TYPE_CHECKING:
    from playground.brain import Brain
    from playground.voice_agent.script import Script
    from playground.voice_agent.speech import Speech

__all__ = [
    "QUICK",
    "RECORDED",
    "VOICES_2026_04",
    "VOICES_2026_07",
    "Burst",
    "Delays",
    "Faults",
    "Interruption",
    "Pacing",
    "Personality",
    "RealTime",
    "Requests",
    "ResumePolicy",
    "ServerOptions",
    "Times",
]

VOICES_2026_07 = tuple(
    "alba anna charles estelle eve george giovanni iris jane jean juergen lola mary michael paul rafael reid "
    "vera".split()
)
"""The live service's own list since about July 2026, in its order (reference, section 11)."""

VOICES_2026_04 = tuple(
    "ivy james tyler winter sam mia bella david jack kyle helen martha river emma victor eleanor sophie "
    "oliver arjun ethan mei dmitri lukas lena pierre mina joon ren hana giulia luca lucia mateo diego".split()
)
"""The 34 voices of April to June 2026; old articles and code still ask for them."""


class Personality(enum.Enum):
    """Whom the server imitates where recordings and documentation disagree."""

    LIVE = "live"
    DOCS = "docs"


@attrs.frozen
class ResumePolicy:
    """What a dropped session keeps. No live resume ever succeeded: all but the grace is a guess."""

    works: bool | None = None
    """Whether a session can be taken up at all: documented; live, 18 of 18 tries were refused. None: as the
    personality has it."""
    grace_s: float = 30.0
    """How long a dropped session can be taken up again, and holds its concurrency slot."""
    refuse_with: Literal["session_not_found", "session_forbidden", "session_expired"] | None = None
    """Refuse every resume with this code; None: `session_not_found`, unless resuming works."""
    replay_missed: bool = False
    """Send what happened in the meantime (at most 1,000 events) after `session.ready`."""
    reply_in_flight: Literal["drop", "continue"] = "drop"
    """`drop`: the reply ends with no events. `continue`: it goes on, heard or not."""
    pending_tools_answerable: bool = True
    """A `tool.call` from before the drop may be answered after it."""
    echo_config: bool = True
    """`session.ready` after a resume carries the whole configuration."""
    repeat_greeting: bool = False
    """The greeting is spoken again."""
    new_token: bool = True
    """`session.ready` after a resume carries another `resume_token`."""


def _modes() -> Mapping[str, int]:
    return {"min_latency": 1300, "balanced": 1950, "max_accuracy": 3200}


def _has_every_mode(_: object, __: object, value: Mapping[str, int]) -> None:
    if not value.keys() >= _modes().keys():
        raise ValueError(f"endpointing_ms needs all of {', '.join(_modes())}")


@attrs.frozen
class ServerOptions:
    """All of it. Times in ms or s as the name says."""

    personality: Personality = attrs.field(default=Personality.LIVE, converter=Personality)
    keys: Collection[Secret] | None = attrs.field(default=None, repr=False)
    """API keys that are let in; None: any that is not blank."""
    script: Script | None = None
    """Play this instead of being a voice agent; see `playground.voice_agent.script`."""

    # Sound and words.
    speech: Callable[[], Speech] | None = None
    """Makes the ears and the voice; None: the real ones, whose models load in the background."""
    brain: Callable[[], Brain] | None = None
    """Makes one session's brain; None: `playground.brain.EchoBrain`."""
    canned_reply: bytes | None = attrs.field(default=None, repr=False)
    """PCM16 mono 24 kHz that every reply sounds like, whatever its text."""
    pacing: Pacing = attrs.field(factory=RealTime)
    """Real time after a first burst: five accounts. Other reports of bursts came from other products."""
    chunk_ms: float = attrs.field(default=10, validator=attrs.validators.gt(0))
    """Sound in one `reply.audio`."""
    leading_silence_ms: int = 200
    """Silence at the start of each reply: 180 to 250 were recorded, elsewhere up to 2,000."""
    preamble_ms: int = 180
    """From `reply.create` or the greeting's moment to `reply.started`."""
    delays: Delays = QUICK
    """Slowness of the live service that is imitated: none, so that a person waits for nothing."""
    thinking: Literal["nothing", "silence"] = "nothing"
    """What is sent while it thinks: both were seen live."""
    deltas: Literal["burst", "timely"] = "burst"
    """`transcript.agent.delta`: a sentence's words at once (recorded), or each with its sound."""
    final_transcript: Literal["early", "with_done", "late", "missing"] | None = None
    """The `transcript.agent` of a completed reply. `early`: 400 ms before `reply.done` (310 to 500 were
    recorded). `with_done`: just before it (documented). `late`: just after it. `missing`: never (seen)."""
    done_after: Literal["sent", "played"] = "sent"
    """`reply.done` after the last chunk, or when its sound would have been played in real time."""
    endpointing_ms: Mapping[str, int] | None = attrs.field(
        factory=_modes, validator=attrs.validators.optional(_has_every_mode)
    )
    """Silence that ends a turn, for each `transcription_mode`; None: what the ears think best."""

    # The session.
    start_ms: int = 400
    """From the first `session.update` to `session.updated`: 400 to 670 were recorded."""
    ready_gap_ms: int = 17
    """From `session.updated` to `session.ready`."""
    session_s: float | None = None
    """How far `expires_at` lies ahead: 3,595 were recorded, 10,800 are documented."""
    enforce_session_end: bool | None = None
    """End the session at `expires_at`: no recording does, the documentation does."""
    first_updated: bool | None = None
    """`session.updated` comes for the first update too: recorded, not documented."""
    enforce_rate: bool | None = None
    """More than a second of sound in a second is dropped with `audio_rate_violation`: documented only."""
    fc_reply_ids: bool | None = None
    """Replies to tools are called `fc-<call_id>`: documented only."""
    interruption: Interruption = attrs.field(factory=Interruption)
    """How a person who speaks is told of, and what it does to a reply."""
    requests: Requests = attrs.field(factory=Requests)
    """What becomes of `reply.create`."""
    messages_reach_model: bool | None = None
    """Whether the model is told of a `conversation.message`: documented; live it is not (six accounts)."""
    reply_cancel: bool = True
    """`reply.cancel` is in the service's schema only; False: an unknown type."""
    voices: tuple[str, ...] = VOICES_2026_07
    agents: Mapping[str, Mapping[str, Any]] = attrs.field(factory=dict)
    """Stored agents: id to what would be `session` in a first update."""

    # The account.
    concurrency: int | None = None
    """Sessions at a time, abandoned ones included; None: no limit."""
    tokens_reusable: bool | None = None
    """A temporary token opens more than one socket: recorded; the documentation says one."""
    resume: ResumePolicy = attrs.field(factory=ResumePolicy)
    faults: Faults = attrs.field(factory=Faults)

    # The socket.
    ping_s: float | None = 20.0
    """Protocol pings, and the wait for their answer: the default of the service's server library."""
    slow_client_s: float = 10.0
    """A client that takes no frame for so long is closed."""
    record: int = 10_000
    """How many messages and events each are kept for a test to look at; 0: none."""

    @property
    def docs(self) -> bool:
        """Whether the documentation's personality holds."""
        return self.personality is Personality.DOCS

    @property
    def interrupts(self) -> Interruption:
        """`interruption` with every switch filled in."""
        return self.interruption.by_personality(docs=self.docs)

    @property
    def request_policy(self) -> Requests:
        """`requests` with every policy filled in."""
        return self.requests.by_personality(docs=self.docs)

    @property
    def refuses_resume_with(self) -> str | None:
        """The code by which every resume is refused; None: a session can be taken up."""
        if self.resume.refuse_with is not None:
            return self.resume.refuse_with
        works = self.docs if self.resume.works is None else self.resume.works
        return None if works else "session_not_found"

    @property
    def tells_messages(self) -> bool:
        """Whether the brain is told of a `conversation.message`."""
        return self.docs if self.messages_reach_model is None else self.messages_reach_model

    @property
    def ends_transcript(self) -> Literal["early", "with_done", "late", "missing"]:
        """When the final transcript comes."""
        return self.final_transcript or ("with_done" if self.docs else "early")

    @property
    def lasts_s(self) -> float:
        """How long a session lasts, or says it does."""
        if self.session_s is None:
            return 10_800.0 if self.docs else 3595.0
        return self.session_s

    @property
    def sends_first_updated(self) -> bool:
        """Whether the first update is answered by `session.updated`."""
        return (not self.docs) if self.first_updated is None else self.first_updated

    @property
    def ends_session(self) -> bool:
        """Whether the session ends at `expires_at`."""
        return self.docs if self.enforce_session_end is None else self.enforce_session_end

    @property
    def watches_rate(self) -> bool:
        """Whether sound that comes faster than real time is dropped."""
        return self.docs if self.enforce_rate is None else self.enforce_rate

    @property
    def names_tool_replies(self) -> bool:
        """Whether replies to tools have the documented ids."""
        return self.docs if self.fc_reply_ids is None else self.fc_reply_ids

    @property
    def reuses_tokens(self) -> bool:
        """Whether a token opens more than one socket."""
        return (not self.docs) if self.tokens_reusable is None else self.tokens_reusable
