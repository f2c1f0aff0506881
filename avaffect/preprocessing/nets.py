"""The nets of the pass over a video, loaded once for many."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avaffect.config import AnalysisConfig
from avaffect.faces.detectors.registry import Detector, LaterDetector, build_detector
from avaffect.faces.encoders import Encoder, build_encoder
from avaffect.faces.face import Face
from avaffect.faces.landmarks import Landmarker
from avaffect.faces.search import SECOND
from avaffect.faces.shape import ShapeReader
from avaffect.media.frames import Frame
from avaffect.models.device import device_kind
from avaffect.models.fetch import make_ready
from avaffect.progress import EventCallback, Notice, ignore_events
from avaffect.store.keys import all_models


@dataclass(frozen=True)
class Nets:
    """The nets of the pass, loaded once for many videos."""

    detector: Detector
    second: Detector
    landmarker: Landmarker
    shapes: ShapeReader
    encoders: list[Encoder]
    aligner: Callable[[NDArray[np.uint8], NDArray[np.float32]], NDArray[np.float32]] | None

    @classmethod
    def load(
        cls,
        config: AnalysisConfig,
        device: str = "cpu",
        on_event: EventCallback = ignore_events,
    ) -> Nets:
        """Load what ``config`` asks for; ``device`` is ``cpu``, ``cuda`` or ``cuda:N``.

        Weights that are not in the cache are fetched first, with progress.

        Raises:
            UnknownNameError: for a detector or encoder that does not exist.
            ModelError: for weights that are not to be had or damaged.
        """
        make_ready(all_models(config), on_event)
        aligner = None
        if config.faces.aligner == "fan":
            from avaffect.faces.fan import FanAligner

            aligner = FanAligner(device)
        nets = cls(
            build_detector(config.faces.detector, config.faces.min_score, device),
            # On a GPU at once: what stays on the CPU is said before anything is done.
            build_detector(SECOND, config.faces.min_score, device)
            if device_kind(device) == "cuda"
            else LaterDetector(SECOND, config.faces.min_score),
            Landmarker(device=device),
            ShapeReader(device),
            [build_encoder(name, device) for name in config.encoders],
            aligner,
        )
        if device_kind(device) == "cuda" and (left := nets.on_cpu):
            where = "docs/howto/gpu.md says what a GPU runs, and what that needs"
            on_event(Notice(f"on the CPU: {', '.join(left)} ({where})", warning=True))
        return nets

    @property
    def on_cpu(self) -> list[str]:
        """The names of those that no GPU runs."""
        named: list[tuple[str, Any]] = [
            (self.detector.name, self.detector),
            (self.second.name, self.second),
            ("face-landmarker", self.landmarker),
            ("face-landmarker", self.shapes),
            *((encoder.spec.name, encoder) for encoder in self.encoders),
        ]
        return list(dict.fromkeys(name for name, net in named if not net.on_gpu))

    def refined(self, frame: Frame, face: Face) -> Face:
        """``face`` with the points of the aligner, if there is one."""
        if self.aligner is None:
            return face
        return replace(face, points=self.aligner(frame.image, face.box))
