"""Text in the room: attributes, text streams and answers to RPC calls."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import trio
import trio_asyncio
from livekit import rtc

__all__ = ["LiveKitBoard"]

_SHOW_WITHIN_S = 2.0
_log = logging.getLogger(__name__)
T = TypeVar("T")


class LiveKitBoard:
    """`TextBoard` in whatever room the agent is in at the moment."""

    def __init__(self) -> None:
        self._room: rtc.Room | None = None
        self._track_sid = ""
        self._attributes: dict[str, str] = {}
        self._answers: dict[str, asyncio.Future[str]] = {}

    async def hang_up_in(self, room: rtc.Room, track_sid: str) -> None:
        """From now on it hangs in this room."""
        self._room, self._track_sid = room, track_sid
        await self.set_attributes({})

    def speak_with(self, track_sid: str) -> None:
        """The agent's track has another id from now on."""
        self._track_sid = track_sid

    def take_down(self) -> None:
        """The room is left."""
        self._room, self._track_sid = None, ""

    def agent_track_sid(self) -> str:
        """As `TextBoard.agent_track_sid`."""
        return self._track_sid

    async def set_attributes(self, attributes: Mapping[str, str]) -> None:
        """As `TextBoard.set_attributes`."""
        self._attributes.update(attributes)
        if self._room is not None and self._attributes:
            set_all = self._room.local_participant.set_attributes
            await self._show(trio_asyncio.aio_as_trio(set_all), dict(self._attributes))

    async def send_text(
        self, topic: str, text: str, *, attributes: Mapping[str, str], sender_identity: str | None = None
    ) -> None:
        """As `TextBoard.send_text`."""
        writer = await self.open_text(topic, attributes=attributes, sender_identity=sender_identity)
        await writer.write(text)
        await writer.aclose()

    async def open_text(
        self, topic: str, *, attributes: Mapping[str, str], sender_identity: str | None = None
    ) -> _LiveKitTextWriter:
        """As `TextBoard.open_text`."""
        writer: rtc.TextStreamWriter | None = None
        if self._room is not None:
            writer = await self._show(
                trio_asyncio.aio_as_trio(self._room.local_participant.stream_text),
                topic=topic,
                attributes=dict(attributes),
                sender_identity=sender_identity,
            )
        return _LiveKitTextWriter(writer, self._show)

    def answer(self, call_id: str, payload: str) -> None:
        """As `TextBoard.answer`."""
        answer = self._answers.pop(call_id, None)
        if answer is not None and not answer.done():
            answer.set_result(payload)

    def expect_answer(self, call_id: str, loop: asyncio.AbstractEventLoop) -> asyncio.Future[str]:
        """Where the answer to a call will be."""
        self._answers[call_id] = loop.create_future()
        return self._answers[call_id]

    def forget_answer(self, call_id: str) -> None:
        """Nobody waits for it any more."""
        self._answers.pop(call_id, None)

    async def _show(self, show: Callable[..., Awaitable[T]], *arguments: Any, **options: Any) -> T | None:
        """Shows something if the room can be reached; a room that is just going away is not an error."""
        with trio.move_on_after(_SHOW_WITHIN_S):
            try:
                return await show(*arguments, **options)
            except Exception as error:  # the SDK raises a class of its own for each call, and bare ones
                _log.debug("not shown (%s)", type(error).__name__)
        return None


class _LiveKitTextWriter:
    """`TextWriter` over the SDK's."""

    def __init__(self, writer: rtc.TextStreamWriter | None, show: Callable[..., Awaitable[Any]]) -> None:
        self._writer = writer
        self._show = show

    async def write(self, text: str) -> None:
        if self._writer is not None:
            await self._show(trio_asyncio.aio_as_trio(self._writer.write), text)

    async def aclose(self, attributes: Mapping[str, str] | None = None) -> None:
        if self._writer is not None:
            await self._show(trio_asyncio.aio_as_trio(self._writer.aclose), attributes=dict(attributes or {}))
