"""Several networks applied to the same clips: pictures are decoded once for all of them.

Networks whose windows are cut alike get the very same batches. Those of others read from the
pictures that were decoded last, and all go through a clip side by side.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from heapq import merge
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from avaffect.datasets.clip import Clip, FeatureSource
from avaffect.files.npy import Array, ArraySpec
from avaffect.networks.apply import (
    BATCH,
    PICTURES,
    ClipPrediction,
    Gatherer,
    batches_of,
    windows_of,
)
from avaffect.recipes.pictures import FACE_PICTURES
from avaffect.recipes.recipe import Recipe
from avaffect.windows.arrays import WindowArrays
from avaffect.windows.reader import WindowReader, whole_clips

if TYPE_CHECKING:
    from avaffect.windows.batch import Batch

Compute = Callable[[Any], Mapping[str, NDArray[np.float32]]]
"""From what is read of windows to values, as `networks.apply.Run`."""
Ahead = Callable[[WindowReader, list[list[int]]], Iterable[Any]]
"""Reads the windows of each batch, in order: WindowArrays, or Batch."""

# Where windows are cut differently: pictures of a batch, those remembered, and at a time.
_SMALL, _REMEMBERED, _BLOCK = PICTURES // 4, PICTURES, 64


def read_arrays(reader: WindowReader, batches: list[list[int]]) -> Iterable[WindowArrays]:
    """The batches as arrays, read when they are asked for."""
    return map(reader.arrays, batches)


def apply_together(
    networks: Sequence[tuple[Recipe, Compute]],
    clips: Sequence[Clip],
    ahead: Ahead = read_arrays,
    *,
    remember: bool = True,
    check: Callable[[int, WindowReader], None] = lambda number, reader: None,
) -> Iterator[tuple[int, ClipPrediction]]:
    """Apply networks to whole clips; see `networks.apply.apply_run`.

    Memory is bounded, however long clips are.

    Args:
        networks: recipe and function of each.
        clips: the clips; all networks read all of them.
        ahead: how windows are read.
        remember: keep the pictures that were decoded last, for networks whose windows are cut
            otherwise. Does nothing for ``ahead`` in other processes, which is faster without.
        check: called with a network's number and the reader that it gets, to refuse it.

    Yields:
        the network's number and a clip's prediction, as soon as the clip's last window is done.
    """
    groups: dict[Any, list[int]] = {}
    for number, (recipe, _) in enumerate(networks):
        groups.setdefault(_cut(recipe), []).append(number)
    recipes = [networks[numbers[0]][0] for numbers in groups.values()]
    seeing = sum(any(branch.encoder for branch in recipe.roots.values()) for recipe in recipes)
    several = remember and seeing > 1
    if several:
        memory = _Memory()
        clips = [replace(clip, features=_Remembered(clip.features, memory)) for clip in clips]
    streams = []
    for number, (recipe, numbers) in enumerate(zip(recipes, groups.values(), strict=True)):
        reader = whole_clips(clips, recipe, {})
        for mine in numbers:
            check(mine, reader)
        streams.append(_batches(number, reader, ahead, _SMALL if several else PICTURES))
    gatherers: dict[int, Gatherer] = {}
    members = list(groups.values())
    for _, group, reader, batch in merge(*streams, key=lambda entry: entry[:2]):
        for mine in members[group]:
            if mine not in gatherers:
                gatherers[mine] = Gatherer(reader, windows_of(reader, None))
            for predicted in gatherers[mine].add(batch, networks[mine][1](batch)):
                yield mine, predicted


def _batches(
    group: int, reader: WindowReader, ahead: Ahead, pictures: int
) -> Iterator[tuple[tuple[int, int], int, WindowReader, Batch | WindowArrays]]:
    """Batches with the clip and frame that they begin with, by which streams are merged."""
    batches = batches_of(reader, windows_of(reader, None), BATCH, pictures)
    for batch in ahead(reader, batches):
        yield (int(batch.clip[0]), int(batch.start[0])), group, reader, batch


def _cut(recipe: Recipe) -> Any:
    """What is the same for recipes that read the same windows."""
    roots = recipe.roots.items()
    overlap = recipe.window.predict_overlap
    return (
        recipe.window.length,
        recipe.window.overlap if overlap is None else overlap,
        tuple((name, branch.reads, branch.encoder is None) for name, branch in roots),
        tuple(recipe.margins.items()),
    )


class _Memory:
    """Blocks of pictures that were decoded last."""

    def __init__(self) -> None:
        self._blocks: OrderedDict[tuple[int, int], Array] = OrderedDict()

    def block(self, key: tuple[int, int], decode: Callable[[], Array]) -> Array:
        """That of ``key``, decoded unless it is there."""
        if key not in self._blocks:
            self._blocks[key] = decode()
            while len(self._blocks) * _BLOCK > _REMEMBERED:
                self._blocks.popitem(last=False)
        self._blocks.move_to_end(key)
        return self._blocks[key]


class _Remembered:
    """A clip's features, whose pictures come from the memory."""

    def __init__(self, features: FeatureSource, memory: _Memory) -> None:
        self._features, self._memory = features, memory

    @property
    def frames(self) -> int:
        return self._features.frames

    @property
    def specs(self) -> dict[str, ArraySpec]:
        return self._features.specs

    def array(self, name: str, start: int = 0, stop: int | None = None) -> Array:
        """Rows ``start`` to ``stop`` of an array."""
        if name != FACE_PICTURES:
            return self._features.array(name, start, stop)
        start, stop, _ = slice(start, stop).indices(self.frames)
        found = self.specs[name].missing(max(0, stop - start))
        for first in range(start - start % _BLOCK, stop, _BLOCK):
            block = self._memory.block((id(self), first), partial(self._decode, first))
            low, high = max(start, first), min(stop, first + _BLOCK)
            found[low - start : high - start] = block[low - first : high - first]
        return found

    def _decode(self, first: int) -> Array:
        return self._features.array(FACE_PICTURES, first, min(first + _BLOCK, self.frames))
