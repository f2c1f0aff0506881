"""Docstrings as the site shows them: examples as code, and no marks that Sphinx alone reads.

An extension of Griffe, which reads the docstrings for ``api.md``; see ``mkdocs.yml``.
"""

from __future__ import annotations

import re
from typing import Any

from griffe import Extension, Object

_EXAMPLE = re.compile(r"(?m)^>>> .*\n?(?:.+\n?)*")
_FLAG = re.compile(r" *# doctest: \+\w+")
_ROLE = re.compile(r":\w+:`~?([^`]+)`")


class Docstrings(Extension):
    """Rewrites each docstring before it is split into its sections."""

    def on_object(self, *, obj: Object, **kwargs: Any) -> None:
        if obj.docstring is not None:
            obj.docstring.value = rewritten(obj.docstring.value)


def rewritten(text: str) -> str:
    """``text`` with its examples fenced and its roles as plain code."""
    text = _ROLE.sub(r"`\1`", _FLAG.sub("", text))
    return _EXAMPLE.sub(lambda found: f"```python\n{found[0].rstrip()}\n```\n", text)
