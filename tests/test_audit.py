"""What is known of the packages: a finding fails the build, and silence is not taken for good news."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.agent_process import ROOT


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / ".ci" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


audit = script("audit")

LOCKS = [*ROOT.glob("*.lock"), *ROOT.glob("playground/*/*.lock"), *ROOT.glob(".ci/*.lock")]


def package(name: str, *ids: str) -> dict[str, Any]:
    found = [{"id": each, "aliases": ["CVE-1"], "fix_versions": ["2.0"]} for each in ids]
    return {"name": name, "version": "1.0", "vulns": found}


SKIPPED = {"name": "private", "skip_reason": "not found"}


def test_a_finding_fails_and_says_what_mends_it() -> None:
    verdict = audit.judge("a.lock", {"dependencies": [package("good"), package("bad", "GHSA-1")]}, {})
    assert verdict.failed
    assert "a.lock: bad 1.0: GHSA-1 (fixed in 2.0)" in verdict.lines


@pytest.mark.parametrize("by", ["GHSA-1", "CVE-1"])
def test_a_finding_that_is_allowed_is_told_with_its_reason(by: str) -> None:
    verdict = audit.judge("a.lock", {"dependencies": [package("bad", "GHSA-1")]}, {by: "never called"})
    assert not verdict.failed
    assert "never called" in verdict.lines[0]
    assert verdict.used == {by}


@pytest.mark.parametrize("report", [None, {"dependencies": [SKIPPED, SKIPPED]}])
def test_where_no_database_can_be_reached_nothing_is_said_to_be_well(report: Any) -> None:
    verdict = audit.judge("a.lock", report, {})
    assert not verdict.failed
    assert verdict.looked_up == 0
    assert "nothing is known" in verdict.lines[0]


def test_a_package_that_no_database_knows_is_named() -> None:
    verdict = audit.judge("a.lock", {"dependencies": [package("good"), SKIPPED]}, {})
    assert any("nothing is known of private" in line for line in verdict.lines)


def test_what_is_allowed_has_a_reason() -> None:
    assert audit.read_allowed((ROOT / ".ci/audit-allowed.toml").read_text("utf-8")) == {}
    with pytest.raises(ValueError, match="reason"):
        audit.read_allowed('[[allowed]]\nid = "GHSA-1"\nreason = " "')


def test_every_lock_file_is_looked_up() -> None:
    # All that `make run` installs is among what tests need.
    there = {path.relative_to(ROOT).as_posix() for path in ROOT.glob("playground/**/*.lock")}
    there |= {path.relative_to(ROOT).as_posix() for path in (ROOT / ".ci").glob("*.lock")}
    assert set(audit.LOCKS) == there | {
        "requirements-dev.lock",
        "requirements-traces.lock",
        "requirements-docs.lock",
    }


def test_the_bill_of_materials_names_all_that_is_locked_once() -> None:
    command = [sys.executable, str(ROOT / ".ci/sbom.py")]
    printed = [subprocess.run(command, capture_output=True, check=True).stdout for _ in range(2)]
    assert printed[0] == printed[1]
    bill = json.loads(printed[0])
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    refs = [component["bom-ref"] for component in bill["components"]]
    assert len(refs) == len(set(refs))
    locked = re.findall(r"^([\w.-]+)==", (ROOT / "requirements.lock").read_text("utf-8"), re.MULTILINE)
    assert {name.lower() for name in locked} == {
        component["name"] for component in bill["components"] if component["bom-ref"].startswith("pkg:pypi/")
    }
    for purl in ("pkg:golang/github.com/livekit/livekit-server@", "pkg:npm/livekit-client@"):
        assert any(ref.startswith(purl) for ref in refs)
    models = [each for each in bill["components"] if each["type"] == "machine-learning-model"]
    found = {each["name"]: each["version"] for each in models}
    assert found == {"silero-vad": "6.2.3", "smart-turn": "3.2"}


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_everything_that_is_installed_has_a_hash(lock: Path) -> None:
    entries = re.findall(r"^[\w.-]+==(?:.*\\\n)*.*", lock.read_text("utf-8"), re.MULTILINE)
    assert entries
    assert [entry for entry in entries if "--hash=sha256:" not in entry] == []
    assert "--require-hashes" in (ROOT / "Makefile").read_text("utf-8")
    assert "--require-hashes" in (ROOT / "deploy/Dockerfile").read_text("utf-8")
