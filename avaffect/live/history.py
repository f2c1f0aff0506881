"""What was seen of a person so far, in memory that does not grow: a subject up to now.

The last seconds are kept frame by frame; of what is older two rows a second stay, for as long as
a neutral face is remembered. Each row of these stands for half a second (`seconds_each`), so that
a person's neutral face is nearly that of all their frames.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from avaffect.errors import UsageError
from avaffect.faces.quality import REGIONS
from avaffect.files.npy import Array, ArraySpec
from avaffect.preprocessing.face_reader import ReadFace
from avaffect.store.subject import SubjectFeatures

if TYPE_CHECKING:
    import pandas as pd

# At least from one row of what is older to the next, in seconds: a row stands for half a second
# at the most.
SPACING_S = 0.45
# A neutral face is remembered for so long.
REMEMBERED_S = 300.0
# At rates beyond all cameras the last seconds are cut short.
MOST_DENSE = 2048
_FACE: list[tuple[str, type, tuple[int, ...]]] = [
    ("box", np.float32, (4,)),
    ("points", np.float32, (5, 2)),
    ("pose", np.float32, (3,)),
    ("confidence", np.float32, ()),
    ("presence", np.float32, ()),
    ("seen", np.float32, (len(REGIONS),)),
]


@dataclass(frozen=True)
class Span:
    """How much of a person's past is kept.

    Attributes:
        dense_s: the last seconds, of which each frame is.
        dense_rows: at least so many frames at the end are, however long ago.
        old: whether anything before is, see `SPACING_S`.
    """

    dense_s: float
    dense_rows: int = 1
    old: bool = True


class History(SubjectFeatures):
    """A person up to the newest frame.

    Args:
        track: the person's number.
        arrays: what a face is read as, and the sound.
        span: how much is kept.

    Attributes:
        track: the number.
        last_seen: time of the last frame in which the face was seen, seconds.
        count: frames in which it was seen, of all since the person came.
    """

    def __init__(self, track: int, arrays: Mapping[str, ArraySpec], span: Span) -> None:
        self.track = track
        self.last_seen = -np.inf
        self.count = 0
        self._arrays = dict(arrays)
        self._span = span
        kept = [(name, np.dtype(spec.dtype), spec.shape) for name, spec in arrays.items()]
        names: list[Any] = [("time", np.float64), ("present", np.bool_), *_FACE, *kept]
        self._rows = np.zeros(256, np.dtype(names))
        self._end = self._old = 0

    def append(
        self, time: float, face: ReadFace | None, sound: Mapping[str, Array] | None = None
    ) -> None:
        """Add a frame; it must be later than the one before.

        Args:
            time: seconds.
            face: None where the person is not seen.
            sound: the arrays that are no face's, a row of each.
        """
        if self._end == len(self._rows):
            self._rows = np.concatenate([self._rows, np.zeros_like(self._rows)])
        row = self._rows[self._end]
        row["time"], row["present"] = time, face is not None
        for name, _, _ in _FACE:
            row[name] = np.nan if face is None else getattr(face, name)
        for name, spec in self._arrays.items():
            values = (sound or {}).get(name)
            if values is None and face is not None:
                values = face.arrays.get(name)
            row[name] = spec.missing(1)[0] if values is None else values
        self._end += 1
        if face is not None:
            self.last_seen, self.count = time, self.count + 1
        self._thin(time)

    def _thin(self, now: float) -> None:
        rows, span = self._rows, self._span
        while self._end - self._old > span.dense_rows and (
            rows["time"][self._old] < now - span.dense_s or self._end - self._old > MOST_DENSE
        ):
            before = rows["time"][self._old - 1] if self._old else -np.inf
            if span.old and rows["time"][self._old] - before >= SPACING_S:
                self._old += 1
            else:
                self._drop(self._old)
        while self._old and rows["time"][0] < now - REMEMBERED_S:
            self._drop(0)
            self._old -= 1

    def _drop(self, at: int) -> None:
        self._rows[at : self._end - 1] = self._rows[at + 1 : self._end]
        self._end -= 1

    @property
    def name(self) -> str:
        return f"person {self.track}"

    @property
    def times(self) -> NDArray[np.float64]:
        return self._column("time")

    @property
    def present(self) -> NDArray[np.bool_]:
        return self._column("present")

    @property
    def confidence(self) -> NDArray[np.float32]:
        return self._column("confidence")

    @property
    def presence(self) -> NDArray[np.float32]:
        return self._column("presence")

    @property
    def seen(self) -> NDArray[np.float32]:
        return self._column("seen")

    @property
    def geometry(self) -> NDArray[np.float32]:
        parts = [self._column(name).reshape(self._end, -1) for name in ("box", "points", "pose")]
        return np.concatenate(parts, axis=1)

    @property
    def specs(self) -> dict[str, ArraySpec]:
        return dict(self._arrays)

    def table(self) -> pd.DataFrame:
        raise UsageError("a person who is followed live has no frame table", "read the results")

    def _slice(self, name: str, start: int, stop: int) -> Array:
        return self._rows[name][start:stop].copy()

    def _column(self, name: str) -> Array:
        return self._rows[name][: self._end].copy()
