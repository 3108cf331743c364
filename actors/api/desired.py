"""What is asked of a session: the settings, and every change that the service has accepted since.

No I/O, no clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

__all__ = ["DesiredSession"]


@attrs.define
class DesiredSession:
    """The `session` that a fresh start asks for.

    Args:
        session: of the first update.
    """

    session: Mapping[str, Any]
    _changes: Mapping[str, Any] = attrs.field(factory=dict, init=False)

    def change(self, session: Mapping[str, Any]) -> None:
        """The service has accepted this update: objects merge field by field, arrays replace."""
        self._changes = _merged(self._changes, session)

    def first_update(self, *, story: str = "") -> dict[str, Any]:
        """The first update of a fresh session.

        Args:
            story: what was said before in this call, to be told to the model; then nobody is greeted again.
        """
        if "agent_id" in self.session:
            return dict(self.session)  # it takes nothing beside it
        session = _merged(self.session, self._changes)
        if story:
            session.pop("greeting", None)
            session["system_prompt"] = _with_story(session.get("system_prompt"), story)
        return session

    def second_update(self, *, story: str = "", prompt: str = "") -> dict[str, Any]:
        """What has to follow once a fresh session is ready: a stored agent's changes; empty if nothing.

        Args:
            story: as above.
            prompt: the stored agent's own, as the service has told it.
        """
        if "agent_id" not in self.session:
            return {}
        changes = dict(self._changes)
        if story:
            changes["system_prompt"] = _with_story(changes.get("system_prompt", prompt), story)
        return changes


def _with_story(prompt: object, story: str) -> str:
    return f"{prompt}\n\n{story}" if isinstance(prompt, str) and prompt else story


def _merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(old)
    for name, value in new.items():
        before = merged.get(name)
        both = isinstance(before, Mapping) and isinstance(value, Mapping)
        merged[name] = _merged(before, value) if both else value  # type: ignore[arg-type]
    return merged
