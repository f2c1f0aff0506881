"""Clips that are predicted from tables of own features, beside the feature store or without it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from avaffect.config import PredictConfig, fingerprint
from avaffect.datasets.own_subject import OwnSubject
from avaffect.datasets.own_tables import OwnClip, OwnTables
from avaffect.errors import UsageError
from avaffect.files.outside import fits
from avaffect.networks.checkpoint import Checkpoint, read_checkpoint
from avaffect.predicting.read_back import ASSUMED_FPS
from avaffect.predicting.run import Result, result_of
from avaffect.predictors.interface import Predictor
from avaffect.predictors.joined import Joined, is_ensemble
from avaffect.store.provenance import provenance
from avaffect.store.subject import SubjectFeatures

_TABLE = {"columns": [str], "asked": [str], "time": (str, None)}


@dataclass(frozen=True)
class OwnClips:
    """The clips of some folders of tables.

    Attributes:
        tables: the folders.
        fps: frames a second where no table has times.
    """

    tables: OwnTables
    fps: float = ASSUMED_FPS

    @classmethod
    def find(
        cls, folders: Sequence[str], place: Path | str, alone: bool, fps: float | None = None
    ) -> OwnClips:
        """The tables in some folders, with the columns that a model was trained on.

        Args:
            folders: ``DIR`` or ``NAME=DIR``, as in training.
            place: a folder that ``train`` or ``ensemble`` wrote.
            alone: whether there is no feature store beside them.
            fps: frames a second where no table has times; None takes `ASSUMED_FPS`.

        Raises:
            UsageError: the model reads no such array, or others that no folder has.
            InputNotFoundError: there is no such folder, or nothing in it.
            CheckpointError: there is no checkpoint that can be used.
        """
        checkpoints = _checkpoints(Path(place))
        known: dict[str, Mapping[str, Any]] = {}
        for checkpoint in checkpoints:
            known |= own_tables(checkpoint)
        reads = dict.fromkeys(n for each in checkpoints for n in each.recipe.features)
        found = OwnTables.find(folders, alone=alone)
        if unread := [name for name in found.folders if name not in reads]:
            raise UsageError(
                f"'{place}' reads no array '{unread[0]}', but {', '.join(reads)}",
                'name the folder as the array, as features="NAME=FOLDER"',
            )
        if lacks := [name for name in reads if alone and name not in found.folders]:
            raise UsageError(
                f"'{place}' reads '{lacks[0]}' too, and no folder of features is called so",
                'name one, as features="NAME=FOLDER"; arrays of the feature store are read from '
                "the preprocessed folders that are predicted",
            )
        # Read as they were in training.
        as_trained = {
            name: replace(own, columns=tuple(known[name]["asked"]), time=known[name]["time"])
            if name in known
            else own
            for name, own in found.folders.items()
        }
        settled = {name: facts["columns"] for name, facts in known.items()}
        return cls(OwnTables(as_trained, settled), fps or ASSUMED_FPS)

    def paths(self) -> dict[Path, str]:
        """By a file of it, the name of each clip."""
        return {self._file(name): name for name in self.tables.names()}

    def _file(self, name: str) -> Path:
        files = (own.files.get(name) for own in self.tables.folders.values())
        return next(path for path in files if path is not None)

    def open(self, name: str) -> OwnClip:
        """The clip of this name.

        Raises:
            FormatError: a table that is not what it should be.
        """
        found = self.tables.clip(name, [name])
        assert found is not None  # noqa: S101 - names come from files
        return found

    def alone(self, clip: OwnClip) -> OwnSubject:
        """A clip without a feature store as a subject."""
        times = np.arange(clip.frames) / self.fps if clip.times is None else clip.times
        return OwnSubject(clip.name, clip, times)

    def beside(self, stored: Sequence[SubjectFeatures]) -> list[str]:
        """Fingerprints of all that the own features of stored subjects depend on."""
        people = [subject.name for subject in stored]
        clips = [self.tables.clip(s.name, people, s.frames, s.times) for s in stored]
        return ["" if clip is None else self.made_with(clip) for clip in clips]

    def made_with(self, clip: OwnClip) -> str:
        """Fingerprint of all that a clip's features depend on."""
        return fingerprint([clip.sha256, self.tables.about, self.fps])

    def about(self, clip: OwnClip, config: PredictConfig) -> dict[str, Any]:
        """Provenance of a clip's predictions."""
        found = provenance(clip.files[0].name, clip.sha256, config.to_dict(), {})
        files = [str(path) for path in clip.files]
        return found | {"media": {}, "sound": None, "own_tables": files}


def predict_own(
    clip: OwnClip, clips: OwnClips, config: PredictConfig, predictor: Predictor
) -> Result:
    """Predict a clip from its tables alone.

    Args:
        clip: of them.
        clips: the tables.
        config: the settings.
        predictor: built for ``config``.

    Raises:
        FormatError: a table that is not what it should be.
        FeatureError: the predictor was trained on other columns.
    """
    predictor.require_settings({"backbones": clips.tables.models})
    subject = clips.alone(clip)
    about = clips.about(clip, config)
    return result_of(clip.files[0], [subject], config, predictor, about)


def own_tables(checkpoint: Checkpoint) -> dict[str, Mapping[str, Any]]:
    """What a model knows of the tables that it was trained on, by array."""
    found = checkpoint.data.get("own_tables", {})
    return {
        name: facts
        for name, facts in (found.items() if isinstance(found, dict) else ())
        if fits(facts, _TABLE)
    }


def _checkpoints(place: Path) -> list[Checkpoint]:
    if not is_ensemble(place):
        return [read_checkpoint(place)]
    members = Joined.load(place).members.values()
    return [read_checkpoint(place / next(iter(models))) for models in members]
