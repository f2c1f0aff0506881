"""Measure what ``starter-2`` must know of its face net: resting people, and whom to ask for units.

    python starter_training/face_figures.py --faces work/faces --onnx work/face/starter-2-face.onnx

On validation parts, which the net did not learn from. Writes
``avaffect/predictors/starter/starter2.json``:

* what the net says of neutral faces on average (FER+, AffectNet; the values: RAF-DB, AffectNet);
* how far the mean valence of each expression lies from that of 25 people (RAF-DB, AffectNet);
* for each unit how well the net and the blendshapes tell the expression that shows it from a
  neutral face (FER+, AffectNet). Both have a say, since over a video the blendshapes know the
  subject's own rest; where that costs more than .04, the net alone.

Minutes on one core.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from face_data import Faces, load_faces
from face_export import says
from face_points import load_points
from face_scores import unit_aucs
from face_spoils import upright
from face_units import read_units
from numpy.typing import NDArray

from avaffect.files.atomic import write_json
from avaffect.labels import ACTION_UNITS, EXPRESSIONS
from avaffect.predictors.starter.resting import logits_of
from avaffect.predictors.starter.unit_proxies import unit_proxies

OUT = Path(__file__).parents[1] / "avaffect" / "predictors" / "starter" / "starter2.json"
# The sets whose pictures show whole faces, on which units can be read.
SETS = ("ferplus", "affectnet8")
# Those in colour, whose values are known.
VALUED = ("rafdb", "affectnet8")
NEUTRAL = EXPRESSIONS.index("Neutral")
SIDE = 112
FLOOR = 1e-4
# So much of the AUC may be lost for the blendshapes to have a say.
COST = 0.04


def blendshapes(folder: Path, name: str) -> NDArray[np.float32]:
    """float32 [N, 12], what the blendshapes say of each unit; NaN where the face is not sure."""
    return read_units(load_points(folder / name), Path("nothing")).blendshapes


def measure(
    faces: Faces, said: NDArray[np.float32], rows: NDArray[np.int64], shapes: NDArray[np.float32]
) -> dict[str, Any]:
    """AUCs of a set by who is asked; ``said`` [n, 22] and ``shapes`` [n, 12] are of ``rows``."""
    read = np.isfinite(shapes).all(axis=1)
    net = logits_of(said[read, 10:])
    proxies = logits_of(unit_proxies().presence(shapes[read]))
    return {
        "net": unit_aucs(faces, rows[read], net),
        "blendshapes": unit_aucs(faces, rows[read], proxies),
        "both": unit_aucs(faces, rows[read], net + proxies),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--faces", type=Path, required=True, help="what face_points.py wrote")
    parser.add_argument("--onnx", type=Path, required=True, help="what face_export.py wrote")
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    areas: dict[str, Any] = {}
    resting, values = [], []
    for name in dict.fromkeys((*SETS, *VALUED)):
        faces = load_faces(options.faces, name)
        rows = faces.rows("validation")
        crops = (upright(faces.pictures[row], faces.matrices[row], SIDE) for row in rows)
        said, labels = says(options.onnx, crops), faces.labels.label[rows]
        if name in SETS:
            areas[name] = measure(faces, said, rows, blendshapes(options.faces, name)[rows])
            resting.append(said[labels == NEUTRAL])
        if name in VALUED:
            values.append([said[labels == at, 8:10].mean(axis=0) for at in range(7)])
    # Each set counts alike.
    means = [
        (np.log(np.maximum(each[:, :8], FLOOR)).mean(axis=0), logits_of(each[:, 10:]).mean(axis=0))
        for each in resting
    ]
    expression, units = (
        np.mean(column, axis=0, dtype=np.float64) for column in zip(*means, strict=True)
    )
    value = np.mean(values, axis=0, dtype=np.float64)
    people = np.array(json.loads((options.faces / "values.json").read_text())["people"])
    shift = (people[:7, 0] - value[:, 0]).round(4).tolist()
    table = {}
    for unit in ACTION_UNITS:
        row = {
            who: round(float(np.mean([areas[name][who][unit] for name in SETS])), 3)
            for who in ("net", "blendshapes", "both")
        }
        table[unit] = row | {"read_from": "both" if row["both"] > row["net"] - COST else "net"}
    write_json(
        options.out,
        {
            "resting": {
                "log_probability": dict(zip(EXPRESSIONS, expression, strict=True)),
                "unit_logit": dict(zip(ACTION_UNITS, units, strict=True)),
                "values": value[NEUTRAL].round(4).tolist(),
                "pictures": sum(len(each) for each in resting),
            },
            "valence_shift": dict(zip(EXPRESSIONS[:7], shift, strict=True)),
            "units": table,
            "by_set": areas,
            "made_by": "starter_training/face_figures.py, on validation parts",
        },
    )
    for unit, row in table.items():
        print(unit, row)


if __name__ == "__main__":
    main()
