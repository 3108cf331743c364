"""Prints the bill of materials, CycloneDX 1.6 in JSON, from the lock files alone: `make sbom`.

It names what the agent and its playground are made of: Python packages, the Go modules of the LiveKit server
that is built here, the page's npm packages and its fonts, and two models: one lies in this repository, one
is fetched.
Tools for tests and builds are not in it. The same lock files give the same bill.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

ROOT = Path(__file__).resolve().parents[1]
FONTS = ROOT / "playground/page/font"
MODEL = ROOT / "sound/silero_vad/silero_vad_16k.onnx"

Component = dict[str, Any]

_PINNED = re.compile(r"^(?P<name>[\w.-]+)==(?P<version>[^ ;\\]+)", re.MULTILINE)
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_MODULE = re.compile(r"^(?:require )?\s*(?P<path>[\w.-]+\.[\w./~-]+) (?P<version>v[\w.+-]+)", re.MULTILINE)


def bill() -> dict[str, Any]:
    """The whole of it."""
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    name, version = (_field(project, each) for each in ("name", "version"))
    components = sorted(
        [
            *python_packages((ROOT / "requirements.lock").read_text("utf-8")),
            *go_modules((ROOT / "playground/livekit_build/go.mod").read_text("utf-8")),
            *npm_packages((ROOT / "playground/page_build/package-lock.json").read_text("utf-8")),
            *fonts(),
            model(),
            turn_model((ROOT / "playground/turn_model/wheel.lock").read_text("utf-8")),
        ],
        key=lambda component: component["bom-ref"],
    )
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": name,
                "name": name,
                "version": version,
                "licenses": [{"license": {"id": "MIT"}}],
            }
        },
        "components": components,
    }


def python_packages(lock: str) -> Iterator[Component]:
    """Those of a pip lock file; of one with several files, each has its hash."""
    places = [*_PINNED.finditer(lock)]
    for place, after in zip(places, [*(each.start() for each in places[1:]), len(lock)], strict=True):
        purl = f"pkg:pypi/{place['name'].lower().replace('_', '-')}@{quote(place['version'])}"
        files = _HASH.findall(lock, place.end(), after)
        yield _library(purl, place["name"], place["version"]) | {
            "externalReferences": [
                {
                    "type": "distribution",
                    "url": f"https://pypi.org/project/{place['name']}/{quote(place['version'])}/#files",
                    "hashes": [{"alg": "SHA-256", "content": each} for each in files],
                }
            ]
        }


def go_modules(go_mod: str) -> Iterator[Component]:
    """Those that a go.mod requires."""
    for each in _MODULE.finditer(go_mod):
        yield _library(f"pkg:golang/{each['path']}@{quote(each['version'])}", each["path"], each["version"])


def npm_packages(package_lock: str) -> Iterator[Component]:
    """Those of a package-lock.json that are installed."""
    for path, package in json.loads(package_lock)["packages"].items():
        if not path or package.get("peer") or package.get("dev"):
            continue
        name = path.rpartition("node_modules/")[2]
        algorithm, _, content = package["integrity"].partition("-")
        assert algorithm == "sha512", f"{name} has another hash"
        yield _library(f"pkg:npm/{quote(name)}@{package['version']}", name, package["version"]) | {
            "hashes": [{"alg": "SHA-512", "content": base64.b64decode(content).hex()}],
        }


def model() -> Component:
    """Silero's, as it lies here."""
    version = re.search(r"silero-vad\) ([\d.]+\d)", MODEL.with_name("README.md").read_text("utf-8"))
    assert version is not None, "the model's README names its version"
    digest = hashlib.sha256(MODEL.read_bytes()).hexdigest()
    return {
        "type": "machine-learning-model",
        "bom-ref": MODEL.name,
        "name": "silero-vad",
        "version": version[1],
        "licenses": [{"license": {"id": "MIT"}}],
        "hashes": [{"alg": "SHA-256", "content": digest}],
    }


def fonts() -> Iterator[Component]:
    """The page's, as they lie here."""
    for file in sorted(FONTS.glob("*.woff2")):
        yield {
            "type": "library",
            "bom-ref": file.name,
            "name": "@fontsource-variable/atkinson-hyperlegible-next",
            "version": "5.3.0",
            "licenses": [{"license": {"id": "OFL-1.1"}}],
            "hashes": [{"alg": "SHA-256", "content": hashlib.sha256(file.read_bytes()).hexdigest()}],
        }


def turn_model(lock: str) -> Component:
    """Smart Turn, of whose wheel nothing else is used."""
    (wheel,) = python_packages(lock)
    return {
        "type": "machine-learning-model",
        "bom-ref": "smart-turn-v3.2-cpu.onnx",
        "name": "smart-turn",
        "version": "3.2",
        "licenses": [{"license": {"id": "BSD-2-Clause"}}],
        "externalReferences": wheel["externalReferences"],
    }


def _library(purl: str, name: str, version: str) -> Component:
    return {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}


def _field(project: str, name: str) -> str:
    found = re.search(rf'^{name} = "([^"]+)"', project, re.MULTILINE)
    assert found is not None, f"pyproject.toml has no {name}"
    return found[1]


if __name__ == "__main__":
    json.dump(bill(), sys.stdout, indent=2)
    print()
