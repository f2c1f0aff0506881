"""``predictions.txt`` as predict writes it and as the organisers' templates have it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fixtures.single import write_single
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from avaffect.challenge.image_rows import is_image_list
from avaffect.challenge.single import read_single
from avaffect.challenge.text import labels_of
from avaffect.errors import FormatError, UnknownNameError
from avaffect.predictions.prediction import Prediction
from avaffect.tasks.registry import TASKS


def prediction(name: str, frames: int, seed: int) -> Prediction:
    rng = np.random.default_rng(seed)
    seen = rng.random(frames) < 0.8
    values = {
        "va": rng.uniform(-1, 1, (frames, 2)),
        "expr": rng.dirichlet(np.ones(8), frames),
        "au": rng.random((frames, 12)),
    }
    for array in values.values():
        array[~seen] = np.nan
    return Prediction(
        name, "m", np.arange(frames) / 30, seen, np.where(seen, 0.9, np.nan), **values
    )


@pytest.mark.parametrize("task", TASKS)
def test_what_predict_writes_is_read(tmp_path: Path, task: str) -> None:
    made = [prediction("b_left", 30, 1), prediction("a", 7, 2)]
    write_single(made, task, tmp_path / "p.txt", "abaw5")
    back = read_single(tmp_path / "p.txt", task, "abaw5")
    assert list(back) == ["b_left", "a"]
    for each in made:
        wanted = labels_of(each, task, "abaw5")
        assert back[each.subject].frames.tolist() == list(range(1, len(each) + 1))
        assert back[each.subject].labels.shape == wanted.shape
        assert back[each.subject].labels.dtype == wanted.dtype
        assert np.abs(back[each.subject].labels - wanted).max() < 1e-4


@settings(max_examples=40)
@given(hnp.arrays(np.int64, st.integers(1, 30), elements=st.integers(-1, 7)), st.data())
def test_gaps_and_order_do_not_matter(
    tmp_path_factory: pytest.TempPathFactory, classes: np.ndarray, data
) -> None:
    frames = sorted(data.draw(st.sets(st.integers(1, 999), min_size=len(classes),
                                      max_size=len(classes))))  # fmt: skip
    rows = [f"v/{frame:05d}.jpg,{label}\n" for frame, label in zip(frames, classes, strict=True)]
    path = tmp_path_factory.mktemp("single") / "predictions.txt"
    path.write_text("image_location,Neutral\n" + "".join(data.draw(st.permutations(rows))))
    subject = read_single(path, "expr", "abaw8")["v"]
    assert subject.frames.tolist() == frames
    assert subject.labels.tolist() == classes.tolist()


@pytest.mark.parametrize(
    ("task", "row", "wanted"),
    [
        ("va", "v/00001.jpg,", [-5, -5]),
        ("va", "v/00001.jpg,0.5,-0.5", [0.5, -0.5]),
        ("expr", "v/00001.jpg,", -1),
        ("expr", "v/00001.jpg,0", 0),
        ("au", "v/00001.jpg,", [-1] * 12),
        ("au", "v/00001.jpg,1,0,1,1,1,0,0,1,0,0,0,1", [1, 0, 1, 1, 1, 0, 0, 1, 0, 0, 0, 1]),
    ],
)
def test_rows_of_templates(tmp_path: Path, task: str, row: str, wanted: object) -> None:
    path = tmp_path / "template.txt"
    path.write_text(f"image_location,whatever\n{row}\n")
    assert read_single(path, task, "abaw6")["v"].labels.tolist() == [wanted]


@pytest.mark.parametrize(
    ("task", "row", "message"),
    [
        ("va", "v/00001.jpg,0.5", "1 values where valence and arousal"),
        ("va", "v/00001.jpg,0.5,7", "7 lies outside"),
        ("va", "v/00001.jpg", "no row of an image"),
        ("expr", "v/00001.jpg,1,2", "2 values where one class"),
        ("expr", "v/00001.jpg,9", "9 is no class"),
        ("au", "v/00001.jpg,1,0", "2 action units where 12"),
        ("au", "v/00001.jpg" + ",3" * 12, "3 is none of"),
    ],
)
def test_bad_rows_are_named(tmp_path: Path, task: str, row: str, message: str) -> None:
    path = tmp_path / "p.txt"
    path.write_text(f"image_location,x\n{row}\n")
    with pytest.raises(FormatError) as caught:
        read_single(path, task, "abaw6")
    assert f"'{path}' line 2: " in caught.value.problem
    assert message in caught.value.problem


def test_unknown_tasks_and_lists_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError):
        read_single(tmp_path, "mtl", "abaw5")
    (tmp_path / "list").write_text("image_location,x\nv/00001.jpg,0\n")
    (tmp_path / "subject").write_text("valence,arousal\n0.1,0.2\n")
    assert is_image_list(tmp_path / "list")
    assert not is_image_list(tmp_path / "subject")
    with pytest.raises(FormatError, match="cannot be read"):
        is_image_list(tmp_path)
