"""The language model that answers where no account is set up, if `OPENAI_BASE_URL` names one."""

from __future__ import annotations

import attrs

from channels.errors import SettingsError
from commands.check.finding import Colour, Finding
from playground.chat_completions import ChatFailed, Endpoint, Patience
from playground.language_model import find_endpoint

__all__ = ["check_language_model"]

PATIENCE = Patience(next_bytes_s=10.0, whole_s=10.0)


async def check_language_model() -> Finding:
    """Whether its server is there and has the model: it is asked for its models, which costs nothing."""
    try:
        endpoint = find_endpoint(lambda line: None)
    except SettingsError as error:
        return Finding("language model", Colour.RED, error.what, error.fix)
    if endpoint is None:
        said = "none is set up: the small dialogue answers"
        return Finding("language model", Colour.GREEN, said)
    return await _ask(attrs.evolve(endpoint, patience=PATIENCE))


async def _ask(endpoint: Endpoint) -> Finding:
    where = endpoint.base_url
    try:
        models = await endpoint.models()
    except ChatFailed as failed:
        if failed.status in (401, 403):
            return Finding("language model", Colour.RED, f"{where}: {failed}", "check OPENAI_API_KEY")
        if failed.status in (404, 405, 501):
            said = f"{where} does not list its models (HTTP {failed.status})"
            return Finding("language model", Colour.YELLOW, said, "check the path of OPENAI_BASE_URL")
        fix = "check OPENAI_BASE_URL, and that the server is running"
        return Finding("language model", Colour.RED, f"{where}: {failed}", fix)
    if endpoint.model is None:
        if not models:
            said = f"{where} lists no models"
            return Finding("language model", Colour.RED, said, "load one there, or name it in OPENAI_MODEL")
        return Finding("language model", Colour.GREEN, f"{where} answers; the model is {models[0]}")
    # Ollama takes the name without its tag, too.
    if models and endpoint.model not in {*models, *(model.partition(":")[0] for model in models)}:
        said = f"{where} does not list {endpoint.model}"
        return Finding(
            "language model", Colour.YELLOW, said, f"check OPENAI_MODEL: for example, it has {models[0]}"
        )
    return Finding("language model", Colour.GREEN, f"{where} answers; the model is {endpoint.model}")
