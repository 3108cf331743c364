"""ApiSession: the way to the Voice Agent API and back, through all the sessions of a call.

| You want to know | Look in |
|---|---|
| what the actor does, in which order | `session` |
| how a websocket is opened, watched and closed, and what its end means | `connection`, `dialling`, `token` |
| when another session takes over: after a failure, or before one expires | `renewing` |
| what a session is asked for, and what is known of the call beyond any one | `call` |
| what a fresh session is told of the talk so far | `story` |
| whether it has to speak first | `going_on` |
| what becomes of requests that a drop caught on their way | `in_flight` |
| how the person's sound goes out, and what waits | `uplink`, `backlog`, `encoding` |
"""

from actors.api.session import ApiSession

__all__ = ["ApiSession"]
