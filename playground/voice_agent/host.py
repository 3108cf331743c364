"""Takes in clients: admits them, finds out what they want, and runs the sessions that they begin.

A session runs in the nursery of the connection that began it and may outlive that connection; another
one may take it up. A session that crashes is told to its client (`internal_error`, 1011) and to the log;
the others do not notice.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import trio

from channels.wire.events import SessionFailed
from channels.wire.messages import SessionResume
from playground.brain import EchoBrain
from playground.voice_agent.accounts import Accounts, Admission
from playground.voice_agent.connection import ClientConnection, Goodbye
from playground.voice_agent.options import ServerOptions
from playground.voice_agent.reception import Begin, Discard, Hang, Refuse, Resume, first_step
from playground.voice_agent.registry import Refused, Registry
from playground.voice_agent.session import Session, SessionClosed
from playground.voice_agent.session_config import ResolvedSession
from playground.voice_agent.speech import Speech

__all__ = ["Host"]

_REFUSAL_S = 0.056
"""From the refusal of a resume to the close, as recorded."""

_log = logging.getLogger("playground.voice_agent_api")


class Host:
    """The sessions of one server.

    Args:
        options: of the server.
        accounts: makes resume tokens.
        clock: gives seconds since the epoch.

    Attributes:
        registry: the sessions.
        crashes: sessions that ended by a fault of ours.
    """

    def __init__(self, options: ServerOptions, accounts: Accounts, clock: Callable[[], float]) -> None:
        self.registry = Registry(options)
        self.crashes = 0
        self._options = options
        self._accounts = accounts
        self._clock = clock
        self._speech: Speech | None = None
        self._loading = trio.Lock()
        self._loaded = False

    async def take_in(
        self, connection: ClientConnection, admission: Admission, nursery: trio.Nursery
    ) -> None:
        """Talks with a client until it is gone.

        Raises:
            ConnectionGone: while it was being sent something.
        """
        session = await self._receive(connection, admission, nursery)
        if session is not None:
            await _pump(connection, session)

    async def _receive(
        self, connection: ClientConnection, admission: Admission, nursery: trio.Nursery
    ) -> Session | None:
        """The session that the first message leads to; None if the client goes, or is sent away."""
        async for message in connection.messages:
            try:
                match first_step(message, self._options):
                    case Begin(config=config):
                        self.registry.may_start()
                        return self._begin(config, admission, nursery)
                    case Resume(session_id=session_id):
                        return self.registry.find(session_id, admission)
                    case Refuse(error=error, code=code):
                        await connection.send(error, *([] if code is None else [Goodbye(code)]))
                    case Hang():
                        async for _ in connection.messages:
                            pass
                    case Discard():
                        pass
            except Refused as refused:
                await connection.send(SessionFailed(refused.code, refused.message))
                if isinstance(message, SessionResume):
                    await trio.sleep(_REFUSAL_S)
                await connection.send(Goodbye(refused.close))
        return None

    def _begin(self, config: ResolvedSession, admission: Admission, nursery: trio.Nursery) -> Session:
        session = Session(
            config,
            admission,
            accounts=self._accounts,
            options=self._options,
            speech=self.speech,
            brain=EchoBrain() if self._options.brain is None else self._options.brain(),
            clock=self._clock,
        )
        self.registry.add(session)
        nursery.start_soon(self._run, session)
        return session

    async def _run(self, session: Session) -> None:
        try:
            await session.run()
        # The wall between sessions, as in `serve_stream`: its client is told before it is closed.
        except Exception:
            self.crashes += 1
            _log.exception("a session ended because of a bug in the server")
            await session.fail()
        finally:
            self.registry.remove(session)

    async def speech(self) -> Speech:
        """Ears and voices, loaded once.

        Raises:
            PlaygroundFault: a model is not there.
        """
        async with self._loading:
            if self._speech is None:
                self._speech = _local_speech() if self._options.speech is None else self._options.speech()
            if not self._loaded:
                await self._speech.load()
                self._loaded = True
        return self._speech

    async def aclose(self) -> None:
        """Waits until nothing of the speech runs any more; no session may be left."""
        if self._speech is not None:
            await self._speech.aclose()


async def _pump(connection: ClientConnection, session: Session) -> None:
    try:
        await session.attach(connection)
        async for message in connection.messages:
            await session.take(message)
        await session.detach(connection)
    except SessionClosed:
        await connection.send(Goodbye(1011, "the session is over"))


def _local_speech() -> Speech:
    # Late: scripts and canned speech need no models, and no packages that carry them.
    from playground.voice_agent.local_speech import LocalSpeech

    return LocalSpeech()
