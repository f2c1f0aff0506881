"""The face sets: labels and votes, the part kept aside, twins, values, crops."""

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "starter_training"))
sys.path.insert(0, str(Path(__file__).parent))

import face_points
import face_sets
import face_spoils
import face_twins
import face_values
from made_up_faces import blobs

from avaffect.faces.align import AFFWILD2, similarity_transform
from avaffect.faces.face_pose import SIZE as POSE_SIZE
from avaffect.labels import EXPRESSIONS

COLUMNS = (*face_sets.VOTES, "no_face")


def ballot(own="", split="train", **votes):
    row = {"path": "a.webp", "split": split, "fer2013_label": own}
    return row | {column: str(votes.get(column, 0)) for column in COLUMNS}


def read(tmp_path, *rows):
    return face_sets.read_labels("ferplus", tmp_path, list(rows))


def test_votes_become_shares_and_the_own_label_counts_as_two(tmp_path: Path) -> None:
    labels = read(tmp_path, ballot(happiness=8, surprise=2), ballot("sad", neutral=10))
    happy, surprised, sad = (EXPRESSIONS.index(n) for n in ("Happiness", "Surprise", "Sadness"))
    assert labels.target[0, [happy, surprised]] == pytest.approx([0.8, 0.2])
    assert labels.target[1, [0, sad]] == pytest.approx([10 / 12, 2 / 12])
    assert labels.label.tolist() == [happy, 0]
    assert labels.own.tolist() == [-1, sad]


def test_contempt_and_unknown_are_other_and_no_majority_is_not_scored(tmp_path: Path) -> None:
    labels = read(
        tmp_path,
        ballot(contempt=6, neutral=4),
        ballot(unknown=6, neutral=4),
        ballot(neutral=5, sadness=5),
        ballot(no_face=9, neutral=1),
    )
    assert labels.label.tolist() == [7, -1, -1, -1]
    assert labels.target[:, 7] == pytest.approx([0.6, 0.6, 0, 0])
    assert labels.target.sum(axis=1) == pytest.approx([1, 1, 1, 0])


def test_a_tenth_of_each_class_is_kept_aside_where_nothing_else_is() -> None:
    label = np.repeat([0, 3], [100, 30])
    split = face_sets.kept_aside(label)
    assert [(split[label == expression] == "validation").sum() for expression in (0, 3)] == [10, 3]
    assert (split == face_sets.kept_aside(label)).all()


def test_the_teachers_mean_is_found_by_path_and_missing_without_a_file(tmp_path: Path) -> None:
    rows = [{"path": name, "split": "train", "label": "happy"} for name in ("a", "b")]
    assert np.isnan(face_sets.read_labels("rafdb", tmp_path, rows).values).all()
    (tmp_path / "va_teachers.csv").write_text(
        "path,x_valence,x_arousal,y_valence,y_arousal\nb,.2,-.4,.4,.2\n", encoding="utf-8"
    )
    values = face_sets.read_labels("rafdb", tmp_path, rows).values
    assert np.isnan(values[0]).all()
    assert values[1] == pytest.approx([0.3, -0.1])


def test_values_of_both_scales_have_one_mean_and_spread_and_labels_help_by_half() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(8).repeat(200)
    means = rng.normal(0, 0.4, (8, 2))
    people = means[labels] + rng.normal(0, 0.2, (1600, 2))
    teachers = (people - 0.1) * 0.5
    scale = face_values.match(
        face_values.by_class(teachers, labels), face_values.by_class(people, labels)
    )
    assert scale.scale == pytest.approx([2, 2], rel=1e-6)
    assert scale.own == pytest.approx(np.zeros((8, 2)), abs=1e-6)
    people[labels == 3] -= 0.2
    scale = face_values.match(
        face_values.by_class(teachers, labels), face_values.by_class(people, labels)
    )
    assert -0.12 < scale.own[3, 0] < -0.05
    scaled = scale(np.zeros((2, 2), np.float32), np.array([3, -1]))
    assert scaled[0] - scaled[1] == pytest.approx(scale.own[3], abs=1e-6)


def likest(images, training):
    places = np.repeat(np.float32([[[4, 0, 0], [0, 4, 0]]]), len(images), axis=0)
    return face_twins.find_twins(face_twins.small_faces(images, places), np.array(training))


def test_twins_are_found_mirrored_brightened_and_compressed_but_not_others() -> None:
    images = blobs(30, 3)
    spoilt = [
        images[0],
        images[1][:, ::-1],
        np.clip(images[2] * 0.7 + 30, 0, 255).astype(np.uint8),
        cv2.imdecode(cv2.imencode(".jpg", images[3], [1, 40])[1], 1),
    ]
    both = np.concatenate([images, np.stack(spoilt)])
    held = likest(both, [False] * 4 + [True] * 30)
    assert held.known[30:].all()
    assert held.of[30:, 0].tolist() == [0, 1, 2, 3]
    assert not held.known[:30].any()


def test_of_two_training_pictures_the_first_is_kept() -> None:
    images = blobs(20, 1)
    twins = likest(np.concatenate([images, images[5:6]]), [True] * 21)
    assert np.flatnonzero(twins.known).tolist() == [20]
    assert twins.of[20, 1] == 5


def test_a_pair_that_a_net_takes_for_one_person_needs_less_likeness() -> None:
    rng = np.random.default_rng(0)
    images = blobs(30, 1)
    # Of one photo, but much of it is covered.
    images[1] = np.where(rng.random((28, 28, 1)) < 0.5, images[0], images[1])
    places = np.repeat(np.float32([[[4, 0, 0], [0, 4, 0]]]), len(images), axis=0)
    small = face_twins.small_faces(images, places)
    training = np.arange(30) > 0
    alone = face_twins.find_twins(small, training)
    assert face_twins.SAME - face_twins.BONUS < alone.held[1] < face_twins.SAME
    people = face_twins.directions(np.eye(30), np.arange(30) != 29)
    assert not people[29].any()
    people[1] = people[0]
    both = face_twins.find_twins(small, training, people)
    assert np.flatnonzero(both.known).tolist() == [1]
    assert both.of[1, 0] == 0
    # The same person elsewhere is another photo.
    people[2] = people[0]
    assert not face_twins.find_twins(small, training, people).known[2]


def found(points, sure):
    count = len(points)
    return face_points.Points(
        np.asarray(points, np.float32),
        np.asarray(sure, np.float32),
        np.zeros((count, POSE_SIZE), np.float32),
    )


def test_unsure_and_impossible_faces_are_cut_out_as_the_others_lie() -> None:
    usual = AFFWILD2.template_px * np.float32(0.5)
    far = usual * 0.2 + 30
    matrices = face_points.matrices(found([usual, usual, usual, far, usual * 3], [1, 1, 1, 1, 0]))
    whole = similarity_transform(usual, AFFWILD2.template_px)
    for matrix in matrices:
        np.testing.assert_allclose(matrix, whole, atol=1e-4)


def test_an_upright_crop_is_the_picture_and_black_where_that_ends() -> None:
    picture = blobs(1, 3)[0]
    same = face_spoils.upright(picture, np.float32([[4, 0, 1.5], [0, 4, 1.5]]), 112)
    large = cv2.resize(picture, (112, 112), interpolation=cv2.INTER_LINEAR)
    assert np.abs(same[8:-8, 8:-8].astype(int) - large[8:-8, 8:-8]).mean() < 4
    moved = face_spoils.upright(picture, np.float32([[4, 0, 60], [0, 4, 0]]), 112)
    assert (moved[:, :50] == 0).all()


@pytest.mark.parametrize("channels", [1, 3])
def test_spoilt_faces_keep_size_and_type_and_differ(channels: int) -> None:
    picture, matrix = blobs(1, channels)[0], np.float32([[4, 0, 0], [0, 4, 0]])
    rng = np.random.default_rng(0)
    made = [face_spoils.spoiled(picture, matrix, 96, rng) for _ in range(60)]
    assert {(face.shape, face.dtype) for face in made} == {((96, 96, 3), np.dtype(np.uint8))}
    assert np.std([face.mean() for face in made]) > 5


def test_faces_that_are_not_spoilt_are_only_moved_and_mirrored() -> None:
    grey = np.full((28, 28, 1), 90, np.uint8)
    rng = np.random.default_rng(0)
    for _ in range(20):
        face = face_spoils.spoiled(grey, np.float32([[4, 0, 0], [0, 4, 0]]), 96, rng, share=0)
        assert (face[30:60, 30:60] == 90).all()
