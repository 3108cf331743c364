"""Turns a log of a live call into a script that the playground's server plays: a bug report becomes a test.

    python -m playground.recording LOG > SCRIPT
    python -m playground.voice_agent_api --script SCRIPT

A log is JSON lines, whoever wrote it: a time, a direction, a message (`log` says which names are
understood). What it leaves out is filled in as the service was seen to behave: ids, a configuration, when
the sound of a reply came and how much of it (`sound`), when the person was to be heard (`person`). Sound
itself is never in the log of a careful person; each reply gets a glide of its own (`playground.glide`).

What goes over: what the service said, with its times. What a client said becomes what the script waits
for, if the service's next word depended on it; its contents, prompts and sound are left behind. So are
keys, tokens and all that is named like them (`secrecy`), session ids, and moments of the calendar.
"""

from playground.recording.log import read_log
from playground.recording.script_of import script_of

__all__ = ["read_log", "script_of"]
