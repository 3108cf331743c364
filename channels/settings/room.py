"""What the actors of one room are given, besides the accounts. A field with a rule can be set by people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import attrs

from channels.settings.listening import ListenSettings, TypingSettings
from channels.settings.rules import Choice, Flag, Number, OneLine, Texts, Whole
from channels.settings.session import SessionSettings
from channels.settings.short_words import ShortWords
from channels.tools import Tool

__all__ = [
    "DEFAULT_ROOM_NAME",
    "ApiSettings",
    "BargeInSettings",
    "FillerSound",
    "FrontEndSettings",
    "LevelSettings",
    "LogSettings",
    "Settings",
    "SpeakerSettings",
    "ToolSettings",
]

DEFAULT_ROOM_NAME = "voice-agent-demo"


@attrs.frozen
class ApiSettings:
    """What is asked of the Voice Agent API.

    `temporary_token` has each socket opened by a token that is minted for it, in place of the key.
    `reply_cancel` lets `reply.cancel` through, which is in the service's schema only: what the live service
    does with it is not known. `resume` is whether a session that dropped is asked for once before a fresh one
    takes over.
    """

    session: SessionSettings = attrs.field(factory=SessionSettings)
    temporary_token: Annotated[bool, Flag()] = False
    reply_cancel: Annotated[bool, Flag()] = False
    resume: Annotated[bool, Flag()] = True


@attrs.frozen
class SpeakerSettings:
    """How sound is given to the room.

    `queue_size_ms` is how much of it lies in the SDK's queue: more bridges longer stalls of this
    machine, less is less to be called back on an interruption. The least is two frames of the speaker,
    and the most is what the article advises for a jittery host.
    """

    queue_size_ms: Annotated[int, Whole(40, 2000, "ms", env="QUEUE_SIZE_MS")] = 100


@attrs.frozen
class BargeInSettings:
    """What a sound of the person does to the agent's voice.

    `on_speech_started` is what the service's `input.speech.started` means: `hold` is a hint that a person
    speaks, which holds the voice until `reply.done` or `transcript.agent` says that it was interrupted; `cut`
    is a decision, as the documentation has it.

    `longest_hold_ms` bounds each hold while a person goes on speaking; 0 switches holding off. `alone_ms` is
    how long one ear alone may hold: a sound that the service does not name (it took 1.2 to 2.2 s), or speech
    of which it understands no more words and that the local ear does not hear. `linger_ms` is how much longer
    the voice is held once the person is silent and the service has said nothing: a shorter one gives back a
    coughed-at voice sooner, a longer one keeps a short "stop" from hearing it once more. `decision_ms` is how
    long the service's decision is waited for once it says that they have finished: 6 to 12 ms were seen.

    `unheard_ms` is how long a voice waits that nobody can hear: the agent's track is muted, it may not
    publish, or nobody has subscribed to the track yet. Then the reply is given up. 0 plays on, and counts
    it as heard.

    `answer_within_ms` is when a person who waits for an answer has waited too long. The service was seen to
    think for up to 4.9 s.

    `activation_threshold` is the probability of speech from which the detector takes a sound for a person:
    a lower one is more sensitive, and below its range noise is taken for a voice. `min_speech_ms` is how long
    it must stay above it, judged every 32 ms: each window more is that much later a hold, and fewer of them
    for nothing: two are 34 ms later (`bench.onsets`). The threshold is Silero's own.
    `echo_cancellation` keeps the agent's own voice, as the microphone hears it, from holding it.

    `short_sounds` is how sounds of up to two seconds are judged on this machine, before the service has said
    anything of them. `voice`: what has no voice in it (a cough, a click), and a hum, give the voice back at
    once. `words`: a recogniser hears the rest, too. "Yeah" gives the voice back, and "stop" holds it until
    the service has decided. `off`: `linger_ms` decides.

    `duck_db` is by how much the voice is lowered at once when something rises out of the room's noise, before
    anybody can tell whether it is a person: then it is held, or is back after 150 ms. 0 never lowers it.
    """

    on_speech_started: Annotated[str, Choice(("hold", "cut"))] = "hold"
    longest_hold_ms: Annotated[int, Whole(0, 60_000, "ms", env="HOLD_MS", fix="0 switches holding off")] = (
        20_000
    )
    alone_ms: Annotated[int, Whole(0, 60_000, "ms")] = 4000
    linger_ms: Annotated[int, Whole(0, 10_000, "ms")] = 800
    decision_ms: Annotated[int, Whole(0, 5_000, "ms")] = 300
    unheard_ms: Annotated[int, Whole(0, 600_000, "ms", fix="0 plays on although nobody can hear it")] = 30_000
    answer_within_ms: Annotated[int, Whole(1_000, 120_000, "ms")] = 10_000
    activation_threshold: Annotated[float, Number(0.2, 0.95)] = 0.5
    min_speech_ms: Annotated[int, Whole(32, 1000, "ms")] = 32
    short_sounds: Annotated[str, Choice(("off", "voice", "words"))] = "words"
    duck_db: Annotated[float, Number(0, 40)] = 12.0
    echo_cancellation: Annotated[bool, Flag()] = True


@attrs.frozen
class LevelSettings:
    """How a person's level is brought up on its way to the service, which notices an interruption only from
    a voice near full scale.

    `most_gain` is how many times louder a soft voice may become; 1 leaves every sound as it is. What is not
    a voice is not raised, loud voices neither, and nothing clips.
    """

    most_gain: Annotated[float, Number(1, 16, fix="1 leaves every sound as it is")] = 8.0


@attrs.frozen
class FillerSound:
    """A sound that tells somebody who waits that they are not forgotten."""

    pcm: bytes = attrs.field(repr=lambda pcm: f"<{len(pcm)} bytes>")
    every_s: float | None
    """From one to the next; None: it is heard once in a wait."""


@attrs.frozen
class CallSettings:
    """When a call begins and ends.

    `alone_ms` is how long the session waits for somebody to come back when the last person has left. A
    person who says nothing for `idle_ms` (0: never) is asked once whether they are there, and `idle_end_ms`
    later the session ends, until they make a sound. `longest_ms` (0: as long as the service lets it) is the
    longest call; `warn_ms` before its end people are told. `when_over` is whether the agent then stays in
    its room for the next person, or leaves and ends.
    """

    alone_ms: Annotated[int, Whole(0, 600_000, "ms")] = 10_000
    idle_ms: Annotated[int, Whole(0, 3_600_000, "ms")] = 120_000
    idle_end_ms: Annotated[int, Whole(5_000, 600_000, "ms")] = 30_000
    longest_ms: Annotated[int, Whole(0, 10_800_000, "ms")] = 0
    warn_ms: Annotated[int, Whole(0, 600_000, "ms")] = 60_000
    when_over: Annotated[str, Choice(("stay", "leave"))] = "stay"


@attrs.frozen
class ToolSettings:
    """Which tools there are, and when the service is told what they returned.

    `modules` are Python files, or dotted names, whose public functions are tools. `send_results` is
    `at-once`, which is about a second faster, or `after-reply`: when the reply that asked is done, as the
    current documentation has it, but no later than `longest_wait_ms` after the tool returned.

    `filler` is what is heard while a tool takes long: `off`, `tone`, or a WAV file, played once. It begins
    after `filler_after_ms` of silence, and gives way to any sound of the agent or of the person.
    """

    modules: Annotated[
        tuple[str, ...], Texts(20, OneLine(500), fix="else, write the path of a Python file")
    ] = ()
    send_results: Annotated[str, Choice(("at-once", "after-reply"))] = "at-once"
    longest_wait_ms: Annotated[int, Whole(0, 60_000, "ms")] = 4000
    filler: Annotated[str, OneLine(500, fix="else, write tone, or the path of a WAV file")] = "off"
    filler_after_ms: Annotated[int, Whole(100, 10_000, "ms")] = 800
    functions: tuple[Tool, ...] = ()
    """The tools of the modules, loaded."""
    filler_sound: FillerSound | None = None
    """What `filler` names, loaded."""


@attrs.frozen
class LogSettings:
    """What stands in the log.

    `speech` is whether it has what people say, type and hear. A log is shipped, kept, searched, and read by
    more people than the call was meant for; so there are only lengths in it until somebody asks for more.
    `keys` is whether the log, records, captions and whoever else only watches are told which keys callers
    press.
    """

    speech: Annotated[bool, Flag()] = False
    keys: Annotated[bool, Flag()] = False


@attrs.frozen
class FrontEndSettings:
    """What front ends are told of the session, besides what the service itself tells."""

    voices: tuple[str, ...] = ()
    """Those that a session may have."""
    profile: str | None = None
    """The name of the one in force at the start."""
    profiles: Mapping[str, Sequence[Mapping[str, Any]]] = attrs.field(factory=dict)
    """The `session` objects of the updates that change to each in mid-call, by name."""
    profile_descriptions: Mapping[str, str] = attrs.field(factory=dict)
    """What each is good for, in a line, by name."""


@attrs.frozen
class Settings:
    """All that one room needs besides the accounts, which it may share with others."""

    room_name: Annotated[str, OneLine(256, env="ROOM_NAME")] = DEFAULT_ROOM_NAME
    """The room to serve."""
    api: ApiSettings = attrs.field(factory=ApiSettings)
    speaker: SpeakerSettings = SpeakerSettings()
    barge_in: BargeInSettings = BargeInSettings()
    level: LevelSettings = LevelSettings()
    front_end: FrontEndSettings = attrs.field(factory=FrontEndSettings)
    tools: ToolSettings = ToolSettings()
    call: CallSettings = CallSettings()
    listen: ListenSettings = attrs.field(factory=ListenSettings)
    typing: TypingSettings = attrs.field(factory=TypingSettings)
    log: LogSettings = LogSettings()
    short_words: Mapping[str, ShortWords] = attrs.field(factory=dict)
    """By language."""
