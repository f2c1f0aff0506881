"""Pairing files of every kind with annotations as the challenge lays them out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from avaffect.challenge.mtl import MtlSubject, write_mtl
from avaffect.challenge.text import write_annotations
from avaffect.errors import InputNotFoundError, UsageError
from avaffect.metrics.pairs import evaluate, read_pairs, read_truth

VA, EXPR, AU = "VA_Estimation_Challenge", "EXPR_Classification_Challenge", "AU_Detection_Challenge"


def labels(task: str, rows: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    if task == "va":
        return rng.uniform(-1, 1, (rows, 2)).round(4)
    return rng.integers(0, 8, rows) if task == "expr" else rng.integers(0, 2, (rows, 12))


def write(path: Path, task: str, rows: int = 5, seed: int = 0) -> np.ndarray:
    made = labels(task, rows, seed)
    write_annotations(path, made, task)
    return made


def write_list(path: Path, rows: dict[str, str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"{image},{values}\n" for image, values in rows.items()]
    path.write_text("image_location,whatever\n" + "".join(lines), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("task", "folder", "training"),
    [
        ("va", "annotations/VA_Set", "Training_Set"),
        ("va", f"Third ABAW Annotations/{VA}", "Train_Set"),
        ("expr", "x/EXPR_Recognition_Challenge", "Train_Set"),
        ("au", f"6th ABAW Annotations/{AU}", "Train_Set"),
    ],
)
def test_splits_of_every_spelling(tmp_path: Path, task: str, folder: str, training: str) -> None:
    val = f"{folder}/Validation_Set"
    write(tmp_path / "data" / folder / training / "a.txt", task, seed=1)
    truth = write(tmp_path / "data" / val / "b.txt", task, seed=2)
    for name in "ab":
        write(tmp_path / "out" / f"{name}.txt", task, seed=3)
    for split, subjects in ((None, "b"), ("val", "b"), ("train", "a"), ("all", "ab")):
        found = read_pairs(tmp_path / "out", tmp_path / "data", task, "abaw10", split=split)
        assert [pair.subject for pair in found.pairs] == list(subjects)
        assert found.split == (split or "val")
    assert np.array_equal(
        read_pairs(tmp_path / "out", tmp_path / "data", task, "abaw10").pairs[0].annotated, truth
    )
    plain = read_pairs(tmp_path / "out", tmp_path / "data" / val, task, "abaw10")
    assert (plain.split, len(plain.pairs)) == ("", 1)
    with pytest.raises(UsageError, match="no split 'test'"):
        read_pairs(tmp_path / "out", tmp_path / "data", task, "abaw10", split="test")
    with pytest.raises(UsageError, match="has no splits"):
        read_pairs(tmp_path / "out", tmp_path / "data" / val, task, "abaw10", split="val")


def test_the_truth_is_that_of_all_splits(tmp_path: Path) -> None:
    for split, name in (("Train_Set", "a"), ("Validation_Set", "b")):
        truth = write(tmp_path / "data" / VA / split / f"{name}.txt", "va")
        plain = read_truth(tmp_path / "data" / VA / split, "va", "abaw10")
        assert np.array_equal(plain[name]().labels, truth)
    assert {*read_truth(tmp_path / "data", "va", "abaw10")} == {"a", "b"}
    with pytest.raises(InputNotFoundError):
        read_truth(tmp_path / "data", "au", "abaw10")
    write(tmp_path / "data" / VA / "Train_Set/b.txt", "va")
    with pytest.raises(UsageError, match="annotated twice"):
        read_truth(tmp_path / "data", "va", "abaw10")


def test_folders_are_scored_in_one_call(tmp_path: Path) -> None:
    for seed, name in enumerate("abc"):
        truth = write(tmp_path / f"val/{name}.txt", "va", rows=40, seed=seed)
        write_annotations(tmp_path / f"out/{name}.txt", truth, "va")
    found = evaluate(str(tmp_path / "out"), str(tmp_path / "val"), "va", resamples=100)
    assert found.score == pytest.approx(1)
    assert (found.edition, found.frames, found.videos) == ("abaw10", 120, ("a", "b", "c"))
    (tmp_path / "out/c.txt").unlink()
    with pytest.raises(UsageError, match="1 of 3 annotated"):
        evaluate(tmp_path / "out", tmp_path / "val", "va")
    assert evaluate(tmp_path / "out", tmp_path / "val", "va", partial=True).videos == ("a", "b")
    with pytest.raises(UsageError, match="no multi-task track"):
        evaluate(tmp_path / "out", tmp_path / "val", "mtl", "abaw6")


def test_a_list_stands_for_rows_by_its_frame_numbers(tmp_path: Path) -> None:
    write(tmp_path / "val/a.txt", "va", rows=4)
    rows = {"a/00003.jpg": "0.3,0.3", "a/00001.jpg": "0.1,0.1", "a/00002.jpg": "",
            "a/00009.jpg": "0.9,0.9", "other/00001.jpg": "0,0"}  # fmt: skip
    for place in ("p.txt", "out/predictions.txt", f"out2/{VA}/predictions.txt"):
        path = write_list(tmp_path / place, rows)
        given = path if place == "p.txt" else tmp_path / place.split("/")[0]
        (pair,) = read_pairs(given, tmp_path / "val", "va", "abaw5").pairs
        assert pair.predicted.tolist() == [[0.1, 0.1], [-5, -5], [0.3, 0.3], [-5, -5]]


def test_a_list_of_one_subject_does_not_stand_for_another(tmp_path: Path) -> None:
    write(tmp_path / "val/a.txt", "expr", rows=2)
    path = write_list(tmp_path / "p.txt", {"b/00001.jpg": "0"})
    with pytest.raises(UsageError, match="1 of 1 annotated subjects have no prediction"):
        read_pairs(path, tmp_path / "val/a.txt", "expr", "abaw5")


def mtl_subject(name: str, frames: list[int], seed: int) -> MtlSubject:
    n = len(frames)
    return MtlSubject(
        name,
        np.array(frames, np.int64),
        labels("va", n, seed),
        labels("expr", n, seed),
        labels("au", n, seed),
    )


def test_mtl_files_on_both_sides(tmp_path: Path) -> None:
    truth = [mtl_subject("a", [2, 4, 5], 1), mtl_subject("b", [1], 2)]
    write_mtl(tmp_path / "data/MTL_Challenge/validation_set.txt", truth)
    write_mtl(tmp_path / "data/MTL_Challenge/train_set.txt", [mtl_subject("c", [7], 3)])
    mine = [mtl_subject("b", [1], 4), mtl_subject("a", [1, 4, 5, 6], 5), mtl_subject("c", [7], 6)]
    write_mtl(tmp_path / "out/MTL_Challenge/MTL_predictions.txt", mine)
    found = read_pairs(tmp_path / "out", tmp_path / "data", "mtl", "abaw7")
    assert found.split == "val"
    pair = found.pairs[0]
    assert pair.predicted[0].tolist() == [-5, -5] + [-1] * 13
    np.testing.assert_allclose(pair.predicted[1:, :2], mine[1].va[1:3])
    assert pair.predicted[1:, 2].tolist() == mine[1].expr[1:3].tolist()
    assert pair.annotated[:, 3:].tolist() == truth[0].au.tolist()
    files = tmp_path / "out/MTL_Challenge/MTL_predictions.txt", tmp_path / "data/MTL_Challenge"
    assert len(read_pairs(*files, "mtl", "abaw7", split="all").pairs) == 3
    (pair,) = read_pairs(files[0], files[1] / "train_set.txt", "mtl", "abaw7").pairs
    assert pair.subject == "c"
    write_mtl(tmp_path / "data/MTL_Challenge/train_set.txt", truth)
    with pytest.raises(UsageError, match="'a' is in two splits"):
        read_pairs(*files, "mtl", "abaw7", split="all")
    for path in (tmp_path / "none.txt", tmp_path / "out"):
        with pytest.raises(InputNotFoundError):
            read_pairs(files[0], path, "mtl", "abaw7")


def test_mtl_predictions_may_be_three_folders(tmp_path: Path) -> None:
    write_mtl(tmp_path / "truth.txt", [mtl_subject("a", [2, 3], 1)])
    va = write(tmp_path / f"out/{VA}/a.txt", "va", rows=5)
    expr = write(tmp_path / f"out/{EXPR}/a.txt", "expr", rows=2)
    write_list(tmp_path / f"out/{AU}/predictions.txt", {"a/00003.jpg": ",".join("1" * 12)})
    (pair,) = read_pairs(tmp_path / "out", tmp_path / "truth.txt", "mtl", "abaw7").pairs
    assert pair.predicted[:, :2].tolist() == va[1:3].tolist()
    assert pair.predicted[:, 2].tolist() == [expr[1], -1]
    assert pair.predicted[:, 3:].tolist() == [[-1] * 12, [1] * 12]
    (tmp_path / f"out/{EXPR}/a.txt").rename(tmp_path / f"out/{EXPR}/b.txt")
    with pytest.raises(UsageError, match="no prediction"):
        read_pairs(tmp_path / "out", tmp_path / "truth.txt", "mtl", "abaw7")
