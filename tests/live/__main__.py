"""Asks the live service what nobody knows for certain: for a person who has an account.

    ASSEMBLYAI_API_KEY=… python -m tests.live          says what it would do and what that costs, and asks
    ASSEMBLYAI_API_KEY=… python -m tests.live --yes    does it; prints a table to paste into a report
    python -m tests.live --list                        the questions

One short session after the other, each ended by session.end. Without a key it says so and does nothing.
The key comes from the environment only, and is printed nowhere; nor is any token.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime

import trio

from channels.errors import VoiceAgentError, cause_of
from channels.secret import Secret
from channels.settings import DEFAULT_VOICE_AGENT_URL
from tests.live.line import Account, NotAnswered
from tests.live.probes import PROBES, Probe

__all__ = ["ask_all", "main"]

DOLLARS_PER_HOUR = 4.5
"""Flat, for each second of an open session (billing page, October 2026)."""
LONGEST_PROBE_S = 300.0
BETWEEN_S = 0.5


async def ask_all(account: Account, probes: Sequence[Probe]) -> str:
    """Asks one after the other; gives the answers as a Markdown table."""
    rows = []
    for number, probe in enumerate(probes, 1):
        _tell(f"{number} of {len(probes)}: {probe.name}")
        seen = f"not over within {LONGEST_PROBE_S:g} s"
        before_s = account.session_s
        try:
            with trio.move_on_after(LONGEST_PROBE_S):
                seen = await probe.ask(account)
        # One that stumbles over what nobody has seen yet shall not keep the others from asking.
        except Exception as failure:
            seen = _why(failure)
        rows.append((probe, _hidden(account, seen), account.session_s - before_s))
        await trio.sleep(BETWEEN_S)
    return _table(account, rows)


def _why(failure: Exception) -> str:
    cause = cause_of(failure)
    if isinstance(cause, NotAnswered):
        return f"not seen: {cause}"
    if isinstance(cause, VoiceAgentError):
        return f"failed: {cause}"
    return f"the probe itself failed: {type(cause).__name__}"


def _hidden(account: Account, text: str) -> str:
    return text.replace(account.key.reveal(), "(the key)")


def _table(account: Account, rows: Sequence[tuple[Probe, str, float]]) -> str:
    minutes = account.session_s / 60
    return "\n".join(
        [
            f"Asked {datetime.now(UTC):%Y-%m-%d %H:%M} UTC of {account.url}: {minutes:.1f} minutes "
            f"of sessions, some ${account.session_s / 3600 * DOLLARS_PER_HOUR:.2f}.",
            "",
            "| Question | Seen | Session |",
            "|---|---|---|",
            *(f"| {_cell(p.question)} | {_cell(seen)} | {lasted_s:.0f} s |" for p, seen, lasted_s in rows),
        ]
    )


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. Gives the exit code: 0, also without a key; 2 if nobody agreed to it."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.live",
        description="Asks the live service what nobody knows for certain.",
    )
    parser.add_argument("--yes", action="store_true", help="do not ask whether to begin")
    parser.add_argument("--list", action="store_true", help="print the questions and end")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these questions only")
    parser.add_argument("--log", metavar="FILE", help="write all messages to a file, without sound and ids")
    given = parser.parse_args(arguments)
    names = {probe.name for probe in PROBES}
    if given.only and not names >= set(given.only):
        parser.error(f"--only: there are {', '.join(sorted(names))}")
    probes = [probe for probe in PROBES if not given.only or probe.name in given.only]
    if given.list:
        for probe in probes:
            print(f"{probe.name:<40} {probe.question}")
        return 0
    key = os.environ.get("ASSEMBLYAI_API_KEY", "").strip()
    if not key:
        print("skipped: ASSEMBLYAI_API_KEY is not set, and only an account can ask the live service")
        return 0
    url = os.environ.get("VOICE_AGENT_URL", "").strip() or DEFAULT_VOICE_AGENT_URL
    needed_s = sum(probe.session_s for probe in probes)
    print(
        f"{len(probes)} questions to {url}, one session after the other: some {needed_s / 60:.0f} minutes of "
        f"sessions at most, which cost about ${needed_s / 3600 * DOLLARS_PER_HOUR:.2f} at "
        f"${DOLLARS_PER_HOUR:.2f} an hour. A synthetic voice speaks; nothing of yours is sent but the key."
    )
    if not given.yes and not _agreed():
        print("not begun; --yes begins without asking")
        return 2
    with ExitStack() as stack:
        account = Account(url, Secret(key))
        if given.log:
            file = stack.enter_context(open(given.log, "w", encoding="utf-8"))
            account.log = lambda line: print(line, file=file)
        print(trio.run(ask_all, account, probes))
    return 0


def _agreed() -> bool:
    if not sys.stdin.isatty():
        return False
    try:
        return input("Begin? [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        return False


if __name__ == "__main__":
    sys.exit(main())
