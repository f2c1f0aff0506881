"""What was tuned for a network lies beside it, and its predictor follows it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from avaffect.errors import CheckpointError, UsageError
from avaffect.labels import ACTION_UNITS
from avaffect.predictions.postprocess import FILE, Postprocess, load_postprocess


def test_it_comes_back(tmp_path: Path) -> None:
    assert load_postprocess(tmp_path) is None
    postprocess = Postprocess("va=box:3.4,expr=off,au=off", {"AU2": 0.25}, "abc", {"clips": 3})
    assert postprocess.save(tmp_path) == tmp_path / FILE
    assert load_postprocess(tmp_path) == postprocess


def test_units_without_a_threshold_have_the_usual_one() -> None:
    assert Postprocess().limits() is None
    limits = Postprocess(au_thresholds={"AU2": 0.25, "AU20": 0.9}).limits()
    wanted = np.full(12, 0.5)
    wanted[ACTION_UNITS.index("AU2")] = 0.25
    np.testing.assert_array_equal(limits, wanted)


@pytest.mark.parametrize(
    "change",
    [
        {"smooth": "boxes:1"},
        {"smooth": None},
        {"au_thresholds": {"AU2": 1.5}},
        {"au_thresholds": {"AU2": "much"}},
        {"au_thresholds": [0.5]},
        {"chosen_on": 3},
    ],
)
def test_what_is_damaged_is_refused(tmp_path: Path, change) -> None:
    Postprocess().save(tmp_path)
    whole = json.loads((tmp_path / FILE).read_text())
    (tmp_path / FILE).write_text(json.dumps(whole | change))
    with pytest.raises(CheckpointError, match="damaged"):
        load_postprocess(tmp_path)
    del whole[next(iter(change))]
    (tmp_path / FILE).write_text(json.dumps(whole))
    with pytest.raises(CheckpointError, match="avaffect tune"):
        load_postprocess(tmp_path)


def test_settings_are_checked() -> None:
    with pytest.raises(UsageError):
        Postprocess("box")
    with pytest.raises(ValueError, match="AU1 is 2"):
        Postprocess(au_thresholds={"AU1": 2})


@pytest.mark.parametrize("limit", [0.0, 0.2, 0.5, 0.9, 1.0])
def test_a_members_threshold_becomes_the_usual_one(limit: float) -> None:
    """Each score is decided as before, stays in 0..1 and in its order."""
    scores = np.append(np.linspace(0, 1, 41), np.nextafter(np.float32(limit), np.float32(0)))
    scores = np.sort(np.clip(scores, 0, 1)).astype(np.float32)
    values = np.stack([scores, scores], axis=1)
    found = Postprocess(au_thresholds={"AU2": limit}).applied(
        "au", ("AU1", "AU2"), values, np.arange(len(values)) / 30
    )
    np.testing.assert_array_equal(found[:, 1] >= 0.5, scores >= np.float64(limit))
    assert (np.diff(found[:, 1]) >= 0).all()
    assert found.min() >= 0 and found.max() <= 1
    np.testing.assert_allclose(found[:, 0], scores, atol=1e-7)
    assert found.dtype == np.float32
    missing = Postprocess(au_thresholds={"AU2": limit}).applied(
        "au", ("AU1", "AU2"), np.full((3, 2), np.nan, np.float32), np.arange(3.0)
    )
    assert np.isnan(missing).all()


def test_a_member_is_smoothed_by_its_task() -> None:
    values = np.array([[0.0, 1.0], [1.0, 0.0], [0.0, 1.0]], np.float32)
    after = Postprocess("va=box:1,expr=off,au=off", {"AU1": 0.1})
    times = np.arange(3) / 3
    assert not np.array_equal(after.applied("va", ("v", "a"), values, times), values)
    np.testing.assert_array_equal(after.applied("expr", ("x", "y"), values, times), values)
