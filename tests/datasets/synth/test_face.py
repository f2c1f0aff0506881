"""The drawn face does what it is told, as the project's own nets see it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from avaffect.datasets.synth import face as synth_face
from avaffect.datasets.synth.face import ACTIONS, TRAITS, FacePainter, Person, Pose, random_person
from avaffect.errors import FormatError
from avaffect.faces.detectors.registry import build_detector
from avaffect.faces.landmarks import Landmarker, roi_from_detection, roi_from_mesh
from avaffect.faces.shape import BLENDSHAPE_NAMES, ShapeReader

SIZE = (192, 176)
# Which blendshapes each action must raise, and by how much at the least.
RAISES = {
    "smile": (("mouthSmileLeft", "mouthSmileRight"), 0.6),
    "brow_raise": (("browInnerUp", "browOuterUpLeft", "browOuterUpRight"), 0.3),
    "open_mouth": (("jawOpen",), 0.4),
    "brow_lower": (("eyeSquintLeft", "eyeSquintRight"), 0.1),
    "lip_down": (("mouthFrownLeft", "mouthFrownRight"), 0.3),
    "lip_raise": (("mouthUpperUpLeft", "mouthUpperUpRight"), 0.4),
}
DOWN = ("browDownLeft", "browDownRight")


def alone(action: str | None) -> list[float]:
    return [float(name == action) for name in ACTIONS]


@pytest.fixture(scope="module")
def blendshapes():
    detector, landmarker, reader = build_detector("blazeface-full"), Landmarker(), ShapeReader()

    def read(picture):
        (found,) = detector(picture)
        face = landmarker(picture, roi_from_detection(found))
        face = landmarker(picture, roi_from_mesh(face.mesh))
        return dict(zip(BLENDSHAPE_NAMES, reader(face).blendshapes.tolist(), strict=True))

    return read


@pytest.mark.parametrize("seed", range(3))
def test_each_action_moves_what_its_name_says(blendshapes, seed) -> None:
    painter = FacePainter(random_person(np.random.default_rng(seed)), SIZE, 0.9)
    calm = blendshapes(painter.draw(alone(None), Pose()))
    assert RAISES.keys() == set(ACTIONS)
    for action, (names, least) in RAISES.items():
        shown = blendshapes(painter.draw(alone(action), Pose()))
        if action == "brow_lower":
            assert sum(shown[name] - calm[name] for name in DOWN) > 0.02
        for name in names:
            assert shown[name] - calm[name] > least, (action, name)


def test_stronger_is_more(blendshapes) -> None:
    painter = FacePainter(Person(), SIZE)
    jaw = [
        blendshapes(painter.draw([0, 0, strength, 0, 0, 0], Pose()))["jawOpen"]
        for strength in (0.0, 0.35, 0.7, 1.0)
    ]
    assert (np.diff(jaw) > 0.05).all()


def test_head_is_found_in_extreme_poses(blendshapes) -> None:
    painter = FacePainter(Person(), (160, 176), 0.85)
    for sign in (-1, 1):
        pose = Pose(10.0 * sign, 5.0 * sign, 5.0 * sign, 0.1 * sign, 0.06 * sign, 1 + 0.04 * sign)
        blendshapes(painter.draw(alone("open_mouth"), pose))


def test_picture_shape_and_type() -> None:
    picture = FacePainter(Person(), (160, 176), 0.9).draw(alone(None), Pose())
    assert picture.shape == (176, 160, 3)
    assert picture.dtype == np.uint8


def test_brows_leave_the_mouth_alone() -> None:
    painter = FacePainter(Person(), SIZE)
    calm = painter.draw(alone(None), Pose()).astype(int)
    change = np.abs(painter.draw(alone("brow_raise"), Pose()) - calm).sum(axis=(1, 2))
    rows = np.flatnonzero(change > change.max() / 100)
    opened = np.abs(painter.draw(alone("open_mouth"), Pose()) - calm).sum(axis=(1, 2))
    assert rows.max() < np.argmax(opened)


def test_neighbours_in_strength_are_neighbours_in_the_picture() -> None:
    painter = FacePainter(Person(), SIZE)
    pictures = [
        painter.draw(np.full(len(ACTIONS), strength), Pose()).astype(int)
        for strength in (0.5, 0.51, 0.9)
    ]
    near, far = (np.abs(picture - pictures[0]).mean() for picture in pictures[1:])
    assert 0 < near < far / 5


def test_mirrored_is_mirrored() -> None:
    tints, traits = random_person(np.random.default_rng(1)).tints, (0.5,) * len(TRAITS)
    pose = Pose(yaw=4.0, roll=2.0)
    picture, other = (
        FacePainter(Person(mirrored, traits, tints), SIZE).draw(alone("smile"), pose)
        for mirrored in (False, True)
    )
    np.testing.assert_array_equal(picture, other[:, ::-1])


def test_persons_differ_and_a_seed_is_a_person() -> None:
    rng = np.random.default_rng(7)
    person, other = random_person(rng), random_person(rng)
    assert random_person(np.random.default_rng(7)) == person
    pictures = [FacePainter(p, SIZE).draw(alone(None), Pose()) for p in (person, other)]
    assert np.abs(pictures[0].astype(int) - pictures[1]).mean() > 5


@pytest.mark.parametrize("trait", TRAITS)
def test_every_trait_shows(trait) -> None:
    traits = tuple(float(name == trait) for name in TRAITS)
    plain, changed = (
        FacePainter(person, SIZE).draw(alone(None), Pose()).astype(int)
        for person in (Person(), Person(traits=traits))
    )
    assert np.abs(plain - changed).max() > 20


def test_data_file_is_small_and_safe() -> None:
    path = synth_face._DATA
    assert path.stat().st_size < 500_000
    with np.load(path, allow_pickle=False) as arrays:
        assert tuple(arrays["action_names"]) == ACTIONS
        assert tuple(arrays["trait_names"]) == TRAITS


def test_data_file_of_another_version_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with np.load(synth_face._DATA, allow_pickle=False) as arrays:
        changed = dict(arrays) | {"action_names": np.array(["wink"])}
    np.savez(tmp_path / "other.npz", **changed)
    monkeypatch.setattr(synth_face, "_DATA", tmp_path / "other.npz")
    with pytest.raises(FormatError, match="does not belong"):
        synth_face._portrait.__wrapped__()
