"""How Sphinx makes a site of the pages; `docs/_ext` has what is this project's own.

The source folder is the repository itself, so that a link is the same here and where the Markdown is read.
Nothing is fetched: no fonts, and Trio's inventory lies in `docs/_inventories`.
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from docs._ext.elsewhere import TRIO  # noqa: E402 - the folder of the repository has to be known first

_PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

project = "Voice agent for LiveKit rooms"
release = _PROJECT["version"]
html_title = "Voice agent"

extensions = ["myst_parser", "sphinx.ext.intersphinx", "docs._ext"]
intersphinx_mapping = {"trio": (TRIO, str(ROOT / "docs" / "_inventories" / "trio.inv"))}
root_doc = "docs/index"
include_patterns = [
    "README.md",
    "CHANGELOG.md",
    "docs/**.md",
    "bench/README.md",
    "tests/complaints/README.md",
    "tests/recordings/README.md",
]
exclude_patterns = [".*", "site", "**/__pycache__", "**/node_modules"]

myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]
# Mermaid is drawn; what a console prints and what belongs into a shell are not Python.
highlight_language = "text"

html_theme = "furo"
html_static_path = ["_static"]
html_extra_path = ["_root"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_copyright = False
html_show_sphinx = False
html_theme_options = {"source_view_link": "", "top_of_page_buttons": []}
