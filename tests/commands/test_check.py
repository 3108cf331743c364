"""The pre-flight check says of each part whether a call would work, and if not, what to do."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import attrs
import pytest

from channels.secret import Secret
from channels.settings import Accounts, ApiAccount, LiveKitAccount, SessionSettings, Settings
from channels.settings.session import InputSettings, TurnSettings
from commands.check import check
from commands.check.accounts import TimedAnswer, check_clock
from commands.check.clients import judge_clients
from commands.check.finding import Colour, Finding
from commands.check.machine import check_installed, check_locked
from commands.check.service import check_turn_detection
from playground.livekit_server import LiveKitServer
from playground.voice_agent_api import ServerOptions, voice_agent_server
from tests.watched import Watched

RUNNER = Path(__file__).parents[2] / "runner.py"
KEY = Secret("a-key-that-nobody-may-see-0123456789")


def accounts_of(livekit: LiveKitServer, api_url: str) -> Accounts:
    return Accounts(
        LiveKitAccount(livekit.url, livekit.api_key, livekit.api_secret),
        ApiAccount(api_url, api_key=KEY),
    )


async def found(
    accounts: Accounts, capsys: pytest.CaptureFixture[str], *, code: int
) -> dict[str, tuple[str, str]]:
    """Colour and words of each check."""
    assert await check(lambda: nullcontext(accounts), Settings("check-room"), True, True) == code
    printed = capsys.readouterr().out
    for secret in accounts.secrets:
        assert secret.reveal() not in printed
    return {one["check"]: (one["colour"], f"{one['said']}; {one['fix']}") for one in json.loads(printed)}


@pytest.mark.server
async def test_where_everything_is_there_a_sound_goes_through_the_room_and_a_session_begins_and_ends(
    livekit: LiveKitServer, capsys: pytest.CaptureFixture[str]
) -> None:
    async with voice_agent_server(ServerOptions(keys=[KEY])) as service:
        findings = await found(accounts_of(livekit, service.url), capsys, code=0)
    for name in ("LiveKit", "Voice Agent API", "clock", "token grants", "session", "turn detection"):
        assert findings[name][0] == "green", findings[name]
    colour, said = findings["room"]
    heard = re.search(r"a beep is heard after (\d+) ms", said)
    assert heard is not None
    assert colour == ("green" if int(heard[1]) <= 400 else "yellow"), "on a busy machine, it may be late"
    assert findings["echo cancellation"][0] == "yellow", "nobody is there to be asked"


@pytest.mark.server
async def test_keys_that_do_not_work_are_named_and_what_needs_them_is_not_tried(
    livekit: LiveKitServer, capsys: pytest.CaptureFixture[str]
) -> None:
    async with voice_agent_server(ServerOptions(keys=[Secret("another-key")])) as service:
        accounts = accounts_of(livekit, service.url)
        wrong = attrs.evolve(accounts.livekit, api_secret=Secret("not-the-secret-0123456789abcdef01234567"))
        findings = await found(attrs.evolve(accounts, livekit=wrong), capsys, code=1)
    colour, said = findings["LiveKit"]
    assert colour == "red"
    assert "check LIVEKIT_API_KEY and LIVEKIT_API_SECRET" in said
    colour, said = findings["Voice Agent API"]
    assert colour == "red"
    assert "check ASSEMBLYAI_API_KEY" in said
    assert not findings.keys() & {"room", "session", "echo cancellation"}


async def test_servers_that_are_not_there_are_said(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        nobody = LiveKitServer(f"ws://{address}", "APIkey", Secret("secret-0123456789abcdef0123456789ab"))
        findings = await found(accounts_of(nobody, f"ws://{address}/v1/ws"), capsys, code=1)
    assert "does not answer" in findings["LiveKit"][1]
    assert "does not answer" in findings["Voice Agent API"][1]
    assert findings["clock"][0] == "yellow"


@pytest.mark.server
@pytest.mark.slow
def test_with_no_account_the_services_of_this_machine_are_checked_line_by_line(tmp_path: Path) -> None:
    watched = Watched(tmp_path / "watched")
    done = subprocess.run(
        [*watched.command, sys.executable, str(RUNNER), "check"],
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert all(line[0] in "✓!" for line in lines)
    assert any(" room " in line and "a beep is heard after" in line for line in lines)
    assert any(line.startswith("✓ session ") for line in lines)
    # Python, LiveKit's SDK and server, the models: with nothing configured, nothing leaves this machine.
    assert watched.peers_elsewhere() == []


@pytest.mark.parametrize(
    ("skew_s", "colour"),
    [(0.4, Colour.GREEN), (-4.0, Colour.GREEN), (20.0, Colour.YELLOW), (-300.0, Colour.RED)],
)
def test_a_clock_that_is_off_is_said_with_its_direction(skew_s: float, colour: Colour) -> None:
    finding = check_clock([TimedAnswer(200, b"", 0.1, 0.1), TimedAnswer(200, b"", skew_s, 0.1)])
    assert finding.colour is colour
    if colour is not Colour.GREEN:
        assert f"{abs(skew_s):.0f} s {'ahead of' if skew_s > 0 else 'behind'} the servers" in finding.said


@pytest.mark.parametrize(
    ("detection", "colour"),
    [
        (TurnSettings(), Colour.GREEN),
        (TurnSettings(min_silence=300, max_silence=2500), Colour.GREEN),
        (TurnSettings(min_silence=299), Colour.YELLOW),
        (TurnSettings(max_silence=2501), Colour.YELLOW),
    ],
)
def test_turn_detection_that_people_cannot_talk_with_is_warned_of(
    detection: TurnSettings, colour: Colour
) -> None:
    finding = check_turn_detection(SessionSettings(input=InputSettings(turn_detection=detection)))
    assert finding.colour is colour


def test_clients_tell_whether_they_cancel_echo() -> None:
    def colour_of(*told: str | None) -> Colour:
        return judge_clients({f"client-{number}": one for number, one in enumerate(told)}).colour

    cancels, echoes = '{"echoCancellation": true}', '{"echoCancellation": false}'
    assert colour_of(cancels, cancels) is Colour.GREEN
    assert colour_of(cancels, None) is Colour.YELLOW
    assert colour_of("not JSON") is Colour.YELLOW
    assert colour_of(cancels, echoes, None) is Colour.RED
    assert colour_of() is Colour.YELLOW
    finding = judge_clients({"alice": echoes, "bob": cancels})
    assert "off for alice:" in finding.said
    assert "Android" in finding.fix


@pytest.mark.parametrize(
    ("locked", "colour", "said"),
    [
        ("attrs==0.0.1 \\\n    --hash=sha256:00\n", Colour.YELLOW, "(locked: 0.0.1)"),
        ("no-such-package==1.0 \\\n    --hash=sha256:00\n", Colour.RED, "1 are missing: no-such-package"),
        ("no-such-package==1.0 ; sys_platform == 'none' \\\n    --hash=sha256:00\n", Colour.GREEN, "all 0"),
    ],
)
def test_packages_are_compared_with_the_lock_file(
    tmp_path: Path, locked: str, colour: Colour, said: str
) -> None:
    lock_file = tmp_path / "requirements.lock"
    lock_file.write_text(locked)
    finding: Finding = check_locked(lock_file)
    assert finding.colour is colour
    assert said in finding.said


@pytest.mark.parametrize(
    ("wanted", "colour", "said"),
    [
        (["trio>=0.30", "no-such-package>=1; extra == 'playground'"], Colour.GREEN, "all 1 that"),
        (["trio>=99"], Colour.RED, "is not >=99"),
        (["no-such-package>=1"], Colour.RED, "no-such-package is missing"),
    ],
)
def test_packages_of_a_wheel_are_compared_with_what_it_asks_for(
    wanted: list[str], colour: Colour, said: str
) -> None:
    finding = check_installed(wanted)
    assert finding.colour is colour
    assert said in finding.said
