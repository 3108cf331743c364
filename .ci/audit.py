"""Looks the locked packages up in the vulnerability databases: `make audit`.

Fails for a finding that `audit-allowed.toml` does not allow, with its reason. Where no database can be
reached, nothing is known: that is said, and fails nothing.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ALLOWED = HERE / "audit-allowed.toml"
LOCKS = (
    "requirements-dev.lock",  # with all that is in requirements.lock and requirements-serve.lock
    "requirements-traces.lock",
    "requirements-docs.lock",
    "playground/livekit_build/toolchain.lock",
    "playground/page_build/toolchain.lock",
    "playground/set_up/early.lock",
    "playground/turn_model/wheel.lock",
    ".ci/audit.lock",
)
DATABASES = ("osv", "pypi")
"""As pip-audit calls them; the first that answers counts."""

Report = Mapping[str, Any]
"""What pip-audit says of one lock file."""


@dataclass(frozen=True)
class Verdict:
    """What came of one lock file."""

    lines: Sequence[str]
    looked_up: int = 0
    """Packages of which something is known."""
    failed: bool = False
    used: frozenset[str] = frozenset()
    """Ids that were allowed."""


def read_allowed(text: str) -> dict[str, str]:
    """The reasons by the ids of the findings that are allowed.

    Raises:
        ValueError: an entry has no id or no reason.
    """
    allowed = {}
    for entry in tomllib.loads(text).get("allowed", []):
        name, reason = str(entry.get("id", "")).strip(), str(entry.get("reason", "")).strip()
        if not name or not reason:
            raise ValueError(f"{ALLOWED.name}: [[allowed]] needs an id and a reason, and {entry} lacks one")
        allowed[name] = reason
    return allowed


def judge(lock: str, report: Report | None, allowed: Mapping[str, str]) -> Verdict:
    """What a report means; None: no database could be reached."""
    packages = report["dependencies"] if report is not None else []
    audited = [package for package in packages if "skip_reason" not in package]
    if not audited:
        return Verdict([f"{lock}: no vulnerability database can be reached: nothing is known of it"])
    lines, failed, used = [], False, set()
    for package, finding in _findings(audited):
        known = {finding["id"], *finding.get("aliases", [])} & set(allowed)
        named = f"{package['name']} {package['version']}: {finding['id']}"
        if known:
            used |= known
            lines.append(f"{lock}: {named} is allowed: {allowed[min(known)]}")
        else:
            failed = True
            mended = ", ".join(finding.get("fix_versions", [])) or "no version yet"
            lines.append(f"{lock}: {named} (fixed in {mended})")
    skipped = [package["name"] for package in packages if "skip_reason" in package]
    if skipped:
        lines.append(f"{lock}: nothing is known of {', '.join(skipped)}")
    lines.append(f"{lock}: {len(audited)} packages looked up")
    return Verdict(lines, len(audited), failed, frozenset(used))


def _findings(packages: Sequence[Mapping[str, Any]]) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    for package in packages:
        for finding in package.get("vulns", []):
            yield package, finding


def look_up(lock: str) -> Report | None:
    """What pip-audit says of a lock file; None if no database can be reached."""
    for database in DATABASES:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "pip_audit", "--requirement", lock, "--disable-pip", "--no-deps"),
                *("--vulnerability-service", database, "--timeout", "15"),
                *("--format", "json", "--progress-spinner", "off"),
            ],
            cwd=HERE.parent,
            capture_output=True,
            encoding="utf-8",
        )
        try:
            report: Report = json.loads(done.stdout)
        except ValueError:
            continue
        if any("skip_reason" not in package for package in report["dependencies"]):
            return report
    return None


def main() -> int:
    """Gives the exit code."""
    allowed = read_allowed(ALLOWED.read_text("utf-8"))
    verdicts = [judge(lock, look_up(lock), allowed) for lock in LOCKS]
    for verdict in verdicts:
        print("\n".join(verdict.lines))
    if all(verdict.looked_up for verdict in verdicts):
        for stale in sorted(set(allowed) - {used for verdict in verdicts for used in verdict.used}):
            print(f"{ALLOWED.name}: {stale} is found no more; take it out")
    return int(any(verdict.failed for verdict in verdicts))


if __name__ == "__main__":
    sys.exit(main())
