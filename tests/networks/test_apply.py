"""Applying a network to clips: the literal average, frame by frame."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from avaffect.datasets.clip import Clip
from avaffect.files.npy import ArraySpec
from avaffect.networks.apply import apply_network, probabilities
from avaffect.windows.cut import cut
from avaffect.windows.reader import WindowReader

OUTPUTS = {"va": 2, "expr": 4, "au": 3}
WIDTHS = {"voice": 3, "face": 5, "pose": 2}
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Arrays:
    """Features from arrays."""

    arrays: dict

    @property
    def frames(self):
        return len(self.arrays["voice"])

    @property
    def specs(self):
        return {n: ArraySpec(a.shape[1:], str(a.dtype)) for n, a in self.arrays.items()}

    def array(self, name, start=0, stop=None):
        return self.arrays[name][start:stop]


def make_clip(name, frames, blind=slice(0, 0)):
    """A clip with gaps; on the frames ``blind`` nothing is seen."""
    rng = np.random.default_rng(frames)
    arrays = {}
    for branch, width in WIDTHS.items():
        arrays[branch] = rng.normal(size=(frames, width)).astype(np.float32)
        arrays[branch][rng.random(frames) < 0.3] = np.nan
        arrays[branch][blind] = np.nan
    return Clip(name, name, Arrays(arrays))


CLIPS = [make_clip("a", 33), make_clip("short", 5, slice(3, 5)), make_clip("b", 26, slice(4, 17))]


@pytest.fixture
def setting(small_network):
    """A network that is not as at its beginning, and windows of 9 with 5 overlapping."""

    def make(block="bigru", fusion="concat", pool="none"):
        network = small_network(block, fusion, pool)
        windows = cut([clip.frames for clip in CLIPS], 9, 5)
        reader = WindowReader(CLIPS, network.recipe.branches, windows, {})
        network.train()
        for i in range(3):
            batch = reader[[i, i + 4]]
            network(batch.inputs, batch.seen, batch.exists)
        return network, reader

    return make


@pytest.mark.parametrize("fusion", ["concat", "late"])
@pytest.mark.parametrize("pool", ["none", "attention"])
def test_it_is_the_literal_average(fusion: str, pool: str, setting) -> None:
    network, reader = setting("bigru", fusion, pool)
    predictions = list(apply_network(network, reader, CPU, batch_size=3))
    assert [predicted.clip for predicted in predictions] == [0, 1, 2]
    assert not network.training
    windows = {}
    for i in range(len(reader)):
        batch = reader[[i]]
        with torch.no_grad():
            out = network(batch.inputs, batch.seen, batch.exists)
        for t in range(batch.exists.shape[1]):
            frame = (int(batch.clip), int(batch.start) + t)
            for task, row in out.items():
                kinds = {"va": lambda x: x, "expr": lambda x: x.softmax(0)}
                value = kinds.get(task, torch.sigmoid)(row[0, t])
                windows.setdefault((task, *frame), []).append(value.numpy())
    assert max(len(rows) for rows in windows.values()) == 3
    for predicted in predictions:
        clip = CLIPS[predicted.clip]
        seen = {n: ~np.isnan(a).all(axis=1) for n, a in clip.features.arrays.items()}
        for name, there in seen.items():
            assert predicted.seen[name].dtype == bool
            np.testing.assert_array_equal(predicted.seen[name], there)
        anything = np.any(list(seen.values()), axis=0)
        assert predicted.values.keys() == OUTPUTS.keys()
        for task, values in predicted.values.items():
            assert values.shape == (clip.frames, OUTPUTS[task])
            assert values.dtype == np.float32
            for t in range(clip.frames):
                if anything[t]:
                    expected = np.mean(windows[task, predicted.clip, t], axis=0)
                    np.testing.assert_allclose(values[t], expected, rtol=1e-4, atol=1e-6)
                else:
                    assert np.isnan(values[t]).all()
    assert np.isnan(predictions[2].values["va"][4:17]).all()
    assert np.isnan(predictions[1].values["va"][3:]).all()
    assert np.isfinite(predictions[0].values["va"]).any()


def test_values_are_values(setting) -> None:
    for predicted in apply_network(*setting(), device=CPU):
        known = ~np.isnan(predicted.values["va"][:, 0])
        assert known.any()
        assert np.abs(predicted.values["va"][known]).max() <= 1
        np.testing.assert_allclose(predicted.values["expr"][known].sum(1), 1, rtol=1e-5)
        au = predicted.values["au"][known]
        assert 0 <= au.min() <= au.max() <= 1


@pytest.mark.parametrize("block", ["bigru", "transformer", "tcn", "pooled_tcn"])
def test_batches_do_not_matter(block: str, setting) -> None:
    network, reader = setting(block)
    whole = list(apply_network(network, reader, CPU))
    for size in (1, 2, 7):
        for a, b in zip(whole, apply_network(network, reader, CPU, batch_size=size), strict=True):
            for task in OUTPUTS:
                np.testing.assert_allclose(a.values[task], b.values[task], rtol=1e-4, atol=1e-6)


def test_some_clips_in_any_order(setting) -> None:
    network, reader = setting()
    whole = list(apply_network(network, reader, CPU))
    some = list(apply_network(network, reader, CPU, clips=[2, 0]))
    assert [predicted.clip for predicted in some] == [2, 0]
    np.testing.assert_array_equal(some[0].values["va"], whole[2].values["va"])
    assert list(apply_network(network, reader, CPU, clips=[])) == []


def test_it_leaves_the_network_as_it_is(setting) -> None:
    network, reader = setting()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    for _ in apply_network(network, reader, CPU):
        pass
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, before[name])


def test_probabilities() -> None:
    logits = torch.tensor([[0.0, 1.0], [-2.0, 3.0]])
    assert probabilities("va", logits) is logits
    expected = torch.exp(logits) / torch.exp(logits).sum(1, keepdim=True)
    torch.testing.assert_close(probabilities("expr", logits), expected)
    torch.testing.assert_close(probabilities("au", logits), 1 / (1 + torch.exp(-logits)))


def test_a_batch_that_a_gpu_does_not_hold_is_computed_in_parts(
    setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, reader = setting()
    whole = list(apply_network(network, reader, CPU))
    real, sizes = network.forward, []

    def forward(inputs, seen, exists):
        sizes.append(len(exists))
        if len(exists) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return real(inputs, seen, exists)

    monkeypatch.setattr(network, "forward", forward)
    parts = list(apply_network(network, reader, CPU))
    assert max(sizes) > 2
    for at_once, other in zip(whole, parts, strict=True):
        for task, values in at_once.values.items():
            np.testing.assert_allclose(other.values[task], values, rtol=1e-5, atol=1e-6)
