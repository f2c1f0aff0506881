"""Windows of features and labels as arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avaffect.arrays import ArrayRecord
from avaffect.files.npy import Array


@dataclass(frozen=True, eq=False, repr=False)
class WindowArrays(ArrayRecord):
    """B windows of T frames; see `windows.batch.Batch`, which has the same as tensors."""

    inputs: Mapping[str, Array]
    seen: Mapping[str, NDArray[np.bool_]]
    exists: NDArray[np.bool_]
    targets: Mapping[str, Array]
    valid: Mapping[str, NDArray[np.bool_]]
    clip: NDArray[np.int64]
    start: NDArray[np.int64]
