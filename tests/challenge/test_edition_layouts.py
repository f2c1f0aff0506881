"""Each edition's labels, laid out as it gives them out, are found and read; docs/editions.md says
the same of each."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from fixtures.pages import ROOT

from avaffect.challenge.editions import EDITIONS
from avaffect.challenge.layout import annotation_files, mtl_files
from avaffect.challenge.mtl import read_mtl
from avaffect.challenge.templates import SINGLE_FILE, submission_form
from avaffect.challenge.text import read_annotations

# By edition the folder of all, those of the tracks, and those of the splits.
OLD = {"va": "VA_Set", "expr": "EXPR_Set", "au": "AU_Set"}
NEW = {
    "va": "VA_Estimation_Challenge",
    "expr": "EXPR_Classification_Challenge",
    "au": "AU_Detection_Challenge",
}
TRACKS = {
    "abaw1": ("annotations", OLD, ("Training_Set", "Validation_Set")),
    "abaw2": ("annotations", OLD, ("Training_Set", "Validation_Set")),
    "abaw3": ("Third ABAW Annotations", NEW, ("Train_Set", "Validation_Set")),
    "abaw5": ("5th_ABAW_Annotations", NEW, ("Train_Set", "Validation_Set")),
    "abaw6": ("6th ABAW Annotations", NEW, ("Train_Set", "Validation_Set")),
    "abaw8": ("8th ABAW Annotations", NEW, ("Train_Set", "Validation_Set")),
    "abaw9": ("9th ABAW Annotations", NEW, ("Train_Set", "Validation_Set")),
    "abaw10": (
        "10th ABAW Annotations",
        NEW | {"expr": "EXPR_Recognition_Challenge"},
        ("Train_Set", "Validation_Set"),
    ),
}
# By edition the folder of its multi-task files, and what follows train and validation there.
MTL = {
    "abaw3": ("Third ABAW Annotations/MTL_Challenge", ("train_set", "validation_set")),
    "abaw4": ("ABAW4", ("training_set_annotations", "validation_set_annotations")),
    "abaw7": ("annotations", ("training_set_annotations", "validation_set_annotations")),
    "abaw11": (".", ("training_set_annotations", "validation_set_annotations")),
}
HEADS = {
    7: "Neutral,Anger,Disgust,Fear,Happiness,Sadness,Surprise",
    8: "Neutral,Anger,Disgust,Fear,Happiness,Sadness,Surprise,Other",
}
UNITS = {
    8: "AU1,AU2,AU4,AU6,AU12,AU15,AU20,AU25",
    12: "AU1,AU2,AU4,AU6,AU7,AU10,AU12,AU15,AU23,AU24,AU25,AU26",
}


def text(task: str, classes: int, units: int) -> str:
    """A file of three frames as the edition writes it; the last frame is invalid."""
    rows = {
        "va": ("valence,arousal", "0.602,0.389", "-1,1", "-5,-5"),
        "expr": (HEADS[classes], "0", str(classes - 1), "-1"),
        "au": (UNITS[units], *(",".join([value] * units) for value in ("1", "0", "-1"))),
    }
    return "\n".join(rows[task]) + "\n"


def test_every_edition_is_here() -> None:
    assert TRACKS.keys() | MTL.keys() == EDITIONS.keys()
    assert {name for name, each in EDITIONS.items() if "mtl" in each.formats} == MTL.keys()


@pytest.mark.parametrize("edition", TRACKS)
@pytest.mark.parametrize("task", ["va", "expr", "au"])
def test_labels_of_the_tracks(edition: str, task: str, tmp_path: Path) -> None:
    folder, tasks, splits = TRACKS[edition]
    classes = 7 if edition in ("abaw1", "abaw2") else 8
    units = 8 if edition == "abaw1" else 12
    for split, name in zip(splits, ("1-30-1280x720", "2_left"), strict=True):
        path = tmp_path / folder / tasks[task] / split / f"{name}.txt"
        path.parent.mkdir(parents=True)
        path.write_text(text(task, classes, units), encoding="utf-8")
    found = annotation_files(tmp_path, task, edition)
    assert {split: list(files) for split, files in found.items()} == {
        "train": ["1-30-1280x720"], "val": ["2_left"]
    }  # fmt: skip
    rows = np.asarray(read_annotations(found["train"]["1-30-1280x720"], task, edition))
    assert len(rows) == 3
    assert (rows[-1] == (-5 if task == "va" else -1)).all()
    width = {"va": (3, 2), "expr": (3,), "au": (3, units)}[task]
    assert rows.shape == width
    if task == "expr":
        assert rows[1] == classes - 1


@pytest.mark.parametrize("edition", MTL)
def test_labels_of_the_multi_task_track(edition: str, tmp_path: Path) -> None:
    """Sixteen columns by position, whatever the header calls them."""
    place, names = MTL[edition]
    folder = tmp_path / place
    folder.mkdir(parents=True, exist_ok=True)
    rows = [
        "image,valence,arousal,expression,aus",
        f"video45_1/00001.jpg,0.5,-0.5,7,{','.join('01' * 6)}",
        f"video45_1/00003.jpg,-5,-5,-1,{','.join(['-1'] * 12)}",
    ]
    for name in names:
        (folder / f"{name}.txt").write_text("\n".join(rows) + "\n", encoding="utf-8")
    found = mtl_files(tmp_path)
    assert set(found) == {"train", "val"}
    (subject,) = read_mtl(found["train"]).values()
    assert subject.frames.tolist() == [1, 3]
    assert subject.expr.tolist() == [7, -1]
    assert subject.au[0].tolist() == [0, 1] * 6


def rows_of_the_page() -> dict[str, list[str]]:
    page = (ROOT / "docs/editions.md").read_text(encoding="utf-8")
    found = re.findall(r"^\| `(abaw\d+)` \| (.*) \|$", page, re.MULTILINE)
    return {name: cells.split(" | ") for name, cells in found}


def test_the_page_has_every_edition() -> None:
    assert list(rows_of_the_page()) == list(EDITIONS)


@pytest.mark.parametrize("edition", EDITIONS)
def test_the_page_says_what_the_code_does(edition: str) -> None:
    _, tracks, _, classes, units, form, _, score = rows_of_the_page()[edition]
    chosen = EDITIONS[edition]
    assert int(classes) == len(chosen.expressions)
    assert int(units) == len(chosen.action_units)
    has_tracks = set(chosen.formats) - {"mtl"}
    assert ("va, expr, au" in tracks) == bool(has_tracks)
    assert ("mtl" in tracks) == ("mtl" in chosen.formats)
    for task in ("va",) * bool(has_tracks) + ("mtl",) * ("mtl" in chosen.formats):
        name = SINGLE_FILE.get(submission_form(edition, task))
        assert (name or "a file a track") in form
    assert (score == "weighted") == (edition in ("abaw1", "abaw2"))
