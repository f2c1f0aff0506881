"""A face in a picture as a subject of one row: what predictors read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from avaffect.errors import UsageError
from avaffect.faces.quality import REGIONS
from avaffect.files.npy import Array, ArraySpec
from avaffect.preprocessing.face_reader import ReadFace
from avaffect.store.subject import GEOMETRY, SubjectFeatures

if TYPE_CHECKING:
    import pandas as pd


class StillFace(SubjectFeatures):
    """One face, or none, at time 0. It stands for no time, see ``predictors.starter.neutral``.

    Args:
        face: what was read of it; None where nobody was found.
        arrays: those that a face has, by name.
    """

    def __init__(self, face: ReadFace | None, arrays: Mapping[str, ArraySpec]) -> None:
        self._face = face
        self._arrays = dict(arrays)

    @property
    def name(self) -> str:
        return "picture"

    @property
    def times(self) -> NDArray[np.float64]:
        return np.zeros(1)

    @property
    def present(self) -> NDArray[np.bool_]:
        return np.array([self._face is not None])

    @property
    def confidence(self) -> NDArray[np.float32]:
        return self._number(None if self._face is None else self._face.confidence)

    @property
    def presence(self) -> NDArray[np.float32]:
        return self._number(None if self._face is None else self._face.presence)

    @property
    def seen(self) -> NDArray[np.float32]:
        if self._face is None:
            return np.full((1, len(REGIONS)), np.nan, np.float32)
        return self._face.seen[None]

    @property
    def geometry(self) -> NDArray[np.float32]:
        face = self._face
        if face is None:
            return np.full((1, len(GEOMETRY)), np.nan, np.float32)
        return np.concatenate([face.box, face.points.reshape(-1), face.pose])[None].astype(
            np.float32
        )

    @property
    def specs(self) -> dict[str, ArraySpec]:
        return dict(self._arrays)

    def table(self) -> pd.DataFrame:
        raise UsageError("a picture has no frame table", "read its row of the table of pictures")

    def _slice(self, name: str, start: int, stop: int) -> Array:
        spec = self._arrays[name]
        if self._face is None:
            return spec.missing(stop - start)
        return np.asarray(self._face.arrays[name], spec.dtype)[None][start:stop]

    @staticmethod
    def _number(value: float | None) -> NDArray[np.float32]:
        return np.array([np.nan if value is None else value], np.float32)
