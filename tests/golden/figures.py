"""What `predict` says of the sample clips, in a few numbers, and how near they must stay.

    python -m golden.figures OUT      # compare a folder that `predict sample_media/` wrote
    python -m golden.figures --renew OUT

The numbers hold on any processor and with every version of the libraries that is supported: sums
are added up in another order there, which moves a probability in the third digit, and a face that
is nearly lost may be lost a frame sooner. `make goldens` renews them, on purpose.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

GOLDEN = Path(__file__).with_name("samples.json")
CLIPS = ("one_person", "two_people", "vfr_rotated", "no_face")
# Rows of a subject that are noted one by one.
PLACES = 9
FRAMES, PIXELS, SECONDS, VALUE = 2, 2.0, 1e-3, 0.03


def figures(out: Path) -> dict[str, dict[str, Any]]:
    """By subject, what its table says; ``out`` is `predict`'s output folder."""
    paths = sorted((out / "tables").glob("*.parquet"))
    return {path.stem: _of_table(path) for path in paths}


def _of_table(path: Path) -> dict[str, Any]:
    table = pq.read_table(path)
    columns = {name: table[name].to_numpy(zero_copy_only=False) for name in table.column_names}
    present = columns["present"].astype(bool)
    found: dict[str, Any] = {
        "rows": len(present),
        "present": int(present.sum()),
        "end_s": float(columns["time"][-1]),
        "box_px": {name: _mean(values) for name, values in columns.items() if "box_" in name},
        "mean": {name: _mean(values) for name, values in columns.items() if _is_value(name)},
    }
    rows = np.flatnonzero(np.isfinite(np.asarray(columns["valence"], float)))
    rows = rows[np.linspace(0, len(rows) - 1, PLACES).round().astype(int)] if len(rows) else rows
    found["at"] = {
        name: [round(float(value), 4) for value in np.asarray(columns[name], float)[rows]]
        for name in ("valence", "arousal", "p_Happiness", "AU12_p")
    }
    found["places"] = rows.tolist()
    return found


def _is_value(name: str) -> bool:
    return name in ("valence", "arousal", "confidence") or name.startswith("p_") or (
        name.startswith("AU") and name.endswith("_p")
    )  # fmt: skip


def _mean(values: Any) -> float | None:
    numbers = np.asarray(values, float)
    numbers = numbers[np.isfinite(numbers)]
    return round(float(numbers.mean()), 4) if len(numbers) else None


def differences(found: dict[str, Any], golden: dict[str, Any]) -> list[str]:
    """What is further off than it may be, a line each; empty if all holds."""
    if found.keys() != golden.keys():
        return [f"subjects are {sorted(found)}, not {sorted(golden)}"]
    return [
        line for name, wanted in golden.items() for line in _compare(name, found[name], wanted)
    ]


def _compare(place: str, found: Any, wanted: Any) -> Iterator[str]:
    if isinstance(wanted, dict):
        for key, value in wanted.items():
            yield from _compare(f"{place} {key}", found.get(key), value)
    elif isinstance(wanted, list):
        if len(found) != len(wanted):
            yield f"{place}: {len(found)} values, not {len(wanted)}"
        else:
            for at, (one, other) in enumerate(zip(found, wanted, strict=True)):
                yield from _compare(f"{place} {at}", one, other)
    elif None in (found, wanted):
        if found is not wanted:
            yield f"{place}: {found}, not {wanted}"
    elif abs(found - wanted) > _tolerance(place):
        yield f"{place}: {found}, not {wanted}"


def _tolerance(place: str) -> float:
    words = place.split()
    if words[1] == "rows":
        return 0
    if words[1] in ("present", "places"):
        return FRAMES
    return PIXELS if "box_px" in words else SECONDS if "end_s" in words else VALUE


def main() -> int:
    """Compare, or renew; 1 if something differs."""
    *options, out = sys.argv[1:]
    found = figures(Path(out))
    if options == ["--renew"]:
        GOLDEN.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        return 0
    lines = differences(found, json.loads(GOLDEN.read_text(encoding="utf-8")))
    print("\n".join(lines) or "as it was")
    return int(bool(lines))


if __name__ == "__main__":
    sys.exit(main())
