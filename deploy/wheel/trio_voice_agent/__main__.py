"""`python -m trio_voice_agent`: the same as the command `trio-voice-agent`."""

from trio_voice_agent import main

main()
