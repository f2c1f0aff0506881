"""Settings: frozen, validated, saved whole beside each output."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, Literal, get_args

from annotated_types import Ge, Interval, Le

from avaffect.checked import checked
from avaffect.tasks.registry import TASKS

SAMPLE_RATE = 16_000

Clock = Literal["frame", "media"]
CLOCKS: tuple[Clock, ...] = get_args(Clock)


def fingerprint(value: Any) -> str:
    """A short SHA-256 of any JSON-able value, the same for equal values."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


_Share = Annotated[float, Interval(gt=0, lt=1)]
_Count = Annotated[int, Ge(1)]


@checked
@dataclass(frozen=True)
class MediaConfig:
    """How a file is decoded.

    Attributes:
        video_stream: which video stream, counted from 0 among the video streams; None takes the
            container's default one (never a cover picture if there is another).
        audio_stream: likewise among the audio streams; None takes the default one, or the first
            that is not mute.
        channel: the only channel of the sound that is heard, counted from 0; None mixes them.
        fps: frames a second of a stream that has no times of its own, such as a bare .h264; None
            takes the stream's own, else 25. Files with times keep theirs.
        rotate: degrees clockwise (0, 90, 180, 270) by which the stored picture is turned, in
            place of the file's own; None obeys the file.
    """

    video_stream: int | None = None
    audio_stream: int | None = None
    channel: int | None = None
    fps: Annotated[float, Interval(gt=0, le=1000)] | None = None
    rotate: Literal[0, 90, 180, 270] | None = None


@checked
@dataclass(frozen=True)
class FaceConfig:
    """How faces are found, followed and aligned.

    Attributes:
        detector: a name from ``faces.detectors.registry.DETECTORS``.
        detect_every: frames between two looks at the whole picture for new faces.
        min_score: detections below this score (0..1) are dropped.
        min_presence: a followed face whose presence (0..1) falls below this is looked for again.
        min_size: faces smaller than this (pixels, longer side of the box) are dropped.
        max_faces: at most this many faces are followed at a time, largest first.
        aligner: where the five points come from: ``mesh`` (Face Landmarker) or ``fan`` (the
            face-alignment package's 2DFAN-4).
        crop_size: side of a crop in pixels (Aff-Wild2: 112).
        subjects: ``main`` (one subject, or two as left and right), ``all`` (everyone).
        looks: in which frames a followed face is looked at (see ``faces.holding``): ``every``
            frame; ``changed``, 10 times a second and where its picture has changed; ``few``, 5
            times a second and where it has changed a lot. What is recorded in other frames lies
            between.
    """

    detector: str = "blazeface-full"
    detect_every: _Count = 15
    min_score: _Share = 0.5
    min_presence: _Share = 0.5
    min_size: Annotated[float, Interval(gt=-math.inf, lt=math.inf)] = 24.0
    max_faces: _Count = 8
    aligner: Literal["mesh", "fan"] = "mesh"
    crop_size: Annotated[int, Interval(ge=16, le=1024)] = 112
    subjects: Literal["main", "all"] = "main"
    looks: Literal["every", "changed", "few"] = "changed"


@checked
@dataclass(frozen=True)
class AudioConfig:
    """The sound features of ABAW1 (Rasipuram et al., section I-B.1).

    One window a video frame, centred on the frame's time, twice the frame step long (50 %
    overlap). From each: MFCC and mel-spectrogram coefficients.

    Attributes:
        n_mfcc: number of cepstral coefficients.
        n_mels: number of mel bands, at most 4096.
        n_fft: smallest FFT size in samples at 16 kHz; windows are zero-padded up to it. Where the
            frame rate is so low that a window is longer, the next power of two is taken.
        mel_scale: ``log`` (decibels) or ``linear`` (power) mel values. MFCC always use log.
        normalise: ``none`` or ``clip`` (each value to zero mean and unit variance over the clip).
    """

    n_mfcc: _Count = 40
    n_mels: Annotated[int, Le(1 << 12)] = 128
    n_fft: Annotated[int, Interval(ge=256, le=1 << 20)] = 2048
    mel_scale: Literal["log", "linear"] = "log"
    normalise: Literal["none", "clip"] = "none"

    def __post_init__(self) -> None:
        if self.n_mfcc > self.n_mels:
            raise ValueError(f"n_mfcc must lie between 1 and n_mels, {self.n_mels}")


@checked
@dataclass(frozen=True)
class AnalysisConfig:
    """Everything the streaming pass over a video depends on.

    Attributes:
        encoders: names from ``faces.encoders.ENCODERS``, the nets run on each crop.
        audio: None leaves the sound features out.
        voice: net that predicts expressions from the voice, such as
            ``sound.voice.DEFAULT_VOICE``; None leaves it out.
        sound_rate: rows a second for a file that holds sound and no picture; elsewhere the
            picture's frames are the clock.
    """

    media: MediaConfig = field(default_factory=MediaConfig)
    faces: FaceConfig = field(default_factory=FaceConfig)
    audio: AudioConfig | None = field(default_factory=AudioConfig)
    voice: str | None = None
    encoders: tuple[str, ...] = ("efficientnet-lite0", "starter-2-face")
    sound_rate: Annotated[float, Interval(ge=1, le=1000)] = 25.0

    def to_dict(self) -> dict[str, Any]:
        """The whole configuration as JSON-able values."""
        return asdict(self)


@checked
@dataclass(frozen=True)
class PredictConfig:
    """Everything a prediction depends on.

    Attributes:
        model: a name from ``predictors.build.PREDICTORS``; unused with a checkpoint.
        checkpoint: folder of a trained model, None for a built-in one.
        weights: the checkpoint's SHA-256, which ``predicting.run.with_checkpoint`` fills in.
        postprocess: that of its ``postprocess.json``, likewise; None without one.
        frame_model: the net whose prediction for single frames the model uses, a name from
            ``faces.encoders.FRAME_MODELS``; ``auto`` takes the model's own, whatever lies in
            the cache.
        tasks: of ``va``, ``expr``, ``au``, or what ``tasks.registry`` has besides.
        missing: a policy from ``files.gaps.POLICIES``, for the challenge's text files; tables
            stay empty where there is no value.
        smooth: ``off``, ``kind:seconds``, or one for each task (see ``predictions.smooth``);
            ``auto`` takes what was found best for the model.
        analysis: settings of the pass over the video.
        noncommercial: False loads no net whose licence forbids commercial use; models that can do
            without go on without it.
        clock: what the times of tables count from: ``frame``, the first decoded frame; ``media``,
            the zero of the file's own clock.
    """

    model: str = "starter-2"
    frame_model: str = "auto"
    tasks: tuple[str, ...] = field(default_factory=lambda: tuple(TASKS))
    missing: str = "linear"
    smooth: str = "auto"
    analysis: AnalysisConfig = field(default_factory=AnalysisConfig)
    checkpoint: str | None = None
    weights: str | None = None
    postprocess: str | None = None
    noncommercial: bool = True
    clock: Clock = "frame"

    def to_dict(self) -> dict[str, Any]:
        """The whole configuration as JSON-able values."""
        return asdict(self)
