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
from typing import Annotated

import attrs

from channels.errors import SettingsError
from channels.settings.catalogue import VARIABLES, rules_of
from channels.settings.profiles import OUR_FOLDER
from channels.settings.rules import Malformed, OneLine, Text, nearest
from channels.settings.sources import Value, raise_all, read_by, read_table

__all__ = ["GUARDRAILS", "Template", "Variable", "read_template"]

GUARDRAILS = OUR_FOLDER / "prompts" / "guardrails.txt"

_VALUE = OneLine(500)
"""One line, so that a value stays part of the sentence it was put into."""

_SEE_OURS = "see our prompts/support.toml"


@attrs.frozen
class Variable:
    """A gap in a template."""

    about: Annotated[str, OneLine(200)]
    default: Annotated[str | None, _VALUE] = None
    """None: it has to be given."""


@attrs.frozen
class Template:
    """A system prompt with gaps."""

    name: str
    system_prompt: Annotated[str, Text()]
    greeting: Annotated[str | None, Text()] = None
    description: Annotated[str, OneLine(200)] = ""
    language: Annotated[str, OneLine(20)] = "en"
    """Its code; what the agent will speak."""
    variables: Mapping[str, Variable] = attrs.field(factory=dict)

    def fill(self, written: Mapping[str, Value]) -> dict[str, str]:
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
    variables: dict[str, Variable] = {}
    declared = content.pop(VARIABLES, {})
    for each, facts in declared.items() if isinstance(declared, dict) else [("company", None)]:
        if isinstance(facts, dict):
            given = read_by(rules_of(Variable), facts, f"{VARIABLES}.{each} in {where}", problems, _SEE_OURS)
            variables[each] = Variable(**{"about": each, **given})
        else:
            fix = f'write {each} = {{ about = "what it is", default = "…" }}'
            problems.append(SettingsError(f"{VARIABLES} in {where} is not a table of variables", fix))
    texts = read_by(rules_of(Template), content, where, problems, _SEE_OURS)
    if "system_prompt" not in content:
        problems.append(SettingsError(f"{where} has no system_prompt", _SEE_OURS))
    used = [_gaps(texts[each], where, problems) for each in ("system_prompt", "greeting") if each in texts]
    for missing in sorted(set().union(*used) - variables.keys()):
        fix = f"declare it there under [{VARIABLES}], or write {{{{ for a brace"
        problems.append(SettingsError(f"{{{missing}}} in {where} is no variable of it", fix))
    raise_all(problems)
    return Template(name, variables=variables, **texts)


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
