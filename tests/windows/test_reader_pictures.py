"""Windows of pictures: read once for all branches that look at them, and few at a time."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from avaffect.datasets.clip import Clip
from avaffect.errors import FeatureError
from avaffect.files.npy import ArraySpec
from avaffect.networks.apply import apply_network
from avaffect.networks.network import AffectNetwork
from avaffect.recipes.encoders import Backbone, PhaseDifference
from avaffect.recipes.library import parse_recipe
from avaffect.recipes.recipe import Branch
from avaffect.windows.cut import cut
from avaffect.windows.reader import WindowReader, whole_clips

LOOKS = Branch("video", ("faces",), encoder=Backbone(net="resnet18", size=32))
MOVES = Branch("video", ("faces",), encoder=Backbone(net="mobilenet_v2", size=32))


@dataclass
class Faces:
    """Pictures from memory that count how often they are asked for."""

    faces: np.ndarray
    has_face: np.ndarray
    asked: int = 0

    @property
    def frames(self):
        return len(self.faces)

    @property
    def specs(self):
        return {
            "faces": ArraySpec(self.faces.shape[1:], "uint8"),
            "has_face": ArraySpec((), "bool"),
        }

    def array(self, name, start=0, stop=None):
        self.asked += name == "faces"
        return getattr(self, name)[start:stop]


def clip(name, frames, side=6):
    rng = np.random.default_rng(frames)
    faces = rng.integers(0, 256, (frames, side, side, 3), np.uint8)
    return Clip(name, name, Faces(faces, rng.random(frames) < 0.7))


def test_pictures_are_read_once_and_shared() -> None:
    clips = [clip("a", 9), clip("b", 4)]
    reader = WindowReader(clips, {"x": LOOKS, "y": MOVES}, cut([9, 4], 5, 1), {})
    assert reader.pictures
    assert reader.widths == {"x": 108, "y": 108}
    batch = reader[list(range(len(reader)))]
    assert [clip.features.asked for clip in clips] == [2, 1]
    assert batch.inputs["x"] is batch.inputs["y"]
    assert batch.inputs["x"].dtype == torch.uint8
    for row, (c, s) in enumerate(zip(batch.clip.tolist(), batch.start.tolist(), strict=True)):
        faces, there = clips[c].features.faces[s : s + 5], clips[c].features.has_face[s : s + 5]
        np.testing.assert_array_equal(batch.inputs["x"][row, : len(faces)].numpy(), faces)
        np.testing.assert_array_equal(batch.seen["y"][row, : len(faces)].numpy(), there)
        assert not batch.seen["y"][row, len(faces) :].any()
    moved = batch.to(torch.device("cpu", 0))
    assert moved.inputs["x"] is moved.inputs["y"]


def test_frames_beside_a_window_are_read_once_for_all() -> None:
    around = Branch("video", ("faces",), encoder=PhaseDifference(differences=4, context=True))
    clips = [clip("a", 9), clip("b", 4)]
    reader = WindowReader(clips, {"x": LOOKS, "y": around}, cut([9, 4], 5, 1), {})
    batch = reader[list(range(len(reader)))]
    assert [clip.features.asked for clip in clips] == [2, 1]
    assert batch.inputs["x"] is batch.inputs["y"]
    assert batch.exists.shape == (3, 5)
    assert batch.inputs["x"].shape[:2] == batch.seen["x"].shape == (3, 9)
    for row, (c, s) in enumerate(zip(batch.clip.tolist(), batch.start.tolist(), strict=True)):
        assert batch.exists[row].tolist() == [s + i < clips[c].frames for i in range(5)]
        for i, frame in enumerate(range(s - 2, s + 7)):
            inside = 0 <= frame < clips[c].frames
            there = inside and clips[c].features.has_face[frame]
            assert bool(batch.seen["y"][row, i]) == there
            expected = clips[c].features.faces[frame] if inside else 0
            assert (batch.inputs["y"][row, i].numpy() == expected).all()


def test_what_is_valid_does_not_hang_on_frames_beside_the_window() -> None:
    around = Branch("video", ("faces",), encoder=PhaseDifference(differences=4, context=True))
    plain = clip("a", 12)
    plain.features.has_face[:] = [*[True] * 5, *[False] * 7]
    labelled = replace(plain, labels={"va": np.zeros((12, 2), np.float32)})
    batch = WindowReader([labelled], {"y": around}, cut([12], 4, 0), {"va": 2})[[0, 1, 2]]
    assert batch.seen["y"][1, :3].all()
    assert batch.valid["va"][..., 0].tolist() == [[True] * 4, [True, *[False] * 3], [False] * 4]


@pytest.mark.parametrize("context", [True, False])
def test_windows_say_what_the_whole_clip_says(context: bool) -> None:
    phase = {"kind": "phase", "size": 16, "differences": 4, "channels": [4], "context": context}
    tree = {
        "name": "moves",
        "branches": {"face": {"features": ["faces"], "encoder": phase}},
        "tasks": {"va": {"terms": {"mse": 1}}},
    }
    found = []
    for window in (20, 6):
        recipe = parse_recipe({**tree, "window": {"length": window}}, "")
        torch.manual_seed(0)
        network = AffectNetwork(recipe, {"face": 108}, {"va": 2}).eval()
        for parameter in network.parameters():
            parameter.data *= 3
        reader = whole_clips([clip("a", 20)], recipe, {})
        (predicted,) = apply_network(network, reader, torch.device("cpu"))
        assert predicted.seen["face"].shape == (20,)
        found.append(predicted.values["va"])
    known = ~np.isnan(found[0])
    assert np.allclose(found[0][known], found[1][known], atol=1e-5) == context


def test_normalisation_means_nothing_to_pictures() -> None:
    other = Branch("video", ("faces",), encoder=Backbone(), normalise="clip")
    assert other.reads == LOOKS.reads


def test_clips_of_another_size() -> None:
    with pytest.raises(FeatureError, match="different widths: 108 in 'a' and 192 in 'b'"):
        WindowReader([clip("a", 3), clip("b", 3, 8)], {"x": LOOKS}, cut([3, 3], 2, 0), {})


def test_opinions_go_on_over_the_ends_of_short_clips(monkeypatch: pytest.MonkeyPatch) -> None:
    """Single pictures are looked at many at a time, and still one prediction a clip comes out."""
    recipe = parse_recipe(
        {
            "name": "single",
            "branches": {
                "face": {"features": ["faces"], "encoder": {"kind": "backbone", "net": "resnet18"}}
            },
            "tasks": {"va": {"terms": {"mse": 1}}},
            "window": {"length": 1},
        },
        "",
    )
    clips = [clip(f"{i}", 1) for i in range(7)]
    clips[3].features.has_face[:], clips[4].features.has_face[:] = False, True
    torch.manual_seed(0)
    network = AffectNetwork(recipe, {"face": 108}, {"va": 2}).eval()
    sizes = []
    forward = network.forward

    def counted(inputs, seen, exists):
        sizes.append(len(exists))
        return forward(inputs, seen, exists)

    monkeypatch.setattr(network, "forward", counted)
    monkeypatch.setattr("avaffect.networks.apply.PICTURES", 4)
    reader = whole_clips(clips, recipe, {})
    found = list(apply_network(network, reader, torch.device("cpu")))
    assert sizes == [4, 3]
    assert [window.clip for window in found] == list(range(7))
    assert np.isnan(found[3].values["va"]).all()
    assert np.isfinite(found[4].values["va"]).all()
