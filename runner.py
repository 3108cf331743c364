"""Runs the agent: the wiring of one room, and the command line.

    python runner.py                          serve the room of .env; with nothing set, a room of this machine
    python runner.py token --identity alice   print a token that lets alice into the room
    python runner.py config                   print what is configured, and where each value comes from
    python runner.py graph                    draw who exists and what joins them; --live: what flows
    python runner.py operate                  steer a live call: one JSON command a line
    python runner.py check                    see whether everything is there that a call needs
    python runner.py replay FILE              run a record again, and draw it (--record FILE makes one)

`Channels` and `wire` are the whole agent: read them from top to bottom to know who exists, which channel
joins whom, and how full each may get.
"""

from __future__ import annotations

import signal

if __name__ == "__main__" and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    # Nothing is there yet that wants to be left in good order: Ctrl-C just ends it, without a traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)

import argparse
import functools
import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from random import Random
from typing import Any

import trio
from attrs import frozen
from rich.console import Console
from structlog.typing import FilteringBoundLogger

from actors.answers import AnswerWatch
from actors.api import ApiSession
from actors.api.connection import Dialer, dial
from actors.asking import AskInTurn
from actors.barge_in import BargeInController
from actors.call_life import CallLife
from actors.filler import Filler, tone
from actors.front_end import FrontEnd
from actors.keypad import Keypad
from actors.live_line import LiveLine
from actors.mic import MicPump
from actors.onset import Judge, OnsetDetector
from actors.operator import Operator
from actors.record import check_free
from actors.requests import AT_ONCE, RequestGate
from actors.room.actor import RoomActor
from actors.room.livekit_edge import LiveKitEdge
from actors.speaker import SpeakerPump
from actors.timers import TurnTimer
from actors.tools import ToolRunner
from channels.bounded import Channel, ChannelStatistics, Full, Receiver, Sender
from channels.ending import end_with
from channels.errors import SettingsError, cause_of, was_interrupted
from channels.happenings import Happening, SoundStarted, SoundStopped, Taps
from channels.keys import KeyCover
from channels.log import open_log
from channels.messages import (
    ApiEvent,
    Fill,
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
from channels.ports import TrackEvent
from channels.printable import complain
from channels.seen import On
from channels.settings import ACCOUNT, LIVEKIT_ACCOUNT, LiveKitSettings, Settings, read_configuration
from channels.standard_streams import as_written, standard_streams
from channels.streams import Actor, Addition, Streams
from channels.texts import RoomText
from channels.vad import WINDOW_MS, Vad
from channels.wire.messages import ClientMessage
from commands.added import read_addition
from commands.arguments import parse
from commands.check import check
from commands.config import gather_from, print_configuration
from commands.graph import draw, show_graph
from commands.operate import operate
from commands.replay import replay
from commands.serve import serve
from commands.services import room_of, services_of
from commands.token import print_token
from commands.tools import read_tools, with_tools

INTERRUPTED = 130
"""What shells say of whoever was ended by Ctrl-C."""


async def _load_vad() -> Judge:
    # Not abandoned when cancelled: native code in a thread that outlives its process aborts it.
    return await trio.to_thread.run_sync(Vad)


class Channels:
    """What joins the actors of one room: how full each may get, what happens then, and why."""

    def __init__(self) -> None:
        self.tracks = Channel[TrackEvent](
            "tracks",
            capacity=256,
            unit="tracks that came or went",
            full=Full.FAIL,
            because="the microphone pump takes them at once",
        )
        self.people = Channel[PersonCame | PersonWent](
            "people",
            capacity=256,
            unit="comings and goings",
            full=Full.FAIL,
            because="the life of the call takes them at once",
        )
        self.room = Channel[RoomAway | RoomBack](
            On.ROOM,
            capacity=64,
            unit="breaks of its connection",
            full=Full.FAIL,
            because="the controller takes them at once",
        )
        self.session = Channel[SessionOrder](
            "session",
            capacity=16,
            unit="orders to begin or end",
            full=Full.FAIL,
            because="the session takes them at once, also while one is being ended",
        )
        self.texts = Channel[RoomText](
            On.TEXTS,
            capacity=32,
            unit="messages typed",
            full=Full.DROP_OLDEST,
            because="somebody who floods the chat must not stop the conversation",
        )
        self.departures = Channel[LeaveRoom](
            On.DEPARTURES,
            capacity=1,
            unit="orders to leave",
            full=Full.DROP_OLDEST,
            because="one leaves once, whoever says so",
        )
        self.microphone = Channel[MicrophoneFrame](
            On.MICROPHONE,
            capacity=400,
            unit="frames of 50 ms",
            full=Full.DROP_OLDEST,
            because="the session takes them at once and keeps what it cannot send yet: words of 10 s, and "
            "as much that was recorded before the agent was there; silence between words gives way first",
        )
        self.onset = Channel[MicrophoneFrame](
            On.ONSET,
            capacity=20,
            unit="frames of 50 ms",
            full=Full.DROP_OLDEST,
            because="a second bridges the loading of its model; an older onset is none",
        )
        self.sounding = Channel[Sounding](
            On.SOUNDING,
            capacity=128,
            unit="frames of 20 ms",
            full=Full.DROP_OLDEST,
            because="the longest queue of the room, 2 s, may be filled at once; older sound has no echo left",
        )
        self.sounds = Channel[SoundStarted | SoundStopped](
            On.SOUNDS,
            capacity=64,
            unit="beginnings and ends of sounds",
            full=Full.FAIL,
            because="the controller takes them at once",
        )
        self.fills = Channel[Fill](
            On.FILLS,
            capacity=1,
            unit="sounds in a silence",
            full=Full.DROP_OLDEST,
            because="one that comes late fills no silence",
        )
        self.service = Channel[ApiEvent](
            On.SERVICE,
            capacity=1024,
            unit="events",
            full=Full.FAIL,
            because="the controller takes them at once, a reply that comes in a burst included",
        )
        self.requests = Channel[ClientMessage](
            On.REQUESTS,
            capacity=16,
            unit="messages to the service",
            full=Full.WAIT,
            because="whoever asks for something can wait until it can be taken",
        )
        self.outgoing = Channel[ClientMessage](
            "outgoing",
            capacity=16,
            unit="messages to the service",
            full=Full.WAIT,
            because="while there is no session, what it is to be told waits",
        )
        self.tool_events = Channel[ToolEvent](
            "tool events",
            capacity=256,
            unit="events",
            full=Full.FAIL,
            because="the tool runner takes them at once, and there is no sound among them: a lost call is a "
            "person who waits for nothing",
        )
        self.orders = Channel[SpeakerCommand](
            On.ORDERS,
            capacity=1024,
            unit="commands",
            full=Full.FAIL,
            because="the speaker takes them at once; what is to be played waits in its backlog, not here",
        )
        self.reports = Channel[SpeakerReport](
            On.REPORTS,
            capacity=1024,
            unit="reports",
            full=Full.FAIL,
            because="the controller takes them at once; a frame makes one",
        )

    def recorded(self, *, with_sound: bool) -> list[Channel[Any]]:
        """Those of which a record is made, besides what the taps are told and shown."""
        happened: list[Channel[Any]] = [self.texts, self.departures, self.microphone]
        happened += [self.requests, self.orders]
        return [*happened, self.sounding] if with_sound else happened

    def statistics(self) -> list[ChannelStatistics]:
        """What each has carried so far, and each tap on one."""
        return [each.statistics() for channel in vars(self).values() for each in (channel, *channel.taps)]


@frozen
class Graph:
    """Who exists in a room, and what joins them."""

    conversation: Sequence[Actor]
    """If one of them fails, the room ends."""
    bystanders: Sequence[Actor]
    """If one of them fails, nobody notices, unless it says that it is `essential`."""
    channels: Channels


def wire(
    settings: Settings,
    edge: LiveKitEdge,
    taps: Taps,
    *,
    dialer: Dialer = dial,
    load_judge: Callable[[], Awaitable[Judge]] = _load_vad,
    random: Random | None = None,
    configurable: bool = False,
    terminal: Console | None = None,
    additions: Sequence[Addition] = (),
) -> Graph:
    """Makes the actors of one room and joins them.

    Args:
        settings: of this room.
        edge: LiveKit.
        taps: are told what happens.
        dialer: opens the way to the Voice Agent API.
        load_judge: makes the voice activity detector.
        random: for jitter.
        configurable: whether people in the room may change the session.
        terminal: where a live line is drawn.
        additions: actors of somebody's own.

    Raises:
        SettingsError: an addition cannot be made.
    """
    c, random = Channels(), random or Random()
    if not settings.log.keys:
        taps.alter(KeyCover().happening)
    conversation = (
        RoomActor(
            settings.livekit,
            edge.room,
            c.tracks.sender(),
            c.people.sender(),
            c.room.sender(),
            c.texts.sender(),
            c.departures.receiver(),
            taps,
            random,
            settings.listen,
            settings.typing,
            taps.tap("room"),
        ),
        MicPump(
            settings.listen,
            c.tracks.receiver(),
            c.microphone.sender(),
            c.onset.sender(),
            taps,
            settings.level,
            taps.tap("microphones"),
        ),
        CallLife(
            settings.call,
            c.people.receiver(),
            c.texts.tap("typed", capacity=32),
            c.sounds.tap("listened for", capacity=64),
            taps.tap("call life"),
            c.session.sender(),
            c.requests.sender(),
            c.departures.sender(),
            taps,
        ),
        ApiSession(
            settings.api,
            c.microphone.receiver(),
            c.session.receiver(),
            c.outgoing.receiver(),
            taps.tap("session"),
            c.service.sender(),
            c.tool_events.sender(),
            taps,
            dialer,
            random,
        ),
        BargeInController(
            settings.barge_in,
            c.service.receiver(),
            c.sounds.receiver(),
            c.room.receiver(),
            c.fills.receiver(),
            c.reports.receiver(),
            taps.tap("controller"),
            c.orders.sender(),
            taps,
        ),
        ToolRunner(
            settings.tools,
            c.tool_events.receiver(),
            taps.tap("tools"),
            c.requests.sender(),
            taps,
        ),
        SpeakerPump(
            settings.speaker,
            edge.loudspeaker,
            c.orders.receiver(),
            c.reports.sender(),
            c.sounding.sender(),
        ),
    )
    bystanders: list[Actor] = [
        # Others who only watch ask through it to the end, so it cannot end before them.
        AskInTurn(c.requests.receiver(), taps.tap("asking"), c.outgoing.sender(), taps),
        OnsetDetector(
            c.onset.receiver(),
            c.sounding.receiver(),
            c.sounds.sender(),
            taps,
            load_judge,
            WINDOW_MS,
            settings.barge_in,
            edge.echo_canceller if settings.barge_in.echo_cancellation else None,
        ),
        TurnTimer(taps.tap("timers"), taps),
        Filler(
            taps.tap("filler"),
            c.fills.sender(),
            settings.tools.filler_sound,
            settings.tools.filler_after_ms,
        ),
        FrontEnd(
            taps.tap("front end"),
            c.texts.receiver(),
            edge.board,
            c.requests.sender(),
            taps,
            configurable,
            settings.front_end,
        ),
        AnswerWatch(
            taps.tap("answers"),
            c.requests.sender(),
            c.fills.sender(),
            settings.barge_in.answer_within_ms,
            tone(),
        ),
        Keypad(c.texts.tap("keys", capacity=64), taps.tap("keypad"), c.requests.sender()),
        Operator(
            settings.livekit,
            c.texts.tap("operator", capacity=32),
            taps.tap("operator"),
            edge.board,
            c.requests.sender(),
            c.departures.sender(),
            taps,
            lambda: [*c.statistics(), *taps.statistics()],
            configurable,
        ),
    ]
    if terminal is not None:
        name = settings.livekit.room_name
        bystanders.append(LiveLine(name, taps.tap("live line"), c.statistics, terminal))

    def ask(name: str) -> Sender[ClientMessage]:
        asked = Channel[ClientMessage](
            f"requests of {name}",
            capacity=AT_ONCE,
            unit="messages to the service",
            full=Full.WAIT,
            because="whoever floods shall wait, behind nobody but themselves",
        )
        bystanders.append(RequestGate(asked.receiver(), c.requests.sender()))
        return asked.sender()

    # What an actor of somebody's own is given, by the type of its field.
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
        }
    )
    bystanders += [streams.compose(addition) for addition in additions]
    return Graph(conversation, bystanders, c)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; gives the exit code."""
    with standard_streams():
        try:
            if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
                signal.signal(signal.SIGINT, signal.default_int_handler)
            options = parse([as_written(each) for each in (sys.argv[1:] if arguments is None else arguments)])
            return _run(options, open_log(options.log, verbose=options.verbose))
        except SettingsError as error:
            complain(error)
            return 2
        except (BrokenPipeError, KeyboardInterrupt, BaseExceptionGroup) as failure:
            if was_interrupted(failure):
                return INTERRUPTED
            if not isinstance(cause_of(failure), BrokenPipeError):
                raise
            # Whoever reads what is printed has seen enough; Python itself would complain again at its end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0


def _run(options: argparse.Namespace, log: FilteringBoundLogger) -> int:
    additions = [read_addition(written) for written in options.actor]
    writings = gather_from(options, log.warning)

    def livekit() -> LiveKitSettings:
        return read_configuration(writings, log.warning, required=LIVEKIT_ACCOUNT).livekit()

    match options.command:
        case "replay":
            return replay(options, wire)
        case "graph":
            drawing = functools.partial(draw, functools.partial(wire, additions=additions))
            return show_graph(options, drawing, livekit)
        case "operate":
            return operate(options, livekit)
        case "config":
            return print_configuration(read_configuration(writings, log.warning), as_json=options.json)
        case "token":
            return print_token(livekit(), options.identity, operator=options.operator)
    has_account = writings.name_an_account
    configuration = read_configuration(writings, log.warning, required=ACCOUNT if has_account else ())
    if options.command == "check":
        return trio.run(check, services_of(configuration, has_account), has_account, options.json)
    if options.record is not None:
        check_free(options.record, with_sound=options.record_audio)
    if additions:
        # What one of them cannot have is told before anything is started.
        draw(functools.partial(wire, additions=additions))
    tools = read_tools(configuration.tools(), log.warning)
    terminal = Console(stderr=True) if options.log == "text" and sys.stderr.isatty() else None

    def wire_it(settings: Settings, edge: LiveKitEdge, taps: Taps) -> Graph:
        # On one's own machine everybody in the room is the owner of the agent.
        return wire(
            with_tools(settings, tools),
            edge,
            taps,
            configurable=not has_account,
            terminal=terminal,
            additions=additions,
        )

    prepare = room_of(configuration, has_account, log)
    speech = configuration.log().speech
    return trio.run(serve, prepare, log, wire_it, options.record, options.record_audio, speech)


if __name__ == "__main__":
    end_with(main)
