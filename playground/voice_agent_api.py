"""A Voice Agent API server for one machine: the service's wire protocol, with nobody's key and no account.

WebSocket at `/v1/ws` and `GET /v1/token` share one port of the loopback interface. It runs as a program
(`python -m playground.voice_agent_api`), inside a test (`voice_agent_server`), or over any stream, in
virtual time (`VoiceAgentServer.serve_stream`). It is a voice agent with local ears, a local voice and a
small brain (as a program, the one that `playground.brains` chooses); given a script, it plays that instead.
`ServerOptions` has every switch and fault.

Made from recordings and documentation of the service, never tested against it. What it cannot vouch for,
since nobody knows: whether a session can ever be resumed, and then replays what was missed, goes on with a
reply or repeats an open tool call; `reply.cancel`; text instead of audio; which of the two forms of
interruption comes next; the answer to a wrong first message; the limit on a frame; pings; an idle timeout;
whether `input.format` may change later; whether sound that is too fast is still refused; the close code of
`concurrency_exceeded`. Each is a switch here, or a choice that its module names. It calls no webhook.
"""

from __future__ import annotations

import argparse
import logging
import os
import re
import secrets
import sys
from collections.abc import Sequence

import trio

from channels.ending import end_with
from channels.errors import PlaygroundFault, SettingsError
from channels.secret import Secret
from channels.stopping import until_told_to_stop
from playground.brains import choose_brain
from playground.voice_agent.flags import add_behaviour, behaviour
from playground.voice_agent.options import (
    QUICK,
    RECORDED,
    VOICES_2026_04,
    VOICES_2026_07,
    Burst,
    Delays,
    Faults,
    Interruption,
    Pacing,
    Personality,
    RealTime,
    Requests,
    ResumePolicy,
    ServerOptions,
    Times,
)
from playground.voice_agent.script import (
    Close,
    Drop,
    Expect,
    Note,
    PersonSpeaks,
    Script,
    Send,
    SendRaw,
    Stall,
    Step,
    Wait,
    read_script,
)
from playground.voice_agent.server import VoiceAgentServer, open_listeners, voice_agent_server
from playground.voice_agent.tones import ToneSpeech, hum

__all__ = [
    "QUICK",
    "RECORDED",
    "VOICES_2026_04",
    "VOICES_2026_07",
    "Burst",
    "Close",
    "Delays",
    "Drop",
    "Expect",
    "Faults",
    "Interruption",
    "Note",
    "Pacing",
    "PersonSpeaks",
    "Personality",
    "RealTime",
    "Requests",
    "ResumePolicy",
    "Script",
    "Send",
    "SendRaw",
    "ServerOptions",
    "Stall",
    "Step",
    "Times",
    "ToneSpeech",
    "VoiceAgentServer",
    "Wait",
    "hum",
    "main",
    "read_script",
    "voice_agent_server",
]

_PORT = 8787
_KEY = "ASSEMBLYAI_API_KEY"
"""Who knows it is let in, and nobody else: of the environment, or made for this run."""

_log = logging.getLogger("playground.voice_agent_api")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. Gives the exit code: 0 after Ctrl-C, 2 if it cannot run."""
    given = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO if given.verbose else logging.WARNING, format="%(message)s")
    own = os.environ.get(_KEY, "").strip()
    key = Secret(own or secrets.token_hex(16))
    try:
        options = ServerOptions(
            personality=given.personality,
            pacing=given.pacing,
            script=None if given.script is None else read_script(given.script),
            keys=(key,),
            brain=None if given.script is not None or given.echo else choose_brain(_log.info),
            voices=VOICES_2026_04 if given.voices == "2026-04" else VOICES_2026_07,
            endpointing_ms=None if given.endpointing == "adaptive" else ServerOptions().endpointing_ms,
            chunk_ms=given.chunk_ms,
            leading_silence_ms=given.leading_silence_ms,
            **behaviour(given),
            speech=ToneSpeech if given.tones else None,
            record=0,
        )
        trio.run(_serve, options, given.port, None if own else key)
    except (PlaygroundFault, SettingsError) as fault:
        print(fault, file=sys.stderr)
        return 2
    return 0


async def _serve(options: ServerOptions, port: int, made: Secret | None) -> None:
    server = VoiceAgentServer(options)
    listeners = await open_listeners(port)

    async def serve() -> PlaygroundFault | None:
        try:
            print(server.bind(listeners), flush=True)
            if made is not None:
                print(f"{_KEY}={made.reveal()}", flush=True)
            await server.serve(listeners)
        except PlaygroundFault as error:
            return error  # out of a nursery it would be a group, which nobody wants to read
        return None

    fault = await until_told_to_stop(serve)
    if isinstance(fault, PlaygroundFault):
        raise fault


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m playground.voice_agent_api",
        description="A Voice Agent API server on this machine. Its first line on stdout is its URL. It "
        "accepts the key in ASSEMBLYAI_API_KEY; if that is not set, its second line is a "
        "key for this run.",
    )
    parser.add_argument(
        "--port", type=int, default=_PORT, help=f"TCP port, 0 for a free one (default {_PORT})"
    )
    parser.add_argument(
        "--pacing",
        type=_pacing,
        default=RealTime(),
        help="how replies are sent: real-time, burst, or e.g. 4x",
    )
    parser.add_argument(
        "--personality",
        type=Personality,
        default=Personality.LIVE,
        help="what to follow where documentation and recordings differ: docs or live (default); see below",
    )
    parser.add_argument(
        "--script", metavar="FILE", help="play these JSON lines instead of acting as an agent"
    )
    parser.add_argument(
        "--voices", choices=["2026-07", "2026-04"], default="2026-07", help="which generation of names to use"
    )
    parser.add_argument(
        "--endpointing",
        choices=["adaptive", "live"],
        default="adaptive",
        help="when a turn ends: as the words suggest (default), or after the service's measured silence",
    )
    parser.add_argument(
        "--chunk-ms", type=_positive, default=10, help="ms of sound in one reply.audio (default 10)"
    )
    parser.add_argument(
        "--leading-silence-ms", type=_whole, default=200, help="ms of silence before each reply (default 200)"
    )
    add_behaviour(parser)
    parser.add_argument(
        "--echo", action="store_true", help="repeat what was understood instead of thinking up an answer"
    )
    parser.add_argument("--tones", action="store_true", help="hum instead of speaking; needs no models")
    parser.add_argument("--verbose", action="store_true", help="log what clients do wrong")
    return parser


def _positive(text: str) -> float:
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", text) and 1 <= float(text) <= 10_000:
        return float(text)
    raise argparse.ArgumentTypeError("give a number of ms from 1 to 10000")


def _whole(text: str) -> int:
    if text.isascii() and text.isdigit() and int(text) <= 60_000:
        return int(text)
    raise argparse.ArgumentTypeError("give a whole number of ms from 0 to 60000")


def _pacing(text: str) -> Pacing:
    match text:
        case "real-time":
            return RealTime()
        case "burst":
            return Burst()
        case _ if re.fullmatch(r"[0-9]+(\.[0-9]+)?x", text) and float(text[:-1]) > 0:
            return Times(float(text[:-1]))
        case _:
            raise argparse.ArgumentTypeError("give real-time, burst, or a speed such as 4x")


if __name__ == "__main__":
    end_with(main)
