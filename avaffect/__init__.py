"""Per-frame valence, arousal, expression and action units from the face and voice in a video.

>>> from avaffect import predict
>>> result = predict("video.mp4", task="va")  # doctest: +SKIP

Importing this package imports nothing heavy; :func:`predict` and :func:`preprocess` are loaded
when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from avaffect.pipeline.predict import Result, predict
    from avaffect.pipeline.preprocess import Preprocessed, preprocess
    from avaffect.predictions.prediction import Prediction

__version__ = "0.1.0"
__all__ = ["Prediction", "Preprocessed", "Result", "__version__", "predict", "preprocess"]

_HOMES = {
    "predict": "avaffect.pipeline.predict",
    "Result": "avaffect.pipeline.predict",
    "preprocess": "avaffect.pipeline.preprocess",
    "Preprocessed": "avaffect.pipeline.preprocess",
    "Prediction": "avaffect.predictions.prediction",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'avaffect' has no attribute '{name}'")
