"""A subject whose features are, wholly or in part, tables that users bring."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from avaffect.datasets.own_tables import OwnClip, OwnTables
from avaffect.errors import FeatureError, UnknownNameError, UsageError, need
from avaffect.files.npy import Array, ArraySpec
from avaffect.store.pictures import PictureFolder, WithPictures
from avaffect.store.provenance import backbone_key
from avaffect.store.subject import COLUMNS, SubjectFeatures

if TYPE_CHECKING:
    import pandas as pd

_CHUNK = 4096


class OwnSource:
    """Own arrays of a clip beside those of its store or pictures, a `clip.FeatureSource`.

    Args:
        own: the own arrays.
        models: by array, what made it, see `own_tables.OwnTables.models`.
        base: the others; None for none.

    Raises:
        UsageError: an own array is called as one of the store's.
    """

    def __init__(
        self,
        own: OwnClip,
        models: Mapping[str, str],
        base: WithPictures | PictureFolder | None = None,
    ) -> None:
        self._own, self._models = own, models
        self._base = base.lasting(own.frames) if isinstance(base, PictureFolder) else base
        theirs = {} if self._base is None else self._base.specs
        if same := sorted(theirs.keys() & own.arrays.keys()):
            raise UsageError(
                f"the preprocessed folder has an array '{same[0]}' already",
                'give your tables another name, as features="NAME=FOLDER"',
            )

    @property
    def frames(self) -> int:
        """N."""
        return self._own.frames

    @property
    def times(self) -> NDArray[np.float64] | None:
        """float64 [N], seconds; None if nobody knows them."""
        return self._own.times

    @property
    def specs(self) -> dict[str, ArraySpec]:
        """The arrays there are, by name."""
        base = {} if self._base is None else self._base.specs
        return base | {name: array.spec for name, array in self._own.arrays.items()}

    @property
    def provenance(self) -> Mapping[str, Any]:
        """That of the store, and what made the own arrays."""
        base: Mapping[str, Any] = getattr(self._base, "provenance", {})
        keys = {name: backbone_key(model, "") for name, model in self._models.items()}
        return {**base, "keys": {**base.get("keys", {}), **keys}}

    def array(self, name: str, start: int = 0, stop: int | None = None) -> Array:
        """Rows ``start`` to ``stop`` (0-based, as Python slices) of an array.

        Raises:
            UnknownNameError: there is no such array.
            FormatError, FeatureError: it cannot be read.
        """
        if name in self._own.arrays:
            start, stop, _ = slice(start, stop).indices(self.frames)
            return self._own.arrays[name].read(start, max(start, stop))
        if self._base is None:
            raise UnknownNameError("own array", name, self._own.arrays)
        return self._base.array(name, start, stop)


class OwnSubject(SubjectFeatures):
    """A subject with own arrays, as predictors take it.

    Args:
        name: the subject's name.
        own: its own arrays.
        times: float64 [N], seconds.
        base: the stored subject; None where there is none: then a subject is present where an
            own array has a row.
    """

    def __init__(
        self,
        name: str,
        own: OwnClip,
        times: NDArray[np.float64],
        base: SubjectFeatures | None = None,
    ) -> None:
        self._name, self._own, self._times, self._base = name, own, times, base

    @property
    def name(self) -> str:
        return self._name

    @property
    def times(self) -> NDArray[np.float64]:
        return self._times

    @property
    def present(self) -> NDArray[np.bool_]:
        if self._base is not None:
            return self._base.present
        found = np.zeros(self._own.frames, bool)
        for array in self._own.arrays.values():
            for start in range(0, self._own.frames, _CHUNK):
                stop = min(start + _CHUNK, self._own.frames)
                found[start:stop] |= ~np.isnan(array.read(start, stop)).all(axis=1)
        return found

    @property
    def confidence(self) -> NDArray[np.float32]:
        if self._base is not None:
            return self._base.confidence
        return np.full(self._own.frames, np.nan, np.float32)

    @property
    def presence(self) -> NDArray[np.float32]:
        return self.confidence if self._base is None else self._base.presence

    @property
    def seen(self) -> NDArray[np.float32]:
        return super().seen if self._base is None else self._base.seen

    @property
    def geometry(self) -> NDArray[np.float32] | None:
        return None if self._base is None else self._base.geometry

    @property
    def specs(self) -> dict[str, ArraySpec]:
        base = {} if self._base is None else self._base.specs
        return base | {name: array.spec for name, array in self._own.arrays.items()}

    def table(self) -> pd.DataFrame:
        if self._base is not None:
            return self._base.table()
        need("pandas")
        import pandas as pd

        frame = pd.DataFrame(columns=list(COLUMNS), index=range(self._own.frames), dtype=float)
        frame["frame"] = np.arange(1, self._own.frames + 1, dtype=np.int32)
        return frame.assign(time=self._times, present=self.present, track=-1, held=False)

    def array(self, name: str, start: int = 0, stop: int | None = None) -> Array:
        if self._base is not None and name not in self._own.arrays:
            return self._base.array(name, start, stop)
        return super().array(name, start, stop)

    def _slice(self, name: str, start: int, stop: int) -> Array:
        return self._own.arrays[name].read(start, stop)


def beside(stored: Sequence[SubjectFeatures], tables: OwnTables) -> list[SubjectFeatures]:
    """Stored subjects with the arrays of their tables.

    Raises:
        FeatureError: one has none.
        FormatError: a table that is not what it should be.
    """
    found: list[SubjectFeatures] = []
    people = [subject.name for subject in stored]
    for subject in stored:
        clip = tables.clip(subject.name, people, subject.frames, subject.times)
        if clip is None:
            folders = ", ".join(str(own.folder) for own in tables.folders.values())
            raise FeatureError(
                f"there are no features of '{subject.name}' in '{folders}'",
                f"name its file as the subject or its video, such as {subject.name}.npy",
            )
        found.append(OwnSubject(subject.name, clip, subject.times, subject))
    return found
