"""Reading windows: the same as a slow and literal way, masks, moments, errors."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from avaffect.datasets.clip import Clip
from avaffect.errors import FeatureError
from avaffect.files.npy import ArraySpec
from avaffect.recipes.blocks import Dense
from avaffect.recipes.recipe import Branch
from avaffect.windows import reader as module
from avaffect.windows.cut import cut
from avaffect.windows.reader import (
    BranchReader,
    WindowReader,
    branch_moments,
    labelled,
)

LAYERS = (Dense(),)
AUDIO = Branch("audio", ("audio",), LAYERS)
FACE = Branch("video", ("face",), LAYERS)
BOTH = Branch("video", ("face", "mesh"), LAYERS)
TASKS = {"va": 2, "expr": 8, "au": 12}


@dataclass(frozen=True)
class Arrays:
    """Features from arrays."""

    arrays: dict

    @property
    def frames(self):
        return len(next(iter(self.arrays.values())))

    @property
    def specs(self):
        return {n: ArraySpec(a.shape[1:], str(a.dtype)) for n, a in self.arrays.items()}

    def array(self, name, start=0, stop=None):
        return self.arrays[name][start:stop]


def make_clip(name, frames, *, tasks=tuple(TASKS), seed=0, **change):
    """A clip with gaps in its face, its sound and its labels."""
    rng = np.random.default_rng([seed, frames])
    face = rng.normal(size=(frames, 5)).astype(np.float16)
    face[rng.random(frames) < 0.3] = np.nan
    face[rng.random((frames, 5)) < 0.05] = np.nan
    mesh = rng.normal(size=(frames, 2, 3)).astype(np.float32)
    mesh[rng.random(frames) < 0.3] = np.nan
    arrays = {
        "face": face,
        "mesh": mesh,
        "audio": rng.normal(size=(frames, 4)).astype(np.float32),
        "has_sound": rng.random(frames) > 0.3,
        "count": rng.integers(0, 9, (frames, 2)).astype(np.int64),
    } | change
    va = rng.uniform(-1, 1, (frames, 2)).astype(np.float32)
    va[rng.random((frames, 2)) < 0.3] = np.nan
    au = rng.integers(-1, 2, (frames, 12)).astype(np.int8)
    labels = {"va": va, "expr": rng.integers(-1, 8, frames), "au": au}
    return Clip(name, name, Arrays(arrays), {task: labels[task] for task in tasks})


CLIPS = [make_clip("a", 37), make_clip("b", 9, tasks=("expr",)), make_clip("c", 20, seed=1)]


def test_batches_equal_a_literal_reading() -> None:
    length = 12
    branches = {"voice": AUDIO, "face": FACE, "both": BOTH}
    windows = cut([37, 9, 20], length, 4)
    reader = WindowReader(CLIPS, branches, windows, TASKS)
    assert len(reader) == len(windows) == 8
    assert reader.widths == {"voice": 4, "face": 5, "both": 11}
    chosen = [7, 0, 4, 5, 2]
    batch = reader[chosen]
    assert len(batch) == 5
    assert batch.clip.tolist() == windows.clip[chosen].tolist()
    assert batch.start.tolist() == windows.start[chosen].tolist()
    dtypes = {name: tensor.dtype for name, tensor in batch.inputs.items()}
    assert dtypes == {"voice": torch.float32, "face": torch.float16, "both": torch.float32}
    assert batch.targets["va"].dtype == batch.targets["au"].dtype == torch.float32
    assert batch.targets["expr"].dtype == torch.int64
    checked = 0
    for row, window in enumerate(chosen):
        clip, start = CLIPS[windows.clip[window]], windows.start[window]
        arrays = clip.features.arrays
        for t in range(length):
            at = start + t
            exists = at < clip.frames
            assert batch.exists[row, t] == exists
            if not exists:
                for masks in (batch.seen, batch.valid):
                    assert not any(mask[row, t].any() for mask in masks.values())
                assert all((x[row, t] == 0).all() for x in batch.inputs.values())
                continue
            face, mesh = arrays["face"][at], arrays["mesh"][at].ravel()
            seen = {
                "voice": bool(arrays["has_sound"][at]),
                "face": not np.isnan(face).all(),
                "both": not np.isnan(face).all() and not np.isnan(mesh).all(),
            }
            values = {
                "voice": arrays["audio"][at],
                "face": face,
                "both": np.concatenate([face, mesh]),
            }
            for name in branches:
                assert batch.seen[name][row, t] == seen[name]
                np.testing.assert_array_equal(batch.inputs[name][row, t].numpy(), values[name])
            anything = any(seen.values())
            for task in TASKS:
                found = batch.targets[task][row, t].numpy()
                valid = batch.valid[task][row, t].numpy()
                if task not in clip.labels:
                    assert not valid.any()
                    continue
                label = clip.labels[task][at]
                known = ~np.isnan(label) if task == "va" else label != -1
                np.testing.assert_array_equal(valid, known & anything)
                np.testing.assert_array_equal(found[valid], label[valid])
                checked += int(valid.sum())
    assert checked > 300


def test_invalid_labels_are_never_fed() -> None:
    """Nothing that is NaN or -1 is left in targets of numbers, whatever the mask says."""
    batch = WindowReader(CLIPS, {"face": FACE}, cut([37, 9, 20], 12, 0), TASKS)[[0, 3, 4]]
    assert torch.isfinite(batch.targets["va"]).all()
    assert set(batch.targets["au"].unique().tolist()) == {0, 1}
    for task, valid in batch.valid.items():
        assert valid.any()
        assert (batch.targets[task][valid] >= -1).all()
    assert (batch.targets["expr"][batch.valid["expr"]] >= 0).all()


def test_frames_that_no_branch_sees_are_not_learned_from() -> None:
    clip = make_clip("a", 40)
    unseen = ~clip.features.arrays["has_sound"]
    assert (unseen & (clip.labels["expr"] >= 0)).any()
    batch = WindowReader([clip], {"voice": AUDIO}, cut([40], 40, 0), TASKS)[[0]]
    for valid in batch.valid.values():
        assert not valid[0][unseen].any()


def test_arrays_of_other_types_are_numbers_too() -> None:
    counts = Branch("video", ("count", "wide"), LAYERS)
    clip = make_clip("a", 6, wide=np.full((6, 1), 1 / 3))
    batch = WindowReader([clip], {"x": counts}, cut([6], 6, 0), {})[[0]]
    assert batch.inputs["x"].dtype == torch.float32
    assert batch.seen["x"].all()
    np.testing.assert_array_equal(batch.inputs["x"][0, :, :2], clip.features.arrays["count"])
    assert batch.inputs["x"][0, 0, 2] == np.float32(1 / 3)
    assert (batch.targets, batch.valid) == ({}, {})


@pytest.mark.parametrize("chosen", [[0, 1], [1, 0]])
def test_clips_of_different_precision_lose_nothing(chosen) -> None:
    half = make_clip("a", 4, face=np.ones((4, 5), np.float16))
    whole = make_clip("b", 4, face=np.full((4, 5), 1e6, np.float32))
    batch = WindowReader([half, whole], {"face": FACE}, cut([4, 4], 4, 0), {})[chosen]
    assert batch.inputs["face"][:, 0, 0].tolist() == [[1, 1e6][i] for i in chosen]


@pytest.mark.parametrize(("branch", "width"), [(AUDIO, 4), (BOTH, 11)])
def test_normalising_by_the_clip(branch, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CHUNK", 7)
    raw = BranchReader(CLIPS[0].features, branch, "a")
    own = BranchReader(CLIPS[0].features, replace(branch, normalise="clip"), "a")
    assert raw.width == own.width == width
    values, seen = raw.read(0, 37)
    found, there = own.read(0, 37)
    np.testing.assert_array_equal(seen, there)
    exact = values[seen].astype(np.float64)
    mean, deviation = np.nanmean(exact, axis=0), np.nanstd(exact, axis=0)
    np.testing.assert_allclose(found[seen], (exact - mean) / deviation, rtol=1e-4, atol=1e-5)
    assert found.dtype == own.dtype == np.float32
    # A window has what the whole has.
    np.testing.assert_array_equal(own.read(5, 11)[0], found[5:11])
    batch = WindowReader(
        CLIPS[:1], {"x": replace(branch, normalise="clip")}, cut([37], 37, 0), {}
    )[[0]]
    np.testing.assert_array_equal(batch.inputs["x"][0].numpy(), found)


def test_windows_of_short_clips_alone_are_as_long_as_the_longest() -> None:
    windows = cut([37, 9, 5], 12, 4)
    clips = [CLIPS[0], CLIPS[1], make_clip("s", 5)]
    reader = WindowReader(clips, {"voice": AUDIO}, windows, TASKS)
    whole, short, tiny = len(windows) - 3, len(windows) - 2, len(windows) - 1
    for chosen, length in (([short, tiny], 9), ([tiny], 5), ([tiny, whole], 12)):
        batch = reader[chosen]
        shape = (len(chosen), length)
        assert batch.exists.shape == batch.seen["voice"].shape == shape
        assert batch.inputs["voice"].shape == (*shape, 4)
        assert batch.targets["expr"].shape == batch.valid["expr"].shape == shape
        assert batch.targets["au"].shape == batch.valid["au"].shape == (*shape, 12)
        assert batch.exists.sum(1).tolist() == [{short: 9, tiny: 5, whole: 12}[i] for i in chosen]


def test_reading_stops_with_the_clip() -> None:
    values, seen = BranchReader(CLIPS[1].features, FACE, "b").read(5, 20)
    assert (values.shape, seen.shape) == ((4, 5), (4,))


def test_a_missing_array() -> None:
    with pytest.raises(FeatureError) as error:
        WindowReader(CLIPS, {"x": replace(FACE, features=("face", "gaze"))}, cut([], 5, 0), {})
    assert error.value.problem == (
        "'a' has no features called 'gaze' (it has audio, count, face, has_sound, mesh)"
    )


def test_features_of_different_widths() -> None:
    other = make_clip("b", 5, face=np.zeros((5, 7), np.float32))
    with pytest.raises(FeatureError, match=r"branch 'x' .* widths: 5 in 'a' and 7 in 'b'"):
        WindowReader([CLIPS[0], other], {"x": FACE}, cut([37, 5], 5, 0), {})


def test_a_loader_reads_batches() -> None:
    reader = WindowReader(CLIPS, {"face": FACE}, cut([37, 9, 20], 12, 4), TASKS)
    loader = torch.utils.data.DataLoader(reader, sampler=[[0, 3], [5]], batch_size=None)
    assert [batch.start.tolist() for batch in loader] == [[0, 24], [0]]


def test_branch_moments_are_over_all_clips(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CHUNK", 7)
    rows = []
    for clip in CLIPS:
        arrays = clip.features.arrays
        both = np.concatenate([arrays["face"], arrays["mesh"].reshape(-1, 6)], axis=1)
        whole = ~np.isnan(arrays["face"]).all(1) & ~np.isnan(arrays["mesh"]).all((1, 2))
        rows.append(both[whole].astype(np.float64))
    every = np.concatenate(rows)
    mean, deviation = branch_moments(CLIPS, BOTH)
    np.testing.assert_allclose(mean, np.nanmean(every, axis=0), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(deviation, np.nanstd(every, axis=0), rtol=1e-5)
    with pytest.raises(ValueError, match="no clips"):
        branch_moments([], BOTH)


def test_moments_of_silence_and_of_the_faceless() -> None:
    clip = make_clip("a", 5, has_sound=np.zeros(5, bool), face=np.full((5, 3), np.nan))
    for branch, width in ((AUDIO, 4), (FACE, 3)):
        mean, deviation = branch_moments([clip], branch)
        assert (mean.tolist(), deviation.tolist()) == ([0] * width, [1] * width)


# Which windows have labels.


@pytest.mark.parametrize("tasks", [("va",), ("expr",), ("au",), ("va", "expr"), ()])
def test_labelled_windows(tasks) -> None:
    quiet = make_clip("q", 30)
    for task, nothing in (("va", np.nan), ("expr", -1), ("au", -1)):
        quiet.labels[task][3:22] = nothing
    quiet.labels["va"][12, 1] = 0.5
    clips = [quiet, CLIPS[1]]
    windows = cut([30, 9], 5, 2)
    kept = labelled(windows, clips, tasks)
    expected = [
        (c, s)
        for c, s in zip(windows.clip.tolist(), windows.start.tolist(), strict=True)
        if any(clips[c].valid(task)[s : s + 5].any() for task in tasks if task in clips[c].labels)
    ]
    assert list(zip(kept.clip.tolist(), kept.start.tolist(), strict=True)) == expected
    assert len(kept) < len(windows)
    assert kept.length == 5
