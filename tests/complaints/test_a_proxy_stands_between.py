"""The way out is through a proxy: for all that leaves the machine, and for nothing else."""

from __future__ import annotations

from random import Random

import pytest
import trio_asyncio
from livekit import rtc

from actors.api.connection import dial
from actors.api.renewing import RetryPolicy
from actors.api.token import fetch_temporary_token
from actors.room.actor import mint_agent_token
from actors.room.livekit_edge.connecting import Connecting
from channels.errors import NoWayToRoom, RoomUnreachable, SettingsError
from channels.net.proxies import proxy_for
from channels.secret import Secret
from channels.settings import ApiAccount, ApiSettings, LiveKitAccount
from channels.wire.failures import NoWayToService, ServiceUnreachable
from commands.check.accounts import check_api_key
from commands.check.finding import Colour
from commands.check.service import check_session
from examples.webhook import WebhookClient, _read_url
from playground.chat_completions import ChatFailed, Endpoint
from playground.livekit_server import LiveKitServer
from playground.voice_agent_api import ServerOptions, ToneSpeech, VoiceAgentServer
from tests.middlemen import PrivateCA, connect_proxy, private_ca, serving_tls

KEY = Secret("0123456789abcdef0123456789abcdef")
PASSWORD = "pass word@corp"
ITS_BASIC = "Basic bWU6cGFzcyB3b3JkQGNvcnA="


@pytest.fixture(autouse=True)
def no_proxy_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> PrivateCA:
    return private_ca(tmp_path_factory.mktemp("ca"))


async def test_the_service_and_check_and_the_webhook_go_through_the_same_proxy(
    monkeypatch: pytest.MonkeyPatch, ca: PrivateCA
) -> None:
    server = VoiceAgentServer(ServerOptions(speech=ToneSpeech, keys=(KEY,)))
    async with serving_tls(ca, server.serve_stream) as (port, met), connect_proxy() as proxy:
        monkeypatch.setenv("SSL_CERT_FILE", str(ca.file))
        monkeypatch.setenv("HTTPS_PROXY", f"me:pass%20word%40corp@{proxy.address}")
        account = ApiAccount(f"wss://agents.test:{port}/v1/ws", api_key=KEY)
        key, _ = await check_api_key(account)
        session = await check_session(account, ApiSettings())
        await fetch_temporary_token(account.url, KEY, dial)
        office = WebhookClient(_read_url(f"https://agents.test:{port}/calls"), Secret("a2V5"))
        with pytest.raises(ChatFailed, match="404"):
            await Endpoint(f"https://agents.test:{port}").first_model()
        assert await office.post("msg_1", b"{}") == 404
    assert (key.colour, session.colour) == (Colour.GREEN, Colour.GREEN), (key, session)
    assert proxy.asked == [(f"agents.test:{port}", ITS_BASIC)] * 5
    assert met == ["trusted"] * 5


async def test_a_proxy_that_is_dead_is_named_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://me:pass%20word%40corp@127.0.0.1:9")
    account = ApiAccount("wss://agents.test/v1/ws", api_key=KEY)
    key, _ = await check_api_key(account)
    session = await check_session(account, ApiSettings())
    with pytest.raises(ServiceUnreachable) as token:
        await fetch_temporary_token(account.url, KEY, dial)
    for told in (f"{key.said}; {key.fix}", f"{session.said}; {session.fix}", str(token.value)):
        assert "through the proxy 127.0.0.1:9 of HTTPS_PROXY (Connection refused)" in told
        assert "or list agents.test in NO_PROXY" in told
        assert "pass" not in told
    assert PASSWORD not in repr(proxy_for(account.url))


@pytest.mark.parametrize(("status", "fix"), [(407, "USER:PASSWORD@"), (403, "lets this host through")])
async def test_a_proxy_that_lets_nobody_through_is_asked_once(
    monkeypatch: pytest.MonkeyPatch, status: int, fix: str
) -> None:
    async with connect_proxy(status) as proxy:
        monkeypatch.setenv("https_proxy", f"http://{proxy.address}")
        with pytest.raises(NoWayToService, match=rf"{proxy.address}.*HTTP {status}.*{fix}") as refused:
            await fetch_temporary_token("wss://agents.test/v1/ws", KEY, dial)
    assert RetryPolicy(Random(1)).failed(refused.value, 0.0) is None


@pytest.mark.server
async def test_livekit_is_joined_through_the_proxy_elsewhere_and_straight_on_this_machine(
    monkeypatch: pytest.MonkeyPatch, livekit: LiveKitServer
) -> None:
    token = mint_agent_token(LiveKitAccount(livekit.url, livekit.api_key, livekit.api_secret), "proxies")
    port = livekit.url.rpartition(":")[2]
    there = f"ws://agents.test:{port}"
    async with trio_asyncio.open_loop() as loop, connect_proxy() as proxy:

        async def join(url: str) -> None:
            room = rtc.Room(loop=loop)
            try:
                await Connecting().connect(room, url, token)
            finally:
                await trio_asyncio.aio_as_trio(room.disconnect)()

        monkeypatch.setenv("HTTP_PROXY", f"http://{proxy.address}")
        await join(there)
        # The SDK asks again where it has to wait.
        asked = list(proxy.asked)
        assert set(asked) == {(f"agents.test:{port}", None)}
        await join(livekit.url)
        monkeypatch.setenv("NO_PROXY", ".test")
        with pytest.raises(RoomUnreachable, match=r"cannot be reached; check LIVEKIT_URL"):
            await join(there)
        assert proxy.asked == asked
        monkeypatch.delenv("NO_PROXY")
        proxy.status = 407
        with pytest.raises(NoWayToRoom, match=rf"proxy {proxy.address} of HTTP_PROXY \(HTTP 407\)"):
            await join(there)
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
        await join(livekit.url)


@pytest.mark.parametrize(
    ("url", "exceptions", "goes_through"),
    [
        ("wss://agents.assemblyai.com/v1/ws", "", True),
        ("wss://agents.assemblyai.com/v1/ws", "localhost, 10.0.0.0/8", True),
        ("wss://agents.assemblyai.com/v1/ws", "*", False),
        ("wss://agents.assemblyai.com/v1/ws", "corp.example,ASSEMBLYAI.com", False),
        ("wss://agents.assemblyai.com/v1/ws", ".assemblyai.com", False),
        ("wss://agents.assemblyai.com/v1/ws", "*.assemblyai.com", False),
        ("wss://agents.assemblyai.com/v1/ws", "ai.com assemblyai.co", True),
        ("wss://agents.assemblyai.com/v1/ws", "agents.assemblyai.com:443", False),
        ("wss://agents.assemblyai.com/v1/ws", "agents.assemblyai.com:8443", True),
        ("ws://10.4.0.1:7880", "10.0.0.0/8", False),
        ("ws://10.4.0.1:7880", "10.4.0.1:7880", False),
        ("ws://11.4.0.1:7880", "10.0.0.0/8", True),
        ("wss://[2001:db8::1]:7880", "2001:db8::/32", False),
        ("wss://[2001:db8::1]:7880", "[2001:db8::1]:7880", False),
        ("ws://localhost:7880", "", False),
        ("ws://LOCALHOST.:7880", "", False),
        ("wss://127.8.9.1", "", False),
        ("https://[::1]:8443", "", False),
    ],
)
def test_what_no_proxy_names_and_this_machine_are_reached_straight(
    url: str, exceptions: str, goes_through: bool
) -> None:
    environ = {"HTTPS_PROXY": "proxy:3128", "http_proxy": "http://proxy:3128/", "NO_PROXY": exceptions}
    proxy = proxy_for(url, environ)
    assert (str(proxy) if proxy else None) == ("proxy:3128" if goes_through else None)


@pytest.mark.parametrize(
    "written", ["socks5://me:secret@proxy:1080", "https://me:secret@proxy", "http://me:secret@:x", "http://"]
)
def test_what_is_no_http_proxy_is_said_by_its_name_and_never_quoted(written: str) -> None:
    with pytest.raises(SettingsError, match="HTTPS_PROXY") as told:
        proxy_for("wss://agents.test", {"HTTPS_PROXY": written})
    assert "secret" not in str(told.value)
