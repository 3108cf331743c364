"""The site is built from the pages, and a page that is wrong fails the build."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LINK = re.compile(r'(?:href|src)="([^"#?]+)(?:#([^"]*))?"')

pytestmark = pytest.mark.slow


def build(source: Path, out: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sphinx", "-E", "-W", "--keep-going", "--quiet"]
    return subprocess.run(
        [*command, "-c", str(source / "docs"), str(source), str(out)],
        cwd=source,
        capture_output=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site")
    built = build(ROOT, out)
    assert built.returncode == 0, built.stderr
    return out


def test_every_link_within_the_site_leads_to_a_file_that_is_there(site: Path) -> None:
    missing = [
        f"{page.relative_to(site)} → {target}"
        for page in site.rglob("*.html")
        for target, _ in LINK.findall(page.read_text("utf-8"))
        if not re.match(r"[a-z]+:|//", target) and not (page.parent / target).exists()
    ]
    assert missing == []


def test_every_link_to_a_place_in_a_page_leads_to_a_place_that_is_there(site: Path) -> None:
    places = {
        page: set(re.findall(r'\bid="([^"]+)"', page.read_text("utf-8"))) for page in site.rglob("*.html")
    }
    missing = [
        f"{page.relative_to(site)} → {target}#{place}"
        for page in places
        if "source" not in page.relative_to(site).parts
        for target, place in LINK.findall(page.read_text("utf-8"))
        if place and (there := (page.parent / target).resolve()) in places and place not in places[there]
    ]
    assert missing == []


def test_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        loaded = re.findall(
            r'<(?:script|img|link)\b[^>]*\b(?:src|href)="(https?:[^"]*)"', page.read_text("utf-8")
        )
        assert loaded == [], page


def test_pictures_are_drawn_and_no_block_is_left_over(site: Path) -> None:
    for name, pictures in (("docs/barge-in", 2), ("docs/graph", 1), ("docs/explanation/event-flow", 4)):
        page = (site / f"{name}.html").read_text("utf-8")
        assert page.count('class="picture"') == pictures
    assert not any("{generated}" in page.read_text("utf-8") for page in site.rglob("*.html"))


def test_language_models_get_a_list_of_the_pages_and_their_markdown(site: Path) -> None:
    listed = (site / "llms.txt").read_text("utf-8")
    assert listed.startswith("# Voice agent for LiveKit rooms\n\n> ")
    pages = re.findall(r"^- \[.+?\]\((.+?)\): .", listed, re.MULTILINE)
    assert len(pages) > 30
    assert all((site / page).is_file() for page in pages)
    whole = (site / "llms-full.txt").read_text("utf-8")
    assert "| `barge_in.linger_ms` |" in whole
    assert "# Threat model" in whole


def test_a_link_to_nothing_fails_the_build(tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(ROOT / "docs", source / "docs")
    shutil.copy(ROOT / "pyproject.toml", source)
    for name in ("actors", "channels", "commands", "playground", "sound", "prompts", "profiles", "runner.py"):
        (source / name).symlink_to(ROOT / name)
    for page in (source / "docs").rglob("*.md"):
        page.unlink()
    trio = "https://trio.readthedocs.io/en/stable/reference-core.html"
    (source / "docs" / "index.md").write_text(
        "# Index\n\n[nowhere](nowhere.md) and [no place](#nothing), "
        f"[a nursery]({trio}#trio.open_nursery) and [none]({trio}#trio.open_nursery_school)\n"
    )
    built = build(source, tmp_path / "site")
    assert built.returncode != 0
    assert "nowhere.md" in built.stderr
    assert "nothing" in built.stderr
    assert built.stderr.count("Trio's documentation has no") == 1
    assert "school" in built.stderr
