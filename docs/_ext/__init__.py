"""What the site has that Sphinx does not: each module is one thing, and `setup` says when it happens.

- `contents` takes the order of the site from the lists of `docs/index.md`.
- `generated` puts what is read off the code in the place of a block ```` ```{generated} NAME ````.
- `pictures` draws the blocks of Mermaid and SVG, without a browser and without the network.
- `elsewhere` checks the links into Trio's documentation.
- `source` shows each file that a page links to.
- `llms` writes `llms.txt`, `llms-full.txt` and the Markdown of each page.
"""

from __future__ import annotations

from typing import Any

from sphinx.application import Sphinx

from docs._ext import contents, elsewhere, generated, llms, pictures, source

__all__ = ["setup"]


def setup(app: Sphinx) -> dict[str, Any]:
    """Called by Sphinx."""
    app.connect("source-read", generated.replace_blocks)
    app.connect("source-read", llms.keep, priority=900)
    app.connect("source-read", contents.add_contents, priority=950)
    app.connect("doctree-read", elsewhere.check_links)
    app.add_transform(source.LinkToSource)
    app.add_transform(pictures.DrawPictures)
    app.connect("html-collect-pages", source.pages)
    app.connect("build-finished", llms.write)
    return {"parallel_read_safe": False, "parallel_write_safe": False}
