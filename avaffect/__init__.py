"""Per-frame valence, arousal, expression and action units from the face and voice in a video.

>>> from avaffect import predict
>>> result = predict("video.mp4", task="va", missing="invalid")  # doctest: +SKIP

Importing this package imports nothing heavy; each function is loaded when it is first used. Every
error is an :class:`AvaffectError`.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

from avaffect.version import __version__

if TYPE_CHECKING:
    from avaffect.bars import Bars
    from avaffect.challenge.submit import check_submission, submit
    from avaffect.config import (
        AnalysisConfig,
        AudioConfig,
        FaceConfig,
        MediaConfig,
        PredictConfig,
    )
    from avaffect.converting.run import Converted, convert
    from avaffect.drawing.plot import Plotted, plot
    from avaffect.drawing.render import Rendered, render
    from avaffect.errors import AvaffectError
    from avaffect.live.session import FramePrediction, Session
    from avaffect.measuring.run import Measured
    from avaffect.measuring.run import measure as measure_voice
    from avaffect.metrics.evaluation import Evaluation
    from avaffect.metrics.pairs import evaluate
    from avaffect.predicting.blend_folders import blend_folders as blend
    from avaffect.predicting.from_frames import predict_frames
    from avaffect.predicting.result import Result
    from avaffect.predicting.run import predict
    from avaffect.predicting.still_pictures import PictureResult, predict_pictures
    from avaffect.predicting.tune import tune
    from avaffect.predictions.prediction import Prediction
    from avaffect.preprocessing.run import Preprocessed, preprocess
    from avaffect.progress import Notice, Progress
    from avaffect.reporting.report import Reported, report
    from avaffect.reporting.summary import Summary, summarise, write_summary
    from avaffect.training.export import export_onnx as export
    from avaffect.training.run import DataConfig, RunResult, run_config
    from avaffect.training.run import run as train

# ONNX Runtime reports its use to Microsoft from its import on, and keeps an ID of the device.
# Whatever of ours imports it, or starts a process that does, imports this package first.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

_HOMES = {
    "AnalysisConfig": "avaffect.config:AnalysisConfig",
    "AudioConfig": "avaffect.config:AudioConfig",
    "AvaffectError": "avaffect.errors:AvaffectError",
    "Bars": "avaffect.bars:Bars",
    "Converted": "avaffect.converting.run:Converted",
    "DataConfig": "avaffect.training.run:DataConfig",
    "Evaluation": "avaffect.metrics.evaluation:Evaluation",
    "FaceConfig": "avaffect.config:FaceConfig",
    "FramePrediction": "avaffect.live.session:FramePrediction",
    "Measured": "avaffect.measuring.run:Measured",
    "MediaConfig": "avaffect.config:MediaConfig",
    "Notice": "avaffect.progress:Notice",
    "PredictConfig": "avaffect.config:PredictConfig",
    "PictureResult": "avaffect.predicting.still_pictures:PictureResult",
    "Plotted": "avaffect.drawing.plot:Plotted",
    "Prediction": "avaffect.predictions.prediction:Prediction",
    "Preprocessed": "avaffect.preprocessing.run:Preprocessed",
    "Progress": "avaffect.progress:Progress",
    "Reported": "avaffect.reporting.report:Reported",
    "Rendered": "avaffect.drawing.render:Rendered",
    "Result": "avaffect.predicting.result:Result",
    "RunResult": "avaffect.training.run:RunResult",
    "Session": "avaffect.live.session:Session",
    "Summary": "avaffect.reporting.summary:Summary",
    "blend": "avaffect.predicting.blend_folders:blend_folders",
    "check_submission": "avaffect.challenge.submit:check_submission",
    "convert": "avaffect.converting.run:convert",
    "evaluate": "avaffect.metrics.pairs:evaluate",
    "export": "avaffect.training.export:export_onnx",
    "measure_voice": "avaffect.measuring.run:measure",
    "plot": "avaffect.drawing.plot:plot",
    "predict": "avaffect.predicting.run:predict",
    "predict_frames": "avaffect.predicting.from_frames:predict_frames",
    "predict_pictures": "avaffect.predicting.still_pictures:predict_pictures",
    "preprocess": "avaffect.preprocessing.run:preprocess",
    "render": "avaffect.drawing.render:render",
    "report": "avaffect.reporting.report:report",
    "run_config": "avaffect.training.run:run_config",
    "submit": "avaffect.challenge.submit:submit",
    "summarise": "avaffect.reporting.summary:summarise",
    "train": "avaffect.training.run:run",
    "tune": "avaffect.predicting.tune:tune",
    "write_summary": "avaffect.reporting.summary:write_summary",
}
__all__ = [  # noqa: RUF022  (the names of _HOMES, spelled out for tools that read the source)
    "__version__",
    "AnalysisConfig",
    "AudioConfig",
    "AvaffectError",
    "Bars",
    "Converted",
    "DataConfig",
    "Evaluation",
    "FaceConfig",
    "FramePrediction",
    "Measured",
    "MediaConfig",
    "Notice",
    "PredictConfig",
    "PictureResult",
    "Plotted",
    "Prediction",
    "Preprocessed",
    "Progress",
    "Rendered",
    "Reported",
    "Result",
    "RunResult",
    "Session",
    "Summary",
    "blend",
    "check_submission",
    "convert",
    "evaluate",
    "export",
    "measure_voice",
    "plot",
    "predict",
    "predict_frames",
    "predict_pictures",
    "preprocess",
    "render",
    "report",
    "run_config",
    "submit",
    "summarise",
    "train",
    "tune",
    "write_summary",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        from avaffect.errors import boundary

        module, _, attribute = _HOMES[name].partition(":")
        with boundary():  # what it needs may not be installed
            return getattr(import_module(module), attribute)
    raise AttributeError(f"module 'avaffect' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
