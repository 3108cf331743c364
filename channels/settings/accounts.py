"""The servers' addresses and credentials, which all rooms of a process share.

They are not in a room's `Settings`: whoever chooses those must not be able to choose a credential, or where
one is sent.
"""

from __future__ import annotations

from typing import Annotated

import attrs

from channels.secret import Secret
from channels.settings.addresses import Address
from channels.settings.rules import Key, OneLine, Texts

__all__ = ["DEFAULT_VOICE_AGENT_URL", "Accounts", "ApiAccount", "LiveKitAccount", "Webhook"]

DEFAULT_VOICE_AGENT_URL = "wss://agents.assemblyai.com/v1/ws"


@attrs.frozen
class LiveKitAccount:
    """A LiveKit server, and the key to it."""

    url: Annotated[
        str,
        Address(
            web_too=True,
            env="LIVEKIT_URL",
            fix="it is wss://<project>.livekit.cloud on LiveKit Cloud (Settings → Keys), "
            "or your own server, e.g. ws://localhost:7880",
        ),
    ]
    api_key: Annotated[
        str,
        Key(
            secret=False,
            env="LIVEKIT_API_KEY",
            fix="LiveKit Cloud shows it under Settings → Keys; your own server has it in its `keys`",
        ),
    ]
    api_secret: Annotated[
        Secret,
        Key(
            env="LIVEKIT_API_SECRET",
            fix="LiveKit Cloud shows it once, under Settings → Keys, when the key is made",
        ),
    ]


@attrs.frozen
class Webhook:
    """Whom the service tells of a session. In the service's schema only."""

    url: Annotated[str | None, OneLine(2000)] = None
    events: Annotated[tuple[str, ...] | None, Texts(100, OneLine(100))] = None
    secret: Annotated[Secret | None, Key()] = None


@attrs.frozen
class ApiAccount:
    """The Voice Agent API, the key to it, and whom it tells of our sessions."""

    url: Annotated[str, Address(carries_key=True, env="VOICE_AGENT_URL")] = DEFAULT_VOICE_AGENT_URL
    """Another region or server. Without TLS, the key is sent to loopback only."""
    api_key: Annotated[
        Secret,
        Key(env="ASSEMBLYAI_API_KEY", fix="make one at https://www.assemblyai.com/dashboard/api-keys"),
    ] = attrs.field(kw_only=True)
    webhook: Webhook = Webhook()


@attrs.frozen
class Accounts:
    """All the servers that a room needs."""

    livekit: LiveKitAccount
    api: ApiAccount

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """All secrets in it, for whoever keeps them out of what is written down."""
        webhook = self.api.webhook.secret
        return (self.livekit.api_secret, self.api.api_key, *(() if webhook is None else (webhook,)))
