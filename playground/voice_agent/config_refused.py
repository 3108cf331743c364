"""What is wrong with an update, as `session.error` says it."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

__all__ = ["ConfigRefused", "read_as"]

_Read = TypeVar("_Read")

_LONGEST = 200
"""Characters of what is said of a value, which may be quoted in it."""


class ConfigRefused(Exception):
    """An update that is answered by `session.error`.

    Args:
        code: the protocol's error code.
        message: in the live service's wording where that is known.
        param: path of the field, if the service names it.
    """

    def __init__(self, code: str, message: str, param: str | None = None) -> None:
        super().__init__(code, message, param)
        self.code = code
        self.message = message
        self.param = param

    @classmethod
    def format(cls) -> ConfigRefused:
        """An unknown field or a wrong type: the service's answer names neither."""
        return cls("invalid_format", "Invalid message format for type 'session.update'")

    @classmethod
    def value(cls, path: str, message: str) -> ConfigRefused:
        """A value that is not possible."""
        return cls("invalid_value", message, path)


def read_as(kind: type[_Read], given: Any, path: str) -> _Read:
    """What was given at that path, as what it has to be.

    Raises:
        ConfigRefused: it is of a wrong type, or out of its range.
    """
    try:
        return msgspec.convert(given, kind)
    except msgspec.ValidationError as error:
        what, _, where = str(error).rpartition(" - at `$")
        what, where = (what, where.removesuffix("`")) if what else (where, "")
        if ", got `" in what or what.startswith("Object ") or "`key` in" in where:
            raise ConfigRefused.format() from None
        at = path + where.partition("[")[0]
        raise ConfigRefused.value(at, f"'{at}': {what[:_LONGEST]}") from None
