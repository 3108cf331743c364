"""The set-up of the page: livekit-client by npm, once; no network here, npm is a script of the test."""

from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path

import pytest
import trio

from playground.page_build import client
from playground.page_build.client import ClientMissing, find_or_install

RECIPE = Path(client.__file__).parent

NPM = f"""#!{sys.executable}
import pathlib, sys, time
if "--version" in sys.argv:
    print("11.0.0")
    sys.exit()
assert sys.argv[1] == "ci" and "--ignore-scripts" in sys.argv, sys.argv
assert pathlib.Path("package-lock.json").exists()
calls = pathlib.Path(__file__).with_name("calls")
calls.write_text((calls.read_text() if calls.exists() else "") + "x")
{{body}}
package = pathlib.Path("node_modules/livekit-client")
(package / "dist").mkdir(parents=True, exist_ok=True)
for name in ("dist/livekit-client.esm.mjs", "dist/livekit-client.esm.mjs.map", "LICENSE"):
    (package / name).write_text(name)
"""


def npm(folder: Path, body: str = "") -> dict[str, str]:
    """An environment whose npm is a script, and whose cache is empty."""
    program = folder / "bin" / "npm"
    program.parent.mkdir(exist_ok=True)
    program.write_text(NPM.format(body=body))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return {"PATH": str(program.parent), "XDG_CACHE_HOME": str(folder / "cache"), "HOME": str(folder)}


async def test_it_is_fetched_once_with_progress_and_nothing_else_is_left(tmp_path: Path) -> None:
    environ, told = npm(tmp_path), list[str]()
    module = await find_or_install(progress=told.append, environ=environ)
    assert module.read_text() == "dist/livekit-client.esm.mjs"
    assert told[0].startswith("fetching livekit-client-2")
    kept = {path.name for path in module.parent.iterdir()}
    assert kept == {"livekit-client.esm.mjs", "livekit-client.esm.mjs.map", "LICENSE"}
    assert not (tmp_path / "cache" / "voice-agent" / "page-build").exists()
    assert await find_or_install(progress=told.append, environ=environ) == module
    assert (tmp_path / "bin" / "calls").read_text() == "x", "the second time nobody asks npm"


async def test_without_a_network_it_says_what_to_do(tmp_path: Path) -> None:
    environ = npm(tmp_path, "sys.exit('npm error network is unreachable')")
    with pytest.raises(ClientMissing, match=r"network is unreachable.*get online and start again"):
        await find_or_install(progress=print, environ=environ)


async def test_an_interrupted_set_up_is_never_taken_for_a_finished_one(tmp_path: Path) -> None:
    environ = npm(tmp_path, "time.sleep(60)")
    with trio.move_on_after(1) as scope:
        await find_or_install(progress=print, environ=environ)
    assert scope.cancelled_caught
    module = await find_or_install(progress=print, environ=npm(tmp_path))
    assert module.exists()


async def test_two_at_once_fetch_it_once(tmp_path: Path) -> None:
    environ = npm(tmp_path, "time.sleep(0.5)")
    told: list[str] = []
    async with trio.open_nursery() as nursery:
        for _ in range(2):
            nursery.start_soon(lambda: find_or_install(progress=told.append, environ=environ))
    assert (tmp_path / "bin" / "calls").read_text() == "x"
    assert any("another process is fetching" in line for line in told)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
async def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    environ = npm(tmp_path)
    (tmp_path / "cache").mkdir(mode=0o500)
    with pytest.raises(ClientMissing, match="cannot be put into"):
        await find_or_install(progress=print, environ=environ)


def test_the_lock_file_names_checksums_and_no_place() -> None:
    packages = json.loads((RECIPE / "package-lock.json").read_text())["packages"]
    wanted = json.loads((RECIPE / "package.json").read_text())["dependencies"]
    assert packages["node_modules/livekit-client"]["version"] == wanted["livekit-client"]
    for name, package in packages.items():
        assert "resolved" not in package, name
        assert not name or package["integrity"].startswith("sha512-"), name
