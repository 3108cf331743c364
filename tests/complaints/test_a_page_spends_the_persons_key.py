"""A web page that somebody visits asks this machine's ports: their key is not the page's to spend."""

from __future__ import annotations

import json

import pytest
import trio
from trio_websocket import ConnectionRejected, open_websocket_url

from actors.api.connection import dial
from actors.api.token import fetch_temporary_token, token_url
from channels.net.http import ask
from channels.secret import Secret
from channels.wire.failures import KeyRefused
from playground.voice_agent_api import ServerOptions, ToneSpeech, voice_agent_server
from playground.voice_agent_process import voice_agent_process

KEY = Secret("0123456789abcdef0123456789abcdef")
A_PAGE = (b"Origin", b"https://a-page.example")


def bearer(key: Secret) -> tuple[bytes, bytes]:
    return b"Authorization", b"Bearer " + key.reveal().encode()


async def test_the_playgrounds_server_lets_in_the_key_that_was_made_for_it_alone() -> None:
    with trio.fail_after(60):
        async with voice_agent_process("--tones") as server:
            url = await server.url()
            async with open_websocket_url(url, extra_headers=[bearer(server.api_key)]) as socket:
                await socket.send_message('{"type":"session.update","session":{}}')
                assert json.loads(await socket.get_message())["type"] == "session.updated"
            with pytest.raises(KeyRefused):
                await fetch_temporary_token(url, KEY, dial)
            async with open_websocket_url(url, extra_headers=[bearer(KEY)]) as socket:
                assert json.loads(await socket.get_message())["code"].upper() == "UNAUTHORIZED"
            command = await trio.Path(f"/proc/{server.process.pid}/cmdline").read_bytes()
            assert server.api_key.reveal().encode() not in command


async def test_a_web_page_is_let_in_with_no_key_at_all_not_even_the_right_one() -> None:
    async with voice_agent_server(ServerOptions(speech=ToneSpeech, keys=(KEY,))) as server:
        token = await fetch_temporary_token(server.url, KEY, dial)
        for address, headers in (
            (server.url, [A_PAGE, bearer(KEY)]),
            (f"{server.url}?token={token.reveal()}", [A_PAGE]),
            (server.url, [(b"Origin", b"null"), bearer(KEY)]),
        ):
            with pytest.raises(ConnectionRejected) as refused:
                async with open_websocket_url(address, extra_headers=headers):
                    pass
            assert refused.value.status_code == 403
        asked = {name.decode(): value.decode() for name, value in (A_PAGE, bearer(KEY))}
        refusal = await ask(await dial(server.url), token_url(server.url), asked)
        assert refusal.status == 403
        assert server.sessions == 0
