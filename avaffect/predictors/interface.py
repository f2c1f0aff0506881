"""Predictors: what turns one subject's features into a prediction.

The built-in models and trained networks share this interface.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from avaffect.errors import FeatureError, UsageError
from avaffect.faces.encoders import ENCODERS
from avaffect.predictions.hidden import without_hidden
from avaffect.predictions.prediction import Prediction
from avaffect.recipes.pictures import FACE_PICTURES
from avaffect.sound.voice import DEFAULT_VOICE
from avaffect.store.subject import SubjectFeatures

# Frames that are read from the feature store at a time.
CHUNK = 4096
# Arrays that no encoder makes.
_MADE = ("face_pose", "audio", "has_sound", "voice")


class Predictor(Protocol):
    """Turns features into predictions.

    Attributes:
        name: how it is called, written beside every output.
        tasks: which of ``va``, ``expr``, ``au`` it predicts.
        needs: arrays of :class:`SubjectFeatures` that it reads.
        optional: those of ``needs`` that it can do without: of a sound file there are no arrays of
            faces, and a folder may have been made without the voice.
        smooth: the smoothing that suits it best, as ``predictions.smooth`` writes it.
        judges_pictures: whether a face of which there is no more than one picture can be judged:
            a subject of one row.
        voice_net: name of the net whose array ``voice`` it can read, if it reads one.
        notes: what a reader of its output must know (training data, weaknesses).
        fingerprint: changes whenever what it predicts by does: weights, facts, packaged figures;
            not with the place where they lie.
    """

    name: str
    tasks: tuple[str, ...]
    needs: tuple[str, ...]
    optional: tuple[str, ...]
    smooth: str
    judges_pictures: bool
    voice_net: str
    notes: tuple[str, ...]

    @property
    def fingerprint(self) -> str: ...

    def require_settings(self, configuration: Mapping[str, Any]) -> None:
        """Raise FeatureError if it cannot use features made with this configuration."""
        ...

    def predict(self, subject: SubjectFeatures, tasks: Sequence[str]) -> Prediction:
        """One row a decoded frame; NaN where there is nothing to go by.

        Raises:
            FeatureError: if ``subject`` lacks an array of ``needs``.
        """
        ...


@dataclass(frozen=True)
class Facts:
    """Some facts of a `Predictor`, known before anything of it is loaded.

    Attributes:
        name: how it is called.
        tasks: which of ``va``, ``expr``, ``au`` it predicts.
        needs: arrays of a subject's features that it reads.
        voice_net: as there.
    """

    name: str
    tasks: tuple[str, ...]
    needs: tuple[str, ...]
    voice_net: str = DEFAULT_VOICE


def require_pictures(predictor: Predictor) -> None:
    """Raise UsageError if ``predictor`` cannot judge faces in single pictures."""
    if not predictor.judges_pictures:
        raise UsageError(
            f"'{predictor.name}' was trained on sequences and cannot judge single pictures",
            "leave out checkpoint=..., or make a video of them if they are its frames",
        )


def require_arrays(
    predictor: Predictor, subject: SubjectFeatures, required: Sequence[str] | None = None
) -> None:
    """Raise FeatureError unless ``subject`` has what ``predictor`` cannot do without.

    Args:
        predictor: who reads.
        subject: what it reads.
        required: names of arrays; None for all of ``needs`` that are not ``optional``.
    """
    if required is None:
        required = [name for name in predictor.needs if name not in predictor.optional]
    missing = [name for name in required if name not in subject.names]
    if FACE_PICTURES in missing:
        raise FeatureError(
            f"'{subject.name}' has no crops, which {predictor.name} looks at",
            "predict on the video, or on a folder that `avaffect preprocess` wrote",
        )
    if own := [name for name in missing if name not in (*_MADE, *ENCODERS)]:
        raise FeatureError(
            f"the features of '{subject.name}' lack {own[0]}, needed by {predictor.name}",
            f'run `avaffect features` with name="{own[0]}" and, as backbone=..., the one that '
            'it was trained on; or give your own tables as features="FOLDER"',
        )
    if missing:
        encoders = [f'"{name}"' for name in missing if name not in _MADE]
        settings = [f"encoders=({', '.join(encoders)},)"] if encoders else []
        settings += [f'voice="{predictor.voice_net}"'] if "voice" in missing else []
        raise FeatureError(
            f"the features of '{subject.name}' lack {', '.join(missing)}, "
            f"needed by {predictor.name}",
            "preprocess again" + (f" with {' and '.join(settings)}" if settings else ""),
        )


def prediction_of(subject: SubjectFeatures, model: str, **values: Any) -> Prediction:
    """The prediction of ``model`` for ``subject``: ``values`` on the subject's own frames.

    Units of a part of the face that cannot be seen are missing, whatever the model.
    """
    prediction = Prediction(
        subject=subject.name,
        model=model,
        times=np.asarray(subject.times),
        present=np.asarray(subject.present),
        confidence=np.asarray(subject.confidence),
        geometry=subject.geometry,
        **values,
    )
    return without_hidden(prediction, subject)


def chunks(frames: int) -> Iterator[slice]:
    """Slices of at most :data:`CHUNK` that cover ``frames``."""
    for start in range(0, frames, CHUNK):
        yield slice(start, min(start + CHUNK, frames))
