"""The servers have certificates of a CA of one's own: trusted by one setting, or said at once."""

from __future__ import annotations

import functools
import logging
from pathlib import Path

import pytest
import trio
import trio_asyncio
from livekit import rtc

from actors.api import ApiSession
from actors.room.actor import mint_agent_token
from actors.room.livekit_edge.connecting import Connecting
from channels.bounded import Channel, Full
from channels.errors import NoWayToRoom
from channels.messages import ApiEvent, BeginSession, MicrophoneFrame, SessionOrder, ToolEvent
from channels.secret import Secret
from channels.settings import ApiAccount, ApiSettings, LiveKitAccount
from channels.taps import Taps
from channels.wire.failures import NoWayToService
from channels.wire.messages import ClientMessage
from commands.check.accounts import check_api_key
from commands.check.finding import Colour
from commands.check.service import check_session
from playground.chat_completions import ChatFailed, Endpoint
from playground.livekit_server import LiveKitServer
from playground.voice_agent_api import ServerOptions, ToneSpeech, VoiceAgentServer
from tests.middlemen import PrivateCA, private_ca, relay, serving_tls

KEY = Secret("0123456789abcdef0123456789abcdef")


@pytest.fixture(autouse=True)
def nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "HTTPS_PROXY", "https_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> PrivateCA:
    return private_ca(tmp_path_factory.mktemp("ca"))


def session_at(url: str) -> ApiSession:
    frames = Channel[MicrophoneFrame]("m", capacity=1, unit="frames", full=Full.WAIT, because="none comes")
    orders = Channel[SessionOrder]("o", capacity=1, unit="orders", full=Full.WAIT, because="one comes")
    requests = Channel[ClientMessage]("r", capacity=1, unit="messages", full=Full.WAIT, because="none comes")
    service = Channel[ApiEvent]("s", capacity=1, unit="events", full=Full.DROP_OLDEST, because="nobody reads")
    tools = Channel[ToolEvent]("t", capacity=9, unit="events", full=Full.DROP_OLDEST, because="nobody reads")
    orders.sender().send_nowait(BeginSession())
    taps = Taps()
    return ApiSession(
        ApiAccount(url, api_key=KEY),
        ApiSettings(),
        frames.receiver(),
        orders.receiver(),
        requests.receiver(),
        taps.tap("session"),
        service.sender(),
        tools.sender(),
        taps,
    )


async def test_a_service_that_is_not_trusted_is_said_at_once_and_asked_once(ca: PrivateCA) -> None:
    server = VoiceAgentServer(ServerOptions(speech=ToneSpeech, keys=(KEY,)))
    async with serving_tls(ca, server.serve_stream) as (port, met):
        url = f"wss://localhost:{port}/v1/ws"
        with pytest.RaisesGroup(
            pytest.RaisesExc(NoWayToService, match=r"certificate that is not trusted \(.*SSL_CERT_FILE"),
            flatten_subgroups=True,
            allow_unwrapped=True,
        ):
            await session_at(url).run()
        with trio.fail_after(30):
            while not met:  # the server has heard of it
                await trio.sleep(0.01)
        assert met == ["refused"]
        for finding in (
            (await check_api_key(ApiAccount(url, api_key=KEY)))[0],
            await check_session(ApiAccount(url, api_key=KEY), ApiSettings()),
        ):
            assert finding.colour is Colour.RED
            assert "certificate that is not trusted" in finding.said
            assert "SSL_CERT_FILE" in finding.fix
        with pytest.raises(ChatFailed, match=r"certificate that is not trusted .*SSL_CERT_FILE"):
            await Endpoint(f"https://localhost:{port}/v1").first_model()


async def test_a_service_of_a_private_ca_is_trusted_by_one_setting(
    monkeypatch: pytest.MonkeyPatch, ca: PrivateCA
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(ca.file))
    server = VoiceAgentServer(ServerOptions(speech=ToneSpeech, keys=(KEY,)))
    async with serving_tls(ca, server.serve_stream) as (port, met):
        account = ApiAccount(f"wss://localhost:{port}/v1/ws", api_key=KEY)
        assert (await check_api_key(account))[0].colour is Colour.GREEN
        assert (await check_session(account, ApiSettings())).colour is Colour.GREEN
    assert met == ["trusted", "trusted"]


@pytest.mark.server
async def test_livekit_of_a_private_ca_is_joined_by_the_same_setting_or_said(
    monkeypatch: pytest.MonkeyPatch, ca: PrivateCA, livekit: LiveKitServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "livekit")
    token = mint_agent_token(LiveKitAccount(livekit.url, livekit.api_key, livekit.api_secret), "private")
    livekit_port = int(livekit.url.rpartition(":")[2])
    async with (
        trio_asyncio.open_loop() as loop,
        serving_tls(ca, functools.partial(relay, port=livekit_port)) as (port, _),
    ):
        room, url = rtc.Room(loop=loop), f"wss://localhost:{port}"
        with pytest.raises(NoWayToRoom, match=r"not trusted \(UnknownIssuer\); .*SSL_CERT_FILE"):
            await Connecting().connect(room, url, token)
        monkeypatch.setenv("SSL_CERT_FILE", str(ca.file))
        await Connecting().connect(room, url, token)
        await trio_asyncio.aio_as_trio(room.disconnect)()


async def test_a_file_of_certificates_that_is_not_there_is_named(
    monkeypatch: pytest.MonkeyPatch, ca: PrivateCA, tmp_path: Path
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "gone.pem"))
    async with serving_tls(ca, trio.aclose_forcefully) as (port, _):
        finding, _ = await check_api_key(ApiAccount(f"wss://localhost:{port}/v1/ws", api_key=KEY))
    assert "gone.pem, which is not a file" in finding.fix
