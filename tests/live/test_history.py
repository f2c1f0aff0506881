"""A person's past: the last seconds whole, two rows a second of what is older, no more."""

from __future__ import annotations

import numpy as np
import pytest

from avaffect.errors import UsageError
from avaffect.files.npy import ArraySpec
from avaffect.live.history import MOST_DENSE, REMEMBERED_S, SPACING_S, History, Span
from avaffect.predictors.starter.neutral import seconds_each
from avaffect.preprocessing.face_reader import ReadFace

SPECS = {"net": ArraySpec((2,), "float32"), "voice": ArraySpec((3,), "float32")}


def face(value: float) -> ReadFace:
    return ReadFace(
        box=np.full(4, value, np.float32),
        points=np.full((5, 2), value, np.float32),
        pose=np.zeros(3, np.float32),
        confidence=0.5,
        presence=0.75,
        seen=np.ones(3, np.float32),
        arrays={"net": np.full(2, value, np.float32)},
    )


def test_rows_are_what_was_appended() -> None:
    person = History(3, SPECS, Span(10))
    person.append(0.0, face(1), {"voice": np.full(3, 7, np.float32)})
    person.append(0.5, None)
    person.append(0.75, face(2))
    assert person.name == "person 3"
    assert person.times.tolist() == [0, 0.5, 0.75]
    assert person.present.tolist() == [True, False, True]
    assert (person.last_seen, person.count) == (0.75, 2)
    np.testing.assert_array_equal(person.array("net")[:, 0], [1, np.nan, 2])
    np.testing.assert_array_equal(person.array("voice")[:, 0], [7, np.nan, np.nan])
    np.testing.assert_array_equal(person.confidence, np.float32([0.5, np.nan, 0.5]))
    assert person.geometry.shape == (3, 17)
    assert person.names == ("net", "voice")
    with pytest.raises(UsageError):
        person.table()


def test_it_does_not_grow_and_stands_for_the_time_it_keeps() -> None:
    person = History(1, SPECS, Span(2.0))
    most = 0
    for number in range(25 * 400):
        person.append(number / 25, face(number))
        most = max(most, person.frames)
    assert most <= 51 + REMEMBERED_S / SPACING_S + 2
    times = person.times
    assert times[-1] == number / 25
    assert (np.diff(times) > 0).all()
    assert times[-1] - times[0] == pytest.approx(REMEMBERED_S, abs=1)
    assert (times > times[-1] - 2).sum() == 50
    assert np.diff(times[times < times[-1] - 3]).max() < 0.55
    # A neutral face is told by time, not frames: nothing is lost.
    assert seconds_each(times).sum() == pytest.approx(REMEMBERED_S, rel=0.02)
    np.testing.assert_array_equal(person.array("net")[:, 0], np.rint(25 * times))


def test_a_window_is_kept_whole_and_nothing_else() -> None:
    person = History(1, SPECS, Span(0.1, dense_rows=30, old=False))
    for number in range(500):
        person.append(number / 5, face(number))
    assert person.frames == 30
    assert person.times[0] == pytest.approx(470 / 5)


def test_absurd_rates_are_bounded() -> None:
    person = History(1, SPECS, Span(2.0))
    for number in range(MOST_DENSE + 300):
        person.append(number * 1e-6, face(number))
    assert person.frames <= MOST_DENSE + 1
