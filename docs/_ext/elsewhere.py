"""Links into Trio's documentation: each has to be in the inventory that Trio's pages have.

The inventory is made of the documentation in Trio's own source archive
(`sphinx.util.inventory.InventoryFile.dump`), and lies here, since building the site fetches nothing. A link
is written as an address, which is one everywhere the Markdown is read; a page or a name that Trio does not
have is a warning, and so an error.
"""

from __future__ import annotations

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.ext.intersphinx import InventoryAdapter
from sphinx.util import logging

__all__ = ["TRIO", "check_links"]

TRIO = "https://trio.readthedocs.io/en/stable/"

_log = logging.getLogger(__name__)


def check_links(app: Sphinx, document: nodes.document) -> None:
    """Called by Sphinx for each page that it has read."""
    inventory = InventoryAdapter(app.env).named_inventory["trio"]
    known = {item.uri for items in inventory.values() for item in items.values()}
    known |= {uri.partition("#")[0] for uri in known} | {TRIO}
    for link in document.findall(nodes.reference):
        uri = link.get("refuri", "")
        if uri.startswith(TRIO) and uri not in known:
            _log.warning("Trio's documentation has no %s", uri, location=link)
