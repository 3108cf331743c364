"""Every setting, each where it is declared, with the profiles, templates and voices that come along."""

from __future__ import annotations

from collections.abc import Iterator

from channels.settings import Settings
from channels.settings.catalogue import CATALOGUE, Setting
from channels.settings.profiles import OUR_FOLDER, files_of, read_profiles
from channels.settings.prompts import read_template
from channels.settings.rules import Choice, Flag, Key, Number, OneLine, Rule, Text, Texts, Whole, shown
from channels.settings.voices import Era, read_voices
from docs._ext.markdown import doc_of, docs_of_fields, inline, table

__all__ = ["all_profiles", "all_settings", "all_templates", "all_voices"]


def all_settings() -> str:
    """A part for each table of a file."""
    parts: dict[str, list[Setting]] = {}
    for setting in CATALOGUE.values():
        parts.setdefault(setting.path.rpartition(".")[0], []).append(setting)
    return "\n".join(_part(where, settings) for where, settings in parts.items())


def _part(where: str, settings: list[Setting]) -> str:
    kinds = dict.fromkeys(each.declared_in for each in settings)
    rows = [
        [
            inline(each.path),
            inline(each.env),
            allowed(each.rule),
            _default(each),
            " ".join(_said(each, docs_of_fields(each.declared_in))),
        ]
        for each in settings
    ]
    title = inline(where) or "At the top of a file"
    said = "\n\n".join(doc_of(kind) for kind in kinds if kind is not Settings)
    head = ["Setting", "Environment", "May be", "Default", "What"]
    return f"## {title}\n\n{said}\n\n{table(head, rows)}"


def _said(setting: Setting, docs: dict[str, str]) -> Iterator[str]:
    if said := docs.get(setting.path.rpartition(".")[2]):
        yield said
    if fix := setting.rule.fix:
        yield f"{fix[:1].upper()}{fix[1:]}.".replace("<", r"\<")
    if setting.rule.private:
        yield "Never in a file that is shared."
    if setting.rule.mutable:
        yield "*May change in mid-call.*"


def allowed(rule: Rule) -> str:
    """What a setting may be, in words."""
    match rule:
        case Whole(low=low, high=high, unit=unit):
            return f"{low} to {high} {unit}" if low != high else f"{low} {unit}"
        case Number(low=low, high=high):
            return f"{low:g} to {high:g}"
        case Flag():
            return "true or false"
        case Choice(names=names):
            return ", ".join(map(inline, names))
        case Texts(most=most, item=item):
            return f"up to {most} of: {allowed(item)}"
        case OneLine(longest=longest):
            return f"one line, up to {longest} characters"
        case Text(longest=longest):
            return "text" if longest is None else f"text, up to {longest} characters"
        case Key():
            return "a key"
        case _:
            return one_word(rule)


def one_word(rule: Rule) -> str:
    """A rule of its own kind, by what its class says."""
    said = doc_of(type(rule)).partition(".")[0].partition("\n")[0]
    return said[:1].lower() + said[1:]


def _default(setting: Setting) -> str:
    match setting.default:
        case None | ():
            return "–"
        case bool() as value:
            return inline(str(value).lower())
        case float() as value:
            return inline(f"{value:g}")
        case value:
            return inline(str(value))


def all_profiles() -> str:
    """What each profile sends."""
    rows = []
    for name, profile in read_profiles([OUR_FOLDER]).items():
        sent = ", ".join(
            f"`{path.rpartition('.')[2]}` {shown(value)}" for path, value in profile.values.items()
        )
        rows.append([inline(name), profile.description, sent or "nothing"])
    return table(["Profile", "For", "Sends"], rows)


def all_templates() -> str:
    """What each template asks for."""
    rows = []
    for name, path in files_of([OUR_FOLDER], "prompts").items():
        template = read_template(name, path)
        for gap, variable in template.variables.items():
            default = "**required**" if variable.default is None else variable.default
            rows.append([inline(name), inline(gap), variable.about, default])
    return table(["Template", "Variable", "What it is", "Default"], rows)


def all_voices() -> str:
    """The voices that a session may have, by language."""
    matrix = read_voices([])
    rows = [
        [
            inline(voice.name),
            matrix.languages[voice.language].name,
            voice.accent or "",
            voice.gender or "",
            "" if voice.era is Era.CURRENT else voice.era.value,
        ]
        for voice in matrix.voices.values()
        if voice.era is not Era.LEGACY
    ]
    return table(["Voice", "Language", "Accent", "Gender", ""], rows)
