"""Postprocessing of a trained network: smoothing and thresholds, chosen on validation data.

<checkpoint>/postprocess.json, which ``avaffect tune`` writes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avaffect.challenge.known import mark_of
from avaffect.errors import CheckpointError, UsageError
from avaffect.files.atomic import write_json
from avaffect.files.ours import holds, require_own_file
from avaffect.files.outside import read_json, reading
from avaffect.labels import ACTION_UNITS, AU_THRESHOLD
from avaffect.predictions.smooth import parse_smoothing, smooth_task
from avaffect.tasks.registry import AU

FILE = "postprocess.json"
_SHAPE = {"smooth": str, "au_thresholds": {str: float}, "weights": str, "chosen_on": dict}


@dataclass(frozen=True)
class Postprocess:
    """How a trained network's values become predictions.

    Attributes:
        smooth: the smoothing that ``auto`` stands for, see `smooth.parse_smoothing`.
        au_thresholds: by unit, the score from which on it is active; .5 for the others.
        weights: SHA-256 of the network that it was chosen for.
        chosen_on: the data, and how well each choice did there; for people to read.

    Raises:
        UsageError: a smoothing that does not exist.
        UsageError: a threshold outside 0..1.
    """

    smooth: str = "off"
    au_thresholds: Mapping[str, float] = field(default_factory=dict)
    weights: str = ""
    chosen_on: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        parse_smoothing(self.smooth)
        for name, value in self.au_thresholds.items():
            if not 0 <= value <= 1:
                raise UsageError(f"the threshold of {name} is {value:g} and not from 0 to 1")

    def limits(self) -> NDArray[np.float64] | None:
        """float64 [12] for ``Prediction.au_thresholds``; None if every unit has .5."""
        if not self.au_thresholds:
            return None
        return np.array([self.au_thresholds.get(name, AU_THRESHOLD) for name in ACTION_UNITS])

    @property
    def clips(self) -> tuple[str, ...]:
        """The clips that it was chosen on and their videos' marks, where anything was chosen."""
        if self.smooth == "off" and not self.au_thresholds:
            return ()
        videos = map(mark_of, self.chosen_on.get("videos", ()))
        return (*self.chosen_on.get("subjects", ()), *videos)

    def notes(self, *, other: bool) -> tuple[str, ...]:
        """What a reader of predictions must know of it.

        Args:
            other: whether there was one of other weights, which is not used.
        """
        if other:
            return (f"{FILE} is of other weights and not used: run `avaffect tune` again",)
        if not self.weights:
            return ()
        if recipe := self.chosen_on.get("recipe"):
            return (f"smoothing {self.smooth}, as the recipe {recipe} has it",)
        chosen = [f"smoothing {self.smooth}"] if self.smooth != "off" else []
        chosen += ["thresholds of units"] if self.au_thresholds else []
        return (f"tuned on validation clips: {' and '.join(chosen) or 'nothing'}",)

    def applied(
        self,
        task: str,
        targets: Sequence[str],
        values: NDArray[np.float32],
        times: NDArray[np.float64],
    ) -> NDArray[np.float32]:
        """Values as a member of an ensemble gives them: smoothed, and decided by .5.

        A unit's score is stretched on both sides of its threshold, which becomes .5: whoever
        averages or counts members then goes by the thresholds of each.

        Args:
            task: whose values.
            targets: the names of the K columns.
            values: float32 [N, K], NaN where there are none.
            times: float64 [N] in seconds.
        """
        how = parse_smoothing(self.smooth).of(task)
        if how.kind != "off":
            values = smooth_task(task, values, times, how)
        if task != AU.name or not self.au_thresholds:
            return values
        limits = np.array([self.au_thresholds.get(name, AU_THRESHOLD) for name in targets])
        half, least = AU_THRESHOLD, np.finfo(np.float64).tiny
        below = half * values / np.maximum(limits, least)
        above = half + (1 - half) * (values - limits) / np.maximum(1 - limits, least)
        # Rounding must not carry a score over the threshold.
        below = np.minimum(below, np.nextafter(np.float32(half), np.float32(0)))
        return np.where(values < limits, below, above).astype(np.float32)

    def save(self, checkpoint: Path) -> Path:
        """Write it into the folder of a checkpoint; the path.

        Raises:
            ForeignFileError: a file is there that is none of these.
            OutputError: the file cannot be written.
        """
        require_own_file(checkpoint / FILE, holds(b'"smooth"', b'"au_thresholds"'))
        write_json(checkpoint / FILE, asdict(self))
        return checkpoint / FILE


def load_postprocess(checkpoint: Path) -> Postprocess | None:
    """Read `Postprocess.save`'s file in the folder of a checkpoint; None if there is none.

    Bounds: as `outside.read_json`.

    Raises:
        CheckpointError: the file is damaged.
    """
    path = checkpoint / FILE
    if not path.is_file():
        return None
    what = "is damaged or not written by avaffect"
    hint = "run `avaffect tune` again, or delete it"
    saved = read_json(path, _SHAPE, CheckpointError, what, hint)
    with reading(path, CheckpointError, what, hint):
        return Postprocess(**{name: saved[name] for name in _SHAPE})
