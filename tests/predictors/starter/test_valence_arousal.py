import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avaffect.predictions.prediction import EXPRESSIONS
from avaffect.predictors.starter.valence_arousal import (
    DIMENSIONS,
    FACE,
    GRID,
    FaceRatings,
    va_of_face,
)

ROOT = Path(__file__).parents[3]
CODES = ("Happiness", "Sadness", "Surprise", "Fear", "Disgust", "Anger", "Contempt", "Neutral")


def some(frames: int, seed: int = 0, sure: float = 0.3) -> np.ndarray:
    return np.random.default_rng(seed).dirichlet(np.full(8, sure), frames)


def test_face_values_lie_where_people_put_them() -> None:
    va, intervals = va_of_face(np.eye(8))
    of = dict(zip(EXPRESSIONS, va, strict=True))
    assert max(of[name][0] for name in ("Anger", "Disgust", "Fear", "Sadness")) < -0.4
    assert of["Happiness"][0] > 0.35
    assert abs(of["Neutral"][0]) < 0.1
    assert min(of[name][1] for name in ("Anger", "Fear", "Surprise")) > 0.2
    assert of["Neutral"][1] < -0.3
    # A sure face's value lies well within the ratings of such faces.
    assert (va - intervals[..., 0] > 0.05).all()
    assert (intervals[..., 1] - va > 0.05).all()


def test_face_more_smile_is_more_valence() -> None:
    share = np.linspace(0, 1, 50)
    p = np.zeros((50, 8))
    p[:, 0], p[:, 4] = 1 - share, share
    assert (np.diff(va_of_face(p)[0][:, 0]) > 0).all()


def test_other_draws_to_the_middle_and_is_wide() -> None:
    """Whatever else it was, half on Other brings the value nearer to Other's."""
    middle, wide = (values[7] for values in va_of_face(np.eye(8)))
    assert np.abs(middle).max() < 0.25
    widths = np.diff(va_of_face(np.eye(8))[1], axis=2)[..., 0]
    assert (widths[7] > np.delete(widths, 7, axis=0).mean(axis=0)).all()
    assert (np.diff(wide, axis=1) > 0.9).all()
    half = 0.5 * np.eye(8)[[1, 4]] + 0.5 * np.eye(8)[7]
    whole = va_of_face(np.eye(8)[[1, 4]])[0]
    assert (np.abs(va_of_face(half)[0] - middle) < np.abs(whole - middle)).all()


def test_unsure_is_wider_than_sure() -> None:
    def width(p: np.ndarray) -> np.ndarray:
        return np.diff(va_of_face(p)[1], axis=2)[..., 0]

    happy = width(np.eye(8)[[4]])[0]
    smiling_or_sad = width((np.eye(8)[[4]] + np.eye(8)[[5]]) / 2)[0]
    assert smiling_or_sad[0] > 1.5 * happy[0]
    assert (width(np.eye(8)[[0]])[0] < width(np.full((1, 8), 1 / 8))[0]).all()


@settings(max_examples=60)
@given(
    seed=st.integers(0, 9999),
    sure=st.floats(0.05, 5),
    level=st.floats(0.001, 0.999),
    wider=st.floats(0, 1),
)
def test_intervals_hold_the_value_and_grow_with_the_level(
    seed: int, sure: float, level: float, wider: float
) -> None:
    p = some(20, seed, sure).astype(np.float32)
    va, narrow = va_of_face(p, level)
    wide = va_of_face(p, level + wider * (0.999 - level))[1]
    assert (narrow[..., 0] <= va).all()
    assert (va <= narrow[..., 1]).all()
    assert (np.abs(wide) <= 1).all()
    assert (wide[..., 0] <= narrow[..., 0] + 1e-6).all()
    assert (wide[..., 1] >= narrow[..., 1] - 1e-6).all()


@pytest.mark.parametrize("level", [0.5, 0.8, 0.9])
def test_interval_holds_its_share_of_the_mixture(level: float) -> None:
    """Faces drawn from the mixture that the probabilities describe."""
    table = json.loads(FACE.read_text(encoding="utf-8"))["distributions"]
    rng = np.random.default_rng(0)
    p = some(4000)
    kinds = (rng.random((4000, 1)) > p.cumsum(axis=1)).sum(axis=1)
    intervals = va_of_face(p, level)[1]
    for d, name in enumerate(DIMENSIONS):
        rolls = rng.random(4000)
        drawn = np.array(
            [
                np.interp(roll, table[name][EXPRESSIONS[kind]], GRID)
                for roll, kind in zip(rolls, kinds, strict=True)
            ]
        )
        covered = (intervals[:, d, 0] <= drawn) & (drawn <= intervals[:, d, 1])
        assert abs(covered.mean() - level) < 0.03


def test_quantiles_by_hand() -> None:
    """Two kinds of faces, rated evenly from -1 to 0 and from 0 to 1."""
    low, high = np.clip(GRID + 1, 0, 1), np.clip(GRID, 0, 1)
    distributions = np.stack([[low, high, *[low] * 6]] * 2)
    ratings = FaceRatings(np.zeros((8, 2)), np.zeros(2), distributions)
    p = np.zeros((3, 8))
    p[:, 0], p[:, 1] = [1, 0.5, 0], [0, 0.5, 1]
    intervals = ratings.estimate(p, 0.8)[1]
    np.testing.assert_allclose(intervals[:, 0, 0], [-0.9, -0.8, 0.0], atol=1e-6)
    np.testing.assert_allclose(intervals[:, 1, 1], [0.0, 0.8, 0.9], atol=1e-6)


def test_many_faces_are_as_each_alone() -> None:
    """Work goes in chunks; their borders must not show. Rows without a face stay without."""
    p = some(20_000)
    p[[5, 8191, 8192]] = np.nan
    va, intervals = va_of_face(p)
    assert (va.dtype, intervals.dtype) == (np.float32, np.float32)
    assert (va.shape, intervals.shape) == ((20_000, 2), (20_000, 2, 2))
    assert np.flatnonzero(np.isnan(va).any(axis=1)).tolist() == [5, 8191, 8192]
    assert np.array_equal(np.isnan(intervals), np.isnan(va)[:, :, None].repeat(2, axis=2))
    for start in (0, 8000, 16_300):
        part = slice(start, start + 300)
        for whole, alone in zip((va, intervals), va_of_face(p[part]), strict=True):
            np.testing.assert_allclose(whole[part], alone, atol=1e-6)
    assert va_of_face(np.zeros((0, 8)))[1].shape == (0, 2, 2)


def test_faces_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="probabilities has shape"):
        va_of_face(np.zeros((3, 7)))
    for level in (0, 1, 1.5, np.nan):
        with pytest.raises(ValueError, match="level must lie"):
            va_of_face(np.eye(8), level)


def test_face_file_says_how_good_it_is() -> None:
    facts = json.loads(FACE.read_text(encoding="utf-8"))
    assert (facts["pictures"]["all"], facts["raters_per_picture"]) == (1600, 25)
    assert "simulated" in facts["measured"]
    nets = facts["10 folds by picture"]
    assert len(nets) == 8
    for net in nets.values():
        # Calibrated, as the interval's formula assumes.
        assert abs(net["accuracy"] - net["mean highest probability"]) < 0.03
        for name in DIMENSIONS:
            assert 0.85 < net[name]["in 90%"] < 0.97
            assert min(net[name][f"in 90%, {end} third"] for end in ("sure", "unsure")) > 0.84
            assert net[name]["in 50%"] < net[name]["in 80%"] < net[name]["in 90%"]


RULE = {"Happiness": 0.5, "Sadness": -0.5, "Surprise": 0.1, "Fear": -0.7, "Disgust": -0.6}
RULE |= {"Anger": -0.4, "Contempt": 0.0, "Neutral": 0.0}


def write_ratings(folder: Path, draw: Callable[[], np.ndarray]) -> None:
    """Two sets of codes [N, R] in AffectNet-C25's format, with valence and arousal by RULE."""
    for number in (1, 2):
        codes = draw()
        score = np.vectorize(lambda code: RULE[CODES[code]])(codes)
        scores = {"expression": codes, "valence": score, "arousal": score / 2}
        for kind, table in scores.items():
            raters = ",".join(f"participant{i}" for i in range(codes.shape[1]))
            lines = [f"index,filename,{raters}"]
            lines += [f"{i},{i}.jpg," + ",".join(map(str, row)) for i, row in enumerate(table)]
            (folder / f"{kind}_set{number}_C25.csv").write_text("\n".join(lines) + "\n")


def test_face_fit_recovers_a_known_rule(tmp_path: Path) -> None:
    """Most raters see what is there, the others anything; every fifth picture confuses most."""
    rng = np.random.default_rng(0)

    def draw() -> np.ndarray:
        kinds = np.repeat([0, 1, 2, 3, 4, 5, 7], 10)[:, None]
        others = rng.choice([0, 1, 2, 3, 4, 5, 7], (70, 10))
        clear = np.where(np.arange(70) % 5 == 0, 0.3, 0.8)[:, None]
        return np.where(rng.random((70, 10)) < clear, kinds, others)

    write_ratings(tmp_path, draw)
    out = tmp_path / "fit.json"
    subprocess.run(
        [
            sys.executable,
            str(ROOT / "starter_training/valence_arousal.py"),
            *("--ratings", str(tmp_path), "--out", str(out)),
        ],
        check=True,
        capture_output=True,
        env={"PYTHONPATH": str(ROOT)},
    )
    facts = json.loads(out.read_text())
    assert set(facts) == set(json.loads(FACE.read_text(encoding="utf-8")))
    assert facts["pictures"]["all"] == 140
    for name in EXPRESSIONS[:7]:
        assert facts["values"]["valence"][name] == pytest.approx(RULE[name], abs=0.2)
    for d in DIMENSIONS:
        for shares in facts["distributions"][d].values():
            assert shares == sorted(shares)
            assert (len(shares), shares[-1]) == (len(GRID), 1)
    for net in facts["10 folds by picture"].values():
        assert net["valence"]["in 90%"] > 0.75
