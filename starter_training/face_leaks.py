"""Say what training pictures a newer search for twins would leave out, and what they flattered.

    python starter_training/face_leaks.py --faces work/faces --twins work/twins \\
        --seen work/face/seen --out work/face

``work/faces`` holds the ``twins.npz`` that the net was trained with, ``work/twins`` those of a
newer ``face_twins.py --out``. A held-out picture is flattered where training had its twin. The
validation figures are given with and without such pictures. Seconds. Writes ``leaks.json``; to
train without the twins, copy ``work/twins/SET/twins.npz`` to ``work/faces/SET``.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from face_data import Faces, load_all
from face_embeddings import load_seen
from face_scores import Ints, figures_of
from face_twins import SAME, Twins, order

from avaffect.files.atomic import write_json


def load_twins(folder: Path, name: str) -> Twins:
    with np.load(folder / name / "twins.npz", allow_pickle=False) as file:
        return Twins(**file)


def flattered(sets: dict[str, Faces], newer: dict[str, Twins]) -> dict[str, Ints]:
    """The held-out pictures of each set whose twin was learnt from."""
    names = order(sets)
    starts = np.cumsum([0, *(len(sets[name].twin) for name in names)])
    found = []
    for name in names:
        learnt = (sets[name].labels.split == "train") & ~sets[name].twin
        found.append(newer[name].of[learnt & (newer[name].held > SAME), 0])
    numbers = np.unique(np.concatenate(found))
    return {
        name: numbers[(numbers >= low) & (numbers < high)] - low
        for name, low, high in zip(names, starts[:-1], starts[1:], strict=True)
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--faces", type=Path, required=True, help="what face_points.py wrote")
    parser.add_argument("--twins", type=Path, required=True, help="what face_twins.py --out wrote")
    parser.add_argument("--seen", type=Path, required=True, help="what face_embeddings.py wrote")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    sets = load_all(options.faces)
    newer = {name: load_twins(options.twins, name) for name in sets}
    held = flattered(sets, newer)
    made: dict[str, Any] = {}
    for name, faces in sets.items():
        learnt = (faces.labels.split == "train") & ~faces.twin
        rows, seen = faces.rows("validation"), load_seen(options.seen, name)
        clean = np.setdiff1d(rows, held[name])
        made[name] = {
            "learnt": int(learnt.sum()),
            "like_a_held_out_one": int((learnt & (newer[name].held > SAME)).sum()),
            "like_an_earlier_one": int((learnt & (newer[name].earlier > SAME)).sum()),
            "left_out_from_now_on": int((learnt & newer[name].known).sum()),
            "kept_from_now_on": int((faces.twin & ~newer[name].known).sum()),
            "flattered": len(rows) - len(clean),
            "validation": figures_of(faces, rows, seen.of(rows)),
            "validation_without": figures_of(faces, clean, seen.of(clean)),
        }
        for key, value in made[name].items():
            print(name, key, value)
    write_json(options.out / "leaks.json", made)


if __name__ == "__main__":
    main()
