"""A program: sends fifty of the biggest frames to the server, and prints what they did to its memory.

`tracemalloc` is used here and nowhere else. It is not made for native threads: one that begins to call Python
while the tracing stops dies of a segmentation fault (seen with CPython 3.11), and LiveKit's SDK has
many. So nothing of the SDK may be in this process.
"""

from __future__ import annotations

import json
import sys
import tracemalloc  # noqa: TID251

import trio

from playground.voice_agent.connection import MAX_FRAME_BYTES
from tests.playground.test_voice_agent_api_fuzz import a_server, a_session, answers

BIGGEST = (
    "[" * (MAX_FRAME_BYTES - 10),
    "[" + "0," * (MAX_FRAME_BYTES // 2 - 10) + "0]",
    '{"type":"' + "x" * (MAX_FRAME_BYTES - 100) + '"}',
    json.dumps({"type": "input.audio", "audio": "A" * (MAX_FRAME_BYTES - 101)}),
    json.dumps({"type": "input.audio", "audio": "%" * (MAX_FRAME_BYTES - 100)}),
)


async def measure() -> dict[str, object]:
    """The codes of the answers, sessions that crashed, and bytes: kept in the end, and at the most."""
    async with a_server() as server:
        async with a_session(server) as ws:
            await answers(ws)
        tracemalloc.start()
        before, _ = tracemalloc.get_traced_memory()
        async with a_session(server) as ws:
            for number in range(50):
                await ws.send_message(BIGGEST[number % len(BIGGEST)])
            codes = [event.get("code") for event in await answers(ws)][:-1]
        with trio.move_on_after(60):
            while server.connections:
                await trio.sleep(0.01)
        after, peak = tracemalloc.get_traced_memory()
        return {"codes": codes, "crashes": server.crashes, "kept": after - before, "most": peak - before}


if __name__ == "__main__":
    assert "livekit.rtc" not in sys.modules
    print(json.dumps(trio.run(measure)))
