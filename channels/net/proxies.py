"""Whether to reach a server directly or through the environment's proxy. One rule for all clients.

`HTTPS_PROXY` is for wss:// and https://, `HTTP_PROXY` for ws:// and http://; the lower-case names count if
the upper-case ones are not set. This machine itself is never reached through a proxy, and neither is anything
that `NO_PROXY` names: hosts with their subdomains, addresses, networks (10.0.0.0/8), each with or without a
port, or `*` for all.
"""

from __future__ import annotations

import base64
import ipaddress
import os
from collections.abc import Mapping
from urllib.parse import SplitResult, quote, unquote, urlsplit

import attrs

from channels.errors import SettingsError
from channels.secret import Secret

__all__ = ["Proxy", "is_loopback", "is_secure", "port_of", "proxy_for", "variable_for"]

_MOST_EXCEPTIONS = 10_000
"""Characters of `NO_PROXY` that are read."""


@attrs.frozen
class Proxy:
    """An HTTP proxy that opens tunnels (CONNECT). As text it is its host and port, and never a password."""

    host: str
    port: int
    variable: str
    """That names it."""
    url: Secret
    """Its whole address, for clients that are told so."""
    authorization: Secret | None
    """The value of `Proxy-Authorization`."""

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def proxy_for(url: str, environ: Mapping[str, str] | None = None) -> Proxy | None:
    """The proxy on the way to a URL; None: there is none.

    Args:
        url: ws://, wss://, http:// or https://.
        environ: None takes that of this process.

    Raises:
        SettingsError: the proxy variable is not the address of an HTTP proxy.
    """
    environ = os.environ if environ is None else environ
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".")
    for variable in (variable_for(url), variable_for(url).lower()):
        written = environ.get(variable, "").strip()
        if not written:
            continue
        exceptions = environ.get("NO_PROXY", "").strip() or environ.get("no_proxy", "")
        if is_loopback(host) or _is_excepted(host, port_of(parts), exceptions[:_MOST_EXCEPTIONS]):
            return None
        return _read(written, variable)
    return None


def variable_for(url: str) -> str:
    """The environment variable that names the proxy on the way to a URL."""
    return "HTTPS_PROXY" if is_secure(urlsplit(url)) else "HTTP_PROXY"


def is_secure(parts: SplitResult) -> bool:
    """Whether a URL is one of TLS."""
    return parts.scheme in ("wss", "https")


def port_of(parts: SplitResult) -> int:
    """The port of a URL, or the usual one."""
    return parts.port or (443 if is_secure(parts) else 80)


def is_loopback(host: str) -> bool:
    """Whether this is a name or an address of this machine itself."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_excepted(host: str, port: int, exceptions: str) -> bool:
    return any(_covers(each, host.lower(), port) for each in exceptions.replace(",", " ").split())


def _covers(exception: str, host: str, port: int) -> bool:
    if exception == "*":
        return True
    name, colon, its_port = exception.rpartition(":")
    if colon and its_port.isdecimal() and (":" not in name or name.endswith("]")):
        if its_port != str(port):
            return False
        exception = name
    name = exception.strip("[]").removeprefix("*").strip(".").lower()
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(name, strict=False)
    except ValueError:
        return bool(name) and (host == name or host.endswith(f".{name}"))


def _read(written: str, variable: str) -> Proxy:
    address = written if "://" in written else f"http://{written}"
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port or 80
    except ValueError:
        host, port = None, 0
    if not host or not host.isascii() or not host.isprintable() or " " in host:
        raise SettingsError(f"{variable} is not the address of a proxy", "write it as http://HOST:PORT")
    if parts.scheme != "http":
        raise SettingsError(
            f"{variable} names a proxy that does not use plain HTTP ({parts.scheme[:10]}://)",
            "use an http:// proxy that allows CONNECT, or list the server in NO_PROXY",
        )
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    credentials = f"{quote(user, safe='')}:{quote(password, safe='')}@" if user or password else ""
    shown = f"[{host}]" if ":" in host else host
    basic = base64.b64encode(f"{user}:{password}".encode()).decode()
    return Proxy(
        host,
        port,
        variable,
        Secret(f"http://{credentials}{shown}:{port}"),
        Secret(f"Basic {basic}") if credentials else None,
    )
