"""The container's health check: exits with 0 if `/livez` answers 200.

It has no dependency, starts in a few hundredths of a second, and uses no proxy, whatever is set.
"""

from __future__ import annotations

import http.client
import os
import sys
from collections.abc import Mapping

LISTEN = "VOICE_AGENT_HEALTH_LISTEN"
USUAL = "127.0.0.1:8081"
TIMEOUT_S = 3.0
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}


def healthy(environ: Mapping[str, str]) -> bool:
    """Whether the worker of this container is alive."""
    host, _, port = (environ.get(LISTEN) or USUAL).rpartition(":")
    host = host.strip("[]")
    connection = http.client.HTTPConnection(EVERYWHERE.get(host, host), int(port), timeout=TIMEOUT_S)
    try:
        connection.request("GET", "/livez")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(not healthy(os.environ))
