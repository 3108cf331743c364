"""Claims of the threat model that no test shows any more."""

from __future__ import annotations

import re

import pytest

from tests.agent_process import ROOT
from tests.complaints.test_every_complaint_has_its_test import found_in

PAGE = (ROOT / "docs/threat-model.md").read_text("utf-8")
NAMED = re.findall(r"\[`(test_\w+)`\]\(\.\./(tests/[\w/]+\.py)\)", PAGE)
CLAIMS = re.findall(r"^\| (.+) \| (.+) \| (.+) \|$", PAGE.partition("## A participant")[2], re.MULTILINE)


@pytest.mark.parametrize("module", sorted({module for _, module in NAMED}))
def test_each_test_that_is_named_is_there(module: str) -> None:
    assert {test for test, named in NAMED if named == module} <= found_in(module)


def test_each_claim_names_a_test() -> None:
    claims = [claim for claim in CLAIMS if claim[0] != "What they could try"]
    assert len(claims) > 50
    assert [claim for claim in claims if "](../tests/" not in claim[2]] == []


def test_everybody_who_is_listed_has_a_part_with_claims() -> None:
    listed = re.findall(r"^\| \[(.+?)\]\(#(.+?)\)", PAGE, re.MULTILINE)
    assert len(listed) == 9
    for who, anchor in listed:
        assert anchor == who.lower().replace(" ", "-").replace("'", "")
        part = PAGE.partition(f"\n## {who}\n")[2].partition("\n## ")[0]
        assert "](../tests/" in part, who
