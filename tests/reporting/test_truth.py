"""Which label belongs to which frame, and the agreement, against `metrics.scores`."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from avaffect.drawing.subjects import Table
from avaffect.errors import FormatError
from avaffect.metrics.scores import ccc
from avaffect.reporting.truth import open_annotations, truth_of


def own(folder: Path, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "anna.csv").write_text(text)
    return folder


def test_labels_at_another_rate_go_by_time(made: Callable[..., Table], tmp_path: Path) -> None:
    # 5 labels a second for 25 frames a second: a frame has a label within half a step.
    text = "time,valence,arousal\n" + "".join(f"{at / 5},{at / 10},0\n" for at in range(5))
    truth = truth_of(made(50), open_annotations(own(tmp_path / "a", text)))
    assert truth is not None
    valence = truth.labels["va"][:, 0]
    assert valence[:3].tolist() == [0, 0, 0]
    assert valence[5] == pytest.approx(0.1)
    assert valence[24] == -5  # 0.96 s, and the last label is of 0.8
    assert truth.frames["va"] == 23


def test_ccc_is_that_of_the_frames_with_both(made: Callable[..., Table], tmp_path: Path) -> None:
    folder = tmp_path / "truth/VA_Estimation_Challenge/Validation_Set"
    folder.mkdir(parents=True)
    labels = np.round(np.random.default_rng(0).uniform(-1, 1, (51, 2)), 3)
    labels[7] = -5
    rows = "\n".join(",".join(map(str, row)) for row in labels)
    (folder / "anna.txt").write_text(f"valence,arousal\n{rows}\n")
    table = made(50, unseen=[3])
    truth = truth_of(table, open_annotations(tmp_path / "truth"))
    assert truth is not None
    both = np.delete(np.arange(50), [3, 7])
    expected = ccc(table.columns["valence"][both], labels[both, 0])
    assert truth.scores["va"]["CCC valence"] == pytest.approx(expected)
    assert truth.frames["va"] == 48


def test_a_multi_task_file(made: Callable[..., Table], tmp_path: Path) -> None:
    units = ",".join(["1"] + ["0"] * 11)
    lines = [f"anna/{at:05d}.jpg,0.5,0.25,3,{units}" for at in (1, 2, 5)]
    header = "image,valence,arousal,expression,aus"
    (tmp_path / "truth.txt").write_text("\n".join([header, *lines]) + "\n")
    truth = truth_of(made(6), open_annotations(tmp_path / "truth.txt"))
    assert truth is not None
    assert truth.labels["expr"].tolist() == [3, 3, -1, -1, 3, -1]
    assert truth.labels["au"][4].tolist() == [1] + [0] * 11
    assert truth.labels["va"][2].tolist() == [-5, -5]


def test_classes_without_annotation_have_no_f1(made: Callable[..., Table], tmp_path: Path) -> None:
    text = "expression\n" + "Fear\nAnger\n" * 20
    truth = truth_of(made(50), open_annotations(own(tmp_path / "a", text)))
    assert truth is not None
    assert truth.scores["expr"].keys() == {"mean F1", "F1 Fear", "F1 Anger"}


def test_a_table_without_labels_is_refused(made: Callable[..., Table], tmp_path: Path) -> None:
    found = open_annotations(own(tmp_path / "a", "x,y\n1,2\n"))
    with pytest.raises(FormatError, match="no column of annotations"):
        truth_of(made(5), found)
    assert truth_of(made(5, subject="bert"), found) is None
