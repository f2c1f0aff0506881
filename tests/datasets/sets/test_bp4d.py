"""BP4D: codes by the header's units, frames by their numbers."""

from __future__ import annotations

from pathlib import Path

import pytest
from fixtures.public_sets import bp4d, text

from avaffect.datasets.sets.bp4d import read
from avaffect.datasets.sets.sample import Log
from avaffect.errors import FormatError
from avaffect.labels import ACTION_UNITS


def test_codes_by_the_header(tmp_path: Path) -> None:
    """The order of columns is the header's; AU14 is none of ours; 9 is not known."""
    root = bp4d(tmp_path, {"F001_T1": ["7,1,0,9,1,0", "8,0,0,1,1,1"]}, header="0,12,2,4,14,1")
    (sample,) = read(root, Log())
    found = {unit: sample.labels["au"][:, at].tolist() for at, unit in enumerate(ACTION_UNITS)}
    assert found["AU12"] == [1, 0]
    assert found["AU2"] == [0, 0]
    assert found["AU4"] == [-1, 1]
    assert found["AU1"] == [0, 1]
    assert found["AU25"] == [-1, -1]
    assert [file.name for file in sample.files] == ["0007.jpg", "0008.jpg"]
    assert (sample.group, sample.cut) == ("F001", False)


def test_numbers_of_any_width(tmp_path: Path) -> None:
    root = bp4d(tmp_path, {"M001_T8": ["7,1,0,9,1,0"]})
    folder = root / "Sequences(2D+3D)/M001/T8"
    (folder / "0007.jpg").rename(folder / "007.jpg")
    (sample,) = read(root, Log())
    assert sample.files == (folder / "007.jpg",)


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ("8,1,0,9,1", "line 3: 5 cells"),
        ("8,1,0,5,1,0", "line 3: a unit is none of 0"),
        ("9,1,0,0,1,0", "line 3: there is no picture of frame 9"),
        ("x,1,0,0,1,0", "line 3"),
    ],
)
def test_faults_name_the_line(row: str, fault: str, tmp_path: Path) -> None:
    root = bp4d(tmp_path, {"F001_T1": ["7,1,0,9,1,0"]})
    text(root / "AUCoding/AU_OCC/F001_T1.csv", "0,1,2,4,14,12", "7,1,0,9,1,0", row)
    with pytest.raises(FormatError, match=fault) as caught:
        [*read(root, Log())]
    assert "F001_T1.csv" in str(caught.value)


def test_a_sequence_without_pictures(tmp_path: Path) -> None:
    root = bp4d(tmp_path, {"F001_T1": ["7,1,0,9,1,0"], "F002_T1": ["7,1,0,9,1,0"]})
    (root / "Sequences(2D+3D)/F001/T1/0007.jpg").unlink()
    log = Log(strict=False)
    assert [sample.group for sample in read(root, log)] == ["F002"]
    assert "there are no pictures" in log.faults[0]


@pytest.mark.parametrize("name", ["F024_T1", "M019_T8"])
def test_bp4d_plus_is_refused(name: str, tmp_path: Path) -> None:
    """Its files look alike, but frame N is picture N - 1: labels would be those of a neighbour."""
    root = bp4d(tmp_path, {"F001_T1": ["7,1,0,9,1,0"], name: ["7,1,0,9,1,0"]})
    with pytest.raises(FormatError, match=r"of BP4D\+") as caught:
        [*read(root, Log(strict=False))]
    assert f"{name}.csv" in str(caught.value)


def test_pictures_of_macos_and_in_large_letters(tmp_path: Path) -> None:
    root = bp4d(tmp_path, {"F023_T1": ["7,1,0,9,1,0"]})
    folder = root / "Sequences(2D+3D)/F023/T1"
    (folder / "0007.jpg").rename(folder / "0007.JPG")
    text(folder / "._0007.JPG", "Mac OS X")
    text(folder / "0007.mtl", "of the mesh")
    (sample,) = read(root, Log())
    assert sample.files == (folder / "0007.JPG",)
