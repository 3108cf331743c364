"""Templates of the system prompt, with variables and with guardrails that none goes without.

A template is a TOML file with `system_prompt` and, if it likes, `greeting`, `description`, `language` and
`[variables]`. Ours stand in `prompts/`; a folder of that name beside the user's configuration file adds to
them, or puts another in the place of one. The guardrails of `prompts/guardrails.txt` are always appended.

`{name}` stands for a variable, `{{` and `}}` for braces. A text is filled in one pass, so that a value with
braces in it is only a value with braces in it.
"""

from __future__ import annotations

import string
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from channels.errors import SettingsError
from channels.settings.catalogue import VARIABLES
from channels.settings.profiles import OUR_FOLDER
from channels.settings.rules import Malformed, OneLine, Text, nearest, shown
from channels.settings.sources import Written, raise_all, read_table

__all__ = ["GUARDRAILS", "Template", "Variable", "read_template"]

GUARDRAILS = OUR_FOLDER / "prompts" / "guardrails.txt"

_VALUE = OneLine(500)
"""One line, so that a value stays part of the sentence it was put into."""


@attrs.frozen
class Variable:
    """A gap in a template."""

    name: str
    about: str
    default: str | None
    """None: it has to be given."""


@attrs.frozen
class Template:
    """A system prompt with gaps."""

    name: str
    system_prompt: str
    greeting: str | None
    language: str
    """Its code; what the agent will speak."""
    variables: Mapping[str, Variable]

    def fill(self, written: Mapping[str, Written]) -> dict[str, str]:
        """The prompt with its guardrails and the greeting, by path in the session.

        Args:
            written: values of variables by name.

        Raises:
            SettingsError: a variable is missing, unknown, or no line of text.
        """
        problems: list[SettingsError] = []
        values = {name: each.default for name, each in self.variables.items() if each.default is not None}
        for name, each in written.items():
            if name not in self.variables:
                meant = nearest(name, self.variables)
                known = f"its variables are {', '.join(self.variables) or 'none'}"
                problems.append(
                    SettingsError(
                        f"{each.called}: the template {self.name} has no such variable",
                        f"did you mean {meant}?" if meant else known,
                    )
                )
                continue
            try:
                values[name] = _VALUE.read(each.value)
            except Malformed as wrong:
                problems.append(SettingsError(f"{each.called} {wrong.wrong}", self.variables[name].about))
        problems += [
            SettingsError(
                f"the template {self.name} needs {name} ({variable.about})",
                f"give it with --var {name}=…, or under [{VARIABLES}] in the configuration file",
            )
            for name, variable in self.variables.items()
            if name not in values and name not in written
        ]
        raise_all(problems)
        guardrails = GUARDRAILS.read_text(encoding="utf-8").strip()
        filled = {"session.system_prompt": f"{_fill(self.system_prompt, values)}\n\n{guardrails}"}
        if self.greeting is not None:
            filled["session.greeting"] = _fill(self.greeting, values)
        return filled


def read_template(name: str, path: Path) -> Template:
    """A template from its file.

    Raises:
        SettingsError: the file is no template.
    """
    where = f"template {path.name}"
    content = read_table(path)
    problems: list[SettingsError] = []

    def take(table: dict[str, Any], key: str, rule: Text | OneLine) -> Any:
        value = table.pop(key, None)
        try:
            return None if value is None else rule.read(value)
        except Malformed as wrong:
            problems.append(SettingsError(f"{key} in {where} {wrong.wrong}", "see our prompts/support.toml"))
            return None

    take(content, "description", OneLine(200))
    prompt = take(content, "system_prompt", Text())
    if prompt is None and not problems:
        problems.append(SettingsError(f"{where} has no system_prompt", "see our prompts/support.toml"))
    greeting = take(content, "greeting", Text())
    language = take(content, "language", OneLine(20)) or "en"
    variables: dict[str, Variable] = {}
    declared = content.pop(VARIABLES, {})
    for variable, facts in declared.items() if isinstance(declared, dict) else [("", None)]:
        if not isinstance(facts, dict) or not facts.keys() <= {"about", "default"}:
            fix = f'write {variable or "company"} = {{ about = "what it is", default = "…" }}'
            problems.append(SettingsError(f"{VARIABLES} in {where} is not a table of variables", fix))
            continue
        about = take(facts, "about", OneLine(200))
        variables[variable] = Variable(variable, about or variable, take(facts, "default", _VALUE))
    problems += [
        SettingsError(f"there is no setting {shown(key)} (in {where})", "leave it out") for key in content
    ]
    used = _gaps(prompt or "", where, problems) | _gaps(greeting or "", where, problems)
    for missing in sorted(used - variables.keys()):
        fix = f"declare it there under [{VARIABLES}], or write {{{{ for a brace"
        problems.append(SettingsError(f"{{{missing}}} in {where} is no variable of it", fix))
    raise_all(problems)
    return Template(name, prompt, greeting, language, variables)


def _gaps(text: str, where: str, problems: list[SettingsError]) -> set[str]:
    names = set()
    try:
        for _, name, form, conversion in string.Formatter().parse(text):
            if name is not None:
                names.add(name + (f"!{conversion}" if conversion else "") + (f":{form}" if form else ""))
    except ValueError:
        problems.append(SettingsError(f"{where} has a brace without its pair", "write {{ or }} for a brace"))
    return names


def _fill(text: str, values: Mapping[str, str]) -> str:
    parts = string.Formatter().parse(text)
    return "".join(literal + (values[name] if name is not None else "") for literal, name, _, _ in parts)
