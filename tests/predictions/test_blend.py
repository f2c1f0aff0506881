"""Predictions of several models as one: what counts, and what comes out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from avaffect.errors import FormatError, UnknownNameError, UsageError
from avaffect.predictions.blend import Blending, blend
from avaffect.predictions.missing import fill, marked
from avaffect.predictions.prediction import Prediction

FRAMES = 6


def made(seed, model="m", frames=FRAMES, missing=(), **changes):
    rng = np.random.default_rng(seed)
    seen = ~np.isin(np.arange(frames), missing)
    values = {
        "va": rng.uniform(-1, 1, (frames, 2)),
        "expr": rng.dirichlet(np.ones(8), frames),
        "au": rng.random((frames, 12)),
        "au_intensity": rng.uniform(0, 5, (frames, 12)),
    }
    for value in values.values():
        value[~seen] = np.nan
    given = {"confidence": np.where(seen, 0.8, np.nan), **values, **changes}
    return Prediction("clip", model, np.arange(frames) / 25, seen, **given)


def expressions(*classes, sure=0.9):
    """Probabilities with these classes on top; None for no value."""
    rows = np.full((len(classes), 8), (1 - sure) / 7)
    for at, expression in enumerate(classes):
        if expression is None:
            rows[at] = np.nan
        else:
            rows[at, expression] = sure
    return rows


def only(expr):
    """A model that knows expressions alone."""
    return made(0, frames=len(expr), va=None, expr=expr, au=None, au_intensity=None)


def test_values_and_probabilities_are_weighted_means() -> None:
    a, b = made(1, "a"), made(2, "b")
    out = blend([a, b], Blending(weights=(3, 1)))
    for name in ("va", "expr", "au", "au_intensity"):
        wanted = 0.75 * getattr(a, name) + 0.25 * getattr(b, name)
        np.testing.assert_allclose(getattr(out, name), wanted, atol=1e-6)
    assert (out.subject, out.model) == ("clip", "blend of a, b")
    np.testing.assert_array_equal(out.times, a.times)
    assert out.va_interval is None
    assert out.au_thresholds is None


def test_one_alone_is_itself() -> None:
    a = made(1, "a", missing=[2])
    out = blend([a])
    for name in ("va", "expr", "au", "au_intensity", "present", "confidence"):
        np.testing.assert_allclose(getattr(out, name), getattr(a, name), atol=1e-6)


def test_a_model_counts_where_it_has_a_value_and_in_what_it_predicts() -> None:
    a, b = made(1, missing=[0, 1]), made(2, missing=[1], au=None, au_intensity=None)
    out = blend([a, b])
    np.testing.assert_allclose(out.va[0], b.va[0])
    assert np.isnan(out.va[1]).all()
    assert np.isnan(out.expr[1]).all()
    np.testing.assert_array_equal(out.au, a.au)
    assert out.present.tolist() == [True, False, True, True, True, True]
    assert np.isnan(out.confidence[1])
    assert out.confidence[0] == pytest.approx(0.8)


def test_what_stands_in_for_missing_values_does_not_count() -> None:
    a, b = made(1, missing=[2]), made(2)
    out = blend([fill(a), b])
    np.testing.assert_allclose(out.va[2], b.va[2])
    assert not out.filled.any()
    heard = np.arange(FRAMES) == 2
    # A voice is no filler, though the units beside it are.
    out = blend([replace(fill(a), heard=heard), b])
    np.testing.assert_allclose(out.va[2], (fill(a).va[2] + b.va[2]) / 2, atol=1e-6)
    assert out.heard.tolist() == heard.tolist()


@pytest.mark.parametrize("units", ["average", "vote:1"])
def test_a_hidden_unit_takes_nothing_else_of_its_row(units: str) -> None:
    """As predict writes it: the frame is flagged since the text has a value for the unit there."""
    a, b = made(1), made(2)
    hidden = a.au.copy()
    hidden[2:4, 8] = np.nan
    a = marked(replace(a, au=hidden, au_intensity=None))
    assert a.filled[2:4].all()
    out = blend([a], Blending(units=units))
    np.testing.assert_array_equal(np.isnan(out.au), np.isnan(hidden))
    np.testing.assert_array_equal(out.va, a.va)
    np.testing.assert_allclose(out.expr, a.expr, atol=1e-6)
    # Whoever sees it says it alone; in what both see, both count.
    both = blend([a, b])
    np.testing.assert_allclose(both.au[2, 8], b.au[2, 8], atol=1e-6)
    np.testing.assert_allclose(both.au[2, :8], (a.au + b.au)[2, :8] / 2, atol=1e-6)
    np.testing.assert_allclose(both.va[2], (a.va + b.va)[2] / 2, atol=1e-6)


def test_units_count_one_by_one() -> None:
    a, b = made(1, missing=[2]), made(2)
    half = b.au.copy()
    half[:, 6:] = np.nan
    out = blend([a, replace(b, au=half, au_intensity=None)])
    np.testing.assert_allclose(out.au[2, :6], b.au[2, :6], atol=1e-6)
    assert np.isnan(out.au[2, 6:]).all()
    np.testing.assert_allclose(out.au[3, :6], (a.au[3, :6] + b.au[3, :6]) / 2, atol=1e-6)
    np.testing.assert_allclose(out.au[3, 6:], a.au[3, 6:], atol=1e-6)


def test_intervals_are_averaged_if_all_have_them() -> None:
    a, b = made(1), made(2, missing=[1])
    wide = [
        np.clip(prediction.va[:, :, None] + np.array([-0.3, 0.2]), -1, 1) for prediction in (a, b)
    ]
    sure = [
        replace(prediction, va_interval=interval)
        for prediction, interval in zip((a, b), wide, strict=True)
    ]
    out = blend(sure, Blending(weights=(1, 2)))
    np.testing.assert_allclose(out.va_interval[0], (wide[0][0] + 2 * wide[1][0]) / 3, atol=1e-6)
    np.testing.assert_allclose(out.va_interval[1], wide[0][1], atol=1e-6)
    assert blend([sure[0], b]).va_interval is None


def test_the_meta_classifier_decides() -> None:
    each = [expressions(0, 4, None, 6), expressions(0, 3, None, 4), expressions(1, 4, 7, None)]
    each[1][3] = expressions(4, sure=0.95)
    out = blend([only(classes) for at, classes in enumerate(each)], Blending(expression="vote"))
    assert out.expression_ids().tolist() == [1, 3, 7, 4]
    assert out.expr.max(axis=1).tolist() == [1, 1, 1, 1]
    mean = blend([only(classes) for at, classes in enumerate(each)])
    assert mean.expression_ids().tolist() == [0, 4, 7, 4]


def test_frames_like_none_of_the_seven_are_other() -> None:
    frames = expressions(2, 7, 4, None)
    frames[2] = expressions(4, sure=0.3)
    how = {name: Blending(expression=name, other_below=0.35) for name in ("average", "vote")}
    for value in how.values():
        out = blend([only(frames), only(frames)], value)
        assert out.expression_ids().tolist() == [2, 7, 7, -1]


def made_of_units(*rows):
    return made(0, frames=len(rows), au=np.repeat(np.array(rows, float)[:, None], 12, axis=1),
                au_intensity=None)  # fmt: skip


def test_units_are_voted_on_with_each_models_own_thresholds() -> None:
    models = [
        made_of_units(0.6, 0.6, 0.1, np.nan, np.nan),
        made_of_units(0.2, 0.7, 0.4, 0.6, np.nan),
        replace(made_of_units(0.1, 0.2, 0.4, np.nan, np.nan), au_thresholds=np.full(12, 0.2)),
    ]
    out = blend(models, Blending(units="vote:2"))
    assert out.au_presence()[:, 0].tolist() == [0, 1, 0, 1, -1]
    assert out.au_thresholds is None
    lone = blend([models[0], replace(models[1], au=None)], Blending(units="vote:2"))
    assert lone.au_presence()[:3, 0].tolist() == [1, 1, 0]


def test_averages_of_units_are_decided_by_the_mean_distance_from_the_thresholds() -> None:
    a = replace(made_of_units(0.3, 0.3), au_thresholds=np.full(12, 0.2))
    b = made_of_units(0.45, 0.35)
    out = blend([a, b], Blending(weights=(1, 1)))
    np.testing.assert_allclose(out.au_thresholds, 0.35)
    # +.1 - .05 is above zero, +.1 - .15 below.
    assert out.au_presence()[:, 5].tolist() == [1, 0]


def test_predictions_that_do_not_belong_together_are_refused() -> None:
    a = made(1, "a")
    with pytest.raises(FormatError, match="'clip' and 'other' are not the same"):
        blend([a, replace(a, subject="other")])
    with pytest.raises(FormatError, match="6 frames by a and 5 by b"):
        blend([a, made(1, "b", frames=5)])
    late = replace(a, model="b", times=a.times + np.array([0, 0, 0, 0.02, 0, 0]))
    with pytest.raises(
        FormatError, match=r"frame 4 of 'clip' is at 0\.120 s by a and at 0\.140 s"
    ):
        blend([a, late])
    with pytest.raises(UsageError, match="3 weights for 2"):
        blend([a, a], Blending(weights=(1, 2, 3)))
    with pytest.raises(UsageError, match="3 of 2 votes"):
        blend([a, a], Blending(units="vote:3"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"weights": (1, 0)},
        {"weights": (1, float("nan"))},
        {"weights": (float("inf"),)},
        {"units": "vote"},
        {"units": "vote:-1"},
        {"units": "most"},
        {"other_below": 0},
        {"other_below": 1.5},
    ],
)
def test_rules_that_make_no_sense_are_refused(wrong) -> None:
    with pytest.raises(UsageError):
        Blending(**wrong)


def test_an_unknown_rule_is_suggested() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'vote'"):
        Blending(expression="votes")
