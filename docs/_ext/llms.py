"""The site for readers that are language models: https://llmstxt.org.

`llms.txt` lists the pages, `llms-full.txt` is all of them, and beside each page lies its Markdown.
"""

from __future__ import annotations

from pathlib import Path

from sphinx.application import Sphinx

from docs._ext.contents import Part, read_parts

__all__ = ["keep", "write"]

_LEFT_OUT_OF_THE_WHOLE = {"CHANGELOG"}


def keep(app: Sphinx, docname: str, content: list[str]) -> None:
    """Keeps the Markdown of a page, with all that is generated, until everything is written."""
    _kept(app)[docname] = content[0]


def write(app: Sphinx, failure: Exception | None) -> None:
    """Writes the files, where a site was made."""
    if failure is not None or app.builder.format != "html":
        return
    kept = _kept(app)
    parts = list(read_parts(kept[app.config.root_doc]))
    folder = Path(app.outdir)
    for docname, text in kept.items():
        (folder / f"{docname}.html.md").write_text(text, encoding="utf-8")
    introduction = kept[app.config.root_doc].partition("\n## ")[0].strip()
    (folder / "llms.txt").write_text(_listed(introduction, parts), encoding="utf-8")
    whole = [
        f"<!-- {entry.docname}.md -->\n\n{kept[entry.docname].strip()}\n"
        for part in parts
        for entry in part.entries
        if entry.docname not in _LEFT_OUT_OF_THE_WHOLE
    ]
    (folder / "llms-full.txt").write_text("\n\n".join([f"{introduction}\n", *whole]), encoding="utf-8")


def _listed(introduction: str, parts: list[Part]) -> str:
    title, _, rest = introduction.partition("\n")
    said = " ".join(rest.split("\n\n")[1].split()) if "\n\n" in rest else " ".join(rest.split())
    lines = [title, "", f"> {said}"]
    for part in parts:
        lines += ["", f"## {part.title}", ""]
        lines += [f"- [{entry.title}]({entry.docname}.html.md): {entry.said}" for entry in part.entries]
    return "\n".join(lines) + "\n"


def _kept(app: Sphinx) -> dict[str, str]:
    kept: dict[str, str] = app.env.__dict__.setdefault("markdown_of_pages", {})
    return kept
