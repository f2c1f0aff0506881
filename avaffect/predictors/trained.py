"""Predictions of a network that ``avaffect train`` made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from math import isqrt
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avaffect.challenge.known import mark_of
from avaffect.config import fingerprint
from avaffect.datasets.clip import Clip
from avaffect.errors import FeatureError
from avaffect.extras import is_installed
from avaffect.networks.apply import ClipPrediction, Run, apply_run, network_run
from avaffect.networks.checkpoint import (
    WEIGHTS,
    Checkpoint,
    checkpoint_folder,
    load_checkpoint,
    read_checkpoint,
)
from avaffect.networks.exported import NET, load_exported
from avaffect.predictions.postprocess import Postprocess, load_postprocess
from avaffect.predictions.prediction import Prediction
from avaffect.predictors.facts import checkpoint_facts
from avaffect.predictors.interface import prediction_of, require_arrays
from avaffect.sound.voice import DEFAULT_VOICE
from avaffect.store.provenance import relevant_settings, remade, trained_backbones
from avaffect.store.subject import SubjectFeatures
from avaffect.tasks.registry import AU, TASKS
from avaffect.windows.reader import WindowReader, whole_clips

# Window lengths, and with them what the features mean, follow the rate.
_RATE_TOLERANCE = 0.1


class Trained:
    """The predictor of a checkpoint, by torch; where that is not installed by ONNX Runtime.

    Args:
        place: see :func:`avaffect.networks.checkpoint.load_checkpoint`.
        device: ``cpu``, ``cuda`` or ``cuda:N``.

    Attributes:
        checkpoint: what is known of the network.
        run: the network as a function of windows.
        after: what `avaffect tune` chose for it.
        smooth: what ``avaffect tune`` chose, else ``off``; thresholds of units likewise.
        clips: by the ways of ``challenge.known``, the names of the clips that it knows already.

    Raises:
        CheckpointError: there is none that can be used.
        MissingPackageError: torch is not installed, and it was not exported to ONNX.
    """

    optional: tuple[str, ...] = ()
    judges_pictures: bool = False
    voice_net: str = DEFAULT_VOICE

    def __init__(self, place: Path | str, device: str = "cpu") -> None:
        self.checkpoint, self.run = _loaded(place, device)
        facts = checkpoint_facts(self.checkpoint)
        self.name = facts.name
        self.tasks: tuple[str, ...] = facts.tasks
        self.needs: tuple[str, ...] = facts.needs
        self.notes: tuple[str, ...] = notes(self.checkpoint)
        after = load_postprocess(checkpoint_folder(Path(place))) or Postprocess()
        if other := after.weights not in ("", self.checkpoint.sha256):
            after = Postprocess()
        self.notes += after.notes(other=other)
        self.smooth: str = after.smooth
        self.clips = _clips(self.checkpoint, after)
        self.after = after
        self._au_thresholds = after.limits()
        for task, targets in self.checkpoint.targets.items():
            TASKS[task].coded(targets, np.zeros((0, len(targets))))  # refuses other classes

    @property
    def fingerprint(self) -> str:
        """See :class:`avaffect.predictors.interface.Predictor`."""
        return fingerprint([self.checkpoint.fingerprint, asdict(self.after)])

    @property
    def window(self) -> int:
        """How many frames it sees at a time."""
        return self.checkpoint.recipe.window.length

    def require_settings(self, configuration: Mapping[str, Any]) -> None:
        """Raise FeatureError if features were made with other settings than in training.

        Args:
            configuration: of the feature store, or of the pass over the video; ``backbones``
                names the backbone that made each array.
        """
        theirs = trained_backbones(configuration)
        for array, backbone in trained_backbones(self.checkpoint.features).items():
            if (other := theirs.get(array, backbone)) != backbone:
                raise FeatureError(
                    f"'{array}' was made by another backbone ({other}) than that which "
                    f"'{self.name}' was trained on ({backbone})",
                    remade(array, backbone),
                )
        trained, ours = self.checkpoint.features, relevant_settings(configuration)
        reads = {"audio": "audio"}
        modalities = self.checkpoint.recipe.modalities
        for name, settings in trained.items():
            if name not in ours or reads.get(name, "video") not in modalities:
                continue
            if name == "sound_rate" or ours[name] == settings:
                continue
            raise FeatureError(
                f"the features were made with other settings of '{name}' ({ours[name]}) than "
                f"those that '{self.name}' was trained on ({settings})",
                "run `avaffect preprocess` again with the settings of the training",
            )

    def predict(self, subject: SubjectFeatures, tasks: Sequence[str]) -> Prediction:
        """See :class:`avaffect.predictors.interface.Predictor`."""
        predicted = self.network_prediction(subject)
        values: dict[str, Any] = {
            task: self.coded(task, predicted.values[task]) for task in self.tasks if task in tasks
        }
        return prediction_of(
            subject,
            self.name,
            heard=self.heard(predicted),
            au_thresholds=self._au_thresholds if AU.name in values else None,
            **values,
        )

    def network_prediction(self, subject: SubjectFeatures) -> ClipPrediction:
        """Apply the network; the targets are those that it was trained on.

        Raises:
            FeatureError: ``subject`` lacks an array, or its features are others than in training.
        """
        self.require_subject(subject)
        return self.apply(Clip(subject.name, subject.name, subject))

    def apply(self, clip: Clip) -> ClipPrediction:
        """Apply the network to a clip with features of any source.

        Raises:
            FeatureError: it lacks an array, or one is not as wide as in training.
        """
        reader = whole_clips([clip], self.checkpoint.recipe, {})
        self.require_widths(reader)
        (predicted,) = apply_run(self.run, reader)
        return predicted

    def require_subject(self, subject: SubjectFeatures) -> None:
        """Raise FeatureError if ``subject`` lacks an array, or has rows of another density."""
        require_arrays(self, subject)
        self._require_rate(subject)

    def require_widths(self, reader: WindowReader) -> None:
        """Raise FeatureError if what is read of a clip is not as wide as in training."""
        name = reader.clips[0].name
        for branch, width in self.checkpoint.widths.items():
            if reader.widths[branch] != width:
                if self.checkpoint.recipe.branches[branch].encoder is not None:
                    side, other = isqrt(width // 3), isqrt(reader.widths[branch] // 3)
                    raise FeatureError(
                        f"'{self.name}' was trained on faces of {side} pixels, those of "
                        f"'{name}' have {other}",
                        f"preprocess again with crop_size={side}",
                    )
                raise FeatureError(
                    f"'{self.name}' was trained on {width} features of '{branch}', "
                    f"'{name}' has {reader.widths[branch]}",
                    "make the features with the settings of the training",
                )

    def heard(self, predicted: ClipPrediction) -> NDArray[np.bool_]:
        """bool [N], where a prediction comes from the sound, alone or with the face."""
        heard = [
            predicted.seen[name]
            for name, config in self.checkpoint.recipe.roots.items()
            if config.modality == "audio"
        ]
        silent = np.zeros(len(next(iter(predicted.seen.values()))), bool)
        return np.asarray(np.any([silent, *heard], axis=0))

    def _require_rate(self, subject: SubjectFeatures) -> None:
        """Raise FeatureError if it learned from sound files and rows here are not as dense."""
        trained = self.checkpoint.features.get("sound_rate")
        steps = np.diff(subject.times)
        if trained is None or not len(steps) or (step := float(np.median(steps))) <= 0:
            return
        if abs(step * float(trained) - 1) > _RATE_TOLERANCE:
            raise FeatureError(
                f"'{self.name}' was trained on sound at {trained:g} rows a second, "
                f"'{subject.name}' has {1 / step:.4g}",
                f"preprocess sound with sound_rate={trained:g}; of a video, `avaffect preprocess` "
                "makes audio.wav, which can be predicted",
            )

    def coded(self, task: str, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Values [N, K] of the network's targets in the columns of the challenge; what it does not
        know is NaN."""
        return TASKS[task].coded(self.checkpoint.targets[task], values)


def _loaded(place: Path | str, device: str) -> tuple[Checkpoint, Run]:
    folder = checkpoint_folder(Path(place))
    # Of an exported ensemble there are no weights of torch's.
    if not is_installed("torch") or not (folder / WEIGHTS).is_file():
        checkpoint = read_checkpoint(folder)
        if (folder / NET).is_file() or not is_installed("torch"):
            return checkpoint, load_exported(folder, checkpoint, device)
    import torch

    checkpoint, network = load_checkpoint(place)
    on = torch.device(device)
    return checkpoint, network_run(network.to(on), on)


def clips_of(checkpoint: Checkpoint) -> dict[str, tuple[str, ...]]:
    """By the ways of `challenge.known`, the names of the clips that a network knows by its
    training, and the marks of their videos."""
    clips, videos = checkpoint.data.get("clips", {}), checkpoint.data.get("videos", {})
    return {
        way: (*clips.get(split, ()), *map(mark_of, videos.get(split, ())))
        for way, split in (("trained", "train"), ("validated", "val"))
    }


def _clips(checkpoint: Checkpoint, after: Postprocess) -> dict[str, tuple[str, ...]]:
    """As `clips_of`, with those that ``after`` was chosen on."""
    found = clips_of(checkpoint)
    if after.smooth != "off" or after.au_thresholds:
        # An earlier version did not note which clips they were: those of the validation.
        found["tuned"] = after.clips if "subjects" in after.chosen_on else found["validated"]
    return found


def notes(checkpoint: Checkpoint) -> tuple[str, ...]:
    """Notes for whoever reads a checkpoint's predictions."""
    clips = checkpoint.data.get("clips", {})
    count = len(clips.get("train", ()))
    found = [
        f"{checkpoint.recipe.name} was trained on {count} clips for {checkpoint.epoch} epochs"
    ]
    if checkpoint.metrics:
        shown = ", ".join(
            f"{task} {checkpoint.metrics[task]:.3f}"
            for task in checkpoint.recipe.task_names
            if checkpoint.metrics.get(task) is not None
        )
        found.append(
            f"validation on {len(clips.get('val', ()))} other clips: {shown or 'no score'}"
        )
    else:
        found.append("it was never validated on clips that it was not trained on")
    if checkpoint.data.get("synthetic"):
        found.append("ARTIFICIAL training data: its predictions mean nothing on real people")
    return tuple(found)
