"""`BROWSER` is w3m, which runs until it is closed: the call began when it was, and Ctrl-C was its."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest
import trio

from commands.browser import shown_in_browser

BROWSER = f"""#!{sys.executable}
import os, pathlib, sys, time
try:
    terminal = os.open("/dev/tty", os.O_RDWR)
except OSError:
    terminal = None
told = pathlib.Path(__file__).with_name("told")
met = (sys.argv[1], terminal, os.environ.get("OPENAI_API_KEY"), os.getpid())
told.with_suffix(".part").write_text(repr(met))
told.with_suffix(".part").rename(told)
time.sleep(60)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="its browsers do not block")
async def test_nobody_waits_for_a_browser_that_runs_until_it_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = tmp_path / "w3m"
    browser.write_text(BROWSER)
    browser.chmod(0o700)
    monkeypatch.setenv("BROWSER", str(browser))
    monkeypatch.setenv("OPENAI_API_KEY", "never-to-be-seen")
    told = tmp_path / "told"
    with trio.fail_after(30):
        async with shown_in_browser("http://127.0.0.1:8080"):
            while not told.exists():
                await trio.sleep(0.01)
    page, terminal, key, pid = eval(told.read_text())
    os.kill(pid, signal.SIGKILL)  # it was there all the time
    assert (page, terminal, key) == ("http://127.0.0.1:8080", None, None)
