"""Reading windows: features and labels of clips, gathered into batches."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from avaffect.datasets.clip import Clip, FeatureSource
from avaffect.errors import FeatureError, UsageError
from avaffect.files.npy import Array
from avaffect.moments import Moments
from avaffect.recipes.pictures import FACE_PICTURES
from avaffect.recipes.recipe import Branch, Recipe
from avaffect.tasks.registry import TASKS
from avaffect.windows.arrays import WindowArrays
from avaffect.windows.cut import Windows, cut

if TYPE_CHECKING:
    from avaffect.windows.batch import Batch

_CHUNK = 4096
# The bool array that marks where an array of numbers without NaN is meaningful.
COMPANIONS = {"audio": "has_sound", FACE_PICTURES: "has_face"}
_HINTS = {"opinions": "they are what the ensemble abaw3-va makes on its way"}


class BranchReader:
    """Reads what one branch wants of one clip.

    Args:
        features: the clip's features.
        config: the branch.
        name: the clip's name, for messages.

    Attributes:
        shape: of what is read of a frame, ``(width,)``, or that of a picture.
        width: features a frame, of a picture its cells.
        dtype: float16 or float32, of what is read; of pictures uint8.
        frames: N, of the clip.

    Raises:
        FeatureError: the clip lacks an array.
    """

    def __init__(self, features: FeatureSource, config: Branch, name: str) -> None:
        for array in config.features:
            if array not in features.specs:
                have = ", ".join(sorted(features.specs)) or "none"
                raise FeatureError(
                    f"'{name}' has no features called '{array}' (it has {have})",
                    _HINTS.get(
                        array,
                        "make them by `avaffect features` (its option name is what they are "
                        "called), run `avaffect preprocess` again, or name others with "
                        'changes=["branches.NAME.features=[...]"]',
                    ),
                )
        self._features = features
        self._names = config.features
        self.frames = features.frames
        specs = [features.specs[array] for array in config.features]
        self.width = sum(math.prod(spec.shape) for spec in specs)
        self.shape: tuple[int, ...] = (self.width,)
        half = {spec.dtype for spec in specs} == {"float16"}
        self.dtype = np.dtype(np.float16 if half and config.normalise != "clip" else np.float32)
        self._own: tuple[Array, Array] | None = None
        if config.encoder is not None:
            self.shape, self.dtype = specs[0].shape, np.dtype(np.uint8)
        elif config.normalise == "clip":
            own = Moments(self.width)
            for start in range(0, self.frames, _CHUNK):
                own.add(*self._read(start, start + _CHUNK))
            self._own = _single(own)

    def read(self, start: int, stop: int) -> tuple[Array, NDArray[np.bool_]]:
        """Frames ``start`` to ``stop``.

        Returns:
            of :attr:`dtype` [n, *shape], and bool [n], where there are features.
        """
        values, seen = self._read(start, stop)
        if self._own is not None:
            mean, deviation = self._own
            values = (values - mean) / deviation
        return values, seen

    def _read(self, start: int, stop: int) -> tuple[Array, NDArray[np.bool_]]:
        stop = min(stop, self.frames)
        if self.dtype == np.uint8:
            pictures = self._features.array(FACE_PICTURES, start, stop)
            return pictures, self._features.array(COMPANIONS[FACE_PICTURES], start, stop)
        parts, seen = [], np.ones(stop - start, bool)
        for name in self._names:
            part = self._features.array(name, start, stop).reshape(stop - start, -1)
            if part.dtype not in (np.float16, np.float32):
                part = part.astype(np.float32)
            parts.append(part)
            if name in COMPANIONS:
                seen &= self._features.array(COMPANIONS[name], start, stop)
            else:
                seen &= ~_missing(part)
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1), seen


def _missing(rows: Array) -> NDArray[np.bool_]:
    """bool [n], whether a row [n, F] is NaN throughout; mostly known from its first column."""
    missing: NDArray[np.bool_] = np.isnan(rows[:, 0])
    if missing.any():
        missing[missing] = np.isnan(rows[missing]).all(axis=1)
    return missing


class WindowReader:
    """Clips' windows; indexed by several windows' numbers at once, it gives a ``Batch``.

    As torch's ``DataLoader`` wants a dataset; torch itself is needed for nothing else.

    Args:
        clips: the clips.
        branches: by name, what to read.
        windows: their windows.
        tasks: whose labels to read; those that a clip lacks are not valid.
        widths: by task, the number of targets.

    Attributes:
        clips: the clips.
        windows: their windows.
        widths: by branch, features a frame.
        pictures: whether any branch reads pictures, of which few fit into memory.
    """

    def __init__(
        self,
        clips: Sequence[Clip],
        branches: Mapping[str, Branch],
        windows: Windows,
        tasks: Mapping[str, int],
    ) -> None:
        self.clips = tuple(clips)
        self.windows = windows
        self._tasks = dict(tasks)
        # Branches that read the same read it once: by branch, the first that does.
        reads: dict[Any, str] = {}
        self._same = {
            name: reads.setdefault(branch.reads, name) for name, branch in branches.items()
        }
        self._readers = {
            name: [BranchReader(clip.features, branches[name], clip.name) for clip in clips]
            for name in reads.values()
        }
        self.widths: dict[str, int] = {}
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._dtypes: dict[str, np.dtype[Any]] = {}
        for name, readers in self._readers.items():
            found = {reader.width: clip.name for reader, clip in zip(readers, clips, strict=True)}
            if len(found) > 1:
                widths = " and ".join(f"{width} in '{clip}'" for width, clip in found.items())
                raise FeatureError(
                    f"branch '{name}' has features of different widths: {widths}",
                    "make all features with the same settings",
                )
            self._shapes[name] = readers[0].shape
            self._dtypes[name] = np.result_type(*(reader.dtype for reader in readers))
            same = [other for other, first in self._same.items() if first == name]
            self.widths |= dict.fromkeys(same, readers[0].width)
        self.pictures = np.uint8 in self._dtypes.values()
        most = max(branch.margin for branch in branches.values())
        self._margins = {
            name: most if dtype == np.uint8 else 0 for name, dtype in self._dtypes.items()
        }

    def __len__(self) -> int:
        """The number of windows."""
        return len(self.windows)

    @property
    def window_bytes(self) -> int:
        """Of the features and pictures of a window; labels and masks take little beside them."""
        return sum(
            (self.windows.length + 2 * self._margins[name])
            * math.prod(shape)
            * self._dtypes[name].itemsize
            for name, shape in self._shapes.items()
        )

    def __getitem__(self, chosen: Sequence[int]) -> Batch:
        from avaffect.windows.batch import Batch

        return Batch.of(self.arrays(chosen))

    def arrays(self, chosen: Sequence[int]) -> WindowArrays:
        """The windows of these numbers."""
        rows = np.asarray(chosen, np.int64)
        clip, start = self.windows.clip[rows], self.windows.start[rows]
        # No longer than the longest window, where all clips are short.
        frames = [self.clips[c].frames for c in clip.tolist()]
        shape = (len(rows), min(self.windows.length, int((np.array(frames) - start).max())))
        exists = np.zeros(shape, bool)
        inputs, seen = {}, {}
        for name, margin in self._margins.items():
            wide = shape[0], shape[1] + 2 * margin
            inputs[name] = np.zeros((*wide, *self._shapes[name]), self._dtypes[name])
            seen[name] = np.zeros(wide, bool)
        for i, (c, s) in enumerate(zip(clip.tolist(), start.tolist(), strict=True)):
            exists[i, : frames[i] - s] = True
            for name, readers in self._readers.items():
                margin = self._margins[name]
                first = max(0, s - margin)
                values, there = readers[c].read(first, s + shape[1] + margin)
                at = first - (s - margin)
                inputs[name][i, at : at + len(values)] = values
                seen[name][i, at : at + len(there)] = there
        inside = [seen[name][:, m : m + shape[1]] for name, m in self._margins.items()]
        anything = np.any(inside, axis=0)
        targets, valid = {}, {}
        for task, width in self._tasks.items():
            targets[task], valid[task] = self._labels(task, width, clip, start, shape)
            mine = valid[task]
            mine &= anything if mine.ndim == 2 else anything[..., None]
        return WindowArrays(
            {name: inputs[first] for name, first in self._same.items()},
            {name: seen[first] for name, first in self._same.items()},
            exists,
            targets,
            valid,
            clip,
            start,
        )

    def _labels(
        self,
        task: str,
        width: int,
        clip: NDArray[np.int64],
        start: NDArray[np.int64],
        shape: tuple[int, ...],
    ) -> tuple[Array, NDArray[np.bool_]]:
        ours = TASKS[task]
        # Losses leave out what is not known, whatever stands there.
        nothing = ours.unknown if ours.flat else 0
        shape = shape if ours.flat else (*shape, width)
        targets: Array = np.full(shape, nothing, np.int64 if ours.flat else np.float32)
        valid = np.zeros(shape, bool)
        for i, (c, s) in enumerate(zip(clip.tolist(), start.tolist(), strict=True)):
            labels = self.clips[c].labels.get(task)
            if labels is not None:
                part = labels[s : s + shape[1]]
                known = ours.known(part)
                targets[i, : len(part)] = np.where(known, part, nothing)
                valid[i, : len(part)] = known
        return targets, valid


def whole_clips(clips: Sequence[Clip], recipe: Recipe, tasks: Mapping[str, int]) -> WindowReader:
    """A reader of windows that cover each frame, as validation and prediction want them.

    Args:
        clips: the clips.
        recipe: how windows overlap, and what its branches read.
        tasks: see :class:`WindowReader`.
    """
    window = recipe.window
    overlap = window.overlap if window.predict_overlap is None else window.predict_overlap
    windows = cut([clip.frames for clip in clips], window.length, overlap)
    return WindowReader(clips, recipe.roots, windows, tasks)


def branch_moments(
    clips: Sequence[Clip], config: Branch
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean and deviation (float32 [F]) of a branch's features over all frames of ``clips``."""
    found: Moments | None = None
    for clip in clips:
        reader = BranchReader(clip.features, config, clip.name)
        found = found or Moments(reader.width)
        for start in range(0, reader.frames, _CHUNK):
            found.add(*reader.read(start, start + _CHUNK))
    if found is None:
        raise UsageError("no clips")
    return _single(found)


def _single(moments: Moments) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    mean, deviation = moments.result()
    return mean.astype(np.float32), deviation.astype(np.float32)


def labelled(windows: Windows, clips: Sequence[Clip], tasks: Sequence[str]) -> Windows:
    """The windows with at least one label of any of ``tasks``."""
    sums = []
    for clip in clips:
        known = np.zeros(clip.frames, bool)
        for task in tasks:
            if task in clip.labels:
                mine = clip.valid(task)
                known |= mine if mine.ndim == 1 else mine.any(axis=1)
        sums.append(np.concatenate([[0], np.cumsum(known)]))
    counts = [
        sums[c][min(s + windows.length, len(sums[c]) - 1)] - sums[c][s]
        for c, s in zip(windows.clip.tolist(), windows.start.tolist(), strict=True)
    ]
    return windows.keep(np.array(counts, np.int64) > 0)
