"""Every error that a person may see, and the service's codes."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator

import actors
import channels
import commands
from channels.errors import VoiceAgentError
from channels.wire.failures import CODES, ServiceError
from docs._ext.markdown import doc_of, inline, one_line, table

__all__ = ["all_errors", "codes_of_the_service", "kinds_of_errors"]


def all_errors() -> str:
    """Each class, and what it means."""
    ours = [kind for kind in kinds_of_errors() if not issubclass(kind, ServiceError)]
    return table(
        ["Error", "What it means", "Module"],
        [[inline(kind.__name__), one_line(doc_of(kind)), inline(kind.__module__)] for kind in ours],
    )


def codes_of_the_service() -> str:
    """Each class of failure of the service, then each code with what is done and what you can do."""
    kinds = [
        kind for kind in kinds_of_errors() if issubclass(kind, ServiceError) and kind is not ServiceError
    ]
    tried = {"never": "no", "resume": "resumes, once", "fresh": "a fresh session, at once", "later": "waits"}
    classes = table(
        ["Error", "What it means", "Does the agent try again?"],
        [[inline(kind.__name__), one_line(doc_of(kind)), tried[kind.retry.value]] for kind in kinds],
    )
    rows = [[inline(code), inline(kind.__name__), fix] for code, (kind, fix) in CODES.items()]
    return f"{classes}\n{table(['Code', 'Error', 'What to do'], rows)}"


def kinds_of_errors() -> list[type[VoiceAgentError]]:
    """All of them, once every module of the agent is loaded."""
    for package in (channels, actors, commands):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    return sorted(_below(VoiceAgentError), key=lambda kind: (kind.__module__, kind.__name__))


def _below(kind: type[VoiceAgentError]) -> Iterator[type[VoiceAgentError]]:
    for each in kind.__subclasses__():
        if each.__module__.partition(".")[0] in ("channels", "actors", "commands"):
            if not each.__name__.startswith("_"):  # such a one is caught in its own module
                yield each
            yield from _below(each)
