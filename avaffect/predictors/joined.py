"""The folder that ``avaffect ensemble`` leaves: which models, and how they are joined."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, TypeAdapter

from avaffect.config import fingerprint
from avaffect.errors import CheckpointError, UsageError
from avaffect.files.atomic import write_json
from avaffect.files.names import JOINED
from avaffect.files.outside import read_json, reading, real_path
from avaffect.predictions.postprocess import Postprocess
from avaffect.recipes.ensemble_recipe import Average, Vote

SETTINGS = "ensemble.json"


_VERSION = 1


Values = Mapping[str, NDArray[np.float32]]
"""By task, float32 [N, K], NaN where there is no prediction; see
``networks.apply.ClipPrediction``."""


Rule = Average | Vote


@dataclass(frozen=True)
class Tuning:
    """The part of a `Postprocess` that changes values."""

    smooth: str = "off"
    au_thresholds: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        Postprocess(self.smooth, self.au_thresholds)  # refuses what does not exist


@dataclass(frozen=True)
class Joined:
    """The content of ``joined.json``.

    Attributes:
        name: of the ensemble.
        members: by name, the checkpoints whose mean it predicts: path within the folder to the
            SHA-256 of the weights. The file calls them ``voters``.
        rule: how members are joined; with a stack, how its input would be without it.
        weights: of the members.
        stack: the checkpoint of the network on top, as in ``members``; empty without one.
        metrics: on the validation clips.
        validation: how many clips these are.
        tuned: of members that were tuned when they were joined, by path, what was chosen:
            ``smooth`` and ``au_thresholds``, see `predictions.postprocess`.
    """

    name: str
    members: Annotated[Mapping[str, Mapping[str, str]], Field(alias="voters")]
    rule: Rule
    weights: tuple[float, ...]
    stack: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    validation: int = 0
    tuned: Mapping[str, Tuning] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        """Changes whenever a model or the way they are joined does."""
        return fingerprint(self._plain())

    def save(self, folder: Path) -> None:
        """Write ``joined.json`` into ``folder``."""
        write_json(folder / JOINED, {"version": _VERSION, **self._plain()})

    def _plain(self) -> dict[str, Any]:
        plain: dict[str, Any] = TypeAdapter(Joined).dump_python(self, mode="json", by_alias=True)
        if not self.tuned:  # as earlier versions wrote it
            del plain["tuned"]
        return plain

    def after(self, path: str) -> Postprocess:
        """How the values of the model at ``path`` are postprocessed before they are joined."""
        found = self.tuned.get(path, Tuning())
        return Postprocess(found.smooth, found.au_thresholds)

    @classmethod
    def load(cls, folder: Path) -> Joined:
        """Read what :meth:`save` wrote; bounds as in `outside.read_json`.

        Raises:
            CheckpointError: the ensemble is not finished, or the file is damaged, or names what is
                not in the folder.
        """
        path = folder / JOINED
        what = "is damaged or not written by avaffect"
        missing = CheckpointError(
            f"the ensemble in '{folder}' is not finished",
            "run the same `avaffect ensemble` again, it goes on",
        )
        tree = read_json(path, dict, CheckpointError, what, "train again", missing=missing)
        with reading(path, CheckpointError, what, "train again"):
            if tree.pop("version") != _VERSION:
                raise UsageError("version")
            found = TypeAdapter(cls).validate_python(tree)
        models = [model for some in found.members.values() for model in some]
        whole = models and all(found.members.values()) and len(found.stack) <= 1
        whole = whole and all(0 < weight < float("inf") for weight in found.weights)
        if not whole or len(found.weights) != len(found.members):
            raise CheckpointError(f"'{path}' is damaged or not written by avaffect", "train again")
        for model in (*models, *found.stack):
            _require_inside(folder, model)
        return found


def is_ensemble(folder: Path) -> bool:
    """Whether ``avaffect ensemble`` has worked there, finished or not."""
    return (folder / JOINED).is_file() or (folder / SETTINGS).is_file()


def _require_inside(folder: Path, model: str) -> None:
    """Raise CheckpointError unless ``model`` is a path in ``folder``, links followed."""
    path = PurePosixPath(model)
    root = real_path(folder)
    try:
        inside = real_path(root / path).is_relative_to(root) and ".." not in path.parts
    except (OSError, ValueError, RuntimeError):  # a NUL, or links in a circle
        inside = False
    if not inside or path.is_absolute():
        raise CheckpointError(
            f"'{folder / JOINED}' names a model outside its folder", "do not use it"
        )
