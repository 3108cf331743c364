"""The playground's Voice Agent API server, in parts. `playground.voice_agent_api` is the door to it.

    server      listens, answers plain HTTP, makes WebSockets      front_door, accounts, connection, record
    host        admits clients, runs the sessions they begin       reception, registry
    session     one session's actor and its inbox                  session_config, arrivals, outlet
    hearing     from frames to what was said                       sound_io, g711
    conversation, mouth, replies    who speaks when, and how                tool_calls, gate, pacing
    persons_turn, requests          what speech and `reply.create` lead to  interruption, loudness
    speech      what is needed of ears and voices                  local_speech (real), tones (for tests)
    script      plays a given sequence instead of all that
    options     every switch                                  delays, faults and others that name them

Without socket or clock: reception, session_config (with config_refused, tool_declaration), g711, and
the machines `PersonsTurn` (what is told of speech, and what it cuts), `fate` (of a `reply.create`),
`ToolCalls`, `Timeline` (what was heard) and `RateGate` (how fast sound may come).
"""
