"""The wiring of one room; `python runner.py --help` shows what it can do.

`Channels` and `wire` are the whole agent: read them from top to bottom to learn which actors exist, which
channels connect them, and how full each may get. In `wire`, a line that ends in `receiver()` or `tap(…)` is
what an actor hears, and one that ends in `sender()` is what it says.

- A channel has one reader and any number of writers. Its row says how many messages may wait in it, and what
  happens when it is full: `FAIL` (it must not happen), `WAIT` (the writer waits) or `DROP_OLDEST`.
- A tap is a copy for an actor that may be slow. `taps` carry everything that happens (`channels.happenings`):
  an actor with `taps=taps` publishes to them.
- The conversation ends when the first of its actors fails. It goes on without a bystander.

Three things are connected elsewhere. The log and the record (`commands.serve`) have to exist before the room
does, and to hear how the last of these actors ends. Events from LiveKit's own thread come through ports
(`channels.ports`), whose only bounded channel, "room events", is inside the edge.
"""

from __future__ import annotations

import signal

from commands.environment import expect_environment

if __name__ == "__main__":
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        # Nothing needs cleaning up yet: Ctrl-C just ends the process, without a traceback.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    expect_environment()

import functools
from collections.abc import Awaitable, Callable, Sequence
from random import Random
from typing import TYPE_CHECKING, Any

import trio
from attrs import frozen

from actors.answers import AnswerWatch
from actors.api import ApiSession
from actors.api.connection import Dialer, dial
from actors.asking import AskInTurn
from actors.barge_in import BargeInController
from actors.call_life import CallLife
from actors.filler import Filler, Waiting, tone
from actors.front_end import FrontEnd
from actors.keypad import Keypad
from actors.metrics.actor import MetricsActor
from actors.mic import MicPump
from actors.onset import Judge, OnsetDetector
from actors.operator import Operator
from actors.request_gate import AT_ONCE, RequestGate
from actors.room.actor import RoomActor
from actors.room.livekit_edge import LiveKitEdge
from actors.room.seat import OWN_ROOM, Seat
from actors.screen import Screen
from actors.short_sounds import ShortSoundJudge, Transcribe
from actors.speaker import SpeakerPump
from actors.timers import TurnTimer
from actors.tools import ToolRunner
from actors.traces.actor import TraceActor
from actors.traces.turns import TurnSpans
from channels.backoff import Turns
from channels.bounded import Channel, ChannelStatistics, Full, Receiver, Sender, Watched
from channels.ending import end_with
from channels.happenings import Happening, SoundJudged, SoundRose, SoundStarted, SoundStopped
from channels.keys import KeyCover
from channels.messages import (
    ApiEvent,
    Fill,
    HeardWindow,
    LeaveRoom,
    MicrophoneFrame,
    PersonCame,
    PersonWent,
    RoomAway,
    RoomBack,
    SessionOrder,
    Sounding,
    SpeakerCommand,
    SpeakerReport,
    ToolEvent,
)
from channels.named_paths import PathNames
from channels.ports import TrackEvent
from channels.seen import On, Seen
from channels.settings import Accounts, Settings
from channels.streams import Actor, Addition, Streams
from channels.taps import Taps
from channels.terminal import Terminal
from channels.texts import RoomText
from channels.wire.messages import ClientMessage
from commands.main import main
from sound.recogniser import LANGUAGES, Recogniser
from sound.vad import WINDOW_MS, Vad

if TYPE_CHECKING:
    from actors.metrics.process import Metrics
    from actors.traces.exporting import Traces

FAIL, WAIT, DROP_OLDEST = Full.FAIL, Full.WAIT, Full.DROP_OLDEST

READ = "its reader takes them at once"


class Channels:
    """The channels between the actors of one room: how full each may get, what happens then, and why."""

    def __init__(self) -> None:
        self.tracks = Channel[TrackEvent]("tracks", 256, "tracks that came or went", FAIL, READ)
        self.people = Channel[PersonCame | PersonWent]("people", 256, "comings and goings", FAIL, READ)
        self.room = Channel[RoomAway | RoomBack](On.ROOM, 64, "breaks of its connection", FAIL, READ)
        self.session = Channel[SessionOrder](
            "session", 16, "orders to begin or end", FAIL, f"{READ}, also while a session is being ended"
        )
        self.texts = Channel[RoomText](
            On.TEXTS, 32, "messages typed", DROP_OLDEST, "flooding the chat must not stop the conversation"
        )
        self.departures = Channel[LeaveRoom](
            On.DEPARTURES, 1, "orders to leave", DROP_OLDEST, "leaving once is enough"
        )
        # The session takes frames at once, and keeps those it cannot send yet; pauses between words go first.
        self.microphone = Channel[MicrophoneFrame](
            On.MICROPHONE,
            400,
            "frames of 50 ms",
            DROP_OLDEST,
            "10 s, plus 10 s that an early guest recorded",
        )
        self.onset = Channel[MicrophoneFrame](
            On.ONSET, 100, "pieces of 10 to 50 ms", DROP_OLDEST, "a second covers the loading of its model"
        )
        self.sounding = Channel[Sounding](
            On.SOUNDING,
            128,
            "frames of 20 to 40 ms",
            DROP_OLDEST,
            "the room's longest queue is 2 s",
        )
        self.sounds = Channel[SoundRose | SoundStarted | SoundStopped | SoundJudged](
            On.SOUNDS, 64, "rises, beginnings, ends and judgements of sounds", FAIL, READ
        )
        self.windows = Channel[HeardWindow](
            "windows", 64, "windows of 32 ms", DROP_OLDEST, "2 s: what is judged later is judged too late"
        )
        self.fills = Channel[Fill](
            On.FILLS, 1, "sounds in a silence", DROP_OLDEST, "a late sound fills no silence"
        )
        self.service = Channel[ApiEvent](On.SERVICE, 1024, "events", FAIL, f"{READ}, a burst included")
        self.requests = Channel[ClientMessage](
            On.REQUESTS, 16, "messages to the service", WAIT, "a request can wait until it is taken"
        )
        self.outgoing = Channel[ClientMessage](
            "outgoing", 16, "messages to the service", WAIT, "while there is no session, they wait"
        )
        self.tool_events = Channel[ToolEvent](
            "tool events", 256, "events", FAIL, f"{READ}; somebody waits for each"
        )
        self.orders = Channel[SpeakerCommand](
            On.ORDERS, 1024, "commands", FAIL, f"{READ}; sound to be played waits in its backlog"
        )
        self.reports = Channel[SpeakerReport](On.REPORTS, 1024, "reports", FAIL, f"{READ}; a frame makes one")

    def recorded(self, *, with_sound: bool) -> list[Channel[Any]]:
        """The channels to record, besides the happenings and the inputs of the deciding actors."""
        happened: list[Channel[Any]] = [self.texts, self.departures, self.microphone]
        happened += [self.requests, self.orders]
        return [*happened, self.sounding] if with_sound else happened

    def statistics(self) -> list[ChannelStatistics]:
        """What each channel, and each tap on one, has carried so far."""
        return [each.statistics() for channel in vars(self).values() for each in (channel, *channel.taps)]


@frozen
class Graph:
    """The actors of a room, and what connects them."""

    conversation: Sequence[Actor]
    """If one of them fails, the room ends."""
    bystanders: Sequence[Actor]
    """If one of them fails, the call goes on, unless the actor is `essential`."""
    channels: Channels
    taps: Taps
    """They carry what happens."""
    seen: Watched[Seen]
    """The inputs of the deciding actors, in their order; only a record reads them."""


async def _load_vad() -> Judge:
    # Not abandoned on cancellation: native code in a thread that outlives its process aborts it.
    return await trio.to_thread.run_sync(Vad)


async def _load_recogniser() -> Transcribe:
    recogniser = Recogniser(remembers=0)  # no sound is recognised twice, and what people say is not kept
    await trio.to_thread.run_sync(recogniser.warm)
    return recogniser.transcribe


def wire(
    settings: Settings,
    accounts: Accounts,
    edge: LiveKitEdge,
    *,
    dialer: Dialer = dial,
    load_judge: Callable[[], Awaitable[Judge]] = _load_vad,
    load_recogniser: Callable[[], Awaitable[Transcribe]] = _load_recogniser,
    random: Random | None = None,
    turns: Turns | None = None,
    configurable: bool = False,
    terminal: Terminal | None = None,
    you: str = "",
    additions: Sequence[Addition] = (),
    seat: Seat = OWN_ROOM,
    metrics: Metrics | None = None,
    traces: Traces | None = None,
) -> Graph:
    """Makes the actors of one room and connects them.

    Args:
        settings: of this room.
        accounts: for LiveKit and the Voice Agent API; many rooms may share them.
        edge: LiveKit.
        dialer: opens connections to the Voice Agent API.
        load_judge: makes the voice activity detector.
        load_recogniser: makes what understands short sounds.
        random: for jitter.
        turns: of all rooms of the process, which may lose their sessions in the same moment.
        configurable: whether people in the room may change the session.
        terminal: where to show the conversation.
        you: who reads it there, if that person's identity is known.
        additions: the user's own actors.
        seat: as whom the agent joins.
        metrics: of the process, which count what happens here.
        traces: of the process, which send the turns.

    Raises:
        SettingsError: an addition cannot be made.
    """
    c, random = Channels(), random or Random()
    # Many happenings mention keys; no tap may learn which they were.
    taps = Taps(cover=None if settings.log.keys else KeyCover().happening)
    seen = Watched[Seen]("inputs")
    short_sounds = settings.barge_in.short_sounds
    judges_sounds = short_sounds != "off"
    conversation = (
        RoomActor(
            account=accounts.livekit,
            room_name=settings.room_name,
            listen=settings.listen,
            typing=settings.typing,
            seat=seat,
            room=edge.room,
            departures=c.departures.receiver(),
            happenings=taps.tap("room"),
            tracks=c.tracks.sender(),
            people=c.people.sender(),
            state=c.room.sender(),
            texts=c.texts.sender(),
            taps=taps,
            random=random,
        ),
        MicPump(
            settings=settings.listen,
            level=settings.level,
            tracks=c.tracks.receiver(),
            happenings=taps.tap("microphones"),
            frames=c.microphone.sender(),
            onset=c.onset.sender(),
            taps=taps,
        ),
        CallLife(
            settings=settings.call,
            people=c.people.receiver(),
            texts=c.texts.tap("typed", capacity=32),
            sounds=c.sounds.tap("listened for", capacity=64),
            happenings=taps.tap("call life"),
            session=c.session.sender(),
            requests=c.requests.sender(),
            departures=c.departures.sender(),
            taps=taps,
        ),
        ApiSession(
            account=accounts.api,
            settings=settings.api,
            dialer=dialer,
            frames=c.microphone.receiver(),
            orders=c.session.receiver(),
            requests=c.outgoing.receiver(),
            happenings=taps.tap("session"),
            events=c.service.sender(),
            tool_events=c.tool_events.sender(),
            taps=taps,
            random=random,
            turns=turns or Turns(random),
        ),
        BargeInController(
            settings=settings.barge_in,
            events=c.service.receiver(),
            sounds=c.sounds.receiver(),
            room=c.room.receiver(),
            fills=c.fills.receiver(),
            reports=c.reports.receiver(),
            happenings=taps.tap("controller"),
            commands=c.orders.sender(),
            taps=taps,
            seen=seen,
        ),
        ToolRunner(
            settings=settings.tools,
            events=c.tool_events.receiver(),
            happenings=taps.tap("tools"),
            requests=c.requests.sender(),
            taps=taps,
        ),
        SpeakerPump(
            settings=settings.speaker,
            loudspeaker=edge.loudspeaker,
            commands=c.orders.receiver(),
            reports=c.reports.sender(),
            sounding=c.sounding.sender(),
        ),
    )
    bystanders: list[Actor] = [
        # Other taps use it to the end, so it cannot end before them.
        AskInTurn(
            requests=c.requests.receiver(),
            happenings=taps.tap("asking"),
            outgoing=c.outgoing.sender(),
            taps=taps,
        ),
        OnsetDetector(
            settings=settings.barge_in,
            load=load_judge,
            window_ms=WINDOW_MS,
            canceller=edge.echo_canceller if settings.barge_in.echo_cancellation else None,
            frames=c.onset.receiver(),
            playing=c.sounding.receiver(),
            sounds=c.sounds.sender(),
            windows=c.windows.sender() if judges_sounds else None,
            taps=taps,
            seen=seen,
        ),
        TurnTimer(happenings=taps.tap("timers"), taps=taps),
        Filler(
            sound=settings.tools.filler_sound,
            after_ms=settings.tools.filler_after_ms,
            happenings=taps.tap("filler"),
            fills=c.fills.sender(),
        ),
        FrontEnd(
            settings=settings.front_end,
            call=settings.call,
            configurable=configurable,
            board=edge.board,
            texts=c.texts.receiver(),
            happenings=taps.tap("front end"),
            requests=c.requests.sender(),
            taps=taps,
        ),
        AnswerWatch(
            within_ms=settings.barge_in.answer_within_ms,
            tone=tone(),
            happenings=taps.tap("answers"),
            requests=c.requests.sender(),
            fills=c.fills.sender(),
        ),
        Waiting(happenings=taps.tap("waiting"), fills=c.fills.sender(), tone=tone()),
        Keypad(
            texts=c.texts.tap("keys", capacity=64),
            happenings=taps.tap("keypad"),
            requests=c.requests.sender(),
        ),
        Operator(
            account=accounts.livekit,
            room_name=settings.room_name,
            open_to_all=configurable,
            board=edge.board,
            statistics=lambda: [*c.statistics(), *taps.statistics()],
            texts=c.texts.tap("operator", capacity=32),
            happenings=taps.tap("operator"),
            requests=c.requests.sender(),
            departures=c.departures.sender(),
            taps=taps,
        ),
    ]
    if judges_sounds:
        bystanders.append(
            ShortSoundJudge(
                words=settings.short_words,
                languages=settings.api.session.input.language_codes,
                load=load_recogniser if short_sounds == "words" else None,
                understood=LANGUAGES,
                threshold=settings.barge_in.activation_threshold,
                windows=c.windows.receiver(),
                happenings=taps.tap("short sounds"),
                sounds=c.sounds.sender(),
                taps=taps,
            )
        )
    tool_names = frozenset(tool.name for tool in settings.tools.functions)
    if traces is not None:
        bystanders.append(
            TraceActor(
                turns=TurnSpans(tool_names),
                send=traces.send,
                room_name=settings.room_name,
                happenings=taps.tap("traces"),
            )
        )
    if metrics is not None:
        bystanders.append(
            MetricsActor(
                metrics=metrics,
                tools=tool_names,
                statistics=lambda: [*c.statistics(), *taps.statistics()],
                happenings=taps.tap("metrics"),
            )
        )
    if terminal is not None:
        bystanders.append(Screen(happenings=taps.tap("screen"), terminal=terminal, own=configurable, you=you))

    def ask(name: str) -> Sender[ClientMessage]:
        asked = Channel[ClientMessage](
            f"requests of {name}",
            AT_ONCE,
            "messages to the service",
            WAIT,
            "an addition that floods has to wait",
        )
        bystanders.append(RequestGate(asked=asked.receiver(), requests=c.requests.sender()))
        return asked.sender()

    # What a user's own actor gets, by the type of its field.
    streams = Streams(
        {
            Receiver[Happening]: lambda name: taps.tap(name),
            Receiver[ApiEvent]: lambda name: c.service.tap(name, capacity=1024),
            Receiver[MicrophoneFrame]: lambda name: c.microphone.tap(name, capacity=40),
            Receiver[SpeakerCommand]: lambda name: c.orders.tap(name, capacity=1024),
            Receiver[SpeakerReport]: lambda name: c.reports.tap(name, capacity=1024),
            Receiver[Sounding]: lambda name: c.sounding.tap(name, capacity=256),
            Sender[ClientMessage]: ask,
            Sender[LeaveRoom]: lambda name: c.departures.sender(),
        },
        path=PathNames(settings.room_name).path,
    )
    bystanders += [streams.compose(addition) for addition in additions]
    return Graph(conversation, bystanders, c, taps, seen)


if __name__ == "__main__":
    end_with(functools.partial(main, wire))
