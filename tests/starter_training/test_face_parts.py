"""Figures beside the main ones: heads of a set's own, groups of pictures, no nets at all."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[2] / "starter_training"))
sys.path.insert(0, str(Path(__file__).parent))

import face_embeddings
import face_free
import face_groups
import face_heads
import face_leaks
import face_scores
import face_shifts
import made_up_faces
from face_data import Faces, load_all
from face_points import Points
from face_twins import Twins
from mobile_face_net import FaceNet

from avaffect.faces.face_pose import SIZE as POSE_SIZE
from avaffect.faces.face_pose import face_pose_names
from avaffect.labels import ACTION_UNITS, EXPRESSIONS


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Faces]:
    return load_all(made_up_faces.write_sets(tmp_path_factory.mktemp("faces")))


def test_what_is_kept_is_what_the_net_says_and_nothing_of_others(sets: dict[str, Faces]) -> None:
    torch.manual_seed(0)
    net, faces = FaceNet(None).eval(), sets["rafdb"]
    rows = faces.rows("validation")
    seen = face_embeddings.see(net, faces.pictures, faces.matrices, rows)
    said = face_scores.opinions(net, faces, rows)
    np.testing.assert_allclose(seen.of(rows).expression, said.expression, atol=1e-4)
    np.testing.assert_allclose(seen.of(rows).units, said.units, atol=1e-4)
    others = np.setdiff1d(np.arange(len(faces.pictures)), rows)
    assert np.isnan(seen.embedding[others]).all()
    assert np.isfinite(seen.embedding[rows]).all()


def test_offsets_mend_a_class_that_is_called_too_often() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 600)
    logits = (2 * np.eye(3)[labels] + rng.normal(0, 1, (600, 3))).astype(np.float32)
    skewed = logits + np.float32([3, 0, 0])
    said = face_heads.Head(skewed, None, labels, 0.0)(skewed, None)
    before = (skewed.argmax(axis=1) == labels).mean()
    fair = (logits.argmax(axis=1) == labels).mean()
    assert before < fair - 0.1
    assert (said == labels).mean() == pytest.approx(fair, abs=0.02)


def test_a_head_learns_what_the_embedding_knows_unless_it_is_held() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 400)
    seen = rng.normal(0, 1, (400, 8)).astype(np.float32)
    seen[:, 3] += 3 * labels
    often = np.where(rng.random(400) < 0.7, labels, 1 - labels)
    logits = np.eye(2, dtype=np.float32)[often]
    free, held = (face_heads.Head(logits, seen, labels, by) for by in (1e-3, 1e6))
    assert (free(logits, seen) == labels).mean() > 0.9
    assert (held(logits, seen) == often).mean() > 0.99


def test_what_a_way_adds_has_an_interval_that_leaves_out_what_both_share() -> None:
    labels = np.tile([0, 1], 200)
    net = labels.copy()
    net[:80] = 1 - net[:80]
    better = net.copy()
    better[:40] = labels[:40]
    found = face_heads.compared({"net": net, "head": better}, labels, 2)
    assert found["net"]["accuracy_more"] == [0, 0, 0]
    more, low, high = found["head"]["accuracy_more"]
    assert more == pytest.approx(0.1)
    assert 0.06 < low < more < high < 0.14


def test_a_groups_accuracy_at_the_sets_mix_does_not_depend_on_its_own_mix() -> None:
    labels = np.array([0] * 10 + [1] * 90)
    right = np.array([True] * 10 + [False] * 45 + [True] * 45)
    even = np.array([0.5, 0.5, 0, 0, 0, 0, 0, 0])
    assert right.mean() == pytest.approx(0.55)
    assert face_groups.at_mix(right, labels, even) == pytest.approx(0.75)
    # An expression with hardly any pictures in the group does not count.
    assert face_groups.at_mix(right[8:], labels[8:], even) == pytest.approx(0.5)


@pytest.mark.parametrize("measure", ["turn", "brightness", "colour", "detail"])
def test_each_picture_is_in_one_group(measure: str) -> None:
    values = np.random.default_rng(0).uniform(0, 60, 90)
    found = face_groups.groups(measure, values)
    assert (np.stack(list(found.values())).sum(axis=0) == 1).all()


def test_grey_pictures_have_no_colour_and_dark_ones_are_dark(sets: dict[str, Faces]) -> None:
    poses = np.zeros((41, POSE_SIZE), np.float32)
    poses[:, face_pose_names().index("yaw")] = -30 / 90
    found = Points(np.zeros((41, 5, 2), np.float32), np.ones(41, np.float32), poses)
    rows = sets["rafdb"].rows("validation")
    made = face_groups.measures(sets["rafdb"], rows, found)
    assert made["turn"] == pytest.approx(30, abs=1e-3)
    assert (made["colour"] > face_groups.GREY).all()
    assert "colour" not in face_groups.measures(sets["ferplus"], rows, found)


def test_without_nets_a_smile_is_happiness_and_no_face_is_neutral() -> None:
    poses = np.full((2, POSE_SIZE), np.nan, np.float32)
    poses[0] = 0
    for name in ("mouthSmileLeft", "mouthSmileRight", "eyeSquintLeft", "eyeSquintRight"):
        poses[0, face_pose_names().index(name)] = 0.9
    found = Points(np.zeros((2, 5, 2), np.float32), np.ones(2, np.float32), poses)
    said = face_free.free_opinions(found, np.array([0, 1]))
    called = [EXPRESSIONS[at] for at in said.expression.argmax(axis=1)]
    assert called == ["Happiness", "Neutral"]
    smile = said.units[:, ACTION_UNITS.index("AU12")]
    assert smile[0] > 0 > smile[1]
    assert said.values[0, 0] > said.values[1, 0]


def test_a_held_out_picture_is_flattered_where_training_had_its_twin(
    sets: dict[str, Faces],
) -> None:
    # Numbered over both sets: RAF-DB's 36 pictures in colour come first.
    nothing = {
        name: Twins(
            np.full(len(faces.twin), -1, np.float32),
            np.full(len(faces.twin), -1, np.float32),
            np.full((len(faces.twin), 2), -1),
        )
        for name, faces in sets.items()
    }
    assert [len(rows) for rows in face_leaks.flattered(sets, nothing).values()] == [0, 0]
    found = nothing["ferplus"]
    # Pictures 0 and 1 were learnt from; the last one training left out before.
    found.held[[0, 1, 40]] = 0.9
    found.of[[0, 1, 40], 0] = [4, 36 + 9, 9]
    flattered = face_leaks.flattered(sets, nothing)
    assert flattered["rafdb"].tolist() == [4]
    assert flattered["ferplus"].tolist() == [9]


def test_moving_means_to_peoples_moves_them_there_and_may_cost_agreement() -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(7), 50)
    target = (labels / 7 + rng.normal(0, 0.1, 350)).astype(np.float32)
    part = face_shifts.Part(np.eye(8)[labels], target, target, target, labels)
    people = part.means(target) * 0.5
    shift = face_shifts.ways([part], people)
    assert part.means(part.moved(shift["to people's"])) == pytest.approx(people, abs=1e-6)
    assert shift["to the targets' means"] == pytest.approx(np.zeros(7), abs=1e-6)
    found = face_shifts.measured(part, shift["to people's"], people)
    assert found["from_people"] == pytest.approx(0, abs=1e-3)
    assert found["ccc_targets"] < 0.9
    assert found["ccc_targets_more"][1] < 0
