"""Captions: what both sides say, as LiveKit's text streams; `FrontEnd` shows them.

Each caption has an id that no other agent or run uses, and each is finished. A caption that ends while the
room is away is completed when somebody who was reading it comes back. Somebody who joins in the middle of a
sentence sees it from its beginning.
"""

from __future__ import annotations

import secrets
from collections import deque

import trio
from attrs import define, field, frozen

from channels.happenings import PersonSaid, ReplyEnded
from channels.texts import TRANSCRIPTION_TOPIC, TextBoard, TextWriter

__all__ = ["Captions"]

MOST_MISSED = 4
"""How many captions are kept: what is said while somebody reconnects."""

MISSED_FOR_S = 300.0
"""Somebody who comes back later has another call."""

MOST_AWAITED = 64
"""People."""


@frozen
class _Told:
    """A whole caption."""

    segment: str
    text: str
    final: bool
    track_sid: str
    speaker: str | None = None
    """Whose words these are; None: the agent's."""


@define
class _Reply:
    """What was heard of a reply so far."""

    segment: str
    text: str = ""
    writer: TextWriter | None = None


@define
class Captions:
    """The captions of one room.

    Args:
        board: where they are shown.
    """

    board: TextBoard
    _run: str = field(factory=lambda: secrets.token_hex(4), init=False)
    _replies: dict[str, _Reply] = field(factory=dict, init=False)
    """Those that are being heard."""
    _person: _Told | None = field(default=None, init=False)
    """What the person is saying."""
    _away: bool = field(default=False, init=False)
    """The room cannot be reached."""
    _here: set[str] = field(factory=set, init=False)
    _awaited: set[str] = field(factory=set, init=False)
    """Identities of people who were in this call and are away."""
    _missed: deque[tuple[float, _Told]] = field(factory=lambda: deque(maxlen=MOST_MISSED), init=False)
    """What ended while they were away, and when (s)."""

    def segment(self, reply_id: str) -> str:
        """The id of a reply's caption."""
        return f"reply-{self._run}-{reply_id}"

    # What is said.

    async def tell_person(self, said: PersonSaid, speaker: str, track_sid: str) -> None:
        """All that is understood of a turn so far."""
        segment = f"person-{self._run}-{said.turn}"
        told = _Told(segment, said.text, said.final, track_sid, speaker or None)
        self._person = None if said.final else told
        await self._tell(told)

    async def tell_words(self, reply_id: str, text: str) -> None:
        """More of a reply was heard."""
        reply = self._replies.get(reply_id)
        if reply is None:
            reply = self._replies[reply_id] = _Reply(self.segment(reply_id))
        reply.text += text
        if self._away:
            return
        if reply.writer is None:
            await self._open(reply)
        else:
            await reply.writer.write(text)

    async def tell_end(self, ended: ReplyEnded) -> None:
        """A reply is over."""
        reply = self._replies.pop(ended.reply_id, None)
        # Without word times, what was heard is known only now.
        text = ended.heard_text if reply is None else reply.text
        if not text:
            return
        told = _Told(self.segment(ended.reply_id), text, True, self.board.agent_track_sid())
        if reply is None or reply.writer is None or self._away:
            await self._tell(told)
        else:
            await reply.writer.aclose(_attributes(told))
            self._note(told)

    # Who can see it.

    async def come(self, identity: str) -> None:
        """Somebody is in the room."""
        self._here.add(identity)
        if identity in self._awaited:
            self._awaited.discard(identity)
            await self._tell_missed()
        await self._tell_running()

    def go(self, identity: str) -> None:
        """Somebody left it."""
        self._here.discard(identity)
        self._await({identity})

    def lose_room(self) -> None:
        """It cannot be reached."""
        self._away = True

    def join_room(self) -> None:
        """The agent has rejoined, and sees the people there one by one."""
        self._await(self._here)
        self._here, self._away = set(), False
        for reply in self._replies.values():
            reply.writer = None  # it was of the room that is gone

    async def find_room(self) -> None:
        """It is there again, with everybody in it."""
        self._away = False
        await self._tell_missed()
        if not self._awaited:
            self._missed.clear()
        await self._tell_running()

    def begin_call(self) -> None:
        """Forgets what was said before: it is private to the previous call."""
        self._awaited.clear()
        self._missed.clear()

    def _await(self, people: set[str]) -> None:
        self._awaited |= set(list(people)[: MOST_AWAITED - len(self._awaited)])

    def _note(self, told: _Told) -> None:
        if told.final and (self._away or self._awaited):
            self._missed.append((trio.current_time(), told))

    async def _tell(self, told: _Told) -> None:
        self._note(told)
        if not self._away:
            await self._send(told)

    async def _tell_missed(self) -> None:
        for at, told in list(self._missed):
            if trio.current_time() - at <= MISSED_FOR_S:
                await self._send(told)

    async def _tell_running(self) -> None:
        for reply in list(self._replies.values()):
            await self._open(reply)
        if self._person is not None:
            await self._send(self._person)

    async def _send(self, told: _Told) -> None:
        await self.board.send_text(
            TRANSCRIPTION_TOPIC, told.text, attributes=_attributes(told), sender_identity=told.speaker
        )

    async def _open(self, reply: _Reply) -> None:
        """Begins a stream that replaces the previous one."""
        if reply.writer is not None:
            await reply.writer.aclose()
        told = _Told(reply.segment, reply.text, False, self.board.agent_track_sid())
        reply.writer = await self.board.open_text(TRANSCRIPTION_TOPIC, attributes=_attributes(told))
        await reply.writer.write(reply.text)


def _attributes(told: _Told) -> dict[str, str]:
    return {
        "lk.segment_id": told.segment,
        "lk.transcription_final": "true" if told.final else "false",
        "lk.transcribed_track_id": told.track_sid,
    }
