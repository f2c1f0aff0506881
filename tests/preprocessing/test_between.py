from pathlib import Path
from typing import Any

import numpy as np
import pytest

from avaffect.files.npy import ArraySpec
from avaffect.media.frames import Frame
from avaffect.preprocessing.between import Lines
from avaffect.store.spool import Spool

TIMES = (0.0, 0.04, 0.1, 0.2)  # not evenly


def frame(index: int) -> Frame:
    return Frame(index, TIMES[index], np.zeros((4, 4, 3), np.uint8))


def record(spool: Spool, index: int, value: float, **changes: Any) -> Any:
    fields = {
        "box": np.full(4, value),
        "points": np.full((5, 2), value),
        "pose": np.full(3, value),
        "confidence": value / 100,
        "presence": 1.0,
        "seen": np.full(3, value / 100),
        "arrays": {"net": np.full(2, value), "half": np.full(3, value)},
    }
    return spool.record(index, **{**fields, **changes})


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    arrays = {"net": ArraySpec((2,), "float32"), "half": ArraySpec((3,), "float16")}
    return Spool.create(tmp_path, arrays, "key")


def test_a_held_face_lies_on_the_line_by_its_time(spool: Spool) -> None:
    lines = Lines(spool)
    lines.begin(3, TIMES[0], record(spool, 0, 10))
    found = lines.between(3, frame(2), (TIMES[3], record(spool, 3, 20)))
    assert (found["frame"], found["held"]) == (2, True)
    for name in ("box", "points", "pose", "net", "half"):
        np.testing.assert_allclose(found[name], 15, err_msg=name)
    np.testing.assert_allclose([found["confidence"], *found["seen"]], 0.15, rtol=1e-6)
    assert found["presence"] == 1
    assert found.dtype == spool.dtype


def test_a_face_that_is_lost_stays_as_it_was(spool: Spool) -> None:
    lines, first = Lines(spool), record(spool, 0, 10)
    lines.begin(3, TIMES[0], first)
    found = lines.between(3, frame(1), None)
    assert found["held"]
    assert not first["held"]
    np.testing.assert_array_equal(found["points"], first["points"])


def test_an_angle_that_begins_anew_is_no_turn(spool: Spool) -> None:
    lines = Lines(spool)
    lines.begin(0, TIMES[0], record(spool, 0, 10, pose=np.array([0, 0, 179])))
    after = record(spool, 3, 20, pose=np.array([0, 0, -179]))
    found = lines.between(0, frame(1), (TIMES[3], after))
    assert found["pose"][2] == 179


def test_goes_on_from_what_is_on_the_disk(spool: Spool) -> None:
    """Half precision too: what is kept in memory is what is written."""
    first, after = record(spool, 0, 10.001), (TIMES[3], record(spool, 3, 20.002))
    lines = Lines(spool)
    lines.begin(7, TIMES[0], first)
    expected = lines.between(7, frame(1), after)
    spool.append_frame(TIMES[0])
    spool.append_record(7, first)
    assert Lines(spool).between(7, frame(1), after) == expected


def test_who_is_no_longer_followed_is_forgotten(spool: Spool) -> None:
    lines = Lines(spool)
    for track in range(5):
        lines.begin(track, TIMES[0], record(spool, 0, 10))
    lines.keep({2, 9})
    assert set(lines._starts) == {2}
