"""Face and voice put together: who speaks alone, who counts how much."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avaffect.predictors.starter.fusion import Trust, Weights, blend, pool, softened, weights

BY = Weights(face=1.0, voice=0.5, valence=0.25, arousal=0.75)
NONE = np.full((1, 8), np.nan, np.float32)


def opinion(**chances):
    names = ("neutral", "anger", "disgust", "fear", "happy", "sad", "surprise", "other")
    row = np.full(8, (1 - sum(chances.values())) / (8 - len(chances)), np.float32)
    for name, chance in chances.items():
        row[names.index(name)] = chance
    return row[None]


def trust(face=1.0, voice=1.0):
    return Trust(np.array([face], np.float32), np.array([voice], np.float32))


def test_who_speaks_alone_is_taken_at_their_word() -> None:
    alone = opinion(happy=0.7)
    np.testing.assert_allclose(pool(alone, NONE, trust(), BY), alone)
    np.testing.assert_allclose(pool(NONE, alone, trust(0), BY), alone)
    assert np.isnan(pool(NONE, NONE, trust(0), BY)).all()


def test_two_opinions_are_pooled_by_their_weights() -> None:
    face, voice = opinion(happy=0.6), opinion(sad=0.6)
    mixed = pool(face, voice, trust(), BY)[0]
    rest = 0.4 / 7
    odds = (0.6 / rest) ** 1.0 / (0.6 / rest) ** 0.5
    assert mixed[4] / mixed[5] == pytest.approx(odds, rel=1e-4)
    assert mixed.argmax() == 4


def test_a_face_without_trust_leaves_the_word_to_the_voice() -> None:
    assert pool(opinion(happy=0.9), opinion(sad=0.6), trust(0), BY)[0].argmax() == 5


def test_a_voice_that_is_not_the_faces_changes_nothing() -> None:
    face, voice = opinion(happy=0.6), opinion(sad=0.9)
    np.testing.assert_allclose(pool(face, voice, trust(0.3, 0), BY), face, rtol=1e-5)
    values = np.array([[0.5, -0.5]], np.float32)
    np.testing.assert_allclose(blend(values, -values, trust(0.3, 0), BY), values)


def test_a_flat_voice_changes_no_decision() -> None:
    face = opinion(fear=0.4, surprise=0.35)
    flat = np.full((1, 8), 1 / 8, np.float32)
    np.testing.assert_array_equal(pool(face, flat, trust(), BY).argmax(), face.argmax())


def test_what_neither_knows_stays_impossible() -> None:
    face, voice = opinion(happy=0.5, other=0.0), opinion(sad=0.5, other=0.0)
    assert pool(face, voice, trust(), BY)[0, 7] == 0


def test_a_class_that_the_voice_has_no_word_for_keeps_the_faces_share() -> None:
    face, voice = opinion(happy=0.3, other=0.4), opinion(sad=0.6, other=0.0)
    assert pool(face, voice, trust(), BY)[0, 7] == pytest.approx(0.4)
    # A face that counts for little does not hold it either.
    assert pool(face, voice, trust(face=0.1), BY)[0, 7] == pytest.approx(0.04)


def test_neutral_gains_beside_a_voice_as_far_as_that_counts() -> None:
    face, voice = opinion(neutral=0.3, happy=0.4), opinion(happy=0.3)
    more = replace(BY, neutral=1.0)
    before, after = pool(face, voice, trust(), BY)[0], pool(face, voice, trust(), more)[0]
    assert after[0] / after[4] == pytest.approx(np.e * before[0] / before[4], rel=1e-4)
    half = (
        pool(face, voice, trust(voice=0.5), more)[0] / pool(face, voice, trust(voice=0.5), BY)[0]
    )
    assert half[0] / half[4] == pytest.approx(np.exp(0.5), rel=1e-4)
    np.testing.assert_allclose(pool(face, voice, trust(voice=0), more), face, rtol=1e-5)
    np.testing.assert_allclose(pool(face, NONE, trust(), more), face)


def test_arousal_follows_the_voice_and_valence_the_face() -> None:
    face, voice = np.array([[0.0, 0.0]], np.float32), np.array([[1.0, 1.0]], np.float32)
    np.testing.assert_allclose(blend(face, voice, trust(), BY), [[0.25, 0.75]])
    np.testing.assert_allclose(blend(face, voice, trust(0), BY), voice)
    gone = np.full((1, 2), np.nan, np.float32)
    np.testing.assert_allclose(blend(face, gone, trust(), BY), face)
    np.testing.assert_allclose(blend(gone, voice, trust(0), BY), voice)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000))
def test_rows_sum_to_one_and_intervals_hold_their_values(seed) -> None:
    rng = np.random.default_rng(seed)
    face, voice = (rng.dirichlet(np.ones(8), 6).astype(np.float32) for _ in range(2))
    face[rng.random(6) < 0.3] = np.nan
    voice[rng.random(6) < 0.3] = np.nan
    sure = Trust(*(rng.random(6).astype(np.float32) for _ in range(2)))
    mixed = pool(face, voice, sure, BY)
    known = ~(np.isnan(face[:, 0]) & np.isnan(voice[:, 0]))
    np.testing.assert_allclose(mixed[known].sum(axis=1), 1, rtol=1e-5)
    assert np.isnan(mixed[~known]).all()

    ends = np.sort(rng.uniform(-1, 1, (2, 6, 2, 3)), axis=3).astype(np.float32)
    ends[0, np.isnan(face[:, 0])] = np.nan
    ends[1, np.isnan(voice[:, 0])] = np.nan
    low, value, high = (blend(ends[0, ..., k], ends[1, ..., k], sure, BY) for k in range(3))
    both = blend(ends[0, ..., ::2], ends[1, ..., ::2], sure, BY)
    np.testing.assert_array_equal(both, np.stack([low, high], axis=2))
    assert (low[known] <= value[known] + 1e-6).all()
    assert (value[known] <= high[known] + 1e-6).all()


@pytest.mark.parametrize(
    "wrong",
    [
        {"face": -1},
        {"face": 0, "voice": 0},
        {"valence": 1.5},
        {"arousal": -0.1},
        {"temperature": 0},
        {"temperature": float("nan")},
        {"neutral": float("inf")},
    ],
)
def test_weights_that_mean_nothing_are_refused(wrong) -> None:
    with pytest.raises(ValueError, match=r"powers|shares|temperature|Neutral"):
        Weights(**{"face": 1, "voice": 1, "valence": 0.5, "arousal": 0.5} | wrong)


@pytest.mark.parametrize("model", ["starter1", "starter2"])
def test_the_packaged_weights_give_arousal_to_the_voice_and_valence_to_the_face(
    model: str,
) -> None:
    packaged = weights(model)
    assert packaged.arousal > packaged.valence


def test_a_softened_voice_keeps_its_order_and_says_less() -> None:
    by = replace(BY, temperature=2.0)
    said = np.concatenate([opinion(happy=0.8, other=0.0), NONE])
    soft = softened(said, by)
    np.testing.assert_allclose(soft[0].sum(), 1, rtol=1e-6)
    assert soft[0, 4] / soft[0, 5] == pytest.approx((said[0, 4] / said[0, 5]) ** 0.5, rel=1e-5)
    assert soft[0, 7] == 0
    assert np.isnan(soft[1]).all()
    np.testing.assert_array_equal(softened(said, BY), said)


def test_starter_2_softens_a_voice_and_starter_1_does_not() -> None:
    assert weights("starter1").temperature == 1 < weights("starter2").temperature
