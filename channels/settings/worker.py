"""What a worker of LiveKit's agent dispatch tells the server: which jobs it is there for.

This is not in a room's `Settings`: it decides which rooms there are.
"""

from __future__ import annotations

from typing import Annotated

import attrs

from channels.settings.addresses import Address
from channels.settings.rules import Choice, Number, OneLine, Texts, Whole

__all__ = ["WorkerSettings"]


@attrs.frozen
class WorkerSettings:
    """Which jobs LiveKit gives this worker.

    `agent_name` is for whom a dispatch asks. Without one, LiveKit sends the agent to every new room by
    itself. `kind` is what a job is made for: each `room`, each `publisher` in a room (at their first track),
    or each `participant`. `namespace` keeps workers apart; LiveKit calls it outdated, so leave it out for
    new ones.

    `most_load` is the load from which on no room is taken: the share of the processors, of the loop's thread
    or of its patience that is used, whichever is worst. At 1 it decides nothing. `drain_s` is how long
    conversations may go on once the worker was told to leave.

    `look_every_s` is how often it looks for a room whose agent was lost together with its worker, to send
    another; 0: never.

    `urls` are further nodes of the same LiveKit, which take turns with LIVEKIT_URL when one does not answer.
    The key is the same for all.
    """

    agent_name: Annotated[
        str | None, OneLine(128, fix="leave it out to be sent to every new room without being asked for")
    ] = None
    kind: Annotated[str, Choice(("room", "publisher", "participant"))] = "room"
    namespace: Annotated[str | None, OneLine(128, fix="leave it out unless your other workers have one")] = (
        None
    )
    most_load: Annotated[float, Number(0.1, 1)] = 0.75
    drain_s: Annotated[int, Whole(0, 86_400, "s", fix="0 leaves all rooms at once")] = 600
    look_every_s: Annotated[int, Whole(0, 3_600, "s", fix="0 never looks")] = 5
    urls: Annotated[
        tuple[str, ...], Texts(8, Address(web_too=True), fix="write wss://…, with commas between")
    ] = ()
