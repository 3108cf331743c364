"""The rule for addresses of servers: which may be reached, and where a key may go unencrypted."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import attrs

from channels.net.proxies import is_loopback
from channels.settings.rules import Malformed, Rule, shown

__all__ = ["Address"]


@attrs.frozen
class Address(Rule):
    """An address of a websocket.

    Args:
        web_too: whether it may be written as a web address as well.
        carries_key: a key is sent there, so that only this machine may be reached without TLS.
    """

    web_too: bool = False
    carries_key: bool = False

    def _read(self, value: Any) -> str:
        if not isinstance(value, str):
            raise Malformed(f"is not an address (found {shown(value)})")
        address = value.strip()
        scheme, host = _split(address)
        if scheme not in (("ws", "wss", "http", "https") if self.web_too else ("ws", "wss")):
            raise Malformed(f"is not a ws:// or wss:// address (found {_shown_address(address)})")
        if self.carries_key and not address.isascii():
            raise Malformed(f"has letters beyond ASCII (found {_shown_address(address)})")
        if self.carries_key and scheme == "ws" and not is_loopback(host):
            raise Malformed(
                "would send the key unencrypted over ws:// to another machine "
                f"(found {_shown_address(address)})"
            )
        return address


def _split(address: str) -> tuple[str, str]:
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port  # the port is checked when it is read
    except ValueError:
        raise Malformed(f"is not an address (found {_shown_address(address)})") from None
    if not host or any(character.isspace() for character in address):
        raise Malformed(f"is not an address (found {_shown_address(address)})")
    if "@" in address:  # anywhere: a password with a / in it is no password to a parser
        raise Malformed("has a user or a password in it, where only an address belongs")
    if parts.query or parts.fragment:
        raise Malformed(f"has a query, where only an address belongs (found {_shown_address(address)})")
    return parts.scheme, host


def _shown_address(address: str) -> str:
    # What has no scheme may be a secret in the wrong line, and a query can carry a token.
    if "://" not in address:
        return f"{len(address)} characters without ://"
    if "@" in address:
        return f"{len(address)} characters with an @"
    address = address.split("?")[0].split("#")[0]
    return repr(address if len(address) <= 80 else address[:77] + "…")
