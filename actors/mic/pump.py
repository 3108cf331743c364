"""MicPump: brings the sound of the people who are listened to to the service.

In: the audio tracks of the room. Out: frames, each with the time at which it was heard, of 50 ms to the
service and of 10 to 50 ms to the onset detector, on channels that never make it wait. Where one person is
listened to, the detector need not wait for the rest of a frame while the agent has something to say or may
have in a moment. While nobody could be interrupted, it is given whole frames. `roster` and `active` decide
who is listened to; `following` and `mixing` make one stream of several voices. This actor opens and closes
tracks and moves frames.

Each track is brought to a steady level separately (`level`), before voices are ordered or mixed, so that a
soft voice next to a loud one is raised too. A frame also carries its original sound, which the onset detector
and the choice of the current speaker use.

The stream has no holes: the service ends a turn when it hears silence, not when it hears nothing. The SDK
gives frames of silence for a track that is muted or whose sender has stopped (measured). When a track is
gone, silence is inserted here, for as long as anybody may wait for a turn to end.

Once a track is reported gone, it is no longer listened to. The SDK may reuse it for somebody else, and a
stream that is still open would then carry that person's voice (measured). Cancelled, it closes all tracks.
"""

from __future__ import annotations

import contextlib

import trio
from attrs import define, field

from actors.mic.active import ActiveSpeaker
from actors.mic.beginning import Beginnings
from actors.mic.following import Following
from actors.mic.gathering import Gathering
from actors.mic.level import Leveller
from actors.mic.mixing import Mixing
from actors.mic.roster import Roster
from channels.bounded import Receiver, Sender
from channels.happenings import FloorHolder, FloorPassed, Happening, HeardBy
from channels.messages import MicrophoneFrame
from channels.ports import AudioTrackGone, AudioTrackHeard, MicrophoneTrack, SoundRecorded, TrackEvent
from channels.settings import LevelSettings, ListenMode, ListenSettings
from channels.taps import Taps
from sound.arrival import ArrivalClock
from sound.loudness import level_db
from sound.pcm import SAMPLE_BYTES, bytes_of_ms

__all__ = ["FRAME_MS", "SILENCE_FOR_S", "MicPump"]

FRAME_MS = 50
"""What the protocol reference advises for `input.audio`."""

SILENCE_FOR_S = 10.0
"""How long silence is sent after the last sound: well beyond the 3 s after which a turn is over."""

_PATIENCE_S = 0.2
"""A frame this late is replaced by silence; if it arrives after all, the session catches up."""

_FRAME_S = FRAME_MS / 1000
_SILENCE = bytes(bytes_of_ms(FRAME_MS))


@define
class MicPump:
    """Pumps the sound of people into a channel.

    Args:
        settings: whom to listen to.
        tracks: what comes and goes.
        frames: to the service.
        onset: to the onset detector.
        taps: are told who is heard.
        level: how far soft voices are raised.
        happenings: tell when the agent is audible, and people are turned down; None: it never is.
    """

    settings: ListenSettings
    tracks: Receiver[TrackEvent]
    frames: Sender[MicrophoneFrame]
    onset: Sender[MicrophoneFrame]
    taps: Taps
    level: LevelSettings = field(factory=LevelSettings)
    happenings: Receiver[Happening] | None = None
    _roster: Roster = field(init=False)
    _speaker: ActiveSpeaker = field(factory=ActiveSpeaker, init=False)
    _beginnings: Beginnings = field(factory=Beginnings, init=False)
    _following: Following = field(factory=lambda: Following(FRAME_MS), init=False)
    _mixing: Mixing = field(factory=lambda: Mixing(FRAME_MS), init=False)
    _mixing_untouched: Mixing = field(factory=lambda: Mixing(FRAME_MS), init=False)
    _agent_audible: bool = field(default=False, init=False)
    _agent_beside: bool = field(default=False, init=False)
    """The agent speaks, is about to, or may go on: whoever interrupts it is to be noticed at once."""
    _waiting: trio.CancelScope = field(factory=trio.CancelScope, init=False)
    _open: dict[str, trio.CancelScope] = field(factory=dict, init=False)
    """The tracks that are listened to, by id."""
    _told: HeardBy = field(factory=lambda: HeardBy(None), init=False)
    _loudest: str | None = field(default=None, init=False)
    """In a mix: the last person who spoke."""
    _sounded_at: float = field(default=0.0, init=False)
    """When the last frame of a person came (s)."""
    _sounding: trio.Event = field(factory=trio.Event, init=False)

    def __attrs_post_init__(self) -> None:
        self._roster = Roster(self.settings)

    async def run(self) -> None:
        """Pumps until the tracks' channel ends."""
        async with self.tracks, self.frames, self.onset, trio.open_nursery() as nursery:
            nursery.start_soon(self._mix if self._mixes else self._bridge)
            if self.happenings is not None:
                nursery.start_soon(self._follow_agent, self.happenings)
            while True:
                self._waiting = trio.CancelScope(deadline=self._roster.due_at)
                with self._waiting:
                    try:
                        self._take_event(await self.tracks.receive())
                    except trio.EndOfChannel:
                        break
                self._roster.pass_time(trio.current_time())
                self._arrange(nursery)
            nursery.cancel_scope.cancel()

    @property
    def _mixes(self) -> bool:
        return self.settings.mode is ListenMode.MIX

    @property
    def _listens_to_one(self) -> bool:
        """Whether whatever comes of an open track is what is heard."""
        return self.settings.mode in (ListenMode.FIRST, ListenMode.IDENTITY)

    def _take_event(self, event: TrackEvent) -> None:
        match event:
            case AudioTrackHeard(track=track):
                self._close(track.sid)  # the same id may come again, with a new connection behind it
                self._roster.came(track, trio.current_time())
                # A mix has a clock of its own, and nothing can be put before what was mixed.
                if track.recorded_before and not self._mixes:
                    self._beginnings.came(track.sid, trio.current_time())
            case AudioTrackGone(sid=sid):
                self._went(sid)
            case SoundRecorded(sid=sid, identity=identity, pcm=pcm):
                self._beginnings.take_recorded(sid, identity, pcm, trio.current_time())

    def _went(self, sid: str) -> None:
        self._beginnings.went(sid)
        identity = self._roster.went(sid, trio.current_time())
        if identity is not None:
            self._speaker.forget(identity)

    def _arrange(self, nursery: trio.Nursery) -> None:
        """Listens to those tracks, and only those, that the roster wants opened."""
        opened = {track.sid: track for track in self._roster.opened()}
        for sid in self._open.keys() - opened.keys():
            self._close(sid)
        for sid in opened.keys() - self._open.keys():
            scope = self._open[sid] = trio.CancelScope()
            nursery.start_soon(self._listen, opened[sid], scope, nursery)
        self._tell()

    def _close(self, sid: str) -> None:
        if sid in self._open:
            self._open.pop(sid).cancel()
            self._following.forget(sid)
            self._mixing.forget(sid)
            self._mixing_untouched.forget(sid)

    def _tell(self) -> None:
        heard = self._roster.heard()
        if self._mixes:
            last = next((track for track in heard if track.identity == self._loudest), None)
            identity, sid = (last.identity, last.sid) if last else (None, "")
            now = HeardBy(identity, sid, everybody=bool(heard))
        else:
            now = HeardBy(heard[0].identity, heard[0].sid) if heard else HeardBy(None)
            self._following.hear(now.track_sid or None)
        if now != self._told:
            self._told = now
            self.taps.publish(now)

    async def _listen(self, track: MicrophoneTrack, scope: trio.CancelScope, nursery: trio.Nursery) -> None:
        # Per microphone: another one of the same person is at another distance.
        leveller = Leveller(self.level.most_gain) if self.level.most_gain > 1 else None
        clock = ArrivalClock()
        beginning = None
        if not self._mixes:
            beginning = self._beginnings.begin(track.sid, track.identity, trio.current_time())
        gathering = Gathering(FRAME_MS)
        with scope:
            async with track.frames(FRAME_MS, self._hurries if self._listens_to_one else None) as pieces:
                async for pcm in pieces:
                    # A track that is being closed may still have a piece ready, perhaps somebody else's.
                    if self._open.get(track.sid) is not scope:
                        continue
                    at = clock.heard(len(pcm) // SAMPLE_BYTES, trio.current_time())
                    piece, at_once = MicrophoneFrame(pcm, at=at), self._listens_to_one and beginning is None
                    if at_once:
                        self._send_to_onset(piece)
                    frame = gathering.take(piece, judged=at_once)
                    if frame is None:
                        continue
                    frames = [frame]
                    if beginning is not None:
                        frames = [
                            MicrophoneFrame(pcm, at=at) for pcm, at in beginning.take(frame.pcm, frame.at)
                        ]
                        beginning = beginning if not frames else None
                    for each in frames:
                        self._take(track, self._levelled(leveller, each))
        if self._open.get(track.sid) is scope:  # it ended by itself
            self._open.pop(track.sid)
            self._went(track.sid)
            self._arrange(nursery)
            self._waiting.deadline = self._roster.due_at

    def _levelled(self, leveller: Leveller | None, frame: MicrophoneFrame) -> MicrophoneFrame:
        if leveller is None:
            return frame
        levelled = leveller.feed(frame.untouched, agent_audible=self._agent_audible)
        return MicrophoneFrame(levelled, at=frame.at, untouched=frame.untouched, pieces=frame.pieces)

    async def _follow_agent(self, happenings: Receiver[Happening]) -> None:
        async for happening in happenings:
            if isinstance(happening, FloorPassed):
                self._agent_audible = happening.holder is FloorHolder.AGENT
                if happening.holder is not FloorHolder.PERSON:
                    # A person who has taken the floor may have to give it back.
                    self._agent_beside = happening.holder is not FloorHolder.NOBODY

    def _hurries(self) -> bool:
        return self._agent_beside

    def _take(self, track: MicrophoneTrack, frame: MicrophoneFrame) -> None:
        db = level_db(frame.untouched)
        match self.settings.mode:
            case ListenMode.FIRST | ListenMode.IDENTITY:
                self._send_sound(frame)
            case ListenMode.ACTIVE:
                turn = self._speaker.take(track.identity, db, _FRAME_S, self._roster.turn, frame.at)
                following = self._following.take(track.sid, frame)
                if following is not None:
                    self._send_sound(following)
                if turn is not None and turn != self._roster.turn:
                    self._roster.give_turn(turn)
                    self._tell()
            case ListenMode.MIX:
                self._mixing.take(track.sid, frame.pcm)
                self._mixing_untouched.take(track.sid, frame.untouched)
                self._loudest = self._speaker.take(track.identity, db, _FRAME_S, self._loudest, frame.at)
                self._tell()
                self._note_sound()

    def _send_sound(self, frame: MicrophoneFrame) -> None:
        self._note_sound()
        self._send(frame)

    def _note_sound(self) -> None:
        self._sounded_at = trio.current_time()
        self._sounding.set()

    def _send(self, frame: MicrophoneFrame) -> None:
        self.frames.send_nowait(frame)
        if not frame.pieces:
            self._send_to_onset(frame)

    def _send_to_onset(self, frame: MicrophoneFrame) -> None:
        # The onset detector only watches: when it is gone, the conversation goes on.
        with contextlib.suppress(trio.BrokenResourceError):
            self.onset.send_nowait(frame)

    async def _mix(self) -> None:
        """Sends a frame of all voices every 50 ms."""
        while True:
            await self._sounding.wait()
            due = trio.current_time()
            while trio.current_time() < self._sounded_at + SILENCE_FOR_S:
                mixed, untouched = self._mixing.mix(), self._mixing_untouched.mix()
                # The newest in it came when it was mixed; who is in it lags by a frame or so (`mixing`).
                self._send(MicrophoneFrame(mixed, untouched=untouched, at=trio.current_time()))
                # After a stall of this machine the voices' own buffers have kept what is worth keeping.
                due = max(due + _FRAME_S, trio.current_time() - _FRAME_S)
                await trio.sleep_until(due)
            self._sounding = trio.Event()

    async def _bridge(self) -> None:
        """Sends silence where sound is missing."""
        while True:
            await self._sounding.wait()
            silent_at = 0.0
            while (now := trio.current_time()) < self._sounded_at + SILENCE_FOR_S:
                due = max(self._sounded_at + _PATIENCE_S, silent_at + _FRAME_S)
                if now >= due:
                    self._send(MicrophoneFrame(_SILENCE, at=now))
                    silent_at = due
                else:
                    await trio.sleep_until(due)
            self._sounding = trio.Event()
