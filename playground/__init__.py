"""Everything the agent needs to run without an account: a LiveKit server, a service, speech, the page."""
