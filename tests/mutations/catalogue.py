"""The mistakes: each a piece of text that occurs once in its file, and what might have stood there."""

from __future__ import annotations

from attrs import frozen

__all__ = ["MUTATIONS", "Mutation"]


@frozen
class Mutation:
    """One mistake.

    Args:
        name: what it does.
        path: of the file.
        right: what stands there.
        wrong: what might have stood there.
        in_calls: it shows in whole calls; the property test is tried after them, since it seldom finds it.
    """

    name: str
    path: str
    right: str
    wrong: str
    in_calls: bool = False


_TABLE, _FLOOR = "actors/barge_in/table.py", "actors/barge_in/floor.py"
_MACHINE, _ACTOR = "actors/barge_in/machine.py", "actors/barge_in/actor.py"
_TURNSTILE, _TOOLS = "actors/asking/turnstile.py", "actors/tools/decisions.py"
_PLAYOUT, _PUMP = "actors/speaker/playout.py", "actors/speaker/pump.py"

MUTATIONS = (
    Mutation(
        "late sound of a reply that was cut is played",
        _TABLE,
        "ReplySignal.SOUND: (ReplyPhase.CUTTING, Order.DROP)",
        "ReplySignal.SOUND: (ReplyPhase.CUTTING, Order.PLAY)",
    ),
    Mutation(
        "sound that comes after a reply's end is played",
        _TABLE,
        "ReplySignal.SOUND: (ReplyPhase.COMPLETE, Order.DROP)",
        "ReplySignal.SOUND: (ReplyPhase.COMPLETE, Order.PLAY)",
    ),
    Mutation(
        "a reply that came in a burst cannot be interrupted",
        _TABLE,
        "ReplySignal.INTERRUPTED: (ReplyPhase.CUTTING, Order.CUT),\n"
        "        ReplySignal.LEFT_OPEN: (ReplyPhase.COMPLETE,",
        "ReplySignal.INTERRUPTED: (ReplyPhase.COMPLETE, Order.NOTHING),\n"
        "        ReplySignal.LEFT_OPEN: (ReplyPhase.COMPLETE,",
    ),
    Mutation(
        "a reply is cut when it is complete",
        _TABLE,
        "ReplySignal.COMPLETED: (ReplyPhase.COMPLETE, Order.FINISH)",
        "ReplySignal.COMPLETED: (ReplyPhase.CUTTING, Order.CUT)",
    ),
    Mutation(
        "the speaker is not told that a reply was left open",
        _TABLE,
        "ReplySignal.LEFT_OPEN: (ReplyPhase.BROKEN, Order.FINISH)",
        "ReplySignal.LEFT_OPEN: (ReplyPhase.BROKEN, Order.NOTHING)",
    ),
    Mutation(
        "a reply that was left open counts as played",
        _TABLE,
        "ReplySignal.LEFT_OPEN: (ReplyPhase.BROKEN, Order.NOTHING),\n"
        "        ReplySignal.FINISHED: (ReplyPhase.ABANDONED,",
        "ReplySignal.LEFT_OPEN: (ReplyPhase.BROKEN, Order.NOTHING),\n"
        "        ReplySignal.FINISHED: (ReplyPhase.PLAYED,",
        in_calls=True,
    ),
    Mutation(
        "a cough counts as many false alarms",
        _FLOOR,
        "self.may_echo and now - self.counted_at > ONE_SOUND_S",
        "self.may_echo",
    ),
    Mutation(
        "a cough that is dismissed late takes back what the next word holds",
        _FLOOR,
        "if signal is FloorSignal.DISMISSED and began_at < self.began_at:",
        "if began_at == math.inf:",
    ),
    Mutation(
        "interrupt_response: false is ignored",
        _MACHINE,
        "hint(signal, self.now, believed=conversation.interruptible)",
        "hint(signal, self.now, believed=True)",
    ),
    Mutation(
        "the wrong reply is cut",
        _MACHINE,
        'status="interrupted"):\n            turn.interrupt(reply_id)',
        'status="interrupted"):\n            turn.interrupt(conversation.newest)',
    ),
    Mutation(
        "the end of a reply of long ago gives a held voice back",
        _MACHINE,
        "        if not self.conversation.speaks():\n            self.signal_floor(",
        "        if self.conversation is not None:\n            self.signal_floor(",
    ),
    Mutation(
        "a resumed session counts as a fresh one",
        _MACHINE,
        "if session_id != conversation.session_id:",
        "if session_id is not None:",
        in_calls=True,
    ),
    Mutation(
        "sound that names no reply is of none",
        _MACHINE,
        "conversation.newest if reply_id is None else reply_id",
        "'unnamed' if reply_id is None else reply_id",
    ),
    Mutation(
        "a held voice goes back to the beginning of its reply",
        _MACHINE,
        "return Resume(reply_id, word.start_ms)",
        "return Resume(reply_id, 0.0)",
    ),
    Mutation(
        "a hold never ends by itself",
        _FLOOR,
        "return self.waiting_since + self.settings.longest_hold_ms / 1000",
        "return math.inf",
    ),
    Mutation(
        "that the person speaks counts as an interruption",
        _MACHINE,
        'conversation.floor.settings.on_speech_started == "cut"',
        "conversation is not None",
    ),
    Mutation(
        "only reply.done tells of an interruption",
        _MACHINE,
        "            if interrupted:\n                turn.interrupt(reply_id)",
        "            if interrupted:\n                pass",
    ),
    Mutation(
        "one mm-hm stops the voice twice",
        _FLOOR,
        "STOPPED=Floor.DECIDING,\n        DECIDED=Floor.FREE,\n        DEADLINE=Floor.EXCUSED",
        "STOPPED=Floor.DECIDING,\n        DECIDED=Floor.FREE,\n        DEADLINE=Floor.FREE",
    ),
    Mutation(
        "a decision that does not come is waited for for ever",
        _FLOOR,
        "return ms.decision_ms / 1000",
        "return math.inf",
    ),
    Mutation(
        "whoever goes on speaking is talked over as soon as the service takes them to have finished",
        _FLOOR,
        "TOO_SOON=Floor.SOUNDING,\n        # No DECIDED",
        "TOO_SOON=Floor.FREE,\n        # No DECIDED",
    ),
    Mutation(
        "who says stop hears the voice before it is decided",
        _FLOOR,
        "return DECIDED_WITHIN_S",
        "return ms.linger_ms / 1000",
    ),
    Mutation(
        "what the service hears does not hold the voice",
        _FLOOR,
        "        SOUND=Floor.SOUNDING,\n        SPEECH=Floor.SPEAKING,\n        DOUBTED",
        "        SOUND=Floor.SOUNDING,\n        SPEECH=Floor.EXCUSED,\n        DOUBTED",
    ),
    Mutation(
        "the answer to a turn waits for a decision about nothing",
        _MACHINE,
        "self.conversation.floor.awaits_decision and not self.conversation.undecided():",
        "self.conversation.floor.awaits_decision and not self.conversation.replies:",
    ),
    Mutation(
        "a turn of the person is told again and again",
        _MACHINE,
        "        self.change(turn=turn.tell())",
        "        self.change(turn=turn)",
    ),
    Mutation(
        "what is asked for does not wait for who has the floor",
        _TURNSTILE,
        "self._in_session and self._holder is FloorHolder.NOBODY and not self._tools",
        "self._in_session and not self._tools",
        in_calls=True,
    ),
    Mutation(
        "the same call runs as often as the model repeats it",
        _TOOLS,
        "        if first is None:",
        "        if first is None or first is not None:",
        in_calls=True,
    ),
    Mutation(
        "nobody is told that the hold's deadline is nearer",
        _ACTOR,
        "self._deadline_nearer.set()\n",
        "pass\n",
        in_calls=True,
    ),
    Mutation(
        "a cut leaves what lies in the room's queue",
        _PUMP,
        "                if must_clear:\n                    self._empty(now)",
        "                if must_clear:\n                    self._clears += 1",
        in_calls=True,
    ),
    Mutation(
        "a hold leaves what lies in the room's queue",
        _PUMP,
        "if self.playout.hold(now):\n                    self._empty(now)",
        "if self.playout.hold(now):\n                    self._clears += 1",
        in_calls=True,
    ),
    Mutation(
        "a capture that was under way at a cut is not cleared once it has landed",
        _PUMP,
        "        else:\n            self.loudspeaker.clear()",
        "        else:\n            pass",
        in_calls=True,
    ),
    Mutation(
        "a reply's end is ignored",
        _PLAYOUT,
        "self._replies.setdefault(reply_id, _Reply()).finished = True",
        "self._replies.setdefault(reply_id, _Reply())",
    ),
    Mutation(
        "a frame counts as played as soon as it is sent",
        _PLAYOUT,
        "_InQueue(frame, begin, reply.given)",
        "_InQueue(frame, begin, reply.given, 0.0, 0.0)",
    ),
    Mutation(
        "a reply is over when its last frame is sent, not when it was heard",
        _PLAYOUT,
        "if reply.exhausted() and reply_id not in in_queue:",
        "if reply.exhausted():",
    ),
    Mutation(
        "what was held is lost: the rest of the frame that was sounding",
        _PLAYOUT,
        "reply.given = item.left(now)",
        "reply.given = item.end",
    ),
    Mutation(
        "what was held is heard twice: the whole frame that was sounding",
        _PLAYOUT,
        "                    reply.given = item.left(now)\n"
        "                    reply.played = max(reply.played, reply.given)",
        "                    reply.played = max(reply.played, item.left(now))",
    ),
    Mutation(
        "what was played goes back with the voice",
        _PLAYOUT,
        "reply.played = max(reply.played, item.end)",
        "reply.played = item.end",
    ),
    Mutation(
        "a held voice goes on after its fade",
        _PLAYOUT,
        "head = None if self.held else self._head()",
        "head = None if self.held and self._rises else self._head()",
    ),
    Mutation(
        "an agent that is muted speaks on",
        _MACHINE,
        "self.change(away=why, away_since=self.now)",
        "self.change(away_since=self.now)",
    ),
    Mutation(
        "what nobody can hear waits for ever",
        "actors/barge_in/conversation.py",
        "max(self.away_since, reply.began_at) + self.floor.settings.unheard_ms / 1000",
        "math.inf",
    ),
    Mutation(
        "a voice that falls has had its place",
        _PLAYOUT,
        "            self._fade = Frame(item.reply_id, rest, falls=True)",
        "            self._replies[item.reply_id].given += len(rest)\n"
        "            self._fade = Frame(item.reply_id, rest, falls=True)",
    ),
    Mutation(
        "the end of a cut reply is heard whenever the room takes it",
        _PLAYOUT,
        "if frame.falls and now > self._fade_until:",
        "if frame.falls and now == math.inf:",
    ),
)
