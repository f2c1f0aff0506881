"""What is counted of a public set, and every fault at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from fixtures.public_sets import affectnet, bp4d, rafdb, text

from avaffect.datasets.sets.check import check_set


def test_counts_by_part(tmp_path: Path) -> None:
    root = affectnet(tmp_path, [(1, 0.5, -1), (1, 0, 0), (9, -2, -2)], [(7, 0.2, 0.2)])
    report = check_set(f"affectnet={root}")
    train, val = report.parts
    assert (train.split, train.samples, train.rows, train.groups) == ("train", 2, 2, 2)
    assert train.counts["expr"]["Happiness"] == 2
    assert train.counts["va"] == {"valence": 2, "arousal": 2}
    assert train.means["arousal"] == pytest.approx((-0.5, 0.5))
    assert val.counts["expr"]["Other"] == 1
    assert report.left_out == {"labelled Uncertain": 1}
    assert report.ready


def test_units_are_counted_where_present(tmp_path: Path) -> None:
    root = bp4d(tmp_path, {"F001_T1": ["7,1,0,9,1,1", "8,1,0,1,1,0"]})
    (part,) = check_set(f"bp4d={root}").parts
    assert (part.samples, part.rows, part.groups) == (1, 2, 1)
    assert part.counts["au"]["AU1"] == 2
    assert part.counts["au"]["AU4"] == 1
    assert part.counts["au"]["AU25"] == 0
    assert part.means == {}


def test_all_faults_are_listed(tmp_path: Path) -> None:
    root = rafdb(tmp_path, [("train_00001", 1)])
    lines = ["train_00001.jpg 1", "train_00001.jpg 2", "train_00002.jpg 1", "x"]
    text(root / "basic/EmoLabel/list_patition_label.txt", *lines)
    report = check_set(f"rafdb={root}")
    assert [f"line {line}" in fault for line, fault in zip((2, 3, 4), report.faults, strict=True)]
    assert len(report.faults) == 3
    assert not report.ready
    assert report.parts[0].samples == 1


def test_a_test_part_alone_is_nothing_to_train_with(tmp_path: Path) -> None:
    assert not check_set(f"rafdb={rafdb(tmp_path, [('test_0001', 1)])}").ready
