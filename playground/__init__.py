"""All that makes the agent run with no account: LiveKit server, Voice Agent API server, speech, the page."""
