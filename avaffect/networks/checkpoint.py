"""Checkpoints: a trained network in a folder, nothing of it pickled. Facts are read without torch.

<checkpoint>/network.safetensors   weights, running statistics, feature statistics
<checkpoint>/checkpoint.json       everything else, see :class:`Checkpoint`
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avaffect.config import fingerprint
from avaffect.errors import (
    CheckpointError,
    FormatError,
    InputNotFoundError,
    UsageError,
    boundary,
    need,
)
from avaffect.files.atomic import atomic_path, write_json
from avaffect.files.hashing import file_sha256
from avaffect.files.names import JOINED
from avaffect.files.outside import fits, read_bytes, read_json, reading
from avaffect.recipes.library import parse_recipe
from avaffect.recipes.recipe import Recipe

if TYPE_CHECKING:
    from avaffect.networks.network import AffectNetwork

VERSION = 1
WEIGHTS = "network.safetensors"
FACTS = "checkpoint.json"
# safetensors' own bound on its header, and the largest type.
_HEADER_BYTES, _VALUE_BYTES = 100 << 20, 8
_WRONG = "is damaged or not written by avaffect"
_FACTS = {
    "sha256": str,
    "recipe": dict,
    "targets": {str: [str]},
    "widths": {str: int},
    "per_clip": bool,
    "features": dict,
    "data": dict,
    "metrics": {str: (float, None)},
    "epoch": int,
    "versions": {str: (str, None)},
}
_PICKLES = (".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".bin", ".joblib", ".h5", ".keras")


@dataclass(frozen=True)
class Checkpoint:
    """All that is known of a trained network but its weights.

    Attributes:
        recipe: what it is and how it was trained.
        targets: by task, the names of its outputs: dimensions, classes, units.
        widths: by branch, features a frame.
        per_clip: whether it was trained on labels of whole clips.
        features: the settings that the features were made with, as far as the store knows.
        data: where the training data came from, which clips, and their fingerprint.
        metrics: of the validation, see ``training.score``; empty without one.
        epoch: epochs trained.
        versions: of the libraries.
        sha256: of the file of weights, where this was loaded from one.
        fingerprint: likewise of weights and facts; not of the place, nor of libraries' versions.
    """

    recipe: Recipe
    targets: Mapping[str, tuple[str, ...]]
    widths: Mapping[str, int]
    per_clip: bool = False
    features: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    epoch: int = 0
    versions: Mapping[str, str | None] = field(default_factory=dict)
    sha256: str = field(default="", compare=False)
    fingerprint: str = field(default="", compare=False)

    def build(self) -> AffectNetwork:
        """A network of this shape, not trained."""
        from avaffect.networks.network import AffectNetwork

        outputs = {task: len(names) for task, names in self.targets.items()}
        return AffectNetwork(self.recipe, self.widths, outputs)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """By name, the shapes of the network's weights; nothing of their size is made."""
        from avaffect.networks.network import planned_shapes

        outputs = {task: len(names) for task, names in self.targets.items()}
        return planned_shapes(self.recipe, self.widths, outputs)


def save_checkpoint(folder: Path, checkpoint: Checkpoint, network: AffectNetwork) -> None:
    """Write a network into ``folder``; an earlier one there is replaced.

    Raises:
        OutputError: the disk does not take it.
    """
    from safetensors.torch import save

    tensors = {name: t.detach().cpu().contiguous() for name, t in network.state_dict().items()}
    with atomic_path(folder / WEIGHTS) as path:
        # `save_file` would make a file that only its owner can read.
        path.write_bytes(save(tensors))
        facts = {
            "version": VERSION,
            "sha256": file_sha256(path),
            "recipe": checkpoint.recipe.to_dict(),
            "targets": {task: list(names) for task, names in checkpoint.targets.items()},
            "widths": dict(checkpoint.widths),
            "per_clip": checkpoint.per_clip,
            "features": dict(checkpoint.features),
            "data": dict(checkpoint.data),
            "metrics": finite(checkpoint.metrics),
            "epoch": checkpoint.epoch,
            "versions": dict(checkpoint.versions),
        }
        write_json(folder / FACTS, facts)


@boundary()
def load_checkpoint(place: Path | str) -> tuple[Checkpoint, AffectNetwork]:
    """The trained network in a folder, on the CPU, ready to predict.

    Bounds: ``networks.network.MOST_VALUES``; the facts are held against the shapes that
    the file of weights has before anything of that size is made. See :func:`read_checkpoint`.

    Args:
        place: a folder that ``train`` wrote (whose chosen checkpoint is taken), or a
            checkpoint's own.

    Raises:
        InputNotFoundError: there is no such folder.
        UsageError: the folder holds several folds.
        CheckpointError: what is there is no checkpoint of avaffect's, or damaged.
        MissingPackageError: torch is not installed.
    """
    need("train", "torch")
    from safetensors.torch import load

    folder = checkpoint_folder(Path(place))
    checkpoint = read_checkpoint(folder)
    weights = folder / WEIGHTS
    with reading(folder / FACTS, CheckpointError, _WRONG, "train again"):
        wanted = checkpoint.shapes()
    missing = CheckpointError(f"'{weights}' is missing", "train again")
    with reading(weights, CheckpointError, "is damaged", "train again", missing=missing):
        # What is hashed is what is loaded: the file is read once.
        values = sum(math.prod(shape) for shape in wanted.values())
        content = read_bytes(weights, _HEADER_BYTES + _VALUE_BYTES * values)
        if hashlib.sha256(content).hexdigest() != checkpoint.sha256:
            raise CheckpointError(
                f"'{weights}' is not the file that '{FACTS}' describes", "train again"
            )
        tensors = load(content)
        if {name: tuple(tensor.shape) for name, tensor in tensors.items()} != wanted:
            raise UsageError(f"its shapes are not those that '{FACTS}' describes")
        network = checkpoint.build()
        network.load_state_dict(tensors)
        for name, tensor in network.state_dict().items():
            if tensor.is_floating_point() and not tensor.isfinite().all():
                raise CheckpointError(
                    f"the weights '{name}' in '{weights}' are no finite numbers",
                    "its training went wrong: look at its losses, and train again",
                )
    network.eval()
    return checkpoint, network


@boundary()
def read_checkpoint(place: Path | str) -> Checkpoint:
    """Read the facts of the network in a folder, without its weights.

    Bounds: `outside.read_json`, and those of a recipe (``recipes.library.load_recipe``).

    Args:
        place: see :func:`load_checkpoint`.

    Raises:
        InputNotFoundError, UsageError, CheckpointError: see :func:`load_checkpoint`.
    """
    folder = checkpoint_folder(Path(place))
    facts = read_json(folder / FACTS, {"version": object}, CheckpointError, _WRONG, "train again")
    if facts["version"] != VERSION:
        raise CheckpointError(
            f"checkpoint '{folder}' is of version {str(facts['version'])[:20]}, this avaffect "
            f"reads {VERSION}",
            "use the avaffect that wrote it, or train again",
        )
    with reading(folder / FACTS, CheckpointError, _WRONG, "train again"):
        if not fits(facts, _FACTS):
            raise UsageError("a part is missing, or of another kind")
        try:
            recipe = parse_recipe(facts["recipe"], f"of '{folder}'")
        except FormatError as error:
            raise CheckpointError(
                f"checkpoint '{folder}' does not fit this avaffect: {error.problem}",
                "use the version that wrote it (it is in the checkpoint), or train again",
            ) from error
        if facts["targets"].keys() != recipe.tasks.keys():
            raise UsageError("its targets are not those of its recipe")
        if not facts["widths"].keys() >= recipe.roots.keys():
            raise UsageError("it lacks the width of a branch")
        return Checkpoint(
            recipe=recipe,
            targets={task: tuple(names) for task, names in facts["targets"].items()},
            widths=facts["widths"],
            per_clip=facts["per_clip"],
            features=facts["features"],
            data=facts["data"],
            metrics=facts["metrics"],
            epoch=facts["epoch"],
            versions=facts["versions"],
            sha256=facts["sha256"],
            fingerprint=fingerprint({**facts, "versions": None}),
        )


def checkpoint_folder(place: Path) -> Path:
    """The folder of the checkpoint at ``place``, see :func:`load_checkpoint`."""
    if place.suffix.lower() in _PICKLES and place.is_file():
        raise CheckpointError(
            f"'{place}' is not read: a file of this kind can run any code when it is opened",
            "give a folder that `avaffect train` wrote (safetensors and JSON)",
        )
    if place.name in (FACTS, WEIGHTS):
        place = place.parent
    if (place / FACTS).is_file():
        return place
    for name in ("best", "last"):
        if (place / name / FACTS).is_file():
            return place / name
    if (place / JOINED).is_file():
        raise UsageError(
            f"'{place}' is an ensemble, and a single model is wanted here",
            f"name one of its models in '{place / 'members'}'",
        )
    if folds := sorted(place.glob("fold-*")):
        raise UsageError(f"'{place}' holds a model a fold", f"name one, e.g. {folds[0]}")
    if not place.exists():
        raise InputNotFoundError(f"there is no checkpoint '{place}'", "check the path")
    pickles = [path.name for path in place.glob("*") if path.suffix.lower() in _PICKLES]
    extra = f"; '{pickles[0]}' would need unpickling, which can run any code" if pickles else ""
    raise CheckpointError(
        f"'{place}' holds no checkpoint of avaffect's{extra}",
        "give a folder that `avaffect train` wrote (safetensors and JSON)",
    )


def finite(values: Mapping[str, float]) -> dict[str, float | None]:
    """``values`` for JSON, which has no NaN: None in its place."""
    return {name: value if value == value else None for name, value in values.items()}
