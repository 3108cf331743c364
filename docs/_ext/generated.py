"""Reference that is read off the code while the site is built: it cannot be out of date.

A page has a block ```` ```{generated} NAME ````, and Markdown takes its place before anything else is read.
Whoever reads the page without the site sees the line in the block.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from sphinx.application import Sphinx

from docs._ext import checks, command_line, drawings, errors, flows, front_ends, messages, metrics, settings

__all__ = ["GENERATED", "replace_blocks"]

GENERATED: Mapping[str, Callable[[], str]] = {
    "settings": settings.all_settings,
    "profiles": settings.all_profiles,
    "templates": settings.all_templates,
    "voices": settings.all_voices,
    "command line": command_line.all_commands,
    "happenings": messages.happenings,
    "messages": messages.between_actors,
    "wire messages": messages.to_the_service,
    "wire events": messages.from_the_service,
    "texts of the room": front_ends.texts_of_the_room,
    "errors": errors.all_errors,
    "codes": errors.codes_of_the_service,
    "metrics": metrics.all_metrics,
    "checks": checks.all_checks,
    "room topology": drawings.conversation,
    "requests topology": drawings.requests,
    "taps": drawings.taps,
    "floor": drawings.floor,
    "floor table": drawings.floor_table,
    "life of a reply": drawings.life,
    "life of a call": drawings.call_life,
    "a call": drawings.a_call,
    "flow of a reply": flows.a_reply,
    "flow of an mm-hm": flows.an_mm_hm,
    "flow of an interruption": flows.an_interruption,
    "timers": flows.timers,
}
"""What writes the Markdown of each block, by the block's name."""

_BLOCK = re.compile(r"^```\{generated\} (.+)\n.+\n```$", re.MULTILINE)


def replace_blocks(app: Sphinx, docname: str, content: list[str]) -> None:
    """Replaces the blocks of a page."""
    content[0] = _BLOCK.sub(lambda block: GENERATED[block[1]](), content[0])
