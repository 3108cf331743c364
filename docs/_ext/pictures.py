"""Mermaid and SVG blocks as pictures: drawn while the site is built, in a file each."""

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

__all__ = ["DrawPictures"]

_FOLDER = "_images"
_SMALLEST = 0.62
"""A picture is not shown smaller than this share of its own size, 14 points: rather, it can be scrolled."""


class DrawPictures(SphinxTransform):
    """Replaces each block of Mermaid or SVG by its picture, which opens in full size."""

    default_priority = 6

    def apply(self, **kwargs: Any) -> None:
        """Called by Sphinx for each page."""
        for block in list(self.document.findall(nodes.literal_block)):
            if block.get("language") in ("mermaid", "svg"):
                block.replace_self(nodes.raw("", self._picture(block), format="html"))

    def _picture(self, block: nodes.literal_block) -> str:
        written = block.astext()
        drawn = written if block["language"] == "svg" else _in_our_style(mmdr.render(written).svg())
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


def _in_our_style(svg: str) -> str:
    """With the page's font, and with labels on white."""
    for theirs, ours in (
        ('"Recursive Variable",arial', "arial,helvetica"),
        ("&quot;Recursive Variable&quot;,arial", "arial,helvetica"),
        ("hsl(-120, 0%, 80%)", "#ffffff"),
        (".edgeLabel rect{opacity:0.5;", ".edgeLabel rect{opacity:0.9;"),
    ):
        svg = svg.replace(theirs, ours)
    written_on_lines = '[data-merman-source-classes*="edgeLabel"] text,text.messageText'
    halo = f"{written_on_lines}{{paint-order:stroke;stroke:#fff!important;stroke-width:5px!important}}"
    return svg.replace("</style>", f"{halo}</style>", 1)
