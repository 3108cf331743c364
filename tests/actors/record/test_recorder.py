"""The recorder writes what happens, keeps secrets to itself, and nobody in the conversation notices it."""

from __future__ import annotations

import errno
import itertools
import json
import os
import stat
import wave
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import attrs
import hypothesis.strategies as st
import pytest
import trio
from hypothesis import given

from actors.mic.gathering import Gathering
from actors.record import recording
from actors.record.file import RecordFile, check_free, sound_beside
from actors.record.notes import Ended, Lost, MicrophoneRun, PlayingRun, PlayRun, ReplyAudioRun
from actors.record.reading import read_record
from actors.record.runs import Runs
from actors.record.secrecy import blotter
from actors.record.sound import read_sound
from actors.record.sound_reference import AUDIBLE, stand_in
from channels.bounded import Channel, Full, Watched
from channels.errors import SettingsError
from channels.happenings import BystanderFailed, Happening, ServiceComplained, SoundStarted
from channels.json_text import write_json
from channels.messages import Finished, MicrophoneFrame, Play, Playing, Sounding
from channels.secret import DOTS, Secret
from channels.seen import Noted, On, Seen
from channels.taps import Taps
from channels.texts import Asked
from channels.wire.events import ReplyAudio, ReplyDone, SessionFailed, SessionReady, UserTranscript
from channels.wire.messages import ConversationMessage, SessionUpdate
from sound.pcm import bytes_of_ms
from tests.actors.record.scripted import ACCOUNTS, KEY, LIVEKIT_SECRET, SETTINGS

Put = Callable[[Any], None]


def channel_of(name: str) -> Channel[Any]:
    return Channel(name, capacity=100_000, unit="messages", full=Full.FAIL, because="test")


async def record(
    path: Path, talk: Callable[[Put, Taps], Awaitable[None]], *, with_sound: bool = False
) -> None:
    """A talk over one channel, recorded."""
    taps, service = Taps(), channel_of("service")
    async with recording(
        path, SETTINGS, ACCOUNTS.secrets, [service], taps, Watched("inputs"), with_sound=with_sound
    ):
        await talk(service.sender().send_nowait, taps)


async def test_what_passed_stands_in_the_record_with_its_time_and_its_end(tmp_path: Path) -> None:
    path = tmp_path / "call.jsonl"

    async def talk(put: Put, taps: Taps) -> None:
        put(UserTranscript("Hello"))
        await trio.sleep(0.2)
        taps.publish(SoundStarted(trio.current_time() - 0.05))

    await record(path, talk)
    read = read_record(path)
    first, second, last = read.entries
    assert (first.on, first.what) == ("service", UserTranscript("Hello"))
    assert 0.1 < second.t - first.t < 5
    assert second.what.at == pytest.approx(second.t - 0.05, abs=0.01)
    assert last.what == Ended()
    assert read.header.barge_in == SETTINGS.barge_in
    assert read.header.room == "tea room"
    assert read.remarks == []


async def test_what_passed_is_on_disk_long_before_the_end(tmp_path: Path) -> None:
    path = tmp_path / "call.jsonl"

    async def talk(put: Put, _taps: Taps) -> None:
        put(UserTranscript("Remember this"))
        with trio.fail_after(60):
            while "Remember this" not in path.read_text("utf-8"):
                await trio.sleep(0.05)

    await record(path, talk)


async def test_what_happens_on_the_way_out_is_recorded_too(tmp_path: Path) -> None:
    path = tmp_path / "call.jsonl"

    async def talk(put: Put, _taps: Taps) -> None:
        leaving.cancel()
        try:
            await trio.sleep_forever()
        finally:
            put(UserTranscript("Good bye"))

    with trio.CancelScope() as leaving:
        await record(path, talk)
    assert leaving.cancelled_caught
    assert any(entry.what == UserTranscript("Good bye") for entry in read_record(path).entries)


async def test_no_secret_stands_in_a_record(tmp_path: Path) -> None:
    path = tmp_path / "call.jsonl"
    token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl0123456789"
    config = {"tools": [{"http": {"url": "https://u:pass-word-1@x.example/", "headers": {"X": "header-1"}}}]}

    async def talk(put: Put, taps: Taps) -> None:
        put(SessionReady("sess_1", config, 17, "resume-token-1"))
        put(SessionFailed("unauthorized", f"the key {KEY} is unknown"))
        put(
            SessionUpdate(
                {"llm": {"api_key": "llm-key-1", "model": "m", "nested": {"Authorization": "auth-1"}}}
            )
        )
        put(ConversationMessage("user", f"my token is {token} and wss://x/?token=abcdef-query-token-1"))
        put(Asked("c1", "alice", "configure", json.dumps({"token": token, "secret": LIVEKIT_SECRET})))
        taps.publish(ServiceComplained("x", f"Bearer bearer-token-0123456789 {LIVEKIT_SECRET}", "fix"))

    await record(path, talk)
    written = path.read_text("utf-8")
    for secret in (
        KEY,
        LIVEKIT_SECRET,
        token,
        "resume-token-1",
        "pass-word-1",
        "header-1",
        "llm-key-1",
        "auth-1",
        "query-token-1",
        "bearer-token-0123456789",
    ):
        assert secret not in written, secret
    assert "sess_1" in written
    assert "•••" in written
    assert len(read_record(path).entries) == 7, "and every line can still be read"


@pytest.mark.parametrize("secret", ["schlüssel-0123", 'a"quoted\\one-0123', "sixty-\x7f-seven-0123"])
def test_a_secret_is_found_however_json_writes_it(secret: str) -> None:
    line = write_json({"text": f"the key {secret} is unknown"})
    assert json.loads(blotter([Secret(secret)])(line)) == {"text": f"the key {DOTS} is unknown"}


async def test_a_record_can_be_read_by_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "call.jsonl"

    async def talk(_put: Put, _taps: Taps) -> None:
        await trio.lowlevel.checkpoint()

    await record(path, talk, with_sound=True)
    for written in (path, sound_beside(path)):
        assert stat.S_IMODE(written.stat().st_mode) == 0o600


async def test_nothing_is_ever_written_over(tmp_path: Path) -> None:
    path = tmp_path / "call.jsonl"
    for there in (path, sound_beside(path)):
        there.write_text("precious")
        with pytest.raises(SettingsError, match=rf"{there.name} exists already; name a new file"):
            RecordFile.create(path, SETTINGS, ACCOUNTS.secrets, started=0, with_sound=True)
        assert there.read_text() == "precious"
        there.unlink()
    with pytest.raises(SettingsError, match="there is no folder"):
        check_free(tmp_path / "nowhere" / "call.jsonl", with_sound=False)


async def test_a_full_disk_is_told_once_and_the_conversation_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_self: RecordFile, _batch: Any, _lost: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(RecordFile, "write", full)
    taps, service = Taps(), channel_of("service")
    told = list[Happening]()
    taps.overhear(told.append)
    put = service.sender().send_nowait
    async with recording(
        tmp_path / "call.jsonl", SETTINGS, ACCOUNTS.secrets, [service], taps, Watched("inputs")
    ):
        put(UserTranscript("one"))
        with trio.fail_after(60):
            while not told:
                await trio.sleep(0.05)
        for _ in range(1000):
            put(UserTranscript("more"))
    (failed,) = told
    assert isinstance(failed, BystanderFailed)
    assert "No space left" in failed.why


async def test_a_disk_that_hangs_keeps_nobody_from_leaving(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading

    hanging = threading.Event()
    monkeypatch.setattr(RecordFile, "write", lambda *_: hanging.wait(60))

    async def talk(put: Put, _taps: Taps) -> None:
        put(UserTranscript("one"))

    try:
        with trio.fail_after(60):
            await record(tmp_path / "call.jsonl", talk)
    finally:
        hanging.set()


async def test_what_was_too_much_is_counted_in_the_record(tmp_path: Path) -> None:
    path = tmp_path / "call.jsonl"
    taps, service = Taps(), channel_of("service")
    async with recording(path, SETTINGS, ACCOUNTS.secrets, [service], taps, Watched("inputs")):
        put = service.sender().send_nowait
        for number in range(10_000):
            put(UserTranscript(str(number)))
    entries = read_record(path).entries
    (lost,) = [entry.what for entry in entries if isinstance(entry.what, Lost)]
    kept = [entry.what.text for entry in entries if isinstance(entry.what, UserTranscript)]
    assert lost.count + len(kept) == 10_000
    assert lost.count > 0
    assert kept[-1] == "9999"


def sound(value: int, ms: float) -> bytes:
    return value.to_bytes(2, "little") * (bytes_of_ms(ms) // 2)


def test_what_was_recorded_before_the_agent_came_stands_before_what_was_said_then(tmp_path: Path) -> None:
    path = tmp_path / "call.jsonl"
    file = RecordFile.create(path, SETTINGS, ACCOUNTS.secrets, started=100.0, with_sound=True)
    passed = [106.0] * 80 + [106.0 + n * 0.05 for n in range(40)]
    file.write(
        [
            Noted(at, "microphone", MicrophoneFrame(sound(1000 + n, 50), at=102.0 + (n + 1) * 0.05))
            for n, at in enumerate(passed)
        ],
        0,
    )
    file.end(112.0)
    person = read_sound(sound_beside(path))[:, 0]
    assert [int(person[2 * 24_000 + n * 1200 + 600]) for n in range(120)] == [1000 + n for n in range(120)]


@pytest.mark.parametrize("silence_bridges", [False, True])
def test_what_was_judged_of_a_frame_that_was_never_whole_is_recorded_too(
    tmp_path: Path, silence_bridges: bool
) -> None:
    """A track is closed wherever it is in a frame; what comes next has a place of its own."""
    path = tmp_path / "call.jsonl"
    file = RecordFile.create(path, SETTINGS, ACCOUNTS.secrets, started=100.0, with_sound=True)
    judged, at = list[float](), 100.0
    for track in range(3):
        gathering = Gathering(50)
        for number in range(13):
            at += 0.01
            piece = MicrophoneFrame(sound(1000 + 100 * track + number, 10), at=at)
            judged.append(at - 100)
            file.write([Seen(at, On.ONSET, piece)], 0)
            if frame := gathering.take(piece, judged=True):
                file.write([Noted(at, On.MICROPHONE, frame)], 0)
        if silence_bridges:
            at += 0.25
            bridge = MicrophoneFrame(sound(0, 50), at=at)
            judged.append(at - 100)
            file.write([Noted(at, On.MICROPHONE, bridge), Seen(at, On.ONSET, bridge)], 0)
    file.end(at + 1)

    person = read_sound(sound_beside(path))[:, 0]
    runs = [entry.what for entry in read_record(path).entries if entry.on == On.ONSET]
    frames = [frame for run in runs for frame in run.frames]
    assert [when for when, _, _ in frames] == pytest.approx(judged)
    values = [set(person[first : first + count]) for _, first, count in frames]
    spoken = [{1000 + 100 * track + number} for track in range(3) for number in range(13)]
    assert [value for value in values if value != {0}] == spoken


def test_both_voices_stand_in_the_sound_file_at_their_times(tmp_path: Path) -> None:
    path = tmp_path / "call.jsonl"
    file = RecordFile.create(path, SETTINGS, ACCOUNTS.secrets, started=100.0, with_sound=True)
    batch = [
        Noted(101.0 + n * 0.05, "microphone", MicrophoneFrame(sound(1000 + n, 50), at=101.0 + n * 0.05))
        for n in range(200)
    ]
    for n in range(50, 60):  # jitter tears nothing
        batch[n] = attrs.evolve(batch[n], at=batch[n].at + 0.1 - n / 1000)
    for at, value, ms in ((103.0, 2000, 100), (103.1, 2001, 100), (103.15, 2002, 100), (110, 2003, 20)):
        batch.append(Noted(at - 0.05, "sounding", Sounding(at, sound(value, ms))))
    batch.append(Noted(103.2, "sounding", Sounding(103.2, b"")))  # cleared
    for begin in range(0, len(batch), 40):
        file.write(sorted(batch, key=lambda noted: noted.at)[begin : begin + 40], 0)
    file.end(112.0)

    both = read_sound(sound_beside(path))
    assert len(both) == 12 * 24_000
    person, agent = both[:, 0], both[:, 1]
    runs = [entry.what for entry in read_record(path).entries if isinstance(entry.what, MicrophoneRun)]
    frames = [frame for run in runs for frame in run.frames]
    spoken = [set(person[first : first + count]) for _, first, count in frames]
    assert spoken == [{1000 + n} for n in range(200)]
    assert all(abs(first / 24_000 - (at - 0.05)) < 0.26 for at, first, _ in frames)
    assert set(agent[3 * 24_000 : 3 * 24_000 + 2400]) == {2000}
    assert set(agent[int(3.1 * 24_000) : int(3.15 * 24_000)]) == {2001}
    assert set(agent[int(3.15 * 24_000) + 1 : int(3.2 * 24_000)]) == {2002}
    assert set(agent[int(3.2 * 24_000) + 1 : 10 * 24_000]) == {0}, "what was cleared was not heard"
    assert set(agent[10 * 24_000 : 10 * 24_000 + 480]) == {2003}


def test_a_sound_file_that_is_none_of_ours_is_not_taken_for_one(tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "mono.wav"), "wb") as file:
        file.setparams((1, 2, 24_000, 0, "NONE", ""))
        file.writeframes(b"\0\0")
    with pytest.raises(wave.Error):
        read_sound(tmp_path / "mono.wav")


def entries_of(noted: list[Noted]) -> list[Any]:
    runs = Runs()
    return [entry for each in noted for entry in runs.take(each)] + runs.end()


def test_reports_that_follow_one_another_become_one_line_that_tells_their_worst_gap() -> None:
    times = [1.0, 1.02, 1.04, 1.14, 1.16]
    noted = [Noted(at, "reports", Playing("r", 20.0 * n, True)) for n, at in enumerate(times, start=1)]
    noted.append(Noted(1.17, "reports", Finished("r", 100.0)))
    run, finished = entries_of(noted)
    assert run.what == PlayingRun(
        "r",
        True,
        1.0,
        5,
        20.0,
        100.0,
        100.0,
        ((1.0, 20.0), (1.02, 40.0), (1.04, 60.0), (1.14, 80.0), (1.16, 100.0)),
    )
    assert run.t == 1.16
    assert finished.what == Finished("r", 100.0)


def test_a_run_ends_where_it_becomes_audible_where_the_reply_changes_and_after_a_second() -> None:
    silent = [Noted(0.02 * n, "reports", Playing("r", 20.0 * n, False)) for n in range(1, 4)]
    audible = [Noted(0.02 * n, "reports", Playing("r", 20.0 * n, True)) for n in range(4, 104)]
    other = [Noted(2.1, "reports", Playing("s", 20.0, True))]
    runs = [entry.what for entry in entries_of(silent + audible + other)]
    assert [(run.reply_id, run.audible) for run in runs] == [
        ("r", False),
        ("r", True),
        ("r", True),
        ("s", True),
    ]
    assert sum(run.count for run in runs) == 104
    assert runs[1].count == 50


def test_orders_to_play_become_one_line_and_what_they_led_to_stands_after_it() -> None:
    noted = [Noted(1 + n / 100, "orders", Play("r", bytes(960))) for n in range(7)]
    run, done = entries_of(
        [
            *noted,
            Noted(1.07, "orders", Finished("r", 1.0)),
        ]
    )
    assert run.what == PlayRun("r", 1.0, 7, 6720)
    assert done.t == 1.07


def test_the_sound_of_a_reply_becomes_one_line_that_keeps_every_piece_and_its_time() -> None:
    pieces = [(1.0, sound(0, 20)), (1.001, sound(0, 10) + sound(5000, 10)), (1.2, sound(5000, 50))]
    noted = [Noted(at, "service", ReplyAudio(pcm, "r")) for at, pcm in pieces]
    run, done = entries_of([*noted, Noted(1.2, "service", ReplyDone("r"))])
    assert run.what == ReplyAudioRun("r", 1.0, ((1.0, 960, None), (1.001, 960, 480), (1.2, 2400, 0)))
    assert done.what == ReplyDone("r")


@given(cuts=st.lists(st.integers(0, 400), max_size=8), silent=st.integers(0, 150))
def test_wherever_the_service_cuts_its_sound_it_becomes_audible_where_it_did(
    cuts: list[int], silent: int
) -> None:
    # 250 is not audible; read half a sample off, it would be.
    whole = (250).to_bytes(2, "little") * silent + (9000).to_bytes(2, "little") * (200 - silent)
    places = [0, *sorted(cuts), len(whole)]
    pieces = [whole[begin:end] for begin, end in itertools.pairwise(places)]
    (run,) = entries_of([Noted(1.0, "service", ReplyAudio(pcm, "r")) for pcm in pieces])
    again = b"".join(stand_in(length, audible_from) for _, length, audible_from in run.what.pieces)
    samples = memoryview(again).cast("h").tolist()
    assert len(again) == len(whole)
    assert [abs(sample) > AUDIBLE for sample in samples].index(True) == silent


async def test_an_agent_that_fails_leaves_a_whole_record(tmp_path: Path) -> None:
    path = tmp_path / "call.jsonl"

    async def talk(put: Put, _taps: Taps) -> None:
        put(ReplyDone("r1"))
        raise KeyError("a fault")

    with pytest.raises((KeyError, ExceptionGroup)):
        await record(path, talk)
    assert [type(entry.what) for entry in read_record(path).entries] == [ReplyDone, Ended]
