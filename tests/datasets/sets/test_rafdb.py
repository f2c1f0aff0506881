"""RAF-DB: names, classes and parts of its list."""

from __future__ import annotations

from pathlib import Path

import pytest
from fixtures.public_sets import rafdb, text

from avaffect.datasets.sets.rafdb import read
from avaffect.datasets.sets.sample import Log
from avaffect.errors import FormatError
from avaffect.labels import EXPRESSIONS

LIST = "basic/EmoLabel/list_patition_label.txt"


def test_the_seven_classes(tmp_path: Path) -> None:
    """1 Surprise, 2 Fear, 3 Disgust, 4 Happiness, 5 Sadness, 6 Anger, 7 Neutral."""
    root = rafdb(tmp_path, [(f"train_{at:05d}", at) for at in range(1, 8)] + [("test_0001", 4)])
    samples = [*read(root, Log())]
    words = [EXPRESSIONS[int(sample.labels["expr"][0])] for sample in samples]
    assert words[:7] == [
        "Surprise", "Fear", "Disgust", "Happiness", "Sadness", "Anger", "Neutral",
    ]  # fmt: skip
    assert [sample.split for sample in samples] == ["train"] * 7 + ["test"]
    assert all(sample.cut for sample in samples)


def test_the_folder_above_or_within(tmp_path: Path) -> None:
    root = rafdb(tmp_path, [("train_00001", 1)])
    assert len([*read(root, Log())]) == len([*read(root / "basic", Log())]) == 1


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("train_00001.jpg 8", "'8' is no class"),
        ("train_00001.jpg", "'' is no class"),
        ("train_00001.jpg ４", "is no class"),
        ("train_00002.jpg 4", "no picture"),
        ("valid_00001.jpg 4", "is no line as"),
        ("train_00001 4", "is no line as"),
        ("train_../../x.jpg 4", "is no line as"),
    ],
)
def test_faults_name_the_line(line: str, fault: str, tmp_path: Path) -> None:
    root = rafdb(tmp_path, [("train_00001", 1), ("test_0001", 1)])
    text(root / LIST, "test_0001.jpg 1", line)
    with pytest.raises(FormatError, match=fault) as caught:
        [*read(root, Log())]
    assert "line 2" in str(caught.value)


def test_a_name_twice(tmp_path: Path) -> None:
    root = rafdb(tmp_path, [("train_00001", 1)])
    text(root / LIST, "train_00001.jpg 1", "train_00001.jpg 2")
    with pytest.raises(FormatError, match=r"line 2: .* has a line already"):
        [*read(root, Log())]


def test_flat_and_nested_folders(tmp_path: Path) -> None:
    """Some keep pictures and list side by side; unpacking may make aligned/aligned."""
    root = rafdb(tmp_path / "whole", [("train_00001", 2)])
    lines = (root / "basic/EmoLabel/list_patition_label.txt").read_text().replace(" ", "\t")
    text(tmp_path / "flat/list_patition_label.txt", *lines.splitlines())
    (root / "basic/Image").rename(tmp_path / "flat/aligned")
    (sample,) = read(tmp_path / "flat", Log())
    assert sample.files == (tmp_path / "flat/aligned/aligned/train_00001_aligned.jpg",)
    assert EXPRESSIONS[int(sample.labels["expr"][0])] == "Fear"
