"""What is learnt of units: people's rates, two machines together, OpenFace's models in NumPy."""

import struct
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "starter_training"))
sys.path.insert(0, str(Path(__file__).parent))

import made_up_faces
import openface_units
from face_points import Points
from face_units import CODED, UnitScores, at_peoples_rates, read_units
from openface_units import Linear, PointModel

from avaffect.faces.face_pose import SIZE as POSE_SIZE
from avaffect.labels import ACTION_UNITS


def labels(count):
    return made_up_faces.labels(count, 7, valued=False)


def test_over_the_expressions_a_unit_is_there_as_often_as_people_coded_it() -> None:
    some = labels(3000)
    scores = np.random.default_rng(0).normal(0, 2, (3000, 12)).astype(np.float32)
    # Neutral faces do not count: whatever they show.
    scores[some.label == 0] = -9
    shown = at_peoples_rates(scores, some)
    expressive = (some.split == "train") & (some.label > 0)
    for at, name in enumerate(ACTION_UNITS):
        assert (shown[expressive, at] > 0.5).mean() == pytest.approx(
            np.mean(CODED[name]), abs=0.02
        )
    order = np.argsort(scores[:, 0])
    assert (np.diff(shown[order, 0]) >= 0).all()


def test_what_cannot_be_read_stays_unknown() -> None:
    some = labels(40)
    scores = np.random.default_rng(0).normal(0, 1, (40, 12)).astype(np.float32)
    scores[3] = np.nan
    shown = UnitScores(scores, np.full_like(scores, np.nan)).opinions(some)
    assert np.isnan(shown[3]).all()
    assert np.isfinite(np.delete(shown, 3, axis=0)).all()


def test_both_machines_have_their_share_and_one_is_enough() -> None:
    some = labels(400)
    rng = np.random.default_rng(0)
    true = rng.normal(0, 1, (400, 12))
    blurred = [(true + rng.normal(0, 1, true.shape)).astype(np.float32) for _ in range(2)]
    blurred[1][:50] = np.nan
    together = UnitScores(*blurred).opinions(some)
    alone = UnitScores(blurred[0], np.full((400, 12), np.nan, np.float32)).opinions(some)
    at = ACTION_UNITS.index("AU4")
    assert np.isfinite(together).all()
    both, single = (np.corrcoef(x[50:, at], true[50:, at])[0, 1] for x in (together, alone))
    assert both > single + 0.03


def test_a_broad_smile_alone_is_no_lip_raiser() -> None:
    some, rng = labels(400), np.random.default_rng(0)
    scores = rng.normal(0, 1, (400, 12)).astype(np.float32)
    lip, smile = ACTION_UNITS.index("AU10"), ACTION_UNITS.index("AU12")
    scores[:, lip] = np.maximum(scores[:, smile], 0) + rng.normal(0, 0.3, 400)
    shown = UnitScores(scores, np.full_like(scores, np.nan)).opinions(some)
    before = at_peoples_rates(scores, some)
    alike = [np.corrcoef(x[:, lip], scores[:, smile])[0, 1] for x in (before, shown)]
    assert alike[1] < alike[0] - 0.05


def test_units_are_not_read_from_unsure_or_turned_faces(tmp_path: Path) -> None:
    pose = np.zeros((3, POSE_SIZE), np.float32)
    pose[2, openface_units.IBUG68.size * 3] = 60 / 90
    found = Points(np.zeros((3, 5, 2), np.float32), np.float32([1, 0.4, 1]), pose)
    values = np.arange(6, dtype=np.float32).reshape(3, 2)
    np.savez(tmp_path / "openface.npz", names=np.array(["AU4", "AU9"]), said=values)
    scores = read_units(found, tmp_path / "openface.npz")
    assert np.isfinite(scores.blendshapes).all(axis=1).tolist() == [True, False, False]
    at = ACTION_UNITS.index("AU4")
    assert scores.openface[0, at] == 0
    assert np.isnan(scores.openface[1:]).all()
    assert np.isnan(np.delete(scores.openface[0], at)).all()


@pytest.mark.parametrize(("above", "sign"), [(1.0, 1), (0.0, -1)])
def test_a_linear_model_says_more_where_the_unit_is(
    tmp_path: Path, above: float, sign: int
) -> None:
    data = struct.pack("<i", 0)
    for matrix in ([[1.0, 2.0]], [[0.5], [-1.0]]):
        matrix = np.array(matrix)
        data += struct.pack("<iii", *matrix.shape, 6) + matrix.tobytes()
    (tmp_path / "AU_4_static.dat").write_bytes(data + struct.pack("<ddd", 0.25, above, 1 - above))
    unit = Linear.load(tmp_path / "AU_4_static.dat")
    assert unit(np.array([3.0, 2.0])) == pytest.approx(sign * 1.25)


def model(tmp_path):
    rng = np.random.default_rng(0)
    matrices = [rng.normal(0, 40, (204, 1)), np.linalg.qr(rng.normal(0, 1, (204, 34)))[0]]
    matrices.append(rng.uniform(50, 200, (1, 34)))
    lines = []
    for matrix in matrices:
        lines += ["# what", *map(str, matrix.shape), "6"]
        lines += [" ".join(map(repr, map(float, row))) for row in matrix]
    (tmp_path / "pdm.txt").write_text("\n".join(lines), encoding="ascii")
    return PointModel.load(tmp_path / "pdm.txt"), matrices


def test_the_mean_face_deviates_in_nothing_however_it_is_turned(tmp_path: Path) -> None:
    points, matrices = model(tmp_path)
    np.testing.assert_allclose(points.mean[:, 1], matrices[0][68:136, 0])
    turn = np.linalg.qr(np.random.default_rng(1).normal(0, 1, (3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))
    assert np.abs(points.deviation(3 * points.mean @ turn + 7)).max() < 1e-6
    bent = points.mean + 20 * points.directions[:, :, 4]
    shares = points.deviation(bent)[204:]
    assert np.abs(shares).argmax() == 4
    assert 10 < shares[4] < 21


def test_hog_sees_edges_and_their_direction_and_not_brightness() -> None:
    face = np.zeros((112, 112, 3), np.uint8)
    face[:, 56:] = 120
    upright = openface_units.hog(face).reshape(12, 12, 31)
    lying = openface_units.hog(face.transpose(1, 0, 2)).reshape(12, 12, 31)
    middle = upright[6, 5:7, 18:27].sum(axis=0)
    assert middle.argmax() == 0
    assert middle[0] > 0.5
    assert lying[5:7, 6, 18:27].sum(axis=0).argmax() in (4, 5)
    assert (upright[:, :3] == 0).all()
    np.testing.assert_allclose(openface_units.hog(face // 2 + 60), upright.ravel(), atol=1e-3)


def test_an_aligned_face_is_upright_and_black_beyond_its_outline(tmp_path: Path) -> None:
    points = PointModel.load(model_of_a_face(tmp_path))
    picture = np.full((300, 300, 3), 200, np.uint8)
    turn = cv2.getRotationMatrix2D((0, 0), 30, 1.2)[:, :2]
    there = points.mean.copy()
    there[:, :2] = there[:, :2] @ turn.T + 150
    face = openface_units.aligned(picture, there, points)
    assert (face[56, 56] == 200).all()
    assert (face[[0, 0, -1, -1], [0, -1, 0, -1]] == 0).all()


def model_of_a_face(tmp_path):
    """68 points of a round face, no directions that matter."""
    angle = np.linspace(0, np.pi, 17)
    outline = np.stack([-70 * np.cos(angle), 20 + 60 * np.sin(angle)], axis=1)
    brows = np.stack([np.linspace(-50, 50, 10), np.full(10, -35)], axis=1)
    inner = np.random.default_rng(0).uniform(-30, 30, (41, 2))
    flat = np.concatenate([np.concatenate([outline, brows, inner]).T.ravel(), np.zeros(68)])
    lines = ["204", "1", "6", *map(str, flat), "204", "1", "6", *["0"] * 204, "1", "1", "6", "1"]
    (tmp_path / "pdm.txt").write_text("\n".join(lines), encoding="ascii")
    return tmp_path / "pdm.txt"
