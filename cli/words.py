"""The library's settings as the terminal's options: ``overwrite=True`` is ``--overwrite``.

The library's messages name settings as Python takes them. Which option a setting is, and whether
it takes a value, the commands know themselves: click calls an option as the library's keyword.
"""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from functools import cache
from typing import Any

import click

from avaffect.cli.commands import LazyGroup

# Settings that click knows under another name.
_OTHERS = {"noncommercial": "nc", "root": "data", "tasks": "task", "which": "features"}
_SHORT = {"--out": "-o"}
_TEXT = r'"[^"]*"'
_TEXTS = rf"(?:{_TEXT}(?:, ?)?)*"
# What stands in quotes is a name, and so is what goes on behind the value.
SETTING = re.compile(
    r"(?<!\w)'.*?'(?!\w)|"
    r"(?<![\w.'/\\=-])(?P<name>[a-z][a-z_]*)="
    rf"(?P<value>True|False|None|N|\.\.\.|-?\d+(?:\.\d+)?|{_TEXT}|\[{_TEXTS}\]|\({_TEXTS}\))"
    r"(?![\w/=-]|\.\w)"
)


def as_options(text: str) -> str:
    """``text`` with its settings as options; what is none, or stands in quotes, is left.

    >>> as_options('choose missing="linear", or replace them with overwrite=True')
    'choose --missing linear, or replace them with --overwrite'
    """
    return SETTING.sub(_as_option, text)


def _as_option(found: re.Match[str]) -> str:
    name, value = found["name"], found["value"]
    if name is None:
        return found[0]
    name = _OTHERS.get(name, name)
    option = options().get(f"no_{name}" if value in ("False", "None") else name)
    if option is None:
        return found[0]
    flag = _SHORT.get(option.opts[-1], option.opts[-1])
    if option.is_flag or value == "...":
        return flag
    if value == "N":
        return f"{flag} N"
    given: Any = ast.literal_eval(value)
    if isinstance(given, str | int | float):
        return f"{flag} {shlex.quote(str(given))}"
    if option.multiple:
        return " ".join(f"{flag} {shlex.quote(each)}" for each in given)
    return f"{flag} {shlex.quote(','.join(given))}"


@cache
def options() -> dict[str, click.Option]:
    """The options of all commands by click's name; ``no_x`` is also what switches ``x`` off."""
    found: dict[str, click.Option] = {}
    for option in _options_of(LazyGroup("avaffect")):
        found.setdefault(option.name or "", option)
        if option.secondary_opts:
            no = click.Option(option.secondary_opts, is_flag=True)
            found.setdefault(no.name or "", no)
    return found


def _options_of(command: click.Command) -> Iterator[click.Option]:
    yield from (parameter for parameter in command.params if isinstance(parameter, click.Option))
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            if (member := command.get_command(context, name)) is not None:
                yield from _options_of(member)
