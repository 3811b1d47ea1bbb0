# ruff: noqa: SLF001 - argparse tells of its commands in no other way
"""The command line and the settings, from the argument parser and `lambent.config.OPTIONS`."""

from __future__ import annotations

import argparse

from markdown import code, table

from lambent.cli.main import build_parser
from lambent.config import OPTIONS


def settings() -> str:
    """Every setting of `lambent serve`, its four names and its default."""
    rows = [
        (
            code(f"--{option.name}"),
            code(option.variable),
            code(option.name.replace("-", "_")),
            code(option.default) or ("see below" if option.name == "data-dir" else "none"),
            option.help,
        )
        for option in OPTIONS
    ]
    return table(("Flag", "Environment variable", "Key in the file", "Default", "Meaning"), rows)


def all_commands() -> str:
    """One section for each command."""
    parser = build_parser()
    (subparsers,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    return "\n\n".join(_section(name, command) for name, command in subparsers.choices.items())


def _section(name: str, command: argparse.ArgumentParser) -> str:
    actions = [action for action in command._actions if not isinstance(action, argparse._HelpAction)]
    positional = [action for action in actions if not action.option_strings]
    options = [action for action in actions if action.option_strings]
    usage = " ".join(["lambent", name, *map(_usage, positional), *(["[options]"] if options else [])])
    parts = [f"### lambent {name}", command.description or "", f"    {usage}"]
    if described := [action for action in positional if action.help]:
        parts.append(table(("Argument", "Meaning"), [(code(_name(action)), action.help or "") for action in described]))
    if options:
        parts.append(table(("Option", "Meaning"), [(code(_flags(action)), action.help or "") for action in options]))
    return "\n\n".join(parts)


def _name(action: argparse.Action) -> str:
    if action.choices is not None:
        return "|".join(map(str, action.choices))
    return str(action.metavar or action.dest)


def _usage(action: argparse.Action) -> str:
    return {"?": "[{}]", "*": "[{} …]"}.get(str(action.nargs), "{}").format(_name(action))


def _flags(action: argparse.Action) -> str:
    value = "" if action.nargs == 0 else f" {action.metavar or action.dest.upper()}"
    return ", ".join(action.option_strings) + value


BLOCKS = {"settings": settings, "commands": all_commands}
