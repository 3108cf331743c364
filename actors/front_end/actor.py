"""FrontEnd: shows the conversation to LiveKit's front ends, and takes what people type.

In: happenings, and text from the room. Out: attributes and text streams through the `TextBoard` port, in
LiveKit's own conventions, and messages to the service, which quote what people typed. The agent's words are
shown as they are heard, not as they are generated, and its state follows what the room has played. It is a
tap: if the room is slow to take text, happenings are lost here, and the conversation goes on unharmed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import trio
from attrs import define, field, frozen

from actors.front_end.captions import Captions
from channels.agent_state import AgentState, StateKeeper
from channels.bounded import Receiver, Sender
from channels.happenings import (
    AskGivenUp,
    CallBegan,
    Happening,
    HeardBy,
    ParticipantJoined,
    ParticipantLeft,
    PersonSaid,
    PersonTyped,
    ReplyEnded,
    RoomJoined,
    RoomLost,
    RoomRestored,
    SessionConfigured,
    TurnTimed,
    UpdateAnswered,
    VoiceAudible,
    VoiceChosen,
    VoiceUnheard,
    WordsHeard,
)
from channels.instructions import TYPED, quoted, unquoted
from channels.json_text import read_json
from channels.settings import CallSettings, FrontEndSettings
from channels.taps import Taps
from channels.texts import (
    AGENT_STATE,
    CONFIGURE_METHOD,
    EVERYBODY,
    LISTENING_TO,
    SESSION_TOPIC,
    TOOLS,
    TURNS_TOPIC,
    UNANSWERED_TOPIC,
    UNHEARD,
    Asked,
    RoomText,
    TextBoard,
    Typed,
)
from channels.wire.messages import ClientMessage, ReplyCreate, SessionUpdate

__all__ = ["FrontEnd"]

ANSWERED_WITHIN_S = 10.0
"""If the service has not answered an update by then, even after a resume, it is no longer waited for."""

LOCKED = {
    "voice": "The service fixes the voice when a session starts.",
    "greeting": "It has been spoken.",
}
CHANGEABLE = ("system_prompt", "profile")
FOR_THE_NEXT_CALL = ("next_voice",)
NOT_THE_OWNER = "Only the operator of this agent may change it."


@frozen
class _Pending:
    """An update that was sent to the service."""

    update: Mapping[str, Any]
    sent_at: float
    asked: Asked | None = None
    """Who waits for the answer."""
    changes: Mapping[str, str] = field(factory=dict)
    """What they asked for."""


@define
class FrontEnd:
    """Keeps front ends informed.

    Args:
        happenings: a tap.
        texts: what people type and ask for.
        board: where it is shown.
        requests: messages to the service.
        taps: are told what was typed.
        configurable: whether people in the room may change the session. Only where everybody in the room
            is the owner of the agent.
        settings: what front ends are told, and what each profile changes.
        call: when a call ends, and whether another one may follow.
    """

    happenings: Receiver[Happening]
    texts: Receiver[RoomText]
    board: TextBoard
    requests: Sender[ClientMessage]
    taps: Taps
    configurable: bool = False
    settings: FrontEndSettings = field(factory=FrontEndSettings)
    call: CallSettings = field(factory=CallSettings)
    _keeper: StateKeeper = field(factory=StateKeeper, init=False)
    _shown_state: AgentState | None = field(default=None, init=False)
    _shown_tools: str = field(default="", init=False)
    _listening_to: str = field(default="", init=False)
    _heard: HeardBy = field(default=HeardBy(None), init=False)
    """Who is heard now."""
    _speaker: str = field(default="", init=False)
    """Who said the words that are understood next, as far as that is known."""
    _track_sid: str = field(default="", init=False)
    _captions: Captions = field(init=False)
    _config: Mapping[str, Any] = field(factory=dict, init=False)
    _profile: str | None = field(init=False)
    _next_voice: str | None = field(default=None, init=False)
    """What somebody chose for the sessions to come."""
    _pending: list[_Pending] = field(factory=list, init=False)
    """Updates that the service has not answered yet, oldest first."""

    def __attrs_post_init__(self) -> None:
        self._profile = self.settings.profile
        self._captions = Captions(self.board)

    async def run(self) -> None:
        """Shows until the happenings end."""
        async with self.happenings, self.texts, self.requests, trio.open_nursery() as nursery:
            await self._show_state(self._keeper.state)
            nursery.start_soon(self._read_texts)
            await self._show_happenings()
            nursery.cancel_scope.cancel()

    async def _show_happenings(self) -> None:
        while True:
            happening: Happening | None = None
            with trio.move_on_at(self._keeper.thinking_until):
                try:
                    happening = await self.happenings.receive()
                except trio.EndOfChannel:
                    return
            now = trio.current_time()
            if happening is None:
                await self._show_state(self._keeper.pass_time(now))
            else:
                await self._show_state(self._keeper.take(happening, now))
                await self._show(happening)

    async def _show(self, happening: Happening) -> None:
        match happening:
            case HeardBy():
                await self._show_heard_by(happening)
            case VoiceUnheard(why=why):
                await self.board.set_attributes({UNHEARD: why})
            case VoiceAudible():
                await self.board.set_attributes({UNHEARD: ""})
            case PersonSaid():
                await self._captions.tell_person(happening, self._speaker, self._track_sid)
            case WordsHeard(reply_id=reply_id, text=text):
                await self._captions.tell_words(reply_id, text + " ")
            case ReplyEnded():
                await self._captions.tell_end(happening)
            case TurnTimed():
                await self._show_turn(happening)
            case AskGivenUp(request=request, why=why):
                await self._show_unanswered(request, why)
            case SessionConfigured(config=config):
                self._config = config
                await self._show_session()
            case UpdateAnswered():
                self._answer_asked(happening)
            case VoiceChosen(voice=voice):
                self._next_voice = voice
                await self._show_session()
            case ParticipantJoined(identity=identity):
                await self._show_session()
                await self._captions.come(identity)
            case ParticipantLeft(identity=identity):
                self._captions.go(identity)
            case RoomLost():
                self._captions.lose_room()
            case RoomJoined():
                self._captions.join_room()
            case RoomRestored():
                await self._captions.find_room()
            case CallBegan():
                self._begin_call()
            case _:
                pass

    async def _show_state(self, state: AgentState) -> None:
        if state is not self._shown_state:
            self._shown_state = state
            await self.board.set_attributes({AGENT_STATE: state.value})
        tools = ",".join(dict.fromkeys(self._keeper.tools.values()))
        if tools != self._shown_tools:
            self._shown_tools = tools
            await self.board.set_attributes({TOOLS: tools})

    def _begin_call(self) -> None:
        """Forgets the previous person's name and changes: they do not belong to this call."""
        self._speaker, self._track_sid = self._heard.identity or "", self._heard.track_sid
        self._profile = self.settings.profile
        self._pending.clear()
        self._captions.begin_call()

    async def _show_heard_by(self, heard_by: HeardBy) -> None:
        # Words said just before somebody left are understood only later; they are still theirs.
        self._heard = heard_by
        if heard_by.identity is not None:
            self._speaker, self._track_sid = heard_by.identity, heard_by.track_sid
        listening_to = EVERYBODY if heard_by.everybody else heard_by.identity or ""
        if listening_to != self._listening_to:
            self._listening_to = listening_to
            await self.board.set_attributes({LISTENING_TO: listening_to})

    async def _show_turn(self, timed: TurnTimed) -> None:
        turn = {
            "turn": timed.turn,
            "turn_latency_ms": timed.turn_latency_ms,
            "endpointing_ms": timed.endpointing_ms,
            "barge_in_ms": timed.barge_in_ms,
            "reply_id": timed.reply.reply_id,
            "segment_id": self._captions.segment(timed.reply.reply_id),
            "outcome": timed.reply.outcome.value,
            "interrupted": timed.interrupted,
            "heard_ms": timed.reply.heard_ms,
            "heard_text": timed.reply.heard_text,
        }
        await self.board.send_text(TURNS_TOPIC, json.dumps(turn, ensure_ascii=False), attributes={})

    async def _show_unanswered(self, request: ReplyCreate, why: str) -> None:
        typed = unquoted(request.instructions or "", TYPED)
        if typed:
            told = json.dumps({"text": typed, "why": why}, ensure_ascii=False)
            await self.board.send_text(UNANSWERED_TOPIC, told, attributes={})

    async def _show_session(self) -> None:
        if not self._config:
            return
        output = self._config.get("output")
        session = {
            "voice": output.get("voice") if isinstance(output, Mapping) else None,
            "voices": self.settings.voices or None,
            "profile": self._profile,
            "profiles": list(self.settings.profiles) or None,
            "profile_descriptions": dict(self.settings.profile_descriptions),
            "system_prompt": self._config.get("system_prompt", "") if self.configurable else "",
            "next_voice": self._next_voice if self._offers_next_voice else None,
            "next_call_after_s": self.call.alone_ms / 1000 if self._offers_next_voice else None,
            "locked": LOCKED if self.configurable else LOCKED | dict.fromkeys(CHANGEABLE, NOT_THE_OWNER),
        }
        await self.board.send_text(SESSION_TOPIC, json.dumps(session, ensure_ascii=False), attributes={})

    async def _read_texts(self) -> None:
        async for text in self.texts:
            match text:
                case Typed(identity=identity, text=typed):
                    self.taps.publish(PersonTyped(identity, typed))
                    await self.requests.send(ReplyCreate(TYPED + quoted(typed)))
                case Asked(method=method) if method == CONFIGURE_METHOD:
                    await self._take_change(text)
                case _:
                    pass

    async def _take_change(self, asked: Asked) -> None:
        refusal = self._refusal(asked)
        if refusal is not None:
            self.board.answer(asked.call_id, _answer({"accepted": False, "why": refusal}))
            return
        changes = read_json(asked.payload)
        if changes.keys() == {"next_voice"}:
            self._choose_voice(changes)
            self.board.answer(asked.call_id, _answer({"accepted": True, "why": ""}))
            return
        *before, last = self.settings.profiles[changes["profile"]] if "profile" in changes else ({},)
        if "system_prompt" in changes:
            last = {**last, "system_prompt": changes["system_prompt"]}
        now = trio.current_time()
        self._pending += [*(_Pending(update, now) for update in before), _Pending(last, now, asked, changes)]
        for update in (*before, last):
            await self.requests.send(SessionUpdate(update))

    @property
    def _offers_next_voice(self) -> bool:
        """Whether there may be another call here, and its voice may be chosen."""
        return self.configurable and bool(self.settings.voices) and self.call.when_over == "stay"

    def _choose_voice(self, changes: Mapping[str, str]) -> None:
        if "next_voice" in changes:
            self.taps.publish(VoiceChosen(changes["next_voice"]))

    def _refusal(self, asked: Asked) -> str | None:
        if not self.configurable:
            return NOT_THE_OWNER
        try:
            changes = read_json(asked.payload)
        except (ValueError, RecursionError):
            return "The request is not JSON."
        if not isinstance(changes, dict) or not changes:
            return "The request does not say what to change."
        for name, value in changes.items():
            if name not in CHANGEABLE + FOR_THE_NEXT_CALL:
                return LOCKED.get(name, f"There is no setting called {name[:40]!r}.")
            if not isinstance(value, str):
                return f"{name} must be text."
            if name == "profile" and value not in self.settings.profiles:
                return f"There is no profile called {value[:40]!r}."
            if name == "next_voice" and not (self._offers_next_voice and value in self.settings.voices):
                return f"The next call cannot have a voice called {value[:40]!r}."
        since = trio.current_time() - ANSWERED_WITHIN_S
        self._pending = [one for one in self._pending if one.sent_at > since]
        if len(self._pending) >= 8:
            return "The service has not answered earlier changes yet; try again."
        return None

    def _answer_asked(self, answer: UpdateAnswered) -> None:
        for place, one in enumerate(self._pending):
            if one.update == answer.session:
                del self._pending[place]
                if answer.accepted:
                    self._choose_voice(one.changes)
                    self._profile = one.changes.get("profile", self._profile)
                if one.asked is not None:
                    said = {"accepted": answer.accepted, "why": answer.why}
                    self.board.answer(one.asked.call_id, _answer(said))
                return


def _answer(content: Mapping[str, object]) -> str:
    return json.dumps(content, ensure_ascii=False)
