"""How far a clip shows a subject at rest and otherwise, and friendly looks without contrast."""

from __future__ import annotations

import numpy as np
import pytest

from avaffect.errors import UsageError
from avaffect.labels import ACTION_UNITS, EXPRESSIONS
from avaffect.predictors.starter.contrast import (
    HAPPINESS,
    NEUTRAL,
    calm,
    contrast,
    less_friendly,
)


def clip(unit: str, strength: float, active_s: float, fps: float = 25.0) -> tuple:
    """Ten seconds, in the last ``active_s`` of which ``unit`` is active; and its seconds."""
    frames = round(10 * fps)
    active = np.zeros((frames, 12), np.float32)
    active[frames - round(active_s * fps) :, ACTION_UNITS.index(unit)] = strength
    return active, np.full(frames, 1 / fps)


def test_who_never_changes_has_no_contrast() -> None:
    assert contrast(*clip("AU12", 0.9, 0)) == 0
    # A weak frown all through is the subject's look, for all that anyone can tell.
    assert contrast(*clip("AU4", 0.2, 10)) == 0


def test_a_second_of_a_clear_expression_counts_half_and_many_nearly_all() -> None:
    assert contrast(*clip("AU12", 0.9, 1)) == pytest.approx(0.5)
    assert contrast(*clip("AU4", 0.9, 9)) == pytest.approx(0.9)
    assert contrast(*clip("AU4", 0.9, 3)) > contrast(*clip("AU4", 0.3, 3)) > 0


@pytest.mark.parametrize("unit", ["AU25", "AU26", "AU23", "AU24"])
def test_speech_is_no_contrast(unit: str) -> None:
    assert contrast(*clip(unit, 1.0, 9)) == 0


def test_the_frame_rate_and_missing_faces_do_not_matter() -> None:
    slow, fast = (contrast(*clip("AU12", 0.9, 2, fps)) for fps in (5.0, 50.0))
    assert slow == pytest.approx(fast)
    active, seconds = clip("AU12", 0.9, 2)
    active[::2] = np.nan
    assert contrast(active, seconds * 2) == pytest.approx(slow, abs=0.02)
    active[:] = np.nan
    assert contrast(active, seconds) == 0
    assert contrast(active[:0], seconds[:0]) == 0


def test_other_shapes_are_refused() -> None:
    active, seconds = clip("AU12", 0.9, 2)
    with pytest.raises(UsageError):
        contrast(active[:, :11], seconds)
    with pytest.raises(UsageError):
        contrast(active, seconds[1:])


def test_a_friendly_look_gives_way_to_neutral_and_nothing_else_changes() -> None:
    rows = np.full((2, 8), 0.02, np.float32)
    rows[:, HAPPINESS], rows[:, NEUTRAL] = 0.7, 0.18
    rows[1] = np.nan
    after = less_friendly(rows, np.full(2, 3, np.float32))
    assert np.isnan(after[1]).all()
    odds = [np.log(each[0, HAPPINESS] / each[0, NEUTRAL]) for each in (rows, after)]
    assert odds[0] - odds[1] == pytest.approx(3, abs=1e-4)
    assert after[0].sum() == pytest.approx(rows[0].sum(), abs=1e-6)
    others = [at for at in range(len(EXPRESSIONS)) if at not in (HAPPINESS, NEUTRAL)]
    np.testing.assert_array_equal(after[0, others], rows[0, others])
    np.testing.assert_allclose(less_friendly(rows, np.zeros(2, np.float32))[0], rows[0], atol=1e-6)
    assert rows[0, HAPPINESS] == np.float32(0.7)


def test_a_face_is_calm_where_nothing_of_it_moves() -> None:
    for unit in ("AU12", "AU4", "AU26"):
        assert (calm(clip(unit, 0.9, 10)[0]) == 0).all()
        np.testing.assert_allclose(calm(clip(unit, 0.1875, 10)[0]), 0.5)
        assert (calm(clip(unit, 0.1, 10)[0]) == 1).all()
    assert (calm(clip("AU12", 0.9, 0)[0]) == 1).all()
    assert (calm(np.full((3, 12), np.nan, np.float32)) == 0).all()
