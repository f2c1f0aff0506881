"""Say how good starter-2's face net is, set by set, beside the face net that it replaces.

    python starter_training/face_report.py --faces work/faces --net work/face/net.pt \\
        --out work/face

Accuracy, macro F1 and CCC with 95 % intervals over pictures, on the validation part of each set;
the units' areas under the ROC curve beside those of what it learnt from; how often each unit is
seen in each expression, beside what people coded. Writes ``report.json`` and prints a table.
``--test`` looks at FER+'s test part instead: once, at the end. A set that the net never saw
(``--without`` in face_multi.py) is scored on all of its pictures.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from face_data import Faces, load_all
from face_multi import load_net, plan_of
from face_scores import (
    Ints,
    Opinions,
    opinions,
    rates,
    unit_aucs,
    with_intervals,
)
from face_units import CODED, CODED_IN
from face_values import Scale
from numpy.typing import NDArray

from avaffect.faces.align import AFFWILD2, align
from avaffect.faces.encoders import build_encoder
from avaffect.files.atomic import write_json
from avaffect.labels import ACTION_UNITS, EXPRESSIONS
from avaffect.metrics.scores import ccc
from avaffect.predictors.starter.valence_arousal import va_of_face

OLD = "starter-1-face"
CHUNK = 64


def old_opinions(faces: Faces, rows: Ints) -> Opinions:
    """What the replaced face net says of the same pictures; values by the packaged rule."""
    encoder = build_encoder(OLD)
    said = []
    for at in range(0, len(rows), CHUNK):
        crops = [
            align(_colour(faces.pictures[row]), places(faces.matrices[row]), encoder.spec.crop)
            for row in rows[at : at + CHUNK]
        ]
        said.append(encoder(np.stack(crops)))
    probabilities = np.concatenate(said)[:, : len(EXPRESSIONS)]
    return Opinions(
        np.log(np.maximum(probabilities, 1e-9)),
        va_of_face(probabilities)[0],
        np.full((len(rows), len(ACTION_UNITS)), np.nan, np.float32),
    )


def places(matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    """float32 [5, 2], where the template's five points lie in the picture."""
    back = cv2.invertAffineTransform(matrix)
    points = AFFWILD2.template_px @ back[:, :2].T + back[:, 2]
    return np.asarray(points, np.float32)


def _colour(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return picture if picture.shape[2] == 3 else np.repeat(picture, 3, axis=2)


def beside_coded(seen: dict[str, dict[str, float]]) -> dict[str, float]:
    """For each unit how its rates over the expressions correlate with what people coded."""
    found = {}
    for unit, coded in CODED.items():
        ours = [seen[name][unit] for name in CODED_IN if name in seen]
        theirs = [rate for name, rate in zip(CODED_IN, coded, strict=True) if name in seen]
        if len(ours) > 2 and np.std(ours) > 0:
            found[unit] = round(float(np.corrcoef(ours, theirs)[0, 1]), 2)
    return found


def values_beside(
    faces: Faces, rows: Ints, said: Opinions, folder: Path
) -> dict[str, dict[str, list[float]]]:
    """Mean valence and arousal of each expression: the net's; 25 people's of other pictures."""
    people = json.loads((folder / "values.json").read_text(encoding="utf-8"))["people"]
    labels = faces.labels.label[rows]
    return {
        name: {
            "net": said.values[labels == at].mean(axis=0).round(3).tolist(),
            "people": people[at],
        }
        for at, name in enumerate(EXPRESSIONS)
        if (labels == at).any()
    }


def teachers_ccc(faces: Faces, rows: Ints, said: Opinions, folder: Path) -> list[float]:
    """CCC of valence and arousal with the teachers alone, without what labels make up for.

    Empty where the teachers were not asked.
    """
    scale = Scale.load(folder / "values.json")
    theirs = scale(faces.labels.values[rows], np.full(len(rows), -1))
    known = np.isfinite(theirs).all(axis=1)
    if not known.any():
        return []
    return [round(ccc(said.values[known, d], theirs[known, d]), 3) for d in (0, 1)]


def report_on(
    faces: Faces, rows: Ints, said: Opinions, old: Opinions, folder: Path
) -> dict[str, Any]:
    """All figures of one set."""
    read = np.isfinite(faces.units[rows]).all(axis=1)
    seen = rates(faces, rows, said.units > 0)
    before = with_intervals(faces, rows, old)
    return {
        "pictures": len(rows),
        "net": with_intervals(faces, rows, said),
        OLD: {name: value for name, value in before.items() if np.isfinite(value[0])},
        "values": values_beside(faces, rows, said, folder),
        "ccc_with_teachers": teachers_ccc(faces, rows, said, folder),
        "unit_auc": unit_aucs(faces, rows[read], said.units[read]),
        "unit_auc_targets": unit_aucs(faces, rows[read], faces.units[rows[read]]),
        "unit_rates": seen,
        "unit_rates_beside_coded": beside_coded(seen),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--faces", type=Path, required=True, help="what face_points.py wrote")
    parser.add_argument("--net", type=Path, required=True, help="what face_multi.py wrote")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--test", action="store_true", help="the test part: once, at the end")
    options = parser.parse_args()
    torch.set_num_threads(1)
    net, plan = load_net(options.net), plan_of(options.net)
    found: dict[str, Any] = {}
    for name, faces in load_all(options.faces).items():
        rows = faces.rows("test" if options.test else "validation")
        if name == plan.without:
            rows = np.sort(np.concatenate([faces.rows("train"), rows]))
        if not len(rows):
            continue
        said = opinions(net, faces, rows)
        found[name] = report_on(faces, rows, said, old_opinions(faces, rows), options.faces)
        for figure, (value, low, high) in found[name]["net"].items():
            before = found[name][OLD].get(figure)
            was = "" if before is None else f"{OLD} {before[0]:.3f}"
            print(f"{name} {figure}: {value:.3f} ({low:.3f} to {high:.3f}) {was}", flush=True)
    write_json(options.out / ("report-test.json" if options.test else "report.json"), found)


if __name__ == "__main__":
    main()
