"""AffectNet in both of its forms."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fixtures.public_sets import AFFECTNET_HEADER, affectnet, affectnet_lists, picture, text

from avaffect.datasets.sets.affectnet import read
from avaffect.datasets.sets.sample import Log, Sample
from avaffect.errors import FormatError, InputNotFoundError
from avaffect.labels import EXPRESSIONS


def by_name(root: Path, log: Log) -> dict[str, Sample]:
    return {sample.name: sample for sample in read(root, log)}


def test_the_eight_classes(tmp_path: Path) -> None:
    """0 Neutral, 1 Happiness, 2 Sadness, 3 Surprise, 4 Fear, 5 Disgust, 6 Anger, 7 Contempt."""
    root = affectnet(tmp_path, [(at, 0.1 * at, -0.1 * at) for at in range(8)], [(6, 1, -1)])
    found = by_name(root, Log())
    words = [EXPRESSIONS[int(found[f"train_{at}"].labels["expr"][0])] for at in range(8)]
    assert words == [
        "Neutral", "Happiness", "Sadness", "Surprise", "Fear", "Disgust", "Anger", "Other",
    ]  # fmt: skip
    np.testing.assert_allclose(found["train_3"].labels["va"], [[0.3, -0.3]], atol=1e-6)
    assert found["val_0"].split == "val"
    assert found["train_0"].group != found["val_0"].group


def test_what_has_no_class_of_ours(tmp_path: Path) -> None:
    """None keeps its valence and arousal; Uncertain and Non-Face have none of either."""
    root = affectnet(tmp_path, [(8, 0.5, 0.5), (9, -2, -2), (10, -2, -2), (1, -2, -2)], [])
    log = Log()
    found = by_name(root, log)
    assert list(found) == ["train_0", "train_3"]
    assert found["train_0"].labels["expr"].tolist() == [-1]
    assert np.isnan(found["train_3"].labels["va"]).all()
    assert sum(log.left_out.values()) == 3
    assert log.left_out["labelled Uncertain"] == 1


@pytest.mark.parametrize(
    ("row", "fault"),
    [((11, 0, 0), "11 is no class"), ((1.5, 0, 0), "1.5 is no class"), ((1, 1.2, 0), "1.2")],
)
def test_wrong_labels_name_the_file(
    row: tuple[float, float, float], fault: str, tmp_path: Path
) -> None:
    root = affectnet(tmp_path, [(0, 0, 0), row], [])  # type: ignore[list-item]
    with pytest.raises(FormatError, match=fault) as caught:
        by_name(root, Log())
    assert "1_exp.npy" in str(caught.value)


def test_a_picture_or_a_label_that_is_missing(tmp_path: Path) -> None:
    root = affectnet(tmp_path, [(0, 0, 0)] * 3, [])
    (root / "train_set/images/1.jpg").unlink()
    (root / "train_set/annotations/2_val.npy").unlink()
    log = Log(strict=False)
    assert list(by_name(root, log)) == ["train_0"]
    assert len(log.faults) == 2
    assert "1.jpg" in log.faults[0]
    assert "2_val.npy" in log.faults[1]


def test_labels_are_never_unpickled(tmp_path: Path) -> None:
    root = affectnet(tmp_path, [(0, 0, 0)], [])
    np.save(root / "train_set/annotations/0_exp.npy", np.array([{"a": 1}]), allow_pickle=True)
    with pytest.raises(FormatError, match=r"0_exp\.npy"):
        by_name(root, Log())


def test_lists_of_whole_pictures(tmp_path: Path) -> None:
    rows = ["1/a.jpg,2,3,20,21,1;2;3,6,-0.5,0.75", "1/b.jpg,0,0,9,9,1;2,10,-2,-2"]
    root = affectnet_lists(tmp_path, rows)
    log = Log()
    found = by_name(root, log)
    assert list(found) == ["train_1_a"]
    sample = found["train_1_a"]
    assert not sample.cut
    assert sample.box == (2, 3, 20, 21)
    assert EXPRESSIONS[int(sample.labels["expr"][0])] == "Anger"
    assert log.left_out == {"labelled Non-Face": 1}


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ("1/a.jpg,2,3,20", "4 cells"),
        ("1/a.jpg,x,3,20,21,1,6,0,0", "no number"),
        ("1/c.jpg,2,3,20,21,1,6,0,0", "no picture"),
        ("../a.jpg,2,3,20,21,1,6,0,0", "no picture"),
    ],
)
def test_faults_of_lists_name_the_line(row: str, fault: str, tmp_path: Path) -> None:
    root = affectnet_lists(tmp_path, ["1/a.jpg,2,3,20,21,1,6,0,0"])
    (root / "training.csv").write_text(f"{AFFECTNET_HEADER}\n1/a.jpg,2,3,20,21,1,6,0,0\n{row}\n")
    with pytest.raises(FormatError, match=fault) as caught:
        by_name(root, Log())
    assert "line 3" in str(caught.value)


def test_validation_csv_has_no_header(tmp_path: Path) -> None:
    """So it is given out; its first line is a picture like any other."""
    root = affectnet_lists(tmp_path, ["1/a.jpg,2,3,20,21,1;2,6,-0.5,0.75"])
    for name in ("b.jpg", "c.tif"):
        picture(root / "Manually_Annotated_Images/2" / name, side=40)
    lines = ("2/b.jpg,1,2,3,4,1;2,1,0.5,0.25", "2/c.tif,1,2,3,4,1;2,7,-0.5,0.5")
    text(root / "validation.csv", *lines)
    found = by_name(root, Log())
    assert list(found) == ["train_1_a", "val_2_b", "val_2_c"]
    words = [EXPRESSIONS[int(sample.labels["expr"][0])] for sample in found.values()]
    assert words == ["Anger", "Happiness", "Other"]
    assert found["val_2_b"].box == (1, 2, 3, 4)
    np.testing.assert_allclose(found["val_2_b"].labels["va"], [[0.5, 0.25]])
    text(root / "validation.csv", "2/b.jpg,1,2,3,4,1;2,12,0.5,0.25")
    with pytest.raises(FormatError, match=r"validation\.csv' line 1: 12 is no class"):
        by_name(root, Log())
    text(root / "validation.csv", "2/b.jpg,1,2,3,4,12,0.5,0.25")
    with pytest.raises(FormatError, match="line 1: there is no column 'subDirectory_filePath'"):
        by_name(root, Log())


@pytest.mark.parametrize(
    ("images", "lists"),
    [
        ("Manually_Annotated/Manually_Annotated_Images", "Manually_Annotated_file_lists"),
        (
            "Manually_Annotated_compressed/Manually_Annotated/Manually_Annotated_Images",
            "Manually_Annotated_file_lists",
        ),
        ("Manually_Annotated_Images/Manually_Annotated_Images", "."),
        ("Manually_Annotated/Manually_Annotated_Images", "Manually_Annotated"),
    ],
)
def test_folders_as_unpacking_leaves_them(images: str, lists: str, tmp_path: Path) -> None:
    picture(tmp_path / images / "1/a.JPG", side=40)
    row = "1/a.JPG,2,3,20,21,1;2,3,0,0.75"
    text(tmp_path / lists / "training.csv", AFFECTNET_HEADER, row)
    (sample,) = read(tmp_path, Log())
    assert sample.files == (tmp_path / images / "1/a.JPG",)
    assert EXPRESSIONS[int(sample.labels["expr"][0])] == "Surprise"


def test_what_is_left_out_needs_no_picture(tmp_path: Path) -> None:
    """Many people delete those without a face; a face of no size is no box."""
    root = affectnet_lists(tmp_path, ["1/a.jpg,0,0,0,0,1;2,6,0,0", "1/b.jpg,0,0,9,9,1,10,-2,-2"])
    (root / "Manually_Annotated_Images/1/b.jpg").unlink()
    (sample,) = read(root, Log())
    assert sample.box is None


def test_files_of_macos_and_other_endings(tmp_path: Path) -> None:
    root = affectnet(tmp_path, [(0, 0, 0), (9, -2, -2)], [])
    part = root / "train_set"
    (part / "annotations/._0_exp.npy").write_bytes(b"Mac OS X")
    picture(part / "images/0.png")
    (part / "images/0.jpg").unlink()
    (part / "images/1.jpg").unlink()
    (sample,) = read(root, Log())
    assert sample.files[0].name == "0.png"


def test_affectnet_plus_is_said_not_to_be_read(tmp_path: Path) -> None:
    text(tmp_path / "annotations/1.json", "{}")
    with pytest.raises(InputNotFoundError, match=r"AffectNet\+ is not read"):
        by_name(tmp_path, Log())
