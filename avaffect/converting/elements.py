"""Elements of XML as text, for files that are written from their beginning to their end."""

from __future__ import annotations

from collections.abc import Mapping
from xml.sax.saxutils import quoteattr

HEAD = "<?xml version='1.0' encoding='UTF-8'?>\n"


def opened(name: str, attributes: Mapping[str, object]) -> str:
    """The start tag of an element, its attributes' values escaped.

    >>> opened("tier", {"id": "a<b"})
    '<tier id="a&lt;b">'
    """
    given = "".join(f" {key}={quoteattr(str(value))}" for key, value in attributes.items())
    return f"<{name}{given}>"


def empty(name: str, attributes: Mapping[str, object]) -> str:
    """An element without content."""
    return f"{opened(name, attributes)[:-1]}/>"
