"""The order of names with numbers in them."""

from __future__ import annotations

import re


def by_number(name: str) -> list[tuple[int, str]]:
    """A key that sorts names by the numbers' values: ``x_2`` before ``x_10``."""
    return [(int(run), "") if run.isdigit() else (-1, run) for run in re.split(r"(\d+)", name)]
