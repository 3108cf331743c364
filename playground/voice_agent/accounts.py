"""Who may come in: API keys and the temporary tokens made from them.

A key lives as a `Secret` and is never written anywhere. A token opens a socket within its window; what
it may do beyond that (more than one socket, a cap on the session) depends on the personality.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from channels.net.serving import Response
from channels.secret import Secret
from playground.voice_agent.front_door import Caller, answer
from playground.voice_agent.options import ServerOptions

__all__ = ["Accounts", "Admission"]

_TOKEN_BYTES = 1870
"""Gives the 2,500 characters that the live service's tokens have: too long for a careless buffer."""
_MOST_TOKENS = 10_000
_WINDOW_S = (1, 600)
_CAP_S = (60, 10_800)


@attrs.frozen
class Admission:
    """Who came in, and for how long."""

    owner: Secret
    """The API key behind the credential: sessions belong to it."""
    cap_s: float | None = None
    """Longest session that the token allows; None: no token, no cap."""
    session_id: str | None = None
    """The one session that a resume token is good for."""


@attrs.define
class _Token:
    text: Secret
    admission: Admission
    opens_until_s: float


@attrs.define
class Accounts:
    """Keys, tokens, and the rules for them.

    Args:
        options: of the server.
        now: gives seconds on a clock that never goes back.
    """

    _options: ServerOptions
    _now: Callable[[], float]
    _tokens: list[_Token] = attrs.field(factory=list, init=False, repr=False)

    def admit(self, credential: Secret | None) -> Admission | None:
        """Lets a caller in, or not. A token that is used up or too old is no credential."""
        if credential is None:
            return None
        now_s = self._now()
        self._tokens = [token for token in self._tokens if token.opens_until_s > now_s]
        for token in self._tokens:
            if token.text == credential:
                if not self._options.reuses_tokens:
                    self._tokens.remove(token)
                return token.admission
        if credential.reveal().startswith((_TOKEN_MARK, _RESUME_MARK)) or not self._knows(credential):
            return None
        return Admission(credential)

    def resume_token(self, owner: Secret, session_id: str, lasts_s: float) -> str:
        """Makes a token that comes in as `owner` for a `session.resume`."""
        return self._mint(_RESUME_MARK, Admission(owner, session_id=session_id), lasts_s, size=48)

    def token(self, caller: Caller) -> Response:
        """Answers `GET /v1/token`, live errors and documented ones as the personality says."""
        if caller.method != "GET":
            return answer(405, {"detail": "Method Not Allowed"})
        if not caller.authorization_sent:
            return self._refuse(422, 401, "Field required", "header", "authorization")
        credential = caller.credential
        if credential is None or not self._knows(credential) or credential.reveal().startswith(_TOKEN_MARK):
            if self._options.docs:
                return answer(401, {"error": "Invalid API key", "code": "unauthorized", "details": None})
            return answer(404, {"detail": "Invalid API key"})
        window_s = _whole(caller.query, "expires_in_seconds", _WINDOW_S)
        if window_s is None:
            return self._out_of_range("expires_in_seconds", _WINDOW_S)
        cap_s = _CAP_S[1]
        if "max_session_duration_seconds" in caller.query:
            asked_s = _whole(caller.query, "max_session_duration_seconds", _CAP_S)
            if asked_s is None:
                return self._out_of_range("max_session_duration_seconds", _CAP_S)
            cap_s = asked_s
        token = self._mint(_TOKEN_MARK, Admission(credential, cap_s=cap_s), window_s, size=_TOKEN_BYTES)
        return answer(200, {"token": token, "expires_in_seconds": window_s})

    def _knows(self, key: Secret) -> bool:
        keys = self._options.keys
        return keys is None or any(key == known for known in keys)

    def _mint(self, mark: str, admission: Admission, lasts_s: float, *, size: int) -> str:
        text = mark + secrets.token_urlsafe(size)
        self._tokens.append(_Token(Secret(text), admission, self._now() + lasts_s))
        del self._tokens[:-_MOST_TOKENS]
        return text

    def _out_of_range(self, name: str, limits: tuple[int, int]) -> Response:
        return self._refuse(422, 400, f"must be a whole number, {limits[0]} to {limits[1]}", "query", name)

    def _refuse(self, live: int, docs: int, what: str, where: str, name: str) -> Response:
        if self._options.docs:
            return answer(docs, {"error": f"{name}: {what}", "code": "invalid_request", "details": None})
        return answer(live, {"detail": [{"type": "value_error", "loc": [where, name], "msg": what}]})


_TOKEN_MARK = "playground-token-"
_RESUME_MARK = "playground-resume-"


def _whole(query: Mapping[str, Any], name: str, limits: tuple[int, int]) -> int | None:
    text = query.get(name, "")
    if not text.isascii() or not text.isdigit() or len(text) > 6:
        return None
    return value if limits[0] <= (value := int(text)) <= limits[1] else None
