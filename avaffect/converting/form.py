"""A form that predictions are converted to, such as ELAN's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from avaffect.converting.recording import Recording
from avaffect.files.csv_text import DECIMALS, Decimal

# Where each file lies below the output folder, and what writes it, whole or not at all.
Files = Sequence[tuple[PurePath, Callable[[Path], None]]]


@dataclass(frozen=True)
class Choices:
    """What one can choose of a form.

    Attributes:
        rate: samples a second, of forms without times of their own; None as the frames have it.
        decimal: ``point`` or ``comma``, of ``csv``.
    """

    rate: float | None = None
    decimal: Decimal = DECIMALS[0]


Build = Callable[[Recording, Choices], Files]


def ending(place: PurePath, suffix: str) -> PurePath:
    """``place`` with a suffix behind its whole name, which may have dots."""
    return place.with_name(f"{place.name}{suffix}")
