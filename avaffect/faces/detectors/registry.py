"""The face detectors by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from avaffect.errors import UnknownNameError, UsageError
from avaffect.faces.face import Detection


class Detector(Protocol):
    """Finds faces in one picture at a time.

    Attributes:
        name: how it is called.
        on_gpu: whether a GPU runs its net.
    """

    name: str
    on_gpu: bool

    def __call__(self, image: NDArray[np.uint8]) -> list[Detection]:
        """The faces in ``image`` (uint8 [H, W, 3] RGB), largest first."""
        ...


@dataclass(frozen=True, slots=True)
class DetectorEntry:
    """What the registry knows of a detector.

    Attributes:
        models: the names in ``models.zoo`` of the weights that it needs.
        build: makes it, given the lowest score (0..1) and the device. It imports what it needs
            when it is called, so that listing names loads no net's runtime.
    """

    models: tuple[str, ...]
    build: Callable[[float, str], Detector]


def _blazeface_full(min_score: float, device: str) -> Detector:
    from avaffect.faces.detectors.blazeface import FULL, build_blazeface

    return build_blazeface(FULL, min_score, device)


def _blazeface_back(min_score: float, device: str) -> Detector:
    from avaffect.faces.detectors.blazeface import BACK, build_blazeface

    return build_blazeface(BACK, min_score, device)


def _centerface(min_score: float, device: str) -> Detector:
    from avaffect.faces.detectors.centerface import build_centerface

    return build_centerface(min_score, device)


def _s3fd(min_score: float, device: str) -> Detector:
    from avaffect.faces.detectors.s3fd import build_s3fd

    return build_s3fd(min_score, device)


DETECTORS: dict[str, DetectorEntry] = {
    "blazeface-full": DetectorEntry(("blazeface-full",), _blazeface_full),
    "blazeface-back": DetectorEntry(("blazeface-back",), _blazeface_back),
    "centerface": DetectorEntry(("centerface",), _centerface),
    "s3fd": DetectorEntry(("s3fd",), _s3fd),
}


def build_detector(name: str, min_score: float = 0.5, device: str = "cpu") -> Detector:
    """The detector called ``name``, with checked weights.

    Args:
        name: a key of :data:`DETECTORS`.
        min_score: faces below this score (between 0 and 1) are dropped.
        device: ``cpu``, ``cuda`` or ``cuda:N``.

    Raises:
        UnknownNameError: no such detector.
        ModelError: its weights cannot be had or are damaged.
    """
    if name not in DETECTORS:
        raise UnknownNameError("detector", name, DETECTORS)
    if not 0 < min_score < 1:
        raise UsageError("min_score must lie between 0 and 1")
    return DETECTORS[name].build(min_score, device)


class LaterDetector:
    """A detector on the CPU that is built when it is first asked; see :func:`build_detector`.

    Most videos never need the second one of ``faces.search``.
    """

    on_gpu = False

    def __init__(self, name: str, min_score: float = 0.5) -> None:
        self.name = name
        self._min_score = min_score

    def __call__(self, image: NDArray[np.uint8]) -> list[Detection]:
        """As :class:`Detector`, and raises what :func:`build_detector` does."""
        return self._detector(image)

    @cached_property
    def _detector(self) -> Detector:
        return build_detector(self.name, self._min_score)
