"""The command line, as its parser has it."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from commands.arguments import command_line
from docs._ext.markdown import inline, table

__all__ = ["all_commands"]


def all_commands() -> str:
    """The flags that come first, then each command."""
    parser = command_line()
    (commands,) = [each for each in parser._actions if isinstance(each, argparse._SubParsersAction)]
    said = {each.dest: each.help or "" for each in commands._choices_actions}
    parts = [f"## Without a command\n\nServes one room.\n\n{_usage(parser)}\n{_flags(parser)}"]
    parts += [
        f"## `{name}`\n\n{_sentence(said[name])}\n\n{_usage(command)}\n{_flags(command)}"
        for name, command in commands.choices.items()
    ]
    return "\n".join(parts)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith('?') else '.'}"


def _usage(parser: argparse.ArgumentParser) -> str:
    """The command with what has to stand behind it."""
    wanted = [
        " ".join(filter(None, [*action.option_strings[:1], str(action.metavar or "NAME")]))
        for action in parser._actions
        if (action.required or not action.option_strings)
        and not isinstance(action, argparse._SubParsersAction)
    ]
    return f"```text\n{' '.join([f'.venv/bin/{parser.prog}', *wanted])}\n```\n"


def _flags(parser: argparse.ArgumentParser) -> str:
    tables = []
    for group in parser._action_groups:
        rows = list(_rows(group))
        if rows:
            title = {"options": "", "positional arguments": ""}.get(group.title or "", group.title)
            tables.append((f"{title}:\n\n".capitalize() if title else "") + table(["Flag", "What"], rows))
    return "\n".join(tables)


def _rows(group: argparse._ArgumentGroup) -> Iterator[list[str]]:
    for action in group._group_actions:
        if action.help is argparse.SUPPRESS or isinstance(
            action, argparse._HelpAction | argparse._SubParsersAction
        ):
            continue
        wanted = action.metavar or ("|".join(action.choices) if action.choices else None)
        named = [f"{option} {wanted}" if wanted else option for option in action.option_strings]
        said = (action.help or "") % {**vars(action), "prog": "runner.py"}
        yield [", ".join(map(inline, named or [str(wanted)])), f"{said}{'; required' * _needed(action)}"]


def _needed(action: argparse.Action) -> bool:
    return action.required and bool(action.option_strings)
