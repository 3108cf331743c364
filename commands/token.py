"""`python runner.py token`: lets somebody into the room."""

from __future__ import annotations

from datetime import timedelta

from actors.room.actor import AGENT_IDENTITY, mint_client_token, mint_operator_token
from channels.errors import SettingsError
from commands.agents_here import LiveKitRoom

__all__ = ["CLIENT_TOKEN_LIFE", "print_token"]

CLIENT_TOKEN_LIFE = timedelta(hours=1)


def print_token(room: LiveKitRoom, identity: str, *, operator: bool = False) -> int:
    """Prints a client's token; gives the exit code.

    Raises:
        SettingsError: the identity is the agent's own.
    """
    if identity == AGENT_IDENTITY:
        raise SettingsError(
            f"--identity {identity} is the agent's own (the agent would be thrown out of its room)",
            "choose another",
        )
    mint = mint_operator_token if operator else mint_client_token
    print(mint(room.account, room.room_name, identity, CLIENT_TOKEN_LIFE).reveal())
    return 0
