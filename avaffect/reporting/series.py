"""A table as the page draws it: few enough numbers, in few bytes, as base64."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avaffect.arrays import ArrayRecord
from avaffect.drawing.subjects import Table
from avaffect.labels import ACTION_UNITS, EXPRESSIONS
from avaffect.reporting.summary import flags

# Bytes of one page's arrays, of all people together; base64 makes a third more of them.
BUDGET = 2_600_000
_A_CELL = 56
_MOST_CELLS, _FEWEST_CELLS = 40_000, 400
_UNIT, _BYTE_NONE = 254.0, 255
_SHORT, _SHORT_NONE = 32_000.0, -32_768
_SIDES = ("left", "top", "right", "bottom")

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class Cells(ArrayRecord):
    """Frames in a row, some together as one cell.

    Attributes:
        starts: int64 [M], the first row of each.
        counts: int64 [M], how many rows.
    """

    starts: NDArray[np.int64]
    counts: NDArray[np.int64]

    @classmethod
    def of(cls, rows: int, most: int) -> Cells:
        """Cells of one size, at most ``most``."""
        starts = np.arange(0, rows, max(1, -(-rows // most)), dtype=np.int64)
        return cls(starts, np.diff(np.append(starts, rows)))

    @property
    def size(self) -> int:
        """Rows of each but the last."""
        return int(self.counts[0])

    def lowest(self, values: Floats) -> Floats:
        """float64 [M, ...], the least known value of each cell; NaN without any."""
        return np.fmin.reduceat(values, self.starts, axis=0)

    def highest(self, values: Floats) -> Floats:
        """float64 [M, ...], the greatest known value of each cell."""
        return np.fmax.reduceat(values, self.starts, axis=0)

    def mean(self, values: Floats) -> Floats:
        """float64 [M, ...], the mean of the known values of each cell."""
        known = np.isfinite(values)
        sums = np.add.reduceat(np.where(known, values, 0.0), self.starts, axis=0)
        counts = np.add.reduceat(known.astype(np.int64), self.starts, axis=0)
        return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)

    def middle(self, values: NDArray[Any]) -> NDArray[Any]:
        """[M, ...], the row in the middle of each cell."""
        return values[self.starts + self.counts // 2]


def cells_for(rows: int, people: int) -> Cells:
    """The cells for one of so many people, such that the page stays small."""
    most = BUDGET // (max(1, people) * _A_CELL)
    return Cells.of(rows, max(_FEWEST_CELLS, min(_MOST_CELLS, most)))


def pack_table(table: Table, cells: Cells) -> dict[str, Any]:
    """What the page draws of a table.

    Of valence and arousal the least and the greatest value of each cell are kept, so that no peak
    is lost; of everything else the mean.

    Returns:
        JSON-able: ``end``, the seconds at which the last frame ends; ``frames`` a cell; and by
        name arrays as `packed` gives them.
    """
    times = table.times
    last = float(np.median(np.diff(times))) if len(times) > 1 else 0.04
    ones = np.ones(len(times), bool)
    seen = flags(table, "present", ones)
    heard = flags(table, "heard", ~ones)
    found: dict[str, Any] = {
        "end": float(times[-1]) + last,
        "frames": cells.size,
        "rows": len(times),
        "t": packed(times[cells.starts].astype(np.float32)),
        "seen": unit_bytes(cells.mean(seen.astype(np.float64))),
        "heard": unit_bytes(cells.mean(heard.astype(np.float64))),
    }
    for name in ("valence", "arousal"):
        values = _column(table, name)
        if np.isfinite(values).any():
            low, high = _column(table, f"{name}_low"), _column(table, f"{name}_high")
            found |= {
                f"{name}_min": shorts(cells.lowest(values)),
                f"{name}_max": shorts(cells.highest(values)),
            }
            if np.isfinite(low + high).any():
                found |= {
                    f"{name}_low": shorts(cells.lowest(low)),
                    f"{name}_high": shorts(cells.highest(high)),
                }
    groups: Mapping[str, tuple[str, ...]] = {
        "quality": ("confidence",),
        "speaking": ("speaking",),
        "classes": tuple(f"p_{name}" for name in EXPRESSIONS),
        "units": tuple(f"{name}_p" for name in ACTION_UNITS),
    }
    for group, names in groups.items():
        values = table.numbers(*names).astype(np.float64)
        if np.isfinite(values).any():
            # Column by column, so that the page takes one name's values as a slice.
            found[group] = unit_bytes(cells.mean(values).T)
    active = table.numbers(*ACTION_UNITS)
    if np.isfinite(active).any():
        found["active"] = packed(bits(np.nan_to_num(cells.middle(active)) == 1))
    box = table.numbers(*(f"box_{side}" for side in _SIDES)).astype(np.float64)
    if np.isfinite(box).any():
        middle = cells.middle(box)
        places = np.where(np.isfinite(middle), np.clip(middle, -30_000, 30_000), _SHORT_NONE)
        found["box"] = packed(places.round().astype("<i2").T)
    return found


def bits(active: NDArray[np.bool_]) -> NDArray[np.uint16]:
    """uint16 [M], a bit a column of bool [M, K], K up to 16."""
    powers = 1 << np.arange(active.shape[1])
    return (active @ powers).astype("<u2")


def unit_bytes(values: Floats) -> dict[str, str]:
    """Values in 0..1 as bytes, 255 for none."""
    known = np.isfinite(values)
    scaled = np.clip(np.where(known, values, 0.0), 0, 1) * _UNIT
    return packed(np.where(known, scaled.round(), _BYTE_NONE).astype(np.uint8))


def shorts(values: Floats) -> dict[str, str]:
    """Values in [-1, 1] as two bytes each, -32768 for none."""
    known = np.isfinite(values)
    scaled = np.clip(np.where(known, values, 0.0), -1, 1) * _SHORT
    return packed(np.where(known, scaled.round(), _SHORT_NONE).astype("<i2"))


def packed(array: NDArray[Any]) -> dict[str, str]:
    """An array for the page: its type (``f4``, ``i2``, ``u2``, ``u1``) and its bytes, base64."""
    little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    kind = f"{little.dtype.kind}{little.dtype.itemsize}"
    return {"type": kind, "data": base64.b64encode(little.tobytes()).decode()}


def _column(table: Table, name: str) -> Floats:
    return table.numbers(name)[:, 0].astype(np.float64)
