"""The playground's Voice Agent API server, in parts. `playground.voice_agent_api` puts them together."""
