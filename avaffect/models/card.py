"""Model cards: what a model was trained on, what it scores, what it must not be used for."""

from __future__ import annotations

from importlib import resources

from avaffect.errors import UnknownNameError

_PLACE = "avaffect.models.cards"


def cards() -> tuple[str, ...]:
    """Names of the models that have a card."""
    found = (entry.name for entry in resources.files(_PLACE).iterdir())
    return tuple(sorted(name.removesuffix(".md") for name in found if name.endswith(".md")))


def card(name: str) -> str:
    """The card of the model called ``name``, Markdown.

    Raises:
        UnknownNameError: there is no card of that name.
    """
    if name not in cards():
        raise UnknownNameError("model card", name, cards())
    return resources.files(_PLACE).joinpath(f"{name}.md").read_text(encoding="utf-8")
