"""Chat completions of an OpenAI-compatible endpoint, streamed: HTTP and server-sent events on Trio.

One request a connection (`channels.net.http`). `stream` gives the `choices[0].delta` objects as they come.
All waiting is bounded: to connect, for the next bytes, and for all bytes together; so is their number.
Whatever goes wrong is a `ChatFailed`, whose text is fit for a log and never contains the key. The key travels
by TLS, or over loopback, and nowhere else.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing
from typing import Any
from urllib.parse import urlsplit

import attrs
import trio

from channels.errors import SettingsError
from channels.net.dialling import obstacle_to, open_stream
from channels.net.http import asking
from channels.net.proxies import is_loopback
from channels.secret import Secret

__all__ = ["ChatFailed", "Endpoint", "Patience", "read_endpoint"]

_MOST_BYTES = 8 * 2**20
_MOST_LINE_BYTES = 2**20
_MOST_COMPLAINT = 200
_LONGEST_NAME = 200
_HOSTED = "api.openai.com"
_HOSTED_MODEL = "gpt-4o-mini"
_WHERE = "e.g. http://127.0.0.1:11434/v1 for Ollama on this machine"


class ChatFailed(Exception):
    """The endpoint gave no answer, or none that can be used.

    Args:
        what: happened, as the end of a sentence about the endpoint.
        status: of HTTP, if that is what is wrong.
    """

    def __init__(self, what: str, status: int | None = None) -> None:
        super().__init__(what)
        self.status = status


@attrs.frozen
class Patience:
    """How long to wait, in seconds."""

    connect_s: float = 5.0
    next_bytes_s: float = 20.0
    """A local model may have to be loaded before its first word."""
    whole_s: float = 60.0
    """All waiting for bytes together, while sentences are being spoken not counted."""


@attrs.frozen
class Endpoint:
    """Where the language model is."""

    base_url: str
    key: Secret | None = None
    model: str | None = None
    """None: the first one that the endpoint lists."""
    patience: Patience = Patience()

    async def stream(
        self, model: str, messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]]
    ) -> AsyncGenerator[Mapping[str, Any], None]:
        """The deltas of one completion.

        Raises:
            ChatFailed: at any point.
        """
        asked = {"model": model, "messages": messages, "stream": True, **({"tools": tools} if tools else {})}
        body = json.dumps(asked).encode()
        done = spoke = False
        async with aclosing(self._lines("chat/completions", body)) as lines:
            async for line in lines:
                if line.startswith(b"{"):
                    line = b"data: " + line  # an endpoint that does not stream
                if not line.startswith(b"data:"):
                    continue  # comments, event names, blank lines
                data = line[5:].strip()
                if data == b"[DONE]":
                    return
                delta, finished = _delta(data)
                done, spoke = done or finished, True
                yield delta
        if not done:
            raise ChatFailed("its answer broke off" if spoke else "its answer is not a chat completion")

    async def first_model(self) -> str:
        """The model to ask for: the one that was set, or the first that the endpoint lists.

        Raises:
            ChatFailed: there is none.
        """
        if self.model is not None:
            return self.model
        if urlsplit(self.base_url).hostname == _HOSTED:
            return _HOSTED_MODEL
        models = await self.models()
        if not models:
            raise ChatFailed("it lists no models; name one in OPENAI_MODEL")
        return models[0]

    async def models(self) -> list[str]:
        """The models that the endpoint lists.

        Raises:
            ChatFailed: at any point.
        """
        async with aclosing(self._lines("models")) as lines:
            listed = _json(b"\n".join([line async for line in lines]))
        try:
            return [str(model["id"])[:_LONGEST_NAME] for model in listed["data"]]
        except (KeyError, TypeError):
            return []

    async def _lines(self, path: str, body: bytes | None = None) -> AsyncGenerator[bytes, None]:
        """The lines of a response, the last one whether or not it ends."""
        try:
            async with aclosing(self._chunks(path, body)) as chunks:
                rest = b""
                async for chunk in chunks:
                    *lines, rest = (rest + chunk).split(b"\n")
                    for line in lines:
                        yield line.strip()
                    if len(rest) > _MOST_LINE_BYTES:
                        raise ChatFailed("a line of its answer does not end")
                yield rest.strip()
        except trio.TooSlowError:
            raise ChatFailed("it takes too long") from None
        except OSError as error:
            raise ChatFailed(str(error)) from None

    async def _chunks(self, path: str, body: bytes | None) -> AsyncGenerator[bytes, None]:
        headers = {"Content-Type": "application/json", "Accept": "text/event-stream, application/json"}
        if self.key is not None:
            headers["Authorization"] = f"Bearer {self.key.reveal()}"
        stream, began_s = await self._connect(), trio.current_time()
        async with AsyncExitStack() as stack:
            with trio.fail_after(self.patience.next_bytes_s):
                asked = asking(stream, f"{self.base_url}/{path}", headers, body)
                answer = await stack.enter_async_context(asked)
            pieces, complaint, received = aiter(answer.aiter_stream()), b"", 0
            waited_s = trio.current_time() - began_s
            while True:
                began_s = trio.current_time()
                left_s = min(self.patience.next_bytes_s, self.patience.whole_s - waited_s)
                with trio.fail_after(max(0.0, left_s)):
                    data = await anext(pieces, None)
                waited_s += trio.current_time() - began_s
                if data is None:
                    break
                received += len(data)
                if received > _MOST_BYTES:
                    raise ChatFailed("its answer does not end")
                if answer.status == 200:
                    yield data
                else:
                    complaint = (complaint + data)[: 2**16]
            if answer.status != 200:
                what = f"it answers with HTTP {answer.status}{_complaint(complaint, self.key)}"
                raise ChatFailed(what, answer.status)

    async def _connect(self) -> trio.abc.Stream:
        with trio.fail_after(self.patience.connect_s):
            try:
                return await open_stream(self.base_url)
            except OSError as error:
                obstacle = obstacle_to(self.base_url, error)
                fix = f"; {obstacle.fix}" if obstacle.fix else ""
                raise ChatFailed(f"it {obstacle.what}{fix}") from None
            except SettingsError as error:
                raise ChatFailed(str(error)) from None


def read_endpoint(found: Mapping[str, str | None]) -> Endpoint | None:
    """What `OPENAI_BASE_URL`, `OPENAI_API_KEY` and `OPENAI_MODEL` say; None if the first is not set.

    Raises:
        SettingsError: the address is none, or would send the key in the open.
    """
    url, key, model = (
        (found.get(f"OPENAI_{name}") or "").strip() for name in ("BASE_URL", "API_KEY", "MODEL")
    )
    if not url:
        return None
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise SettingsError("OPENAI_BASE_URL is not an address", f"give one, {_WHERE}") from None
    if parts.scheme not in ("http", "https") or not host or not url.isascii() or any(map(str.isspace, url)):
        raise SettingsError("OPENAI_BASE_URL is not an http:// or https:// address", f"give one, {_WHERE}")
    if "@" in parts.netloc or parts.query or parts.fragment:
        what = "OPENAI_BASE_URL contains more than an address"
        raise SettingsError(what, f"give only the address, {_WHERE}, and the key in OPENAI_API_KEY")
    if key and not (key.isascii() and key.isprintable() and " " not in key):
        raise SettingsError("OPENAI_API_KEY has characters that no key has", "copy it again, without quotes")
    if key and parts.scheme == "http" and not is_loopback(host):
        what = "OPENAI_API_KEY would be sent unencrypted over http:// to another machine"
        raise SettingsError(what, "use an https:// address in OPENAI_BASE_URL, or leave the key out")
    return Endpoint(url.rstrip("/"), Secret(key) if key else None, model or None)


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise ChatFailed("its answer is not JSON") from None


def _delta(data: bytes) -> tuple[Mapping[str, Any], bool]:
    """What one chunk adds, and whether it is the last to add anything."""
    chunk = _json(data)
    if isinstance(chunk, Mapping) and chunk.get("error"):
        raise ChatFailed(f"it reports an error{_complaint(data, None)}")
    try:
        choice = (chunk["choices"] or [{}])[0]  # usage comes with no choices
        delta = choice.get("delta") or choice.get("message") or {}
        finished = choice.get("finish_reason") is not None
    except (KeyError, TypeError, AttributeError):
        raise ChatFailed("its answer is not a chat completion") from None
    if not isinstance(delta, Mapping):
        raise ChatFailed("its answer is not a chat completion")
    return delta, finished


def _complaint(body: bytes, key: Secret | None) -> str:
    """What the endpoint said is wrong, in one line, behind a colon."""
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    error = told.get("error") if isinstance(told, Mapping) else None
    message = error.get("message") if isinstance(error, Mapping) else error
    if not isinstance(message, str):
        return ""
    if key is not None:
        message = message.replace(key.reveal(), "\u2022\u2022\u2022")
    shown = " ".join(message.split())
    return f": {shown}" if len(shown) <= _MOST_COMPLAINT else f": {shown[:_MOST_COMPLAINT]}\u2026"
