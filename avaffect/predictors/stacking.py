"""The input of a stack's network: the members' predictions, as features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avaffect.arrays import ArrayRecord
from avaffect.errors import UnknownNameError
from avaffect.files.npy import Array, ArraySpec
from avaffect.predictions.voting import average
from avaffect.predictors.joined import (
    Values,
)
from avaffect.recipes.ensemble_recipe import MEMBER_PREDICTIONS
from avaffect.tasks.registry import TASKS


def stacked_values(members: Sequence[Values]) -> NDArray[np.float32]:
    """The input of a stack's network, frame by frame.

    Args:
        members: predictions of M members, over the same tasks with T targets in all.

    Returns:
        float32 [N, T * M]: each member's prediction of the first target, then of the next one; for
        ``va`` the M valences and the M arousals (F_j of Nguyen et al., ABAW3). Where a member has
        no prediction, the mean of the others stands; where nobody has one, the row is NaN.
    """
    columns = []
    for task in sorted(members[0], key=[*TASKS].index):
        each = np.stack([member[task] for member in members])  # [M, N, K]
        mean = average(each, np.ones(len(members)))
        each = np.where(np.isnan(each), mean, each)
        count, frames, width = each.shape
        columns.append(each.transpose(1, 2, 0).reshape(frames, width * count))
    return np.concatenate(columns, axis=1).astype(np.float32)


def stacked_names(members: Sequence[str], targets: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """The names of the columns of :func:`stacked_values`, e.g. ``valence stage1-0``."""
    tasks = sorted(targets, key=[*TASKS].index)
    return tuple(
        f"{name} {member}" for task in tasks for name in targets[task] for member in members
    )


@dataclass(frozen=True, eq=False, repr=False)
class StackFeatures(ArrayRecord):
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
        return {MEMBER_PREDICTIONS: ArraySpec((self.values.shape[1],), "float32")}

    def array(self, name: str, start: int = 0, stop: int | None = None) -> Array:
        """Rows ``start`` to ``stop`` of ``opinions``."""
        if name != MEMBER_PREDICTIONS:
            raise UnknownNameError("array", name, [MEMBER_PREDICTIONS])
        return self.values[start:stop]
