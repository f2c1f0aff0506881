"""Per-frame valence, arousal, expression and action units from the face and voice in a video.

>>> from avaffect import predict
>>> result = predict("video.mp4", task="va")  # doctest: +SKIP

Importing this package imports nothing heavy; :func:`predict`, :func:`preprocess` and :func:`train`
(which is ``pipeline.train.run``) are loaded when they are first used.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from avaffect.pipeline.predict import Result, predict
    from avaffect.pipeline.preprocess import Preprocessed, preprocess
    from avaffect.pipeline.train import DataConfig, RunResult, run_config
    from avaffect.pipeline.train import run as train
    from avaffect.predictions.prediction import Prediction

# ONNX Runtime reports its use to Microsoft from its import on, and keeps an ID of the device.
# Whatever of ours imports it, or starts a process that does, imports this package first.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

__version__ = "0.1.0"
__all__ = [
    "DataConfig",
    "Prediction",
    "Preprocessed",
    "Result",
    "RunResult",
    "__version__",
    "predict",
    "preprocess",
    "run_config",
    "train",
]

_HOMES = {
    "predict": "avaffect.pipeline.predict:predict",
    "Result": "avaffect.pipeline.predict:Result",
    "preprocess": "avaffect.pipeline.preprocess:preprocess",
    "Preprocessed": "avaffect.pipeline.preprocess:Preprocessed",
    "Prediction": "avaffect.predictions.prediction:Prediction",
    "train": "avaffect.pipeline.train:run",
    "run_config": "avaffect.pipeline.train:run_config",
    "DataConfig": "avaffect.pipeline.train:DataConfig",
    "RunResult": "avaffect.pipeline.train:RunResult",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        module, _, attribute = _HOMES[name].partition(":")
        return getattr(import_module(module), attribute)
    raise AttributeError(f"module 'avaffect' has no attribute '{name}'")
