"""Score what starter-2 says without the nets that are for research only (``--no-nc``).

    python starter_training/face_free.py --faces work/faces --out work/face

Units are the proxies from blendshapes over the population's resting face, since a single picture
does not show the subject's own; expressions follow from them by rules; valence and arousal from
those. Scored as ``face_report.py`` scores the net, on the same validation pictures. Pictures in
which the mesh finds no face count as neutral. Two minutes on one core. Writes ``free.json``.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from face_data import Faces, load_all
from face_points import Points, load_points
from face_report import beside_coded
from face_scores import Ints, Opinions, rates, recalls, unit_aucs, with_intervals

from avaffect.files.atomic import write_json
from avaffect.labels import ACTION_UNITS
from avaffect.predictors.starter.expressions import prototype_probabilities
from avaffect.predictors.starter.resting import logits_of
from avaffect.predictors.starter.unit_proxies import unit_proxies
from avaffect.predictors.starter.valence_arousal import va_of_face


def free_opinions(found: Points, rows: Ints) -> Opinions:
    """What rules over blendshapes say of the pictures ``rows``."""
    proxies, pose = unit_proxies(), found.pose[rows]
    active = np.zeros((len(rows), len(ACTION_UNITS)), np.float32)
    seen = np.isfinite(pose).all(axis=1)
    active[seen] = proxies.activation(proxies.signals(pose[seen]), proxies.population.middle)
    expression = prototype_probabilities(active)
    return Opinions(
        np.log(np.maximum(expression, 1e-9)),
        va_of_face(expression)[0],
        logits_of(proxies.presence(active)).astype(np.float32),
    )


def score(faces: Faces, found: Points, rows: Ints) -> dict[str, Any]:
    """The figures of one set."""
    said = free_opinions(found, rows)
    seen = rates(faces, rows, said.units > 0)
    return {
        "pictures": len(rows),
        "without_a_face": int(np.isnan(found.pose[rows]).any(axis=1).sum()),
        "net": with_intervals(faces, rows, said),
        "recall": recalls(faces, rows, said),
        "unit_auc": unit_aucs(faces, rows, said.units),
        "unit_rates": seen,
        "unit_rates_beside_coded": beside_coded(seen),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--faces", type=Path, required=True, help="what face_points.py wrote")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    made: dict[str, Any] = {}
    for name, faces in load_all(options.faces).items():
        found = load_points(options.faces / name)
        made[name] = score(faces, found, faces.rows("validation"))
        print(name, made[name]["without_a_face"], "without a face;", made[name]["recall"])
        for figure, (value, low, high) in made[name]["net"].items():
            print(f"{name} {figure}: {value:.3f} ({low:.3f} to {high:.3f})", flush=True)
    write_json(options.out / "free.json", made)


if __name__ == "__main__":
    main()
