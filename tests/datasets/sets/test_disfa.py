"""DISFA: intensities become units, those that we do not have are left out."""

from __future__ import annotations

from pathlib import Path

import pytest
from fixtures.public_sets import disfa, empty, text

from avaffect.datasets.sets.disfa import DISFA, read
from avaffect.datasets.sets.sample import Log
from avaffect.errors import FormatError
from avaffect.labels import ACTION_UNITS


def test_present_from_intensity_2_on(tmp_path: Path) -> None:
    (sample,) = read(disfa(tmp_path, {"SN001": [0, 1, 2, 3, 5]}), Log())
    units = sample.labels["au"]
    assert units[:, ACTION_UNITS.index("AU12")].tolist() == [0, 0, 1, 1, 1]
    unknown = [unit for at, unit in enumerate(ACTION_UNITS) if (units[:, at] == -1).all()]
    assert unknown == ["AU7", "AU10", "AU23", "AU24"]
    assert (sample.name, sample.group) == ("LeftVideoSN001_comp", "SN001")


def test_the_table_names_what_is_left_out() -> None:
    assert [theirs for theirs, ours in DISFA.mapping if not ours] == ["AU5", "AU9", "AU17", "AU20"]


def test_both_cameras_are_one_subject(tmp_path: Path) -> None:
    root = disfa(tmp_path, {"SN001": [0, 5]})
    empty(root / "Video_RightCamera" / "RightVideoSN001_Comp.avi")  # so it is called
    empty(root / "Videos_LeftCamera" / "LeftVideoSN002_comp.avi")
    log = Log()
    left, right = read(root, log)
    assert left.group == right.group == "SN001"
    assert log.left_out == {"video without labels (SN002)": 1}


@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        (("1,0", "2,6"), "line 2: '2,6' is no frame and intensity"),
        (("1,0", "3,0"), "line 2: frame 3 where 2 is due"),
        (("1,0",), "1 labels of AU12 and 3 of AU1"),
        (("1,0", "2,0.5"), "line 2"),
    ],
)
def test_faults_name_file_and_line(lines: tuple[str, ...], fault: str, tmp_path: Path) -> None:
    root = disfa(tmp_path, {"SN001": [0, 0, 0]})
    text(root / "ActionUnit_Labels/SN001/SN001_au12.txt", *lines)
    with pytest.raises(FormatError, match=fault):
        [*read(root, Log())]


def test_labels_without_a_video(tmp_path: Path) -> None:
    root = disfa(tmp_path, {"SN001": [0], "SN002": [0]})
    (root / "Videos_LeftCamera/LeftVideoSN001_comp.avi").unlink()
    log = Log(strict=False)
    assert [sample.group for sample in read(root, log)] == ["SN002"]
    assert "LeftVideoSN001_comp" in log.faults[0]


def test_a_unit_that_lacks_the_last_frame(tmp_path: Path) -> None:
    """It is not known there; the rows of the others are where they were."""
    root = disfa(tmp_path, {"SN010": [5, 0, 5]})
    text(root / "ActionUnit_Labels/SN010/SN010_au1.txt", "1,0", "2,4")
    (sample,) = read(root, Log())
    units = sample.labels["au"]
    assert units[:, ACTION_UNITS.index("AU1")].tolist() == [0, 1, -1]
    assert units[:, ACTION_UNITS.index("AU12")].tolist() == [1, 0, 1]


def test_as_unpacking_leaves_it(tmp_path: Path) -> None:
    """A folder in a folder of the same name, what macOS adds, and a copy of a video."""
    root = disfa(tmp_path, {"SN001": [0, 2]})
    labels = root / "ActionUnit_Labels"
    labels.rename(root / "a")
    (labels / "ActionUnit_Labels").parent.mkdir()
    (root / "a").rename(labels / "ActionUnit_Labels")
    empty(labels / "ActionUnit_Labels/._SN001")
    empty(labels / "ActionUnit_Labels/.DS_Store/x")
    empty(root / "Videos_LeftCamera/._LeftVideoSN001_comp.avi")
    empty(root / "Videos_LeftCamera/Videos_LeftCamera/LeftVideoSN001_comp.avi")
    log = Log()
    (sample,) = read(root, log)
    assert sample.labels["au"][:, ACTION_UNITS.index("AU12")].tolist() == [0, 1]
    assert log.left_out == {"there twice: one copy is taken": 1}
