"""ApiSession: talks to the Voice Agent API, through all the sessions of a call.

| You want to know | Look in |
|---|---|
| what the actor does, in which order | `session` |
| how a websocket is opened, watched and closed, and what its end means | `connection`, `dialling`, `token` |
| when another session takes over: after a failure, or before one expires | `renewing` |
| what a session is configured with, and what outlives it | `call` |
| what a fresh session is told about the conversation so far | `story` |
| whether it has to speak first | `going_on` |
| what happens to requests that were in flight when the connection dropped | `in_flight` |
| how the person's sound goes out, and what has to wait | `uplink`, `backlog`, `encoding` |
"""

from actors.api.session import ApiSession

__all__ = ["ApiSession"]
