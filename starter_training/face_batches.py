"""Batches for training the face net: from all sets, each class often enough, spoiled.

A batch is a function of the seed and the step. A run that was interrupted anywhere goes on as it
would have, whatever reads ahead.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from face_data import Faces
from face_sets import SETS
from face_spoils import spoiled
from torch import Tensor
from torch.utils.data import Dataset

# How often each set is asked; of a set that is left out the others take over.
SHARES = {"ferplus": 0.4, "rafdb": 0.3, "affectnet8": 0.3}
# Off labels that are sure of one class; votes that differ already say how sure people are.
SMOOTHING = 0.1


@dataclass(frozen=True)
class Batch:
    """``B`` faces and what is known of them.

    Attributes:
        faces: uint8 [B, side, side, 3].
        target: float32 [B, 8], what to say; rows sum to 1.
        asked: bool [B, 8], the classes that the picture's labels know.
        values: float32 [B, 2], NaN where not known.
        units: float32 [B, 12] in 0..1, NaN where not known.
    """

    faces: Tensor
    target: Tensor
    asked: Tensor
    values: Tensor
    units: Tensor

    def to(self, device: str) -> Batch:
        return Batch(*(value.to(device, non_blocking=True) for value in vars(self).values()))


class Batches(Dataset[Batch]):
    """The batch of each step from ``first`` to before ``last``.

    Args:
        sets: what to learn from.
        size: faces in a batch.
        side: of a face in pixels.
        share: of the pictures to spoil.
        seed: other seeds give other batches.
    """

    def __init__(
        self,
        sets: Mapping[str, Faces],
        size: int,
        side: int,
        share: float,
        seed: int,
        first: int,
        last: int,
    ) -> None:
        self._sets, self._side, self._share = dict(sets), side, share
        self._size, self._seed, self._first, self._last = size, seed, first, last
        self._rows = {name: faces.rows("train") for name, faces in sets.items()}
        self._weights = {name: self._weights_of(faces) for name, faces in sets.items()}
        shares = np.array([SHARES[name] for name in sets])
        self._shares = shares / shares.sum()

    def __len__(self) -> int:
        return self._last - self._first

    def __getitem__(self, at: int) -> Batch:
        cv2.setNumThreads(1)
        rng = np.random.default_rng((self._seed, self._first + at))
        names = list(self._sets)
        chosen = []
        for count, name in zip(rng.multinomial(self._size, self._shares), names, strict=True):
            rows = rng.choice(self._rows[name], count, p=self._weights[name])
            chosen += [(name, row) for row in rows]
        faces = [
            spoiled(
                self._sets[name].pictures[row],
                self._sets[name].matrices[row],
                self._side,
                rng,
                self._share,
            )
            for name, row in chosen
        ]
        asked = np.stack([np.arange(8) < SETS[name].classes for name, _ in chosen])
        target = np.stack([self._sets[name].labels.target[row] for name, row in chosen])
        hard = (target.max(axis=1) == 1)[:, None]
        even = asked / asked.sum(axis=1, keepdims=True)
        target = np.where(hard, (1 - SMOOTHING) * target + SMOOTHING * even, target)
        return Batch(
            torch.from_numpy(np.stack(faces)),
            torch.from_numpy(target.astype(np.float32)),
            torch.from_numpy(asked),
            torch.from_numpy(np.stack([self._sets[name].values[row] for name, row in chosen])),
            torch.from_numpy(np.stack([self._sets[name].units[row] for name, row in chosen])),
        )

    def _weights_of(self, faces: Faces) -> np.ndarray:
        """Half way between each class as often as it is and each as often as every other."""
        rows = faces.rows("train")
        classes = faces.labels.target[rows].argmax(axis=1)
        weights = np.bincount(classes, minlength=8)[classes] ** -0.5
        return weights / weights.sum()
