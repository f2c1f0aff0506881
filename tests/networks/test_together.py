"""Several networks on the same clips: as each alone, and every picture decoded once."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch

from avaffect.datasets.clip import Clip
from avaffect.files.npy import ArraySpec
from avaffect.networks import together
from avaffect.networks.apply import apply_network, network_run
from avaffect.networks.network import AffectNetwork
from avaffect.networks.together import apply_together
from avaffect.recipes.library import parse_recipe
from avaffect.windows.reader import whole_clips

CPU = torch.device("cpu")


@dataclass
class Faces:
    """Pictures that count how often each of them is decoded."""

    faces: np.ndarray
    has_face: np.ndarray
    table: np.ndarray
    decoded: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.decoded = np.zeros(len(self.faces), int)

    @property
    def frames(self):
        return len(self.faces)

    @property
    def specs(self):
        return {
            "faces": ArraySpec(self.faces.shape[1:], "uint8"),
            "has_face": ArraySpec((), "bool"),
            "table": ArraySpec((3,), "float32"),
        }

    def array(self, name, start=0, stop=None):
        if name == "faces":
            self.decoded[start:stop] += 1
        return getattr(self, name)[start:stop]


def clip(name: str, frames: int) -> Clip:
    rng = np.random.default_rng(frames)
    faces = rng.integers(0, 256, (frames, 16, 16, 3), np.uint8)
    table = rng.normal(size=(frames, 3)).astype(np.float32)
    return Clip(name, name, Faces(faces, rng.random(frames) < 0.7, table))


def network(length: int, overlap: int, seed: int, branch: str = "face", context: bool = False):
    phase = {"kind": "phase", "size": 16, "differences": 4, "channels": [4], "context": context}
    reads: dict[str, Any] = {"features": ["faces"], "encoder": phase}
    if branch == "table":
        reads = {"features": ["table"], "layers": [{"kind": "gru", "units": [3]}]}
    recipe = parse_recipe(
        {
            "name": "small",
            "branches": {branch: reads},
            "tasks": {"va": {"terms": {"mse": 1}}},
            "window": {"length": length, "overlap": overlap},
        },
        "",
    )
    widths = {branch: 3 if branch == "table" else 16 * 16 * 3}
    torch.manual_seed(seed)
    return recipe, AffectNetwork(recipe, widths, {"va": 2}).eval()


@pytest.fixture
def clips() -> list[Clip]:
    return [clip("a", 150), clip("b", 3), clip("c", 97)]


ALIKE = [(20, 5, 0), (20, 5, 1), (20, 5, 2)]
UNLIKE = [(20, 5, 0), (64, 0, 1), (7, 3, 2, "other"), (20, 5, 3, "face", True)]
MIXED = [*UNLIKE, (30, 0, 4, "table")]


@pytest.mark.parametrize("members", [ALIKE, UNLIKE, MIXED])
def test_as_each_alone(members: list[Any], clips: Any) -> None:
    networks = [network(*member) for member in members]
    runs = [(recipe, network_run(net, CPU)) for recipe, net in networks]
    found = {(number, p.clip): p for number, p in apply_together(runs, clips)}
    decoded = [some.features.decoded.copy() for some in clips]
    assert len(found) == len(members) * len(clips)
    for number, (recipe, net) in enumerate(networks):
        for alone in apply_network(net, whole_clips(clips, recipe, {}), CPU):
            ours = found[number, alone.clip]
            np.testing.assert_allclose(ours.values["va"], alone.values["va"], atol=1e-5)
            assert ours.seen.keys() == alone.seen.keys()
    if members == ALIKE:
        # As often as by one of them alone: overlaps of windows are looked at again.
        fresh: Any = [clip(some.name, some.frames) for some in clips]
        list(apply_network(networks[0][1], whole_clips(fresh, networks[0][0], {}), CPU))
        expected = [some.features.decoded for some in fresh]
    else:
        expected = [np.ones(some.frames, int) for some in clips]
    for counts, wanted in zip(decoded, expected, strict=True):
        np.testing.assert_array_equal(counts, wanted)


def test_what_is_remembered_is_bounded(clips, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(together, "_BLOCK", 8)
    monkeypatch.setattr(together, "_REMEMBERED", 32)
    monkeypatch.setattr(together, "_SMALL", 8)
    most = 0
    block = together._Memory.block

    def watched(self, key, decode):
        nonlocal most
        found = block(self, key, decode)
        most = max(most, len(self._blocks))
        return found

    monkeypatch.setattr(together._Memory, "block", watched)
    runs = [(r, network_run(n, CPU)) for r, n in (network(5, 0, 0), network(8, 0, 1))]
    assert len(list(apply_together(runs, clips))) == 6
    assert most == 4
    assert max(some.features.decoded.max() for some in clips) == 1


def test_who_does_not_fit_is_told_before_anything_is_read(clips) -> None:
    def refuse(number, reader):
        raise RuntimeError(f"{number}: {reader.widths}")

    runs = [(r, network_run(n, CPU)) for r, n in (network(5, 0, 0), network(5, 0, 1))]
    with pytest.raises(RuntimeError, match=r"0: \{'face': 768\}"):
        next(apply_together(runs, clips, check=refuse))
    first: Any = clips[0].features
    assert first.decoded.sum() == 0
