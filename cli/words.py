"""The library's words for its settings, as the command line calls them.

The library speaks to callers in Python: "pass overwrite=True", ``missing="linear"``. At the
terminal the same setting is an option: "pass --overwrite", "--missing linear".
"""

from __future__ import annotations

import re

# A setting and its value, unless it is a part of a longer name or of a quoted one.
_SETTING = re.compile(r"(?<![\w.'/-])([a-z][a-z_]*)=(True|False|\d+|\"[^\"]*\"|\.\.\.)")
# Where the option's name is not that of the setting.
_OPTIONS = {"form": "--format", "out": "-o", "noncommercial=False": "--no-nc"}


def as_options(text: str) -> str:
    """``text`` with settings written as options.

    >>> as_options('pass overwrite=True, or missing="linear" and folds=5')
    'pass --overwrite, or --missing linear and --folds 5'
    """
    return _SETTING.sub(_option, text)


def _option(match: re.Match[str]) -> str:
    name, value = match[1], match[2].strip('"')
    if match[0] in _OPTIONS:
        return _OPTIONS[match[0]]
    option = _OPTIONS.get(name, "--" + name.replace("_", "-"))
    if value == "False":
        return f"--no-{option.lstrip('-')}"
    return option if value in ("True", "...") else f"{option} {value}"
