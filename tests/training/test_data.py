"""Where the data of a run is: public sets, alone and beside a dataset in Aff-Wild2's layout."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fixtures.public_sets import affectnet, disfa, picture, rafdb

from avaffect.challenge.text import write_annotations
from avaffect.errors import UsageError
from avaffect.progress import Event, Notice
from avaffect.recipes.library import parse_recipe
from avaffect.recipes.recipe import Recipe
from avaffect.training import run as module
from avaffect.training.data import DataConfig, load_dataset
from avaffect.training.run import RunConfig, read_run, run
from avaffect.windows.cut import cut
from avaffect.windows.reader import WindowReader

TREE: dict[str, Any] = {
    "name": "small",
    "branches": {
        "face": {
            "features": ["faces"],
            "encoder": {
                "kind": "phase", "size": 16, "differences": 2, "levels": [1], "bands": 1,
                "channels": [2], "units": 4,
            },
        }
    },
    "tasks": {
        "va": {"terms": {"mse": 1}},
        "expr": {"terms": {"cross_entropy": 1}},
        "au": {"terms": {"bce": 1}},
    },
    "window": {"length": 1},
    "train": {"epochs": 1, "batch_size": 8, "weighting": "uncertainty"},
}  # fmt: skip


@pytest.fixture
def affwild(tmp_path: Path) -> Path:
    """Two subjects with labels of units and 24-pixel crops."""
    root = tmp_path / "Aff-Wild2"
    for split, name in (("Train_Set", "1"), ("Validation_Set", "2")):
        rows = np.tile([[1], [0], [1]], (1, 12))
        folder = root / "AU_Detection_Challenge" / split
        write_annotations(folder / f"{name}.txt", rows, "au")
        for frame in (1, 2, 3):
            picture(root / "cropped_aligned" / name / f"{frame:05d}.jpg")
    return root


@pytest.fixture
def sets(tmp_path: Path) -> tuple[str, str]:
    rafdb(tmp_path / "r", [(f"train_{at:05d}", at % 7 + 1) for at in range(10)])
    affectnet(tmp_path / "a", [(at, 0.5, -0.5) for at in range(8)], [(1, 0, 0), (2, 0, 0)])
    picture(tmp_path / "a/train_set/images/3.jpg", side=50)
    return f"rafdb={tmp_path / 'r'}", f"affectnet={tmp_path / 'a'}"


def test_sets_beside_aff_wild2(affwild: Path, sets: tuple[str, str]) -> None:
    """Its crops settle the size of all; each clip has the labels of its own source alone."""
    config = DataConfig(str(affwild), root=str(affwild), sets=sets)
    dataset = load_dataset(config, ("va", "expr", "au"))
    assert list(dataset.targets) == ["va", "expr", "au"]
    assert not dataset.per_clip
    assert {tuple(sorted(clip.labels)) for clip in dataset.clips} == {
        ("au",), ("expr",), ("expr", "va")
    }  # fmt: skip
    assert {clip.features.specs["faces"].shape for clip in dataset.clips} == {(24, 24, 3)}
    assert len(dataset.about["parts"]) == 2
    clips = dataset.of("train")
    windows = cut([clip.frames for clip in clips], 1, 0)
    widths = {"va": 2, "expr": 8, "au": 12}
    recipe: Recipe = parse_recipe(TREE, "of the tests")
    batch = WindowReader(clips, recipe.roots, windows, widths)[list(range(len(windows)))]
    # Of each clip the frames with a label of the task.
    for task in widths:
        known = int(batch.valid[task].reshape(len(windows), -1).any(1).sum())
        assert known == sum(
            clip.valid(task).any() * clip.frames for clip in clips if task in clip.labels
        )


def test_a_run_on_two_sets(
    sets: tuple[str, str], affwild: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trained, scored and written as any other; its settings are read again."""
    monkeypatch.setattr(module, "export_beside", lambda folder, on_event: None)
    data = DataConfig(str(affwild), root=str(affwild), sets=sets)
    config = RunConfig(parse_recipe(TREE, "of the tests"), data)
    notices: list[Event] = []
    result = run(config, tmp_path / "run", device="cpu", on_event=notices.append)
    (absent,) = [
        event.text for event in notices if isinstance(event, Notice) and "at most" in event.text
    ]
    # RAF-DB has no Other at all, the parts that validate even less.
    assert absent.startswith("no validation clip is labelled Neutral or ")
    assert "or Other: it counts as an F1 of 0, so that the score of 'expr' is at most" in absent
    scores = result.parts[0].checkpoint.metrics
    assert {"va", "expr", "au"} <= scores.keys()
    assert read_run(tmp_path / "run").to_dict() == config.to_dict()
    losses = json.loads((tmp_path / "run/log.jsonl").read_text())["losses"]
    assert {"va log variance", "expr log variance", "au log variance"} <= losses.keys()
    assert all(torch.isfinite(torch.tensor(value)) for value in losses.values())


def test_sets_alone_without_features(sets: tuple[str, str]) -> None:
    dataset = load_dataset(DataConfig("", sets=sets), ("expr",))
    assert dataset.per_clip
    assert {clip.split for clip in dataset.clips} == {"train", "val"}


def test_what_does_not_go_together(sets: tuple[str, str], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="own labels and public sets"):
        DataConfig("f", labels="l", sets=sets)
    with pytest.raises(UsageError, match="either a dataset or labels"):
        DataConfig("f")
    root = disfa(tmp_path / "d", {"SN001": [0, 5]})
    only_theirs = DataConfig(f"disfa={tmp_path}", root=str(tmp_path), sets=(f"disfa={root}",))
    with pytest.raises(UsageError, match="wants features"):
        load_dataset(only_theirs, ("au",))
