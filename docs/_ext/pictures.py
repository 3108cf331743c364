"""Mermaid blocks as pictures: drawn while the site is built, in a file each, so that no script is needed."""

from __future__ import annotations

import hashlib
import html
import re
from pathlib import Path
from typing import Any

import mmdr
from docutils import nodes
from sphinx.transforms import SphinxTransform
from sphinx.util.osutil import relative_uri

__all__ = ["DrawMermaid"]

_FOLDER = "_images"
_SMALLEST = 0.62
"""A picture is not shown smaller than this share of its own size, 14 points: rather, it can be scrolled."""


class DrawMermaid(SphinxTransform):
    """Replaces each block of Mermaid by its picture, which opens in full size."""

    default_priority = 6

    def apply(self, **kwargs: Any) -> None:
        """Called by Sphinx for each page."""
        for block in list(self.document.findall(nodes.literal_block)):
            if block.get("language") == "mermaid":
                block.replace_self(nodes.raw("", self._picture(block), format="html"))

    def _picture(self, block: nodes.literal_block) -> str:
        drawn = _in_our_fonts(mmdr.render(block.astext()).svg())
        name = f"{_FOLDER}/{hashlib.sha256(drawn.encode()).hexdigest()[:16]}.svg"
        path = Path(self.app.outdir, name)
        path.parent.mkdir(exist_ok=True)
        path.write_text(drawn, encoding="utf-8")
        source = relative_uri(f"{self.env.docname}.html", name)
        size = re.search(r'viewBox="[\d.-]+ [\d.-]+ ([\d.]+) ([\d.]+)"', drawn)
        width = round(float(size[1])) if size else 700
        section = block.parent
        title = section.next_node(nodes.title) if isinstance(section, nodes.section) else None
        described = html.escape(title.astext() if title else "diagram", quote=True)
        return (
            f'<figure class="picture"><a href="{source}" title="in full size">'
            f'<img src="{source}" alt="{described}" width="{width}" '
            f'style="min-width: {round(width * _SMALLEST)}px"></a></figure>'
        )


def _in_our_fonts(svg: str) -> str:
    return svg.replace('"Recursive Variable",arial', "system-ui,arial").replace(
        "&quot;Recursive Variable&quot;,arial", "system-ui,arial"
    )
