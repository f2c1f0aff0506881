"""Applying a network to whole clips: windows in, one prediction a frame out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from avaffect.arrays import ArrayRecord
from avaffect.networks.memory import by_halves
from avaffect.tasks.registry import TASKS
from avaffect.windows.arrays import WindowArrays
from avaffect.windows.merge import Merger
from avaffect.windows.reader import WindowReader

if TYPE_CHECKING:
    import torch

    from avaffect.networks.network import AffectNetwork
    from avaffect.windows.batch import Batch

# Windows at a time.
BATCH = 256
# Pictures in memory at a time, 38 kB each.
PICTURES = 2048


@dataclass(frozen=True, eq=False, repr=False)
class ClipPrediction(ArrayRecord):
    """A network's prediction for one clip of N frames.

    Attributes:
        clip: its index in the reader.
        values: by task, float32 [N, K]: ``va`` in [-1, 1], probabilities of ``expr`` and ``au``;
            NaN where no branch sees the frame.
        seen: by branch that reads features, bool [N].
    """

    clip: int
    values: dict[str, NDArray[np.float32]]
    seen: dict[str, NDArray[np.bool_]]


Run = Callable[[WindowArrays], dict[str, NDArray[np.float32]]]
"""Applies a network to B windows of T frames: by task, float32 [B, T, K], values or probabilities;
anything where nothing is seen."""


def network_run(network: AffectNetwork, device: torch.device) -> Run:
    """A network of torch's on ``device`` as a function; it is set to evaluation."""
    from avaffect.windows.batch import Batch

    network.eval()
    return lambda windows: computed(network, Batch.of(windows), device)


def computed(
    network: AffectNetwork, batch: Batch, device: torch.device
) -> dict[str, NDArray[np.float32]]:
    """What ``network``, which is on ``device`` and set to evaluation, makes of windows; see
    :data:`Run`."""
    import torch

    def compute(part: slice) -> dict[str, NDArray[np.float32]]:
        some = batch.rows(part).to(device)
        with torch.inference_mode():
            outputs = network(some.inputs, some.seen, some.exists)
        return {
            task: probabilities(task, output).float().cpu().numpy()
            for task, output in outputs.items()
        }

    parts = by_halves(compute, len(batch), f"window of {batch.exists.shape[1]} frames")
    return {task: np.concatenate([part[task] for part in parts]) for task in parts[0]}


def apply_network(
    network: AffectNetwork,
    reader: WindowReader,
    device: torch.device,
    *,
    batch_size: int = BATCH,
    clips: Sequence[int] | None = None,
    workers: int | None = None,
) -> Iterator[ClipPrediction]:
    """Apply ``network``, which is on ``device``, to clips; see :func:`apply_run`.

    Args:
        workers: processes that decode pictures ahead, see `windows.loader.read_ahead`; features
            are read in this one.
    """
    from avaffect.windows.loader import read_ahead

    network.eval()
    windows = windows_of(reader, clips)
    batches = batches_of(reader, windows, batch_size)
    ahead = read_ahead(reader, batches, device, workers if reader.pictures else 0)
    values = ((batch, computed(network, batch, device)) for batch in ahead)
    return _gather(reader, windows, values)


def apply_run(
    run: Run,
    reader: WindowReader,
    *,
    batch_size: int = BATCH,
    clips: Sequence[int] | None = None,
) -> Iterator[ClipPrediction]:
    """Apply a network to clips, each frame once: overlapping windows are averaged.

    Args:
        run: the network.
        reader: the clips and their windows, which cover each frame.
        batch_size: windows at a time; fewer where they hold pictures.
        clips: indices of those to apply it to; None takes all.
    """
    windows = windows_of(reader, clips)
    read = map(reader.arrays, batches_of(reader, windows, batch_size))
    return _gather(reader, windows, ((some, run(some)) for some in read))


def windows_of(reader: WindowReader, clips: Sequence[int] | None) -> dict[int, range]:
    """By clip its windows, which lie side by side."""
    chosen = np.arange(len(reader.clips)) if clips is None else np.asarray(clips, np.int64)
    clip = reader.windows.clip
    first, last = np.searchsorted(clip, chosen, "left"), np.searchsorted(clip, chosen, "right")
    return dict(zip(chosen.tolist(), map(range, first.tolist(), last.tolist()), strict=True))


def batches_of(
    reader: WindowReader,
    windows: Mapping[int, range],
    batch_size: int = BATCH,
    pictures: int | None = None,
) -> list[list[int]]:
    """Which windows are computed together; batches go on over the ends of short clips.

    Args:
        reader: the clips.
        windows: from :func:`windows_of`.
        batch_size: windows at a time.
        pictures: at the most in a batch, unless a single window has more; None takes `PICTURES`.
    """
    if reader.pictures:
        most = PICTURES if pictures is None else pictures
        batch_size = max(1, min(batch_size, most // reader.windows.length))
    order = [window for of_clip in windows.values() for window in of_clip]
    return [order[at : at + batch_size] for at in range(0, len(order), batch_size)]


def _gather(
    reader: WindowReader,
    windows: Mapping[int, range],
    computed: Iterable[tuple[Batch | WindowArrays, dict[str, NDArray[np.float32]]]],
) -> Iterator[ClipPrediction]:
    """Whole clips, each as soon as its last window was computed."""
    gatherer = Gatherer(reader, windows)
    for batch, values in computed:
        yield from gatherer.add(batch, values)


class Gatherer:
    """Puts the predictions of windows together to those of clips.

    Args:
        reader: the clips.
        windows: by clip, its windows.
    """

    def __init__(self, reader: WindowReader, windows: Mapping[int, range]) -> None:
        self._reader = reader
        self._left = {clip: len(of_clip) for clip, of_clip in windows.items()}
        self._gathered: dict[int, _Gathered] = {}

    def add(
        self, batch: Batch | WindowArrays, values: Mapping[str, NDArray[np.float32]]
    ) -> list[ClipPrediction]:
        """Add a batch's values; the clips that are whole by it."""
        done = []
        seen = {name: _inside(there, batch) for name, there in batch.seen.items()}
        places = zip(batch.clip.tolist(), batch.start.tolist(), strict=True)
        for row, (clip, start) in enumerate(places):
            if clip not in self._gathered:
                self._gathered[clip] = _Gathered(self._reader.clips[clip].frames)
            self._gathered[clip].add(start, row, values, seen)
            self._left[clip] -= 1
            if not self._left[clip]:
                done.append(self._gathered.pop(clip).result(clip))
        return done


def _inside(
    seen: torch.Tensor | NDArray[np.bool_], batch: Batch | WindowArrays
) -> NDArray[np.bool_]:
    """bool [B, T]: without the frames beside the windows, see `windows.batch.Batch`."""
    frames = batch.exists.shape[1]
    margin = (seen.shape[1] - frames) // 2
    return np.asarray(seen)[:, margin : margin + frames]


class _Gathered:
    """The predictions for a clip of so many frames while its windows come in."""

    def __init__(self, frames: int) -> None:
        self._frames = frames
        self._mergers: dict[str, Merger] = {}
        self._seen: dict[str, NDArray[np.bool_]] = {}

    def add(
        self,
        start: int,
        row: int,
        values: Mapping[str, NDArray[np.float32]],
        seen: Mapping[str, NDArray[np.bool_]],
    ) -> None:
        """A window that begins at ``start``: the row of a batch's values and masks."""
        for name, there in seen.items():
            mine = self._seen.setdefault(name, np.zeros(self._frames, bool))
            mine[start : start + there.shape[1]] |= there[row][: self._frames - start]
        for task, some in values.items():
            merger = self._mergers.setdefault(task, Merger(self._frames, some.shape[2]))
            merger.add(start, some[row])

    def result(self, clip: int) -> ClipPrediction:
        """The whole clip's prediction."""
        anything = np.any(list(self._seen.values()), axis=0)
        merged = {task: merger.result() for task, merger in self._mergers.items()}
        for values in merged.values():
            values[~anything] = np.nan
        return ClipPrediction(clip, merged, self._seen)


def probabilities(task: str, output: torch.Tensor) -> torch.Tensor:
    """A network's output ([..., K]) as values (``va``) or probabilities."""
    values: torch.Tensor = TASKS[task].activate(output)
    return values
