"""axe-core, which looks on a page for what shuts people out; fetched by npm like the page's own client."""

from __future__ import annotations

from pathlib import Path

from bench.chromium import Tab
from playground.page_build.client import Wanted, find_or_install

__all__ = ["violations"]

_AXE = Wanted(Path(__file__).parent, "axe-core", ("axe.min.js", "LICENSE"))

_RUN = """axe.run(document, { resultTypes: ["violations"] }).then(({ violations }) => violations.map(
  ({ id, impact, help, nodes }) => `${id} (${impact}): ${help}: ` + nodes.map((node) =>
    `${node.target} ${(node.any[0] ?? node.all[0] ?? node.none[0])?.message ?? ""}`).join(" | ")))"""


async def violations(tab: Tab) -> list[str]:
    """What of axe's rules, best practices included, the page breaks as it is shown now."""
    if not await tab.evaluate("'axe' in window"):
        script = await find_or_install(progress=print, wanted=_AXE)
        await tab.evaluate(f"{script.read_text()}; null")
    found: list[str] = await tab.evaluate(_RUN)
    return found
