"""What the network of a stack reads: the predictions of its members, as features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avaffect.arrays import ArrayRecord
from avaffect.errors import UnknownNameError
from avaffect.files.tensors import Array, ArraySpec
from avaffect.predictions.voting import average
from avaffect.predictors.joined import (
    Values,
)
from avaffect.recipes.ensemble import OPINIONS
from avaffect.tasks.registry import TASKS


def stacked_values(voters: Sequence[Values]) -> NDArray[np.float32]:
    """What the network of a stack reads of each frame.

    Args:
        voters: of M voters, over the same tasks with T targets in all.

    Returns:
        float32 [N, T * M]: of the first target what each voter says, then of the next one; for
        ``va`` the M valences and the M arousals (seed paper 003's F_j). Where a voter has no
        opinion it says what the others say on average; where nobody has one, the row is NaN.
    """
    columns = []
    for task in sorted(voters[0], key=[*TASKS].index):
        each = np.stack([one[task] for one in voters])  # [M, N, K]
        mean = average(each, np.ones(len(voters)))
        each = np.where(np.isnan(each), mean, each)
        voter, frames, target = each.shape
        columns.append(each.transpose(1, 2, 0).reshape(frames, target * voter))
    return np.concatenate(columns, axis=1).astype(np.float32)


def stacked_names(voters: Sequence[str], targets: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """What the columns of :func:`stacked_values` are called, e.g. ``valence stage1-0``."""
    tasks = sorted(targets, key=[*TASKS].index)
    return tuple(f"{name} {voter}" for task in tasks for name in targets[task] for voter in voters)


@dataclass(frozen=True, eq=False, repr=False)
class OpinionFeatures(ArrayRecord):
    """A clip's :func:`stacked_values` as a ``datasets.clip.FeatureSource``.

    Attributes:
        values: float32 [N, K].
        times: float64 [N], seconds, None if nobody knows.
    """

    values: NDArray[np.float32]
    times: NDArray[np.float64] | None = None

    @property
    def frames(self) -> int:
        """N."""
        return len(self.values)

    @property
    def specs(self) -> dict[str, ArraySpec]:
        """``opinions`` and nothing else."""
        return {OPINIONS: ArraySpec((self.values.shape[1],), "float32")}

    def array(self, name: str, start: int = 0, stop: int | None = None) -> Array:
        """Rows ``start`` to ``stop`` of ``opinions``."""
        if name != OPINIONS:
            raise UnknownNameError("array", name, [OPINIONS])
        return self.values[start:stop]
