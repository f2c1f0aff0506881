"""Action units: twelve of the Facial Action Coding System."""

from __future__ import annotations

import re

from avaffect.labels import ACTION_UNITS
from avaffect.tasks.kinds import Units

_UNIT = re.compile(r"au[\s_-]*0*([0-9]{1,3})(?:_[a-z]+)?", re.IGNORECASE)


def _spelled(text: str) -> str | None:
    unit = _UNIT.fullmatch(text)
    return f"AU{unit[1]}" if unit else None


AU = Units(
    name="au",
    title="action units",
    targets=ACTION_UNITS,
    folder="AU_Detection_Challenge",
    spelled=_spelled,
    pattern="AU[0-9]{1,2}",
)
