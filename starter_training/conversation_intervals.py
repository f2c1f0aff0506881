"""Whether starter-2's interval of valence holds what people say of themselves in conversation.

    python starter_training/conversation_intervals.py --omg DATA/omg_empathy/features_train \\
        --out work/conversation.json

OMG-Empathy: ten listeners heard five stories each and rated their own valence, 25 rows a second.
Its videos are not at hand, so this is no measurement of starter-2 itself. Three readings stand in
for it: Neutral throughout, which is what a calm listener gets; what another face net said of the
same frames (``image_valence``); and that, put on the listeners' scale by a line that is fitted
without the listener. Around each lies starter-2's interval. ``needed`` is the width of an interval
around the third that held 90 % of the other listeners' ratings.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avaffect.files.atomic import write_json
from avaffect.labels import EXPRESSIONS
from avaffect.predictors.starter.starter2 import rest
from avaffect.predictors.starter.valence_arousal import va_of_face

Array = NDArray[np.float64]

COLUMNS = ("valence", "image_valence")
NEUTRAL = EXPRESSIONS.index("Neutral")
HELD = 0.9
# Self-ratings this close to 0 are called plain.
PLAIN = 0.2


def read(folder: Path) -> dict[tuple[int, int], Array]:
    """By listener and story float64 [N, 2], rows that lack neither of ``COLUMNS``."""
    out = {}
    for path in sorted(folder.glob("Subject_*_Story_*.csv")):
        listener, story = map(int, re.findall(r"\d+", path.name))
        with path.open(encoding="utf-8", newline="") as file:
            rows = [
                [float(row[name] or "nan") for name in COLUMNS] for row in csv.DictReader(file)
            ]
        values = np.array(rows)
        out[listener, story] = values[np.isfinite(values).all(axis=1)]
    return out


def line(values: Array) -> Array:
    """[2], slope and height of the line from ``image_valence`` to ``valence``."""
    return np.polyfit(values[:, 1], values[:, 0], 1)


def readings(values: Array, others: Array) -> dict[str, Array]:
    """By name float64 [N], the valence that is read in ``values``."""
    neutral = va_of_face(np.eye(len(EXPRESSIONS))[[NEUTRAL]])[0][0, 0]
    return {
        "Neutral throughout": np.full(len(values), neutral),
        "another net": values[:, 1],
        "another net, on their scale": np.polyval(line(others), values[:, 1]),
    }


def within(values: Array, read_as: Array) -> float:
    """The share of ratings in the interval that starter-2 has around Neutral."""
    below, above = rest().around[NEUTRAL, 0]
    apart = values[:, 0] - read_as
    return float(((below <= apart) & (apart <= above)).mean())


def measured(clips: Mapping[tuple[int, int], Array]) -> dict[str, Any]:
    """The figures."""
    listeners = sorted({listener for listener, _ in clips})
    held: dict[str, dict[tuple[int, int], float]] = {}
    widths = []
    for listener in listeners:
        others = np.concatenate([v for (name, _), v in clips.items() if name != listener])
        apart = np.abs(others[:, 0] - np.polyval(line(others), others[:, 1]))
        widths.append(2 * float(np.quantile(apart, HELD)))
        for key, values in clips.items():
            if key[0] == listener:
                for name, read_as in readings(values, others).items():
                    held.setdefault(name, {})[key] = within(values, read_as)
    every = np.concatenate(list(clips.values()))

    def by(place: int, found: Mapping[tuple[int, int], float]) -> dict[str, float]:
        groups = sorted({key[place] for key in found})
        return {
            str(group): round(
                float(np.mean([share for key, share in found.items() if key[place] == group])), 3
            )
            for group in groups
        }

    return {
        "rows": len(every),
        "plain": round(float((np.abs(every[:, 0]) <= PLAIN).mean()), 3),
        "width": round(float(np.ptp(rest().around[NEUTRAL, 0])), 3),
        "held": {
            name: {
                "mean": round(float(np.mean(list(found.values()))), 3),
                "by listener": by(0, found),
                "by story": by(1, found),
            }
            for name, found in held.items()
        },
        "needed": {"least": round(min(widths), 3), "most": round(max(widths), 3)},
        "correlation": round(float(np.corrcoef(every.T)[0, 1]), 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--omg", type=Path, required=True, help="folder of Subject_1_Story_1.csv")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    result = measured(read(options.omg))
    write_json(options.out, result)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
