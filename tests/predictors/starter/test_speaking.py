"""Whose voice it is: lips that move, that do not, that are not seen."""

import numpy as np
import pytest

from avaffect.faces.face_pose import SIZE
from avaffect.predictions.missing import without_lone_voice
from avaffect.predictions.prediction import Prediction
from avaffect.predictors.starter.action_units import INNER_LIPS
from avaffect.predictors.starter.speaking import lip_gap, lips_move


def clip(fps, moving_from=2.0, seconds=4.0):
    """A mouth that is still and then speaks, opening 4 times a second by .1."""
    times = np.arange(0, seconds, 1 / fps)
    gap = np.where(times >= moving_from, 0.05 + 0.05 * np.sin(2 * np.pi * 4 * times), 0.01)
    return gap.astype(np.float32), times


@pytest.mark.parametrize("fps", [12.5, 25, 50])
def test_lips_count_as_moving_where_they_speak_at_any_frame_rate(fps: float) -> None:
    gap, times = clip(fps)
    moves = lips_move(gap, times)
    assert (moves[times < 1.4] == 0).all()
    assert (moves[times > 2.6] == 1).all()


def test_without_a_face_nothing_speaks_against_the_voice() -> None:
    gap, times = clip(25, moving_from=9)
    gap[40:60] = np.nan
    moves = lips_move(gap, times)
    assert (moves[40:60] == 1).all()
    assert (moves[:30] == 0).all()
    assert (lips_move(np.full(5, np.nan, np.float32), times[:5]) == 1).all()
    assert len(lips_move(np.zeros(0, np.float32), np.zeros(0))) == 0


def test_a_single_frame_tells_nothing() -> None:
    assert lips_move(np.array([0.3], np.float32), np.array([0.0])) == 1


def test_the_gap_is_that_of_the_inner_lips() -> None:
    pose = np.zeros((2, SIZE), np.float32)
    pose[1, INNER_LIPS[0]] = 0.25
    np.testing.assert_allclose(lip_gap(pose), [0, 0.25])


def test_of_several_people_one_who_is_away_gets_no_voice() -> None:
    expr = np.full((3, 8), 1 / 8, np.float32)
    va = np.zeros((3, 2), np.float32)
    given = Prediction(
        "a",
        "m",
        times=np.arange(3.0),
        present=[True, False, False],
        confidence=[1, np.nan, np.nan],
        va=va,
        va_interval=np.stack([va - 0.1, va + 0.1], axis=2),
        expr=expr,
        heard=[True, True, False],
    )
    out = without_lone_voice(given)
    np.testing.assert_array_equal(out.heard, [True, False, False])
    np.testing.assert_array_equal(np.isnan(out.expr[:, 0]), [False, True, False])
    np.testing.assert_array_equal(np.isnan(out.va_interval[:, 0, 0]), [False, True, False])
