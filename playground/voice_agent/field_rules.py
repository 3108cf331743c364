"""Readers for the fields of a configuration: each takes a path and a value, and gives it or refuses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["ConfigRefused", "array", "choice", "flag", "number", "refuse_value", "text", "texts", "whole"]


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


def refuse_value(path: str, message: str) -> ConfigRefused:
    """A value that is not possible."""
    return ConfigRefused("invalid_value", message, path)


def text(value: object, *, path: str = "", longest: int | None = None) -> str:
    """A string, of at most `longest` characters."""
    if not isinstance(value, str):
        raise ConfigRefused.format()
    if longest is not None and len(value) > longest:
        raise refuse_value(path, f"'{path}' must have at most {longest} characters")
    return value


def texts(
    *, most: int, longest: int, among: tuple[str, ...] | None = None
) -> Callable[[str, Any], tuple[str, ...]]:
    """An array of at most `most` strings."""

    def read(path: str, value: object) -> tuple[str, ...]:
        items = tuple(text(item, path=path, longest=longest) for item in array(value))
        if len(items) > most:
            raise refuse_value(path, f"'{path}' must have at most {most} items")
        if among is not None and not set(items) <= set(among):
            raise refuse_value(path, f"'{path}' must be among {', '.join(among)}")
        return items

    return read


def choice(*names: str) -> Callable[[str, Any], str]:
    """One of a few strings."""

    def read(path: str, value: object) -> str:
        if text(value) not in names:
            raise refuse_value(path, f"'{path}' must be one of {', '.join(names)}")
        return text(value)

    return read


def flag(path: str, value: object) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise ConfigRefused.format()
    return value


def number(low: float, high: float) -> Callable[[str, Any], float]:
    """A number within limits."""

    def read(path: str, value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ConfigRefused.format()
        if not low <= value <= high:  # false for NaN too
            raise refuse_value(path, f"'{path}' must be between {low:g} and {high:g}")
        return value

    return read


def whole(low: int, high: int) -> Callable[[str, Any], int]:
    """A whole number within limits."""

    def read(path: str, value: object) -> int:
        within = number(low, high)(path, value)
        if within != int(within):
            raise ConfigRefused.format()
        return int(within)

    return read


def array(value: object) -> list[Any]:
    """A list of anything."""
    if not isinstance(value, list):
        raise ConfigRefused.format()
    return value
