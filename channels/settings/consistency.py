"""What must go together: checks that look at more than one setting, after each was checked by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from channels.errors import SettingsError
from channels.settings.prompts import Template
from channels.settings.rules import nearest, shown
from channels.settings.sources import Source, Value
from channels.settings.voices import VoiceMatrix

__all__ = ["inconsistencies"]

# The sane range of the articles: below, people are cut short; above, pauses feel unnatural.
LEAST_SILENCE_MS = 300
MOST_SILENCE_MS = 2500

_TURNS = "session.input.turn_detection."


def inconsistencies(
    values: Mapping[str, Value],
    matrix: VoiceMatrix,
    template: Template | None,
    warn: Callable[[str], None],
) -> Iterator[SettingsError]:
    """What cannot be as it is; what is only odd is warned of."""
    yield from _agent(values)
    yield from _voice(values, matrix, template, warn)
    yield from _languages(values, matrix, warn)
    yield from _turns(values, warn)
    for direction in ("input", "output"):
        yield from _format(values, f"session.{direction}.format.")
    yield from _webhook(values)


def _agent(values: Mapping[str, Value]) -> Iterator[SettingsError]:
    agent = values.get("session.agent_id")
    if agent is None:
        return
    for path, value in values.items():
        of_agent = path.startswith("session.") or path == "tools.modules"
        if of_agent and value is not agent and value.origin.source is not Source.DEFAULT:
            yield SettingsError(
                f"{value.called} cannot be set together with {agent.called}",
                "a stored agent brings everything else with it; leave one of them out",
            )


def _voice(
    values: Mapping[str, Value], matrix: VoiceMatrix, template: Template | None, warn: Callable[[str], None]
) -> Iterator[SettingsError]:
    voice = values.get("session.output.voice")
    if voice is not None:
        wrong = matrix.wrong_with(voice.value)
        if wrong is not None:
            what, fix = wrong
            yield SettingsError(f"{voice.called} {what}", fix)
            return
    if template is None:
        return
    name = matrix.default if voice is None else voice.value
    if matrix.voices[name].language != template.language:
        language = matrix.languages.get(template.language)
        speakers = [each for each in matrix.served if matrix.voices[each].language == template.language]
        warn(
            f"the template {template.name} is written in {language.name if language else template.language}, "
            f"and the voice {matrix.describe(name)} does not speak it; "
            + (f"take {' or '.join(speakers)}" if speakers else "no voice does")
        )


def _languages(
    values: Mapping[str, Value], matrix: VoiceMatrix, warn: Callable[[str], None]
) -> Iterator[SettingsError]:
    codes = values.get("session.input.language_codes")
    for code in codes.value if codes is not None else ():
        assert codes is not None
        if code not in matrix.understood:
            names = {matrix.languages[each].name: each for each in matrix.understood}
            meant = names.get(nearest(code, names) or "") or nearest(code, matrix.understood)
            yield SettingsError(
                f"{codes.called} has a language that is not understood (found {shown(code)})",
                (f"did you mean {meant!r}? " if meant else "")
                + f"The service understands {', '.join(matrix.understood)}",
            )
        elif code not in matrix.spoken:
            warn(
                f"{codes.called}: {matrix.languages[code].name} is understood, and no voice speaks it; "
                f"spoken are {', '.join(matrix.spoken)}"
            )


def _turns(values: Mapping[str, Value], warn: Callable[[str], None]) -> Iterator[SettingsError]:
    low, high = values.get(_TURNS + "min_silence"), values.get(_TURNS + "max_silence")
    if low is not None and high is not None and low.value > high.value:
        yield SettingsError(
            f"{low.called} is {low.value} ms, more than {high.called} with {high.value} ms",
            "make the first one smaller or the second one larger",
        )
    written = {path: value for path, value in values.items() if path.startswith(_TURNS)}
    own = [value for value in written.values() if value.origin.source is not Source.PROFILE]
    if own and len(own) == len(written):
        warn(
            f"{own[0].called} is sent, and turn detection that is sent at all switches the service's "
            "adaptive endpointing off"
        )
    for silence in (low, high):
        if silence in own and silence is not None:
            if silence.value < LEAST_SILENCE_MS:
                warn(f"{silence.called} is below {LEAST_SILENCE_MS} ms: people will be cut short")
            elif silence.value > MOST_SILENCE_MS:
                warn(f"{silence.called} is above {MOST_SILENCE_MS} ms: pauses will feel unnatural")


def _format(values: Mapping[str, Value], prefix: str) -> Iterator[SettingsError]:
    encoding, rate = values.get(prefix + "encoding"), values.get(prefix + "sample_rate")
    if rate is not None and (encoding is None or encoding.value != "audio/pcm"):
        yield SettingsError(
            f"{rate.called} is set without the encoding audio/pcm",
            f"set {prefix}encoding too, or leave both out",
        )


def _webhook(values: Mapping[str, Value]) -> Iterator[SettingsError]:
    prefix = "session.webhook."
    given = [value for path, value in values.items() if path.startswith(prefix)]
    for name in ("url", "events"):
        if given and prefix + name not in values:
            fix = "a webhook has a url and events"
            yield SettingsError(f"{given[0].called} is set without {prefix}{name}", fix)
    url = values.get(prefix + "url")
    if url is not None and not url.value.startswith("https://"):
        yield SettingsError(f"{url.called} is not an https:// address", "give the address that is called")
