"""The SDK's route to its server: made the same as that of all our own clients.

The SDK reads `HTTPS_PROXY` or `HTTP_PROXY` of the process's environment at each connect and reconnect, and
knows neither `NO_PROXY` nor that a loopback address is on this machine (measured with 1.2.1). It trusts what
`SSL_CERT_FILE` names, as Python does.
"""

from __future__ import annotations

import os
import re

from channels.errors import NotAllowedInRoom, NoWayToRoom, RoomUnreachable, VoiceAgentError
from channels.net.dialling import fix_for_certificates
from channels.net.proxies import proxy_for, variable_for

__all__ = ["no_way", "show_the_way"]

_CERTIFICATE = re.compile(r"invalid peer certificate: (\w{1,40})")
_REFUSED = re.compile(r"client error: 40[13]\b")
"""How the SDK reports the server's answer. Elsewhere in its text, such a number may be a port."""
_TURNED_AWAY = re.compile(r"(?:Proxy connection failed: HTTP/1\.[01]|client error:) (4\d\d)\b")


def show_the_way(url: str) -> None:
    """Makes the SDK use the proxy that our rule gives for this URL, or none.

    Raises:
        SettingsError: the proxy variable is not the address of a proxy.
    """
    variable = variable_for(url)
    if variable in os.environ or variable.lower() in os.environ:
        proxy = proxy_for(url)
        # Not through `os.environ`, which everything else in this process uses.
        os.putenv(variable, "" if proxy is None else proxy.url.reveal())


def no_way(url: str, said: str) -> VoiceAgentError:
    """Why a room was not joined, from the SDK's words. These are not passed on: they may quote the token."""
    proxy = proxy_for(url)
    if _REFUSED.search(said):
        fix = "LIVEKIT_API_KEY and LIVEKIT_API_SECRET must belong to this server, and the clocks must agree"
        either = "" if proxy is None else f", or the proxy {proxy} of {proxy.variable}"
        return NotAllowedInRoom(f"LiveKit at {url}{either} refused the token", fix)
    certificate = _CERTIFICATE.search(said)
    if certificate is not None:
        what = f"LiveKit at {url} has a certificate that is not trusted ({certificate[1]})"
        return NoWayToRoom(what, fix_for_certificates())
    if proxy is None:
        return RoomUnreachable(
            f"LiveKit at {url} cannot be reached", "check LIVEKIT_URL, and that the server is running"
        )
    what = f"LiveKit at {url} cannot be reached through the proxy {proxy} of {proxy.variable}"
    fix = f"check {proxy.variable} and LIVEKIT_URL, or list LiveKit's host in NO_PROXY"
    refused = _TURNED_AWAY.search(said)
    return NoWayToRoom(f"{what} (HTTP {refused[1]})", fix) if refused else RoomUnreachable(what, fix)
