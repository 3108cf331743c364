"""The questions that only the live service can answer, each a short session or two of its own.

A probe is a function of the account that gives what was seen, in words and ms. It judges nothing: "refused"
is an answer. Each speaks with the playground's own voice, and its agent says what the greeting tells it,
word for word, so that a probe depends on no language model where it need not.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import attrs
import trio

from actors.api.in_flight import InFlight
from actors.api.token import fetch_temporary_token
from channels.wire.events import (
    AgentTranscript,
    AgentTranscriptDelta,
    ReplyAudio,
    ReplyDone,
    ReplyStarted,
    SessionFailed,
    SessionReady,
    SessionUpdated,
    SpeechStarted,
    SpeechStopped,
    UserTranscript,
)
from channels.wire.messages import (
    ConversationMessage,
    ReplyCancel,
    ReplyCreate,
    SessionResume,
    SessionUpdate,
)
from tests.live.line import Account, Line, PingsCounted, is_loud, session, spoken_at

__all__ = ["PROBES", "Probe"]

COUNTING = "I will count slowly now. " + " ".join(
    f"{word}." for word in
    "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen".split()
)  # fmt: skip
WAIT = "Wait, can you repeat the question?"
DECIDED_WITHIN_S = 8.0
DONE_WITHIN_S = 30.0


@attrs.frozen
class Probe:
    """A question."""

    name: str
    question: str
    session_s: float
    """What it takes of sessions, at most about."""
    ask: Callable[[Account], Awaitable[str]]


PROBES: list[Probe] = []


def probe(name: str, question: str, session_s: float) -> Callable[[Any], Any]:
    def keep(ask: Callable[[Account], Awaitable[str]]) -> Callable[[Account], Awaitable[str]]:
        PROBES.append(Probe(name, question, session_s, ask))
        return ask

    return keep


def speaking(greeting: str = COUNTING, **more: Any) -> dict[str, Any]:
    """A session in which the agent begins to speak at once."""
    return {
        "system_prompt": "You are part of a test. Answer in one short sentence.",
        "greeting": greeting,
        **more,
    }


def silent(**more: Any) -> dict[str, Any]:
    """A session in which the agent waits."""
    return {"system_prompt": "You are part of a test. Answer in one short sentence.", **more}


def ms(seconds: float) -> str:
    return f"{seconds * 1000:,.0f} ms"


# Sound and words.


@probe("pace", "How fast does reply.audio come, and when the words?", 15)
async def pace(account: Account) -> str:
    async with session(account, speaking("This is a sentence of a test. And this is another one.")) as line:
        started_at, _ = await line.need(ReplyStarted, within_s=5)
        done = await line.until(ReplyDone, within_s=DONE_WITHIN_S)
        chunks = line.all(ReplyAudio)
        if not chunks:
            return "no sound"
        first_at, last_at = chunks[0][0], chunks[-1][0]
        burst = sum(len(event.data) / 48 for at, event in chunks if at - first_at < 0.03)
        seen = [
            f"first sound {ms(first_at - started_at)} after reply.started",
            f"{len(chunks)} chunks of {len(chunks[0][1].data) / 48:g} ms",
            f"{burst:.0f} ms in the first 30 ms",
            f"{line.sound_ms():,.0f} ms of sound in {ms(last_at - first_at)}",
        ]
        deltas = line.all(AgentTranscriptDelta)
        if deltas:
            span = deltas[-1][0] - deltas[0][0]
            seen.append(
                f"{len(deltas)} deltas from {ms(deltas[0][0] - first_at)} after it, within {ms(span)}"
            )
        final = line.all(AgentTranscript)
        if done is None:
            seen.append("no reply.done")
        else:
            lead = f"{ms(done[0] - final[0][0])} before" if final else "none by"
            seen.append(f"final transcript {lead} reply.done, {ms(done[0] - last_at)} after the last sound")
        return "; ".join(seen)


# Who speaks.


async def talk_over(account: Account, text: str, level: float) -> str:
    async with session(account, speaking()) as line:
        audible_at = await line.audible(within_s=10)
        await trio.sleep(max(0.0, audible_at + 2.5 - trio.current_time()))
        spoke_at = await line.say(spoken_at(level, text))
        decided = await line.until(
            ReplyDone, within_s=DECIDED_WITHIN_S, since=spoke_at, where=lambda e: e.status == "interrupted"
        )
        # In the one form the decision comes with the end of the sentence, in the other long before it.
        await line.until(SpeechStopped, within_s=5, since=spoke_at)
        await line.until(UserTranscript, within_s=1, since=spoke_at)
        seen = []
        for name, kind in (
            ("speech.started", SpeechStarted),
            ("speech.stopped", SpeechStopped),
            ("transcript.user", UserTranscript),
        ):
            found = line.all(kind, since=spoke_at)
            seen.append(f"{name} after {ms(found[0][0] - spoke_at)}" if found else f"no {name}")
        told = [(at, e) for at, e in line.all(AgentTranscript, since=spoke_at)]
        seen += [
            f"transcript.agent{'{interrupted}' if e.interrupted else ''} {ms(at - spoke_at)}"
            for at, e in told
        ]
        if decided is None:
            done = await line.until(ReplyDone, within_s=DONE_WITHIN_S, since=spoke_at)
            more = await line.until(ReplyStarted, within_s=4, since=spoke_at)
            seen.append(
                "not interrupted: " + ("no reply.done" if done is None else f"reply.done{{{done[1].status}}}")
            )
            seen.append("an answer of its own afterwards" if more else "no answer of its own")
        else:
            seen.append(f"reply.done{{interrupted}} after {ms(decided[0] - spoke_at)}")
            begun = line.all(SpeechStarted, since=spoke_at)
            if begun:
                stale = line.sound_ms(since=begun[0][0], until=decided[0], reply_id=decided[1].reply_id)
                seen.append(f"{stale:,.0f} ms of sound between started and decision")
            late = line.sound_ms(since=decided[0] + 1e-6, reply_id=decided[1].reply_id)
            seen.append(f"{late:,.0f} ms of it after the decision")
        return "; ".join(seen)


@probe(
    "interruption 0.9",
    "When does the service decide that a person interrupts (peak at 0.9 of full scale)?",
    15,
)
async def interruption_loud(account: Account) -> str:
    return await talk_over(account, WAIT, 0.9)


@probe("interruption 0.3", "The same at 0.3 of full scale: does it depend on level?", 35)
async def interruption_soft(account: Account) -> str:
    return await talk_over(account, WAIT, 0.3)


@probe("back-channel", "Does a back-channel end the reply? Does it become a turn?", 35)
async def back_channel(account: Account) -> str:
    return await talk_over(account, "Mm-hm.", 0.9)


# Asking for replies.


async def reply_seen(line: Line, since: float, *, within_s: float = 12.0) -> str:
    started = await line.until(ReplyStarted, within_s=within_s, since=since)
    refused = line.all(SessionFailed, since=since)
    if refused:
        return f"session.error {refused[0][1].code}"
    if started is None:
        return f"no reply within {within_s:g} s"
    started_at, reply = started
    done = await line.until(
        ReplyDone, within_s=within_s, since=started_at, where=lambda e: e.reply_id == reply.reply_id
    )
    sounds = [(at, e) for at, e in line.all(ReplyAudio, since=since) if e.reply_id in (None, reply.reply_id)]
    loud = [at for at, e in sounds if is_loud(e.data)]
    first = f"first reply.audio after {ms(sounds[0][0] - since)}" if sounds else "no reply.audio"
    first += f", audible after {ms(loud[0] - since)}" if loud else ", nothing audible"
    status = (
        "no reply.done" if done is None else f"reply.done{{{done[1].status}}} after {ms(done[0] - since)}"
    )
    return f"reply.started after {ms(started_at - since)}, {first}, {status}"


@probe("reply.create idle", "reply.create while nobody speaks", 12)
async def create_idle(account: Account) -> str:
    async with session(account, silent()) as line:
        await trio.sleep(1)
        return await reply_seen(line, await line.send(ReplyCreate("Say exactly: banana.")))


@probe("reply.create during a reply", "reply.create while a reply is spoken", 40)
async def create_during_reply(account: Account) -> str:
    async with session(account, speaking()) as line:
        _, greeting = await line.need(ReplyStarted, within_s=5)
        await line.audible(within_s=10)
        await trio.sleep(2)
        asked_at = await line.send(ReplyCreate("Say exactly: banana."))
        ended = await line.until(
            ReplyDone, within_s=DONE_WITHIN_S, where=lambda e: e.reply_id == greeting.reply_id
        )
        of_first = "no reply.done" if ended is None else f"{ended[1].status} after {ms(ended[0] - asked_at)}"
        return f"the running reply: {of_first}; the new one: {await reply_seen(line, asked_at)}"


@probe("reply.create while the person speaks", "reply.create in the middle of the person's sentence", 25)
async def create_while_speaking(account: Account) -> str:
    async with session(account, silent()) as line:
        await trio.sleep(1)
        await line.say(spoken_at(0.9, "I would like to know when you open on Sundays and whether it is far."))
        await trio.sleep(1.5)
        asked_at = await line.send(ReplyCreate("Say exactly: banana."))
        seen = await reply_seen(line, asked_at)
        await trio.sleep(4)
        said = " / ".join(e.text[:60] for _, e in line.all(AgentTranscript, since=asked_at))
        count = len(line.all(ReplyStarted, since=asked_at))
        return f"{seen}; replies in all: {count}; said: {said or 'nothing'}"


@probe("conversation.message", "Does conversation.message reach the model?", 15)
async def conversation_message(account: Account) -> str:
    async with session(account, silent()) as line:
        await trio.sleep(1)
        await line.send(ConversationMessage("user", "The secret word of today is pineapple. Remember it."))
        alone = await line.until(ReplyStarted, within_s=3)
        asked_at = await line.send(
            ReplyCreate("Say the secret word of today. If you were told none, say: none.")
        )
        found = await line.until(AgentTranscript, within_s=12, since=asked_at)
        said = "nothing" if found is None else found[1].text[:80]
        knows = "it knows the word" if "pineapple" in said.lower() else "it does not know the word"
        return f"{'a reply' if alone else 'no reply'} by itself; asked for the word it said “{said}”: {knows}"


@probe("reply.cancel", "What does reply.cancel do?", 40)
async def reply_cancel(account: Account) -> str:
    async with session(account, speaking()) as line:
        _, greeting = await line.need(ReplyStarted, within_s=5)
        await line.audible(within_s=10)
        await trio.sleep(2)
        asked_at = await line.send(ReplyCancel(greeting.reply_id))
        done = await line.until(ReplyDone, within_s=DONE_WITHIN_S, since=asked_at)
        refused = line.all(SessionFailed, since=asked_at)
        seen = [f"session.error {e.code}: {e.message[:80]}" for _, e in refused[:1]]
        seen.append(
            "no reply.done"
            if done is None
            else f"reply.done{{{done[1].status}}} after {ms(done[0] - asked_at)}"
        )
        seen.append(f"{line.sound_ms(since=asked_at):,.0f} ms of sound after it")
        return "; ".join(seen)


# Sessions.


@probe("resume", "Is a dropped session resumed?", 40)
async def resume(account: Account) -> str:
    async with session(account, silent(), ends=False) as line:
        _, ready = await line.need(SessionReady, within_s=1)
        await trio.sleep(2)
    dropped_at = trio.current_time()
    await trio.sleep(0.5)
    first = SessionResume(ready.session_id)
    async with session(account, {}, first=first, ready=False) as line:
        opened_at = trio.current_time()
        again = await line.until(SessionReady, within_s=10)
        if again is not None:
            return f"resumed: session.ready {ms(again[0] - opened_at)} after session.resume"
        refused = line.all(SessionFailed)
        await line.until(SessionReady, within_s=2)
        code = refused[0][1].code if refused else "no answer"
        took = f" {ms(refused[0][0] - opened_at)} after session.resume" if refused else ""
        closed = "" if line.failure is None else ", then it closed"
        return f"refused ({ms(opened_at - dropped_at)} after the drop): {code}{took}{closed}"


@probe("expires_at and a capped token", "What does max_session_duration_seconds=60 do?", 85)
async def capped_token(account: Account) -> str:
    token = await fetch_temporary_token(account.url, account.key, account.dialer, longest_session_s=60)
    async with session(account, silent(), token=token) as line:
        at, ready = await line.need(SessionReady, within_s=1)
        expires = (
            f"expires_at is now + {ready.expires_at - time.time():,.0f} s"
            if ready.expires_at
            else "no expires_at"
        )
        with trio.move_on_at(at + 75):
            while line.failure is None:
                await trio.sleep(0.1)
        if line.failure is None:
            return f"{expires}; alive after 75 s"
        return f"{expires}; closed after {ms(trio.current_time() - at)}: {line.failure.what[:80]}"


@probe("token reuse", "May a temporary token open two sockets?", 6)
async def token_reuse(account: Account) -> str:
    token = await fetch_temporary_token(account.url, account.key, account.dialer)
    seen = []
    for number in ("first", "second"):
        async with session(account, silent(), token=token, ready=False) as line:
            found = await line.until(SessionReady, within_s=10)
            refused = line.all(SessionFailed)
            answer = "accepted" if found else refused[0][1].code if refused else "no answer"
            seen.append(f"{number}: {answer}")
    return "; ".join(seen)


@attrs.define
class _PongsTimed(InFlight):
    """Times what `Connection.watch` sends and is answered."""

    sent_at: float = 0.0
    took_s: list[float] = attrs.field(factory=list)

    def mark(self) -> int:
        self.sent_at = trio.current_time()
        return 0

    def arrived(self, mark: int) -> None:
        self.took_s.append(trio.current_time() - self.sent_at)


@probe("pings and silence", "Are pings answered, does the service ping, is a silent session kept?", 45)
async def pings(account: Account) -> str:
    with PingsCounted() as counted:
        async with session(account, silent()) as line:
            line.microphone_open = False
            timed = _PongsTimed()
            with trio.move_on_after(26):
                await line.connection.watch(timed)
            pongs = f"{len(timed.took_s)} pings of ours answered within {ms(max(timed.took_s, default=0.0))}"
            theirs = f"{counted.count} pings of the service in 26 s"
            if line.failure is not None:
                return f"{pongs}; {theirs}; closed without sound: {line.failure.what[:80]}"
            asked_at = await line.send(ReplyCreate("Say exactly: banana."))
            return f"{pongs}; {theirs}; after 26 s without any sound: {await reply_seen(line, asked_at)}"


@probe("voices", "Which voice does a session get that names none? Are old names taken?", 8)
async def voices(account: Account) -> str:
    seen = []
    for name in (None, "ivy", "no-such-voice"):
        config = silent() if name is None else silent(output={"voice": name})
        async with session(account, config, ready=False) as line:
            found = await line.until(SessionReady, within_s=10)
            if found is not None:
                echoed = found[1].config.get("output", {})
                voice = echoed.get("voice") if isinstance(echoed, Mapping) else None
                seen.append(f"{name or 'none named'}: {voice}")
            else:
                refused = line.all(SessionFailed)
                seen.append(
                    f"{name or 'none named'}: {refused[0][1].message[:240] if refused else 'no answer'}"
                )
    return "; ".join(seen)


CHANGES: Mapping[str, Mapping[str, Any]] = {
    "system_prompt": {"system_prompt": "Answer in one word."},
    "greeting": {"greeting": "Hello again."},
    "output.voice": {"output": {"voice": "eve"}},
    "output.volume": {"output": {"volume": 80}},
    "tools": {"tools": []},
    "keyterms": {"input": {"keyterms": ["Trio"]}},
    "transcription_prompt": {"input": {"transcription_prompt": "A call with a shop."}},
    "transcription_mode": {"input": {"transcription_mode": "min_latency"}},
    "language_codes": {"input": {"language_codes": ["en"]}},
    "input.format": {"input": {"format": {"encoding": "audio/pcmu"}}},
    "vad_threshold": {"input": {"turn_detection": {"vad_threshold": 0.6}}},
    "min_silence": {"input": {"turn_detection": {"min_silence": 500}}},
    "max_silence": {"input": {"turn_detection": {"max_silence": 1500}}},
    "interrupt_response": {"input": {"turn_detection": {"interrupt_response": True}}},
    "interruption_delay": {"input": {"turn_detection": {"interruption_delay": 0}}},
}


@probe("mutable fields", "Which fields may change in mid-call?", 15)
async def mutable(account: Account) -> str:
    yes, no = [], []
    async with session(account, silent()) as line:
        for name, change in CHANGES.items():
            known = len(line.came)
            await line.send(SessionUpdate(change))
            answered = await line.next_of((SessionUpdated, SessionFailed), known, within_s=3)
            if answered is None:
                no.append(f"{name} (no answer)")
            elif isinstance(answered, SessionFailed):
                no.append(f"{name} ({answered.code})")
            else:
                yes.append(name)
    return f"accepted: {', '.join(yes) or 'none'}; refused: {', '.join(no) or 'none'}"
