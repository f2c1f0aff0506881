"""S3FD, on weights made here: the real ones are not to be had everywhere."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from avaffect.errors import ModelDamagedError, ModelError, ModelUnavailableError
from avaffect.faces.detectors.registry import build_detector
from avaffect.faces.detectors.s3fd import MAX_SIDE, S3fd
from avaffect.models import zoo


@pytest.fixture(autouse=True)
def one_thread():
    """Torch's threads wait busily for each other, which takes ages where cores are shared."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """An empty cache and a torch hub folder that must stay empty; no network."""
    monkeypatch.setenv("AVAFFECT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("AVAFFECT_OFFLINE", "1")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    (tmp_path / "cache").mkdir()
    yield tmp_path / "cache" / zoo.ZOO["s3fd"].file
    assert not (tmp_path / "torch").exists()


def save(weights, path, monkeypatch):
    torch.save(weights, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    entry = replace(zoo.ZOO["s3fd"], check=zoo.Check(digest))
    monkeypatch.setitem(zoo.ZOO, "s3fd", entry)


def coarse_weights():
    """A state dict of the package's net that sees a face in every cell of its coarsest grid."""
    from face_alignment.detection.sfd.net_s3fd import s3fd

    with torch.device("meta"):
        shapes = {name: value.shape for name, value in s3fd().state_dict().items()}
    # One number, seen as many: the file stays small.
    weights = {
        name: torch.zeros((1,) * len(shape)).expand(shape) for name, shape in shapes.items()
    }
    for name in shapes:
        if name.endswith("conf.bias"):
            weights[name] = torch.zeros(shapes[name])
            weights[name][-1] = 2.0 if name.startswith("conv7_2") else -9.0
    return weights


def test_boxes_come_out_in_pixels_and_points_at_their_average_places() -> None:
    seen = []

    def detect(image):
        seen.append(image.shape)
        return [np.array([10, 20, 60, 80, 0.9]), np.array([100, 20, 200, 140, 0.8])]

    large, small = S3fd(detect)(np.zeros((720, MAX_SIDE * 2, 3), np.uint8))
    assert seen == [(360, MAX_SIDE, 3)]
    assert large.box.tolist() == [200, 40, 400, 280] and small.box.tolist() == [20, 40, 120, 160]
    assert large.score == pytest.approx(0.8)
    eye, other, nose, mouth, corner = large.points
    assert eye[0] < nose[0] < other[0] and mouth[0] < nose[0] < corner[0]
    assert eye[1] == other[1] < nose[1] < mouth[1] == corner[1]
    assert nose[0] == pytest.approx(300)


def test_nothing_found() -> None:
    assert S3fd(lambda image: [])(np.zeros((20, 20, 3), np.uint8)) == []


def test_weights_come_from_the_cache(cache, monkeypatch: pytest.MonkeyPatch) -> None:
    save(coarse_weights(), cache, monkeypatch)
    faces = build_detector("s3fd", 0.5)(np.zeros((256, 256, 3), np.uint8))
    assert faces
    for face in faces:
        assert face.score == pytest.approx(1 / (1 + np.exp(-2)), abs=1e-4)
        # The coarsest grid: cells of 128 pixels, boxes of 512.
        assert np.allclose(face.box[2:] - face.box[:2], 512)
        assert np.allclose((face.box[:2] + face.box[2:]) / 2 % 128, 64)
    assert build_detector("s3fd", 0.9)(np.zeros((256, 256, 3), np.uint8)) == []


def test_missing_weights(cache) -> None:
    with pytest.raises(ModelUnavailableError, match="s3fd"):
        build_detector("s3fd", 0.5)


def test_damaged_weights_are_refused(cache, monkeypatch: pytest.MonkeyPatch) -> None:
    save(coarse_weights(), cache, monkeypatch)
    cache.write_bytes(cache.read_bytes() + b"x")
    with pytest.raises(ModelDamagedError, match="s3fd"):
        build_detector("s3fd", 0.5)


def test_weights_of_another_net_are_refused(cache, monkeypatch: pytest.MonkeyPatch) -> None:
    save({"conv1_1.weight": torch.zeros(3)}, cache, monkeypatch)
    with pytest.raises(ModelError, match="does not fit"):
        build_detector("s3fd", 0.5)
