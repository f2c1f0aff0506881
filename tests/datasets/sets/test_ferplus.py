"""FER+: the authors' rule for ten votes."""

from __future__ import annotations

from pathlib import Path

import pytest
from fixtures.public_sets import VOTES, ferplus, text

from avaffect.datasets.sets.ferplus import majority, read
from avaffect.datasets.sets.sample import Log
from avaffect.errors import FormatError, InputNotFoundError
from avaffect.labels import EXPRESSIONS


@pytest.mark.parametrize(
    ("votes", "place"),
    [
        ([10, 0, 0, 0, 0, 0, 0, 0, 0, 0], 0),
        # Single votes do not count: 6 of 8 are left.
        ([6, 0, 1, 1, 0, 0, 0, 0, 2, 0], 0),
        # 5 of 10 is no majority, 5 of 9 is one.
        ([5, 5, 0, 0, 0, 0, 0, 0, 0, 0], None),
        ([5, 4, 1, 0, 0, 0, 0, 0, 0, 0], 0),
        ([0, 0, 0, 0, 0, 0, 0, 0, 0, 10], 9),
        ([1, 1, 1, 1, 1, 1, 1, 1, 1, 1], None),
        ([0] * 10, None),
    ],
)
def test_the_majority(votes: list[int], place: int | None) -> None:
    assert majority(votes) == place


def test_parts_and_what_is_left_out(tmp_path: Path) -> None:
    root = ferplus(
        tmp_path,
        [
            "Training,a.png,0,0,0,0,0,0,0,9,1,0",
            "PublicTest,b.png,0,0,9,1,0,0,0,0,0,0",
            "PrivateTest,c.png,0,0,0,0,10,0,0,0,0,0",
            "Training,d.png,0,0,0,0,0,0,0,0,10,0",
            "Training,e.png,5,5,0,0,0,0,0,0,0,0",
            "Training,,0,0,0,0,0,0,0,0,0,10",
        ],
    )
    log = Log()
    found = [(s.name, s.split, EXPRESSIONS[int(s.labels["expr"][0])]) for s in read(root, log)]
    assert found == [("a", "train", "Other"), ("b", "val", "Surprise"), ("c", "test", "Anger")]
    assert sorted(log.left_out.values()) == [1, 1, 1]
    assert log.left_out["voted no majority"] == 1


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ("Train,a.png,1,0,0,0,0,0,0,0,0,0", "no usage"),
        ("Training,a.png,1,0,0", "no usage"),
        ("Training", "no usage"),
        ("Training,a.png,1,0,0,0,0,0,0,0,0,-1", "no whole numbers"),
        ("Training,x.png,9,0,0,0,0,0,0,0,0,0", "no picture"),
    ],
)
def test_faults_name_the_line(row: str, fault: str, tmp_path: Path) -> None:
    root = ferplus(tmp_path, ["Training,a.png,10,0,0,0,0,0,0,0,0,0"])
    text(root / "fer2013new.csv", f"Usage,Image name,{VOTES}", row)
    with pytest.raises(FormatError, match=fault) as caught:
        [*read(root, Log())]
    assert "line 2" in str(caught.value)


def test_without_the_pictures_the_authors_script_is_named(tmp_path: Path) -> None:
    """A clone of their repository has the folders already, with a list in each."""
    text(tmp_path / "fer2013new.csv", f"Usage,Image name,{VOTES}")
    for _ in range(2):
        with pytest.raises(InputNotFoundError, match="generate_training_data"):
            [*read(tmp_path, Log())]
        text(tmp_path / "data/FER2013Train/label.csv", 'fer0000000.png,"(0, 0, 48, 48)",10,0')
