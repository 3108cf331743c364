"""What a page says in passing: the page itself keeps it, so nobody has to look at the right moment."""

from __future__ import annotations

import json

from bench.chromium import Tab

__all__ = ["has_said", "keep_what_it_says"]

_KEEP = """(() => {
    const parts = ['state', 'state-detail'].map((id) => document.getElementById(id));
    const now = () => parts.map((each) => each.textContent).join(' ');
    window.said = [now()];
    const watch = new MutationObserver(() => window.said.push(now()));
    for (const part of parts) watch.observe(part, { childList: true, characterData: true, subtree: true });
})()"""


async def keep_what_it_says(tab: Tab) -> None:
    """Has a page keep each thing that it says of the call from now on."""
    await tab.evaluate(_KEEP)


async def has_said(tab: Tab, text: str, *, within_s: float = 30) -> None:
    """Waits until a page has said this of the call, be it for a moment."""
    await tab.until(f"window.said.some((each) => each.includes({json.dumps(text)}))", within_s=within_s)
