from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import savgol_filter

from avaffect.errors import UnknownNameError, UsageError
from avaffect.predictions.prediction import Prediction
from avaffect.predictions.smooth import SMOOTHERS, Smoothing, apply, parse_smoothing, smooth

KINDS = list(SMOOTHERS)
AVERAGES = ["box", "gaussian", "median"]


def irregular(n: int, seed: int = 0) -> np.ndarray:
    return np.cumsum(np.random.default_rng(seed).uniform(0.01, 0.09, n))


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=40)
@given(
    n=st.integers(1, 80),
    value=st.floats(-1, 1, width=32),
    seconds=st.floats(0.01, 5),
    seed=st.integers(0, 99),
)
def test_constant_stays(kind: str, n: int, value: float, seconds: float, seed: int) -> None:
    values = np.full((n, 2), value)
    np.testing.assert_allclose(smooth(values, irregular(n, seed), kind, seconds), value, atol=1e-5)


@pytest.mark.parametrize("kind", AVERAGES)
@settings(max_examples=40)
@given(
    values=st.lists(
        st.one_of(st.floats(-1, 1, width=32), st.just(np.nan)), min_size=1, max_size=60
    ),
    seconds=st.floats(0.01, 5),
)
def test_averages_stay_in_range_and_missing_stays_missing(
    kind: str, values: list[float], seconds: float
) -> None:
    before = np.array(values)[:, None]
    after = smooth(before, irregular(len(values)), kind, seconds)
    assert after.shape == before.shape
    assert np.array_equal(np.isnan(after), np.isnan(before))
    if not np.isnan(before).all():
        assert np.nanmin(after) >= np.nanmin(before) - 1e-6
        assert np.nanmax(after) <= np.nanmax(before) + 1e-6


@pytest.mark.parametrize("kind", KINDS)
def test_ramp_is_kept_so_nothing_lags(kind: str) -> None:
    times = np.arange(200) / 25
    ramp = np.linspace(-1, 1, 200)[:, None]
    after = smooth(ramp, times, kind, 0.6)
    np.testing.assert_allclose(after[10:-10], ramp[10:-10], atol=1e-6)


def test_savgol_keeps_parabolas_on_irregular_times_up_to_the_ends() -> None:
    times = irregular(150)
    curve = ((times / times[-1]) ** 2 - 0.4)[:, None]
    np.testing.assert_allclose(smooth(curve, times, "savgol", 0.7), curve, atol=1e-5)


def test_savgol_is_scipys_on_regular_times() -> None:
    noise = np.random.default_rng(3).normal(size=(90, 2))
    after = smooth(noise, np.arange(90) / 30, "savgol", 10 / 30)
    wanted = savgol_filter(noise, 11, 2, axis=0, mode="interp")
    np.testing.assert_allclose(after[5:-5], wanted[5:-5], atol=1e-5)


@pytest.mark.parametrize(
    ("kind", "middle"),
    [("box", np.mean), ("median", np.median)],
)
def test_same_as_the_plain_definition(kind: str, middle) -> None:
    rng = np.random.default_rng(5)
    times, values = irregular(300), rng.uniform(-1, 1, (300, 3))
    values[rng.random(300) < 0.2] = np.nan
    after = smooth(values, times, kind, 0.5)
    for i in range(300):
        if np.isnan(values[i, 0]):
            continue
        near = (np.abs(times - times[i]) <= 0.25) & ~np.isnan(values[:, 0])
        np.testing.assert_allclose(after[i], middle(values[near], axis=0), atol=1e-6)


def test_gaussian_weights() -> None:
    pulse = np.zeros((41, 1))
    pulse[20] = 1
    offsets = (np.arange(41) - 20) / 20
    after = smooth(pulse, np.arange(41) / 20, "gaussian", 1.0)[:, 0]
    weights = np.exp(-0.5 * (offsets / 0.2) ** 2) * (np.abs(offsets) <= 0.5)
    np.testing.assert_allclose(after, weights / weights.sum(), atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_gap_longer_than_the_window_is_not_crossed(kind: str) -> None:
    times = np.concatenate([np.arange(20) / 25, 5 + np.arange(20) / 25])
    values = np.repeat([0.0, 1.0], 20)[:, None]
    np.testing.assert_allclose(smooth(values, times, kind, 2.0), values, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_noise_is_reduced(kind: str) -> None:
    noise = np.random.default_rng(0).normal(size=(500, 1))
    assert smooth(noise, np.arange(500) / 30, kind, 0.5).std() < 0.6 * noise.std()


@pytest.mark.parametrize("kind", KINDS)
def test_many_rows_equal_few(kind: str) -> None:
    """Work goes in chunks; their borders must not show."""
    times = irregular(3000)
    values = np.random.default_rng(0).uniform(-1, 1, (3000, 2))
    whole = smooth(values, times, kind, 0.8)
    part = smooth(values[1000:1400], times[1000:1400], kind, 0.8)
    np.testing.assert_allclose(whole[1050:1350], part[50:350], atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_frames_at_one_time_and_lone_frames(kind: str) -> None:
    times = np.array([0.0, 0.0, 0.0, 0.0, 0.0, 9.0])
    after = smooth(np.array([[0.0], [1.0], [0.0], [1.0], [0.5], [0.7]]), times, kind, 0.5)
    np.testing.assert_allclose(after[:, 0], [0.5] * 5 + [0.7], atol=1e-6)


def test_off_changes_nothing() -> None:
    values = np.random.default_rng(0).random((9, 2)).astype(np.float32)
    assert np.array_equal(smooth(values, np.arange(9.0), "off", 0), values)


@pytest.mark.parametrize("kind", KINDS)
def test_prediction_stays_valid(kind: str) -> None:
    rng = np.random.default_rng(2)
    n = 200
    missing = rng.random(n) < 0.2
    sharp = np.eye(8)[rng.integers(0, 8, n)]
    arrays = {
        "va": rng.choice([-1.0, 1.0], (n, 2)),
        "expr": sharp,
        "au": rng.integers(0, 2, (n, 12)).astype(float),
        "au_intensity": rng.choice([0.0, 5.0], (n, 12)),
    }
    for values in arrays.values():
        values[missing] = np.nan
    p = Prediction("c", "m", np.arange(n) / 30, ~missing, np.where(missing, 0, 1), **arrays)
    after = apply(p, Smoothing(kind, 0.3))  # the type checks ranges and sums itself
    assert np.array_equal(np.isnan(after.expr[:, 0]), missing)
    assert not np.array_equal(after.va, p.va, equal_nan=True)
    assert not np.array_equal(after.au, p.au, equal_nan=True)
    assert apply(p, Smoothing()) is p


@pytest.mark.parametrize("kind", KINDS)
def test_columns_that_the_model_does_not_know_change_nothing(kind: str) -> None:
    known = np.random.default_rng(1).uniform(-1, 1, (40, 2))
    known[7:9] = np.nan
    times = irregular(40)
    alone = smooth(known, times, kind, 0.3)
    among = np.full((40, 5), np.nan)
    among[:, [1, 4]] = known
    after = smooth(among, times, kind, 0.3)
    np.testing.assert_array_equal(after[:, [1, 4]], alone)
    assert np.isnan(after[:, [0, 2, 3]]).all()
    assert np.isnan(smooth(np.full((5, 2), np.nan), times[:5], kind, 0.3)).all()


def test_parse() -> None:
    assert parse_smoothing("off") == Smoothing()
    assert parse_smoothing("gaussian:0.5") == Smoothing("gaussian", 0.5)
    assert str(parse_smoothing("savgol:1.50")) == "savgol:1.5"
    assert str(Smoothing()) == "off"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("gaussian", "gaussian:0.5"),
        ("box:", "box:0.5"),
        ("median:half", "median:0.5"),
        ("box:0", "more than 0"),
        ("box:-1", "more than 0"),
        ("box:nan", "more than 0"),
        ("box:inf", "at most 60"),
        ("off:1", "'off' alone"),
    ],
)
def test_parse_says_what_to_write(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        parse_smoothing(text)


def test_tasks_may_differ() -> None:
    rng = np.random.default_rng(3)
    n = 60
    arrays = {
        "va": rng.uniform(-1, 1, (n, 2)),
        "expr": rng.dirichlet(np.ones(8), n),
        "au": rng.random((n, 12)),
        "au_intensity": rng.uniform(0, 5, (n, 12)),
    }
    p = Prediction("c", "m", np.arange(n) / 30, np.ones(n), np.ones(n), **arrays)
    chosen = parse_smoothing(" va=box:0.5, au=median:0.2 ")
    assert str(chosen) == "va=box:0.5,expr=off,au=median:0.2"
    assert parse_smoothing(str(chosen)) == chosen
    assert parse_smoothing("auto", str(chosen)) == chosen
    after = apply(p, chosen)
    np.testing.assert_array_equal(after.va, apply(p, Smoothing("box", 0.5)).va)
    np.testing.assert_array_equal(after.expr, p.expr)
    wanted = apply(p, Smoothing("median", 0.2))
    np.testing.assert_array_equal(after.au, wanted.au)
    np.testing.assert_array_equal(after.au_intensity, wanted.au_intensity)
    assert apply(p, parse_smoothing("va=off")) is p


@pytest.mark.parametrize("text", ["va=box:1,va=off", "va=box:1,box:2", "va=box", "=box:1", "va="])
def test_parse_of_tasks_says_what_to_write(text: str) -> None:
    with pytest.raises(UsageError):
        parse_smoothing(text)


def test_parse_unknown_kind() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'va'"):
        parse_smoothing("vaa=box:1")
    with pytest.raises(UnknownNameError, match="gaussian"):
        parse_smoothing("gausian:1")


def with_intervals(n: int, seed: int) -> Prediction:
    """Values and bounds that jump, one frame in five missing."""
    rng = np.random.default_rng(seed)
    va = rng.uniform(-1, 1, (n, 2))
    va[rng.random(n) < 0.2] = np.nan
    interval = np.clip(va[:, :, None] + rng.uniform(0, 0.8, (n, 2, 2)) * [-1, 1], -1, 1)
    nobody = np.full(n, np.nan)
    return Prediction("c", "m", irregular(n, seed), nobody == 0, nobody, va, va_interval=interval)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=30)
@given(n=st.integers(1, 60), seed=st.integers(0, 999), seconds=st.floats(0.02, 3))
def test_smoothed_intervals_hold_the_smoothed_value(
    kind: str, n: int, seed: int, seconds: float
) -> None:
    p = with_intervals(n, seed)
    after = apply(p, Smoothing(kind, seconds))  # the type checks low <= va <= high and NaN itself
    assert after.va_interval.shape == (n, 2, 2)
    assert np.array_equal(np.isnan(after.va_interval), np.isnan(p.va_interval))


@pytest.mark.parametrize("kind", ["box", "gaussian"])
def test_bounds_are_smoothed_as_values_are(kind: str) -> None:
    p = with_intervals(200, 4)
    after = apply(p, Smoothing(kind, 0.5))
    bounds = smooth(p.va_interval.reshape(-1, 4), p.times, kind, 0.5)
    np.testing.assert_allclose(after.va_interval.reshape(-1, 4), bounds, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_smoothing_noise_does_not_narrow_the_interval(kind: str) -> None:
    """Many frames of one face are not as many opinions."""
    rng = np.random.default_rng(0)
    va = rng.normal(0, 0.1, (400, 2)).clip(-0.5, 0.5)
    interval = va[:, :, None] + np.array([-0.3, 0.2])
    p = Prediction("c", "m", np.arange(400) / 25, va[:, 0] < 2, np.ones(400), va)
    after = apply(replace(p, va_interval=interval), Smoothing(kind, 1.0))
    assert after.va.std() < 0.7 * p.va.std()
    np.testing.assert_allclose(np.diff(after.va_interval, axis=2), 0.5, atol=1e-5)
