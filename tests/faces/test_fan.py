"""The FAN aligner, on weights made here: the real ones are not to be had everywhere.

The weights are a real state dict of 2DFAN-4 that makes it see coloured spots: each of the five
points has its colour.
"""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from avaffect.errors import ModelDamagedError, ModelError, ModelUnavailableError
from avaffect.faces.fan import FanAligner, five_of_68, peaks
from avaffect.models import zoo

# Red, green and blue of eyes, nose and mouth corners; what finds each colour and no other.
COLOURS = [(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (1, 0, 1)]
FINDS = [(1, -2, -2), (-2, 1, -2), (-2, -2, 1), (1, 1, -4), (1, -4, 1)]


def spot_seeing_weights():
    """A state dict of the package's FAN(4) whose heat maps are high at spots of one colour."""
    from face_alignment.models import FAN

    with torch.device("meta"):
        shapes = {name: value.shape for name, value in FAN(4).state_dict().items()}
    weights = {}
    for name, shape in shapes.items():
        ones = name.endswith("running_var") or (name.endswith("weight") and len(shape) == 1)
        # One number, seen as many: the file stays small.
        weights[name] = torch.full((1,) * len(shape), float(ones)).expand(shape)

    def pass_on(name, gain=1.0):
        """Let the first three channels through, in the middle of the kernel."""
        weight = torch.zeros(shapes[name])
        for channel in range(3):
            weight[channel, channel, shapes[name][2] // 2, shapes[name][3] // 2] = gain
        weights[name] = weight

    for name in ("conv1.weight", "conv2.downsample.2.weight", "conv4.downsample.2.weight"):
        pass_on(name)
    for stack in range(4):
        pass_on(f"conv_last{stack}.weight")
        # Take the coarse scales out, which would blur the spots.
        pass_on(f"m{stack}.b3_4.conv1.weight", -1.0)
    heads = torch.zeros(shapes["l3.weight"])
    landmarks = [*[0] * 6, *[1] * 6]
    for landmark, find in zip(range(36, 48), landmarks, strict=True):
        heads[landmark, :3, 0, 0] = torch.tensor(FINDS[find])
    for landmark, find in {30: 2, 48: 3, 54: 4}.items():
        heads[landmark, :3, 0, 0] = torch.tensor(FINDS[find])
    weights["l3.weight"] = heads
    return weights


@pytest.fixture(autouse=True)
def one_thread():
    """Torch's threads wait busily for each other, which takes ages where cores are shared."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def put_into_cache(path, monkeypatch):
    """Make the registry believe that what lies at ``path`` is the real thing."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    entry = replace(zoo.ZOO["2dfan4"], check=zoo.Check(digest))
    monkeypatch.setitem(zoo.ZOO, "2dfan4", entry)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """An empty cache and a torch hub folder that must stay empty; no network."""
    monkeypatch.setenv("AVAFFECT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("AVAFFECT_OFFLINE", "1")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    (tmp_path / "cache").mkdir()
    yield tmp_path / "cache" / zoo.ZOO["2dfan4"].file
    assert not (tmp_path / "torch").exists()


@pytest.fixture
def spot_weights(cache, monkeypatch: pytest.MonkeyPatch):
    torch.save(spot_seeing_weights(), cache)
    put_into_cache(cache, monkeypatch)
    return cache


def spots(points, radius, shape):
    y, x = np.indices(shape)
    picture = np.zeros((*shape, 3))
    for (px, py), colour in zip(points, COLOURS, strict=True):
        near = np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * radius**2))
        picture += 255 * near[..., None] * colour
    return picture.clip(0, 255).astype(np.uint8)


def test_known_points_come_out(spot_weights) -> None:
    aligner = FanAligner()
    face = np.array([[0.3, 0.4], [0.7, 0.38], [0.5, 0.6], [0.33, 0.8], [0.66, 0.78]])
    for corner, side in [((30, 50), 330), ((-25, -40), 200)]:
        points = face * side + corner
        picture = spots(points, side / 30, (480, 640))
        box = np.array([*corner, *np.add(corner, side)], np.float32)
        found = aligner(picture, box)
        assert found.shape == (5, 2) and found.dtype == np.float32
        # A cell of the heat maps is 1/31 of the box.
        assert np.abs(found - points).max() < 0.6 * side / 31


def test_agrees_with_the_package(
    spot_weights, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    import face_alignment

    aligner = FanAligner()
    home = tmp_path_factory.mktemp("torch")
    (home / "hub" / "checkpoints").mkdir(parents=True)
    (home / "hub" / "checkpoints" / spot_weights.name).hardlink_to(spot_weights)
    with monkeypatch.context() as patch:
        patch.setenv("TORCH_HOME", str(home))
        package = face_alignment.FaceAlignment(
            face_alignment.LandmarksType.TWO_D,
            device="cpu",
            flip_input=False,
            compile=False,
            face_detector="folder",
        )
    points = np.array([[150, 120], [250, 130], [200, 180], [160, 230], [240, 225]])
    picture = spots(points, 8, (480, 640))
    box = [100.0, 70.0, 310.0, 260.0]
    # Compiling these two would take longer than the whole test.
    for name in ("transform_np", "_get_preds_fromhm"):
        slow = getattr(face_alignment.utils, name).py_func
        monkeypatch.setattr(face_alignment.utils, name, slow)
    (theirs,) = package.get_landmarks_from_image(picture, [box])
    ours = aligner.landmarks(picture, np.array(box, np.float32))
    seen = [*range(36, 48), 30, 48, 54]
    # The package cuts to whole pixels, of the crop and of the result.
    assert np.abs(ours[seen] - theirs[seen]).max() <= 2


def test_missing_weights(cache) -> None:
    with pytest.raises(ModelUnavailableError, match="2dfan4"):
        FanAligner()


def test_damaged_weights_are_refused(spot_weights) -> None:
    content = bytearray(spot_weights.read_bytes())
    content[len(content) // 2] ^= 1
    spot_weights.write_bytes(content)
    with pytest.raises(ModelDamagedError, match="2dfan4"):
        FanAligner()


class Bomb:
    """Pickled code that leaves a trace if it runs."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return (open, (str(self.trace), "w"))


def test_code_in_the_file_does_not_run(
    cache, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    trace = tmp_path / "trace"
    torch.save({"conv1.weight": Bomb(trace)}, cache)
    put_into_cache(cache, monkeypatch)
    with pytest.raises(ModelError, match="does not fit"):
        FanAligner()
    assert not trace.exists()


def test_weights_of_another_net_are_refused(cache, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save({"conv1.weight": torch.zeros(3)}, cache)
    put_into_cache(cache, monkeypatch)
    with pytest.raises(ModelError, match="does not fit"):
        FanAligner()


def test_a_box_that_is_none_is_refused(spot_weights) -> None:
    aligner = FanAligner()
    for box in ([5, 5, 5, 9], [9, 5, 5, 9], [0, 0, np.nan, 9], [0, 0, np.inf, 1]):
        with pytest.raises(ValueError, match="box"):
            aligner(np.zeros((20, 20, 3), np.uint8), np.array(box, np.float32))


def test_five_of_68() -> None:
    landmarks = np.zeros((68, 2), np.float32)
    landmarks[36:42] = [[0, 3], [1, 2], [2, 2], [3, 3], [2, 4], [1, 4]]
    landmarks[42:48] = np.add(landmarks[36:42], (10, 1))
    landmarks[30], landmarks[48], landmarks[54] = (6, 7), (3, 11), (9, 12)
    assert five_of_68(landmarks).tolist() == [[1.5, 3], [11.5, 4], [6, 7], [3, 11], [9, 12]]


@settings(max_examples=50)
@given(st.floats(2, 61), st.floats(2, 61), st.floats(1, 4))
def test_peaks_are_found_to_half_a_cell(x, y, width) -> None:
    rows, columns = np.indices((64, 64))
    heat = np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * width**2))
    found = peaks(heat[None].astype(np.float32))
    assert np.abs(found[0] - (x, y)).max() <= 0.3


@given(arrays(np.float32, (3, 5, 7), elements=st.floats(-1, 1, width=32)))
def test_peaks_lie_within_the_map(heat) -> None:
    found = peaks(heat)
    assert (found >= 0).all() and (found <= (6, 4)).all()
