"""The scripts that measure starter-2's rules on films, and fit its intervals."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fixtures.spooled import spooled

sys.path.insert(0, str(Path(__file__).parents[2] / "starter_training"))

import film_faces
import film_intervals
import film_rules

from avaffect.faces.face_pose import SIZE as POSE
from avaffect.faces.face_pose import face_pose_names
from avaffect.labels import EXPRESSIONS
from avaffect.predictors.starter.neutral import seconds_each
from avaffect.predictors.starter.resting import logits_of
from avaffect.predictors.starter.starter2 import FACE_NET, Starter2

FRAMES, FPS = 60, 10
HAPPY = EXPRESSIONS.index("Happiness")


def film() -> film_rules.Film:
    """Four seconds of a sad look, two of a smile."""
    names, smiles = face_pose_names(), slice(40, FRAMES)
    said = np.full((FRAMES, 22), 0.05, np.float32)
    said[:, :8] = 0.04
    said[:40, EXPRESSIONS.index("Sadness")] = said[smiles, HAPPY] = 0.72
    said[:40, 8], said[smiles, 8], said[:, 9] = -0.5, 0.6, -0.1
    pose = np.zeros((FRAMES, POSE), np.float32)
    for side in ("Left", "Right"):
        pose[smiles, names.index(f"mouthSmile{side}")] = 0.9
    label = np.where(np.arange(FRAMES) < 40, 0, HAPPY)
    seconds = np.full(FRAMES, 1 / FPS)
    return film_rules.Film(said, pose, seconds, label, np.full((FRAMES, 2), np.nan, np.float32))


def test_the_rules_measured_are_those_of_the_model(tmp_path: Path) -> None:
    made = film()
    values = {"face_pose": made.pose, FACE_NET: made.said}
    subject = spooled(tmp_path, FRAMES, range(FRAMES), values, None)
    # As the model has the frames' times; it smooths later.
    seconds = seconds_each(np.asarray(subject.times))
    rules = replace(film_rules.NOW, smooth="off")
    shown = film_rules.follow(replace(made, seconds=seconds), rules)
    out = Starter2().predict(subject, ("va", "expr", "au"))
    assert out.va is not None and out.expr is not None and out.au is not None
    np.testing.assert_allclose(shown.expr, out.expr, atol=1e-5)
    np.testing.assert_allclose(shown.va, out.va, atol=1e-5)
    np.testing.assert_allclose(shown.units, logits_of(out.au), atol=1e-2)


@pytest.mark.parametrize("name", list(film_rules.VARIANTS))
def test_each_rule_can_be_left_out(name: str) -> None:
    shown = film_rules.follow(film(), film_rules.VARIANTS[name])
    np.testing.assert_allclose(shown.expr.sum(axis=1), 1, rtol=1e-4)
    now = film_rules.follow(film(), film_rules.NOW)
    same = all(np.allclose(vars(shown)[key], vars(now)[key], atol=1e-5) for key in vars(now))
    assert same == (name == "now")


def test_figures_know_right_from_wrong_and_what_one_rule_brings() -> None:
    films = {1: [film()], 2: [film()]}
    now = film_rules.follow_all(films, film_rules.NOW)
    figures = film_rules.figures(now)
    assert figures["expressions found"] == pytest.approx(1, abs=0.1)
    assert "CCC valence" not in figures
    more = film_rules.more(now, film_rules.follow_all(films, film_rules.VARIANTS["now"]))
    assert more["accuracy"] == [0, 0]


def takes() -> film_faces.Takes:
    """Two people at rest, happy and surprised."""
    label = np.array([0, HAPPY, 6] * 2)
    said = np.zeros((6, film_faces.TAKES, 22), np.float32)
    pose, values = np.zeros((6, POSE), np.float32), np.full((6, 2), np.nan, np.float32)
    return film_faces.Takes(said, pose, label, values, np.arange(6), np.repeat([1, 2], 3))


def test_films_of_people_rest_before_each_expression() -> None:
    films = film_rules.changing_films(takes(), rest_s=0.7)
    assert sorted(films) == [1, 2]
    for each in films[1]:
        changes = np.flatnonzero(np.diff(each.label)) + 1
        assert each.label[0] == 0 and len(changes) == 3
        lengths = np.diff([0, *changes, len(each.label)]) / film_rules.FPS
        np.testing.assert_allclose(lengths, [0.7, 3, 0.7, 3])


def test_a_film_of_a_still_holds_it_and_only_of_pictures_asked_for() -> None:
    films = film_rules.held_films(takes(), np.array([1, 4]))
    assert sorted(films) == [1, 4]
    assert films[1][0].seconds.sum() == pytest.approx(film_rules.HELD_S)
    assert (films[1][0].label == HAPPY).all()


def test_a_frame_of_a_film_is_the_face_a_little_moved() -> None:
    rng = np.random.default_rng(0)
    picture = np.kron(rng.integers(0, 256, (14, 14, 1)), np.ones((8, 8, 1))).astype(np.uint8)
    matrix = np.eye(2, 3, dtype=np.float32)
    frames = [film_faces.filmed(picture, matrix, rng).astype(int) for _ in range(2)]
    assert frames[0].shape == (112, 112, 3)
    near = np.abs(frames[0] - frames[1]).mean()
    assert 0 < near < np.abs(frames[0] - frames[0][::-1]).mean()


def rated(count: int = 400) -> film_intervals.Rated:
    """Pictures of two kinds, whose ratings lie apart."""
    rng = np.random.default_rng(0)
    kind = np.arange(count) % 2 * HAPPY
    means = np.column_stack([kind / HAPPY / 2, np.zeros(count)]) + rng.normal(0, 0.1, (count, 2))
    return film_intervals.Rated(votes_for(kind, rng), means)


def votes_for(kind: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """[N, 8], raters who nearly agree."""
    return np.asarray(rng.dirichlet(np.ones(8), len(kind)) * 0.2 + np.eye(8)[kind] * 0.8)


def test_a_picture_gets_the_ratings_of_those_that_people_voted_on_alike() -> None:
    like = rated().like(np.eye(8)[[0, HAPPY]])
    assert like.shape == (2, film_intervals.NEAREST, 2)
    assert like[0, :, 0].mean() + 0.4 < like[1, :, 0].mean()


def test_fer2013s_own_label_is_no_vote_of_people() -> None:
    target = np.zeros((2, 8), np.float32)
    target[:, 0], target[:, HAPPY] = 10 / 12, 2 / 12
    votes = film_intervals.peoples_votes(target, np.array([HAPPY, -1]))
    np.testing.assert_allclose(votes[0], np.eye(8)[0], atol=1e-6)
    np.testing.assert_allclose(votes[1], target[1], atol=1e-6)


def test_intervals_hold_what_they_promise_on_pictures_not_fitted_to() -> None:
    rng = np.random.default_rng(1)
    kind = rng.integers(0, 2, 300) * HAPPY
    sure = np.full((300, 8), 0.01)
    sure[np.arange(300), kind] = 0.93
    frames = film_intervals.Frames(sure, np.zeros((300, 2)), np.arange(300))
    one = film_intervals.split(frames, votes_for(kind, rng), rated(), 0)
    people = one.people[one.kept.picture]
    found = film_intervals.coverage(one.kept, film_intervals.around(one.kept, one.reached), people)
    for kind_of in ("valence", "arousal"):
        assert 0.85 < found[kind_of]["held"][0] < 0.99
        # Each kind has a spread of .1: the interval knows which it is.
        assert found[kind_of]["width"] < 0.6


def test_quantiles_weigh() -> None:
    values, weights = np.array([3.0, 1.0, 2.0]), np.array([0.0, 1.0, 1.0])
    middle = film_intervals.weighted_quantiles(values, weights, (0.5,))
    assert middle[0] == pytest.approx(1.5)
