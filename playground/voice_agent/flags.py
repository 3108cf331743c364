"""The flags of the command that turn what the personality decides, and what they make of `ServerOptions`."""

from __future__ import annotations

import argparse
import re
from typing import Any

from playground.voice_agent.options import (
    QUICK,
    RECORDED,
    Faults,
    Interruption,
    Requests,
    ResumePolicy,
)

__all__ = ["add_behaviour", "behaviour"]


def add_behaviour(parser: argparse.ArgumentParser) -> None:
    """Adds the flags, each with where its behaviour is known from."""
    group = parser.add_argument_group(
        "behaviour",
        "The personality sets these, unless you give one yourself; the live service's way comes first. In "
        "brackets: how we know. Everything else is in playground/voice_agent/options.py.",
    )
    for flag, choices, text in (
        (
            "--interruption",
            ("sentence_end", "at_once"),
            "when a reply is reported as interrupted: after the person's sentence [live: 9 recordings of "
            "September 29; until the 24th at once, 21], or with input.speech.started [documentation]",
        ),
        (
            "--speech-started",
            ("words", "onset"),
            "input.speech.started: with the first recognised word [live: 16 recordings], or with the sound "
            "[documentation]",
        ),
        (
            "--back-channels",
            ("heard", "unheard", "answered"),
            'what an "mm-hm" over a reply does (the reply goes on): it is reported [live: 4 accounts], not '
            "reported [documentation], or reported and answered afterwards [live: 2 accounts]",
        ),
        (
            "--split-turns",
            ("joined", "cut"),
            "speech after reply.started and before its sound: the same reply answers it [live: 11 "
            "recordings], or is interrupted [documentation]",
        ),
        (
            "--over-hold",
            ("restart", "heard", "muted"),
            "speech while a tool in hold mode runs: unheard, and the answer begins twice [live: 8 "
            "recordings], heard [documentation], or only unheard",
        ),
        (
            "--agent-transcripts",
            ("shorter_first", "one", "longer_first"),
            "of an interrupted reply: an unflagged one before the flagged [live, both orders: 2 accounts], "
            "or one [documentation; live with --interruption at_once]",
        ),
        (
            "--final-transcript",
            ("early", "with_done", "late", "missing"),
            "of a completed reply: 400 ms before reply.done [live], just before it [documentation], "
            "after it, or never [live: one recording]",
        ),
        (
            "--reply-create",
            ("ends", "collides", "queued"),
            "during a reply: ends it, plays over it [live: 3 accounts, which do not say when], or "
            "waits [live: 1 account; no more is known]",
        ),
        ("--resume", ("no", "yes"), "session.resume: refused [live: 18 of 18], or not [documentation]"),
        (
            "--conversation-message",
            ("no", "yes"),
            "whether it reaches the model: no [live: 6 accounts], or yes [documentation]",
        ),
    ):
        group.add_argument(flag, choices=choices, help=text)
    group.add_argument(
        "--delays",
        choices=("none", "quick", "recorded"),
        default="quick",
        help="the live service's delays: none; only those of a session's start and a greeting, 0.6 s "
        "(default); or as recorded, with seconds of thinking, late first words and deltas",
    )
    group.add_argument(
        "--thinking",
        choices=("nothing", "silence"),
        default="nothing",
        help="what is sent meanwhile: nothing (default), or digital silence [both live]",
    )
    group.add_argument(
        "--from-peak",
        type=_fraction,
        default=0.0,
        metavar="LEVEL",
        help="a voice with a lower peak interrupts no reply; from 0 to 1 [live: 1 account: 0.66; default 0]",
    )
    group.add_argument(
        "--empty-every", type=_count, metavar="N", help="one reply in N is empty [live; default none]"
    )
    group.add_argument(
        "--tool-calls-sent",
        type=int,
        choices=range(1, 7),
        default=1,
        help="how often each tool call is sent [live: 2 to 6; default 1]",
    )


def behaviour(given: argparse.Namespace) -> dict[str, Any]:
    """What was given, as arguments of `ServerOptions`."""
    return {
        "delays": RECORDED if given.delays == "recorded" else QUICK,
        **({"start_ms": 0, "ready_gap_ms": 0, "preamble_ms": 0} if given.delays == "none" else {}),
        "thinking": given.thinking,
        "final_transcript": given.final_transcript,
        "interruption": Interruption(
            decision=given.interruption,
            speech_started=given.speech_started,
            back_channels=given.back_channels,
            split_turns=given.split_turns,
            over_hold=given.over_hold,
            agent_transcripts=given.agent_transcripts,
            from_peak=given.from_peak,
        ),
        "requests": Requests(during_reply=given.reply_create),
        "resume": ResumePolicy(works=_yes(given.resume)),
        "messages_reach_model": _yes(given.conversation_message),
        "faults": Faults(empty_every=given.empty_every, tool_calls_sent=given.tool_calls_sent),
    }


def _yes(given: str | None) -> bool | None:
    return None if given is None else given == "yes"


def _fraction(text: str) -> float:
    if re.fullmatch(r"[01](\.[0-9]{1,9})?", text) and float(text) <= 1:
        return float(text)
    raise argparse.ArgumentTypeError("give a number from 0 to 1")


def _count(text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) <= 9 and int(text) >= 1:
        return int(text)
    raise argparse.ArgumentTypeError("give a whole number from 1")
