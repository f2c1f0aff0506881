"""Units that nobody could see are missing, alone, and are filled and smoothed alone."""

from types import SimpleNamespace

import numpy as np

from avaffect.labels import ACTION_UNITS
from avaffect.predictions.hidden import NEEDS, hidden_units, without_hidden
from avaffect.predictions.missing import fill
from avaffect.predictions.prediction import Prediction
from avaffect.predictions.smooth import Smoothing, apply

N = 50
TIMES = np.arange(N) / 25
MOUTH = [at for at, name in enumerate(ACTION_UNITS) if "mouth" in NEEDS[name]]
BROWS = [ACTION_UNITS.index(name) for name in ("AU1", "AU2", "AU4")]


def subject(seen, present=None):
    present = np.ones(N, bool) if present is None else present
    return SimpleNamespace(times=TIMES, present=present, seen=seen)


def prediction():
    au = np.tile(np.linspace(0, 1, N, dtype=np.float32)[:, None], (1, 12))
    present = np.ones(N, bool)
    return Prediction("v", "m", TIMES, present, np.ones(N), au=au, au_intensity=au * 5)


def covered(first, last):
    seen = np.ones((N, 3), np.float32)
    seen[first:last, 2] = 0.0
    return seen


def test_all_units_are_placed() -> None:
    assert NEEDS.keys() == set(ACTION_UNITS)


def test_a_covered_mouth_takes_its_units() -> None:
    hidden = hidden_units(subject(covered(20, 40)))
    assert hidden[24:36][:, MOUTH].all() and not hidden[:, BROWS].any()
    assert not hidden[:16].any()


def test_one_doubtful_frame_is_none() -> None:
    assert not hidden_units(subject(covered(20, 21))).any()


def test_nothing_is_hidden_where_no_face_is() -> None:
    present = np.arange(N) < 25
    seen = np.where(present[:, None], covered(0, N), np.nan).astype(np.float32)
    hidden = hidden_units(subject(seen, present))
    assert hidden[:25][:, MOUTH].all() and not hidden[25:].any()


def test_they_are_missing_then_filled_by_the_policy_alone() -> None:
    whole = prediction()
    assert without_hidden(whole, subject(np.ones((N, 3), np.float32))) is whole
    part = without_hidden(whole, subject(covered(20, 40)))
    assert np.isnan(part.au[30, MOUTH]).all() and np.isnan(part.au_intensity[30, MOUTH]).all()
    np.testing.assert_array_equal(part.au[:, BROWS], whole.au[:, BROWS])
    filled = fill(part, "linear")
    np.testing.assert_allclose(filled.au, whole.au, atol=1e-5)
    assert filled.filled[30] and not filled.filled[5]
    assert (fill(part, "invalid").au_presence()[30, MOUTH] == -1).all()


def test_what_was_never_seen_stays_missing() -> None:
    part = fill(without_hidden(prediction(), subject(covered(0, N))), "linear")
    assert (part.au_presence()[:, MOUTH] == -1).all()
    assert np.isfinite(part.au[:, BROWS]).all() and not part.filled.any()


def test_the_seen_units_are_smoothed_as_ever() -> None:
    smoothing = Smoothing("gaussian", 0.5)
    whole = apply(prediction(), smoothing)
    part = apply(without_hidden(prediction(), subject(covered(20, 40))), smoothing)
    np.testing.assert_array_equal(part.au[:, BROWS], whole.au[:, BROWS])
    assert np.isnan(part.au[30, MOUTH]).all()
