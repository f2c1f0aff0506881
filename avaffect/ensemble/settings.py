"""The settings of an ensemble, ``ensemble.json``, and whether a folder fits them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from avaffect.datasets.clip import Dataset
from avaffect.ensemble.members import SAVING_S
from avaffect.errors import AvaffectError, UsageError
from avaffect.files.atomic import write_json
from avaffect.files.lock import LOCK, alone
from avaffect.files.names import JOINED, RUN
from avaffect.files.ours import require_ours
from avaffect.files.outside import read_kept
from avaffect.predictions.postprocess import FILE as POSTPROCESS
from avaffect.predictors.joined import SETTINGS
from avaffect.recipes.ensemble_recipe import EnsembleRecipe, parse_ensemble
from avaffect.training.data import DataConfig
from avaffect.training.facts import data_facts
from avaffect.training.run import is_run

SUMMARY = "summary.json"
VERSION = 1
# What is made of the members' predictions, and is made again where they are joined anew.
OF_A_JOIN = (JOINED, POSTPROCESS, SUMMARY, "opinions", "stage2", "validation")
_OURS = (SETTINGS, *OF_A_JOIN, "members")
# Settings of a recipe that members depend on.
_OF_MEMBERS = ("members", "folds", "inner", "repeats")


@dataclass(frozen=True)
class EnsembleConfig:
    """Everything that an ensemble depends on, saved as ``ensemble.json``.

    Attributes:
        recipe: the whole recipe.
        data: the data.
        seed: of the first repeat; each further one has the next number.
    """

    recipe: EnsembleRecipe
    data: DataConfig
    seed: int = 0

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return {
            "version": VERSION,
            "recipe": self.recipe.to_dict(),
            "data": {**asdict(self.data), "columns": list(self.data.columns)},
            "seed": self.seed,
        }


def require_settings(
    config: EnsembleConfig, dataset: Dataset, out: Path, overwrite: bool, rejoin: bool
) -> bool:
    """Refuse a folder that holds something else; nothing is changed.

    Returns:
        whether there is an ensemble in ``out``.

    Raises:
        UsageError: ``out`` holds a run, or an ensemble with other settings.
        ForeignFileError: something is in the way that avaffect did not write.
    """
    wanted = _wanted(config, dataset)
    if (out / RUN).is_file():
        raise UsageError(f"'{out}' holds a run of `avaffect train`", "choose another folder")
    found = _filled(read_kept(out / SETTINGS))
    begun = (isinstance(found, dict) and wanted.keys() <= found.keys()) or (
        (out / SETTINGS).is_file() and any(is_run(run) for run in out.glob("members/*"))
    )
    require_ours(out, [out / name for name in _OURS], _OURS if begun else ())
    if rejoin and not begun:
        raise UsageError(f"there is no ensemble in '{out}' to join anew", "leave out rejoin=True")
    if rejoin and found != wanted:
        if what := _difference(_members(found), _members(wanted)):
            raise UsageError(
                f"the members in '{out}' were trained with other settings ({what})",
                "choose another folder: only the way they are joined can be changed",
            )
    elif begun and not overwrite and found != wanted:
        what = _difference(found, wanted)
        raise UsageError(
            f"the ensemble in '{out}' has other settings ({what})",
            "choose another folder, or replace it with overwrite=True; rejoin=True joins the same "
            "members anew",
        )
    return begun


def begin(
    config: EnsembleConfig, dataset: Dataset, out: Path, overwrite: bool, rejoin: bool
) -> None:
    """Write the settings; what they replace is thrown away. See :func:`require_settings`."""
    begun = require_settings(config, dataset, out, overwrite, rejoin)
    wanted = _wanted(config, dataset)
    if rejoin and _filled(read_kept(out / SETTINGS)) != wanted:
        _remove(out, OF_A_JOIN)
    elif begun and overwrite and not rejoin:
        # Trainings whose ensemble was killed may still be saving themselves.
        for lock in out.glob(f"members/**/{LOCK}"):
            with alone(lock, lock.parent, wait=SAVING_S):
                pass
        _remove(out, _OURS)
    write_json(out / SETTINGS, wanted)


def _wanted(config: EnsembleConfig, dataset: Dataset) -> dict[str, Any]:
    """The content of the file, as JSON gives it back."""
    data = data_facts(dataset, (), ())["fingerprint"]
    found: dict[str, Any] = json.loads(json.dumps({**config.to_dict(), "fingerprint": data}))
    return found


def _remove(out: Path, names: Iterable[str]) -> None:
    for name in names:
        shutil.rmtree(out / name) if (out / name).is_dir() else (out / name).unlink(True)


def _filled(found: Any) -> Any:
    """Saved settings as they are read now: those that came later have their defaults."""
    try:
        tree = found["recipe"]
        if tree.get("folds") is not None:
            # Earlier versions chose the epoch on the clips that each model did not see.
            tree = {"inner": 0, **tree}
        recipe = parse_ensemble(tree, SETTINGS).to_dict()
    except (AvaffectError, AttributeError, TypeError, KeyError):
        return found
    found = {**found, "recipe": json.loads(json.dumps(recipe))}
    if isinstance(found.get("data"), dict):
        found["data"] = {"further": [], "sets": [], **found["data"]}
    return found


def _members(settings: Any) -> Any:
    """Settings without the way members are joined, and what the whole is called."""
    recipe = settings.get("recipe", {})
    kept = {name: recipe[name] for name in _OF_MEMBERS if name in recipe}
    return {**settings, "recipe": kept}


def _difference(found: Any, wanted: Any, key: str = "") -> str:
    """The first key whose values differ; empty if none does."""
    if isinstance(found, list) and isinstance(wanted, list) and len(found) == len(wanted):
        found, wanted = dict(enumerate(found)), dict(enumerate(wanted))
    if not isinstance(found, dict) or not isinstance(wanted, dict):
        return key.lstrip(".") or "damaged"
    for name in dict.fromkeys((*wanted, *found)):
        if found.get(name) != wanted.get(name):
            return _difference(found.get(name), wanted.get(name), f"{key}.{name}")
    return key.lstrip(".")
