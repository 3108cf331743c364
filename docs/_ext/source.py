"""The files that pages link to, each shown as a page of its own: code, tests, settings, dashboards."""

from __future__ import annotations

import html
import posixpath
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docutils import nodes
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import TextLexer, get_lexer_for_filename
from pygments.util import ClassNotFound
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform
from sphinx.util.osutil import relative_uri

__all__ = ["LinkToSource", "pages"]

_FOLDER = "source"


class LinkToSource(SphinxTransform):
    """Where Sphinx would offer a file for download, links to the page that shows it."""

    default_priority = 5

    def apply(self, **kwargs: Any) -> None:
        """Called by Sphinx for each page."""
        for link in list(self.document.findall(addnodes.download_reference)):
            path, _ = self.env.relfn2path(link["reftarget"], self.env.docname)
            shown = self.env.__dict__.setdefault("source_files", {})
            shown.setdefault(path, set()).add(self.env.docname)
            target = relative_uri(f"{self.env.docname}.html", f"{_FOLDER}/{path}.html")
            link.replace_self(nodes.reference("", "", *link.children, internal=True, refuri=target))


def pages(app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    """The page of each file that is linked to: its name, what is in it, and its template."""
    formatter = HtmlFormatter(linenos="inline", anchorlinenos=True, lineanchors="line", cssclass="highlight")
    shown: dict[str, set[str]] = app.env.__dict__.get("source_files", {})
    for path, linked_from in sorted(shown.items()):
        text = (Path(app.srcdir) / path).read_text(encoding="utf-8")
        try:
            lexer = get_lexer_for_filename(path)
        except ClassNotFound:
            lexer = TextLexer()
        back = ", ".join(
            f'<a href="{relative_uri(f"{_FOLDER}/{path}.html", f"{docname}.html")}">'
            f"{html.escape(app.env.titles[docname].astext())}</a>"
            for docname in sorted(linked_from)
        )
        body = (
            f"<h1><code>{html.escape(path)}</code></h1>"
            f"<p>Linked from {back}.</p>{highlight(text, lexer, formatter)}"
        )
        context = {"title": posixpath.basename(path), "body": body, "parents": []}
        yield f"{_FOLDER}/{path}", context, "page.html"
