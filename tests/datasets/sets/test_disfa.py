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
    empty(root / "Video_RightCamera" / "RightVideoSN001_comp.avi")
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
        (("1,0",), "1 labels of AU12 and 2 of AU1"),
        (("1,0", "2,0.5"), "line 2"),
    ],
)
def test_faults_name_file_and_line(lines: tuple[str, ...], fault: str, tmp_path: Path) -> None:
    root = disfa(tmp_path, {"SN001": [0, 0]})
    text(root / "ActionUnit_Labels/SN001/SN001_au12.txt", *lines)
    with pytest.raises(FormatError, match=fault):
        [*read(root, Log())]


def test_labels_without_a_video(tmp_path: Path) -> None:
    root = disfa(tmp_path, {"SN001": [0], "SN002": [0]})
    (root / "Videos_LeftCamera/LeftVideoSN001_comp.avi").unlink()
    log = Log(strict=False)
    assert [sample.group for sample in read(root, log)] == ["SN002"]
    assert "LeftVideoSN001_comp" in log.faults[0]
