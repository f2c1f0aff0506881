"""Held faces of which two expressions are nearly as likely are looked at after all."""

from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from avaffect.faces.encoders import ENCODERS, Encoder, EncoderSpec
from avaffect.faces.face import MESH_POINTS, Face
from avaffect.faces.face_pose import SIZE as FACE_POSE_SIZE
from avaffect.faces.holding import RULES
from avaffect.faces.landmarks import Roi
from avaffect.faces.pose import HeadFit
from avaffect.faces.shape import BLENDSHAPES, FaceShape
from avaffect.faces.track import TrackedFace
from avaffect.files.npy import ArraySpec
from avaffect.media.frames import Frame
from avaffect.preprocessing.doubt import Doubt, expression_arrays
from avaffect.preprocessing.recorder import Recorder
from avaffect.store.spool import Spool

IMAGE = np.zeros((200, 200, 3), np.uint8)


def face_at(left: float, presence: float = 1.0) -> Face:
    rng = np.random.default_rng(0)
    mesh = rng.uniform(0, 60, (MESH_POINTS, 3)).astype(np.float32) + np.float32([left, 50, 0])
    box = np.concatenate([mesh[:, :2].min(0), mesh[:, :2].max(0)])
    return Face(box=box, points=mesh[:5, :2].copy(), mesh=mesh, confidence=presence)


def doubt_of(found: Face | None, **changes: Any) -> Doubt:
    given: dict[str, Any] = {"near": 0.2, "names": ("net",), **changes}
    return Doubt(landmarks=lambda image, roi: found, **given)


@pytest.mark.parametrize(
    ("values", "doubtful"),
    [
        ([0.45, 0.35, 0.2, 0, 0, 0, 0, 0], True),
        ([0.1, 0, 0, 0, 0.4, 0, 0.5, 0], True),
        ([0.6, 0.3, 0.1, 0, 0, 0, 0, 0], False),
        # What stands behind the expressions is something else.
        ([0.9, 0.1, 0, 0, 0, 0, 0, 0, 0.9], False),
    ],
)
def test_two_expressions_that_are_nearly_as_likely_leave_doubt(
    values: list[float], doubtful: bool
) -> None:
    record = {"net": np.array(values, np.float32), "other": np.zeros(8, np.float32)}
    assert doubt_of(None)(record) is doubtful


@pytest.mark.parametrize("found", [None, face_at(50, presence=0.3), face_at(110)])
def test_another_face_is_not_taken_for_it(found: Face | None) -> None:
    assert doubt_of(found).look(Frame(0, 0.0, IMAGE), face_at(50)) is None


def test_a_face_is_looked_for_where_it_was_held_and_gets_its_points() -> None:
    asked: list[Roi] = []
    held = face_at(50)

    def landmarks(image: NDArray[np.uint8], roi: Roi) -> Face:
        asked.append(roi)
        return face_at(52)

    doubt = Doubt(0.2, ("net",), landmarks, lambda frame, face: face_at(53))
    seen = doubt.look(Frame(0, 0.0, IMAGE), held)
    assert seen is not None
    np.testing.assert_array_equal(seen.points, face_at(53).points)
    assert asked[0].x == pytest.approx(float(held.mesh[:, 0].mean()), abs=5)


def test_who_gives_expressions() -> None:
    encoders = [SimpleNamespace(spec=spec) for spec in ENCODERS.values()]
    assert expression_arrays(encoders) == tuple(
        name for name in ENCODERS if name != "efficientnet-lite0"
    )
    assert {name: rule and rule.near > 0 for name, rule in RULES.items()} == {
        "every": None, "changed": True, "few": False,
    }  # fmt: skip


class Shapes:
    @staticmethod
    def read(faces: Sequence[Face]) -> list[FaceShape]:
        fit = HeadFit(np.eye(3, dtype=np.float32), 1.0)
        return [FaceShape(fit, np.zeros(BLENDSHAPES, np.float32)) for _ in faces]


@pytest.fixture
def recorded(tmp_path: Path) -> Callable[[float], NDArray[Any]]:
    """Records of four frames, in the second and third of which the face was held."""

    def make(second: float) -> NDArray[Any]:
        seen = iter([0.9, second, *[0.55] * 4])

        def encode(crops: NDArray[np.uint8]) -> NDArray[np.float32]:
            first = np.array([next(seen) for _ in crops], np.float32)
            return np.stack([first, 1 - first, *[0 * first] * 6], axis=1)

        spec = ENCODERS["fer"]
        net = EncoderSpec("net", spec.crop, 8, "float32", (), lambda device: encode)
        arrays = {
            "face_pose": ArraySpec((FACE_POSE_SIZE,), "float32"),
            "net": ArraySpec((8,), "float32"),
        }
        spool = Spool.create(tmp_path / str(second), arrays, "key")
        face = TrackedFace(1, face_at(50))
        doubt = doubt_of(face_at(51))
        with Recorder(spool, [Encoder(net, encode)], Shapes(), doubt=doubt) as recorder:
            for index in range(4):
                held = frozenset({1} if index in (1, 2) else ())
                recorder.put(Frame(index, index / 25, IMAGE), [face], None, held)
        return spool.track(1)

    return make


def test_a_held_face_in_doubt_is_recorded_as_it_is_seen(
    recorded: Callable[[float], NDArray[Any]],
) -> None:
    """From .9 to .3: at a third of the way nothing is in doubt, at two thirds it is."""
    records = recorded(0.3)
    np.testing.assert_array_equal(records["held"], [False, True, False, False])
    np.testing.assert_allclose(records["net"][:, 0], [0.9, 0.7, 0.55, 0.3], atol=1e-6)
    np.testing.assert_allclose(records["points"][2], face_at(51).points)
    np.testing.assert_allclose(records["points"][1], face_at(50).points)


def test_a_held_face_that_leaves_no_doubt_stays_on_the_line(
    recorded: Callable[[float], NDArray[Any]],
) -> None:
    records = recorded(0.84)
    np.testing.assert_array_equal(records["held"], [False, True, True, False])
    np.testing.assert_allclose(records["net"][:, 0], [0.9, 0.88, 0.86, 0.84], atol=1e-6)
