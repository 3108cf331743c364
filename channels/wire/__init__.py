"""The Voice Agent API's wire protocol, sans-IO: text frames in, events out; messages in, text out.

No socket and no clock in here. `events` is what the service says, `messages` what a client says, `session`
what an update may ask for, `codec` turns events and messages into the JSON of one text frame and back,
`failures` turns error codes and close codes into typed errors. The agent and the playground's server share
all of it. `voice_agent_api.json` is both directions once more, as an AsyncAPI document: data for whoever
writes another client.
"""
