"""Expression probabilities of every frame by the voice, and how likely somebody speaks.

A net for emotion in speech sees windows of sound features at a rate of its own. Its prediction for
a window belongs to the window's centre; between centres predictions are interpolated by time, so
that the rate of the video's frames does not matter. Where there is too little speech to go by
(silence, noise, music) there is no prediction: NaN, not neutral. A net of the second kind says
what a window is like, and the file's windows together say what that means (``sound.speakers``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avaffect.arrays import ArrayRecord, require_shape, softmax
from avaffect.errors import ModelError, UsageError
from avaffect.files.npy import ArraySpec
from avaffect.files.outside import parse_json, reading
from avaffect.labels import EXPRESSIONS
from avaffect.models.content import model_content
from avaffect.models.session import OnnxNet
from avaffect.progress import EventCallback, Progress, ignore_events
from avaffect.sound import speech as vad
from avaffect.sound.frame_windows import Sound
from avaffect.sound.front_end import WIDTH, speech_features
from avaffect.sound.mel_power import windows_power
from avaffect.sound.speakers import Speakers
from avaffect.sound.speech import Speech, detect_speech

Floats = NDArray[np.float32]
Times = NDArray[np.float64]

DEFAULT_VOICE = "starter-2-voice"
VOICE = ArraySpec((len(EXPRESSIONS) + 1,), "float32")
"""The array ``voice``: probabilities in the order of ``EXPRESSIONS``, which are NaN where there is
no prediction, and how likely somebody speaks (0..1, NaN where there is no sound)."""

# A window with less speech in it gets no prediction.
MIN_SPEECH_S = 0.3
# A prediction holds for frames at most this far from speech: pauses between sentences, not more.
MAX_DISTANCE_S = 1.0
# The speech probability of a frame is the mean over this long to both sides of it.
HALF_S = 0.1

_BATCH = 32


@dataclass(frozen=True)
class VoiceSettings:
    """The settings of a voice net, which its file's metadata holds, each value as JSON.

    Attributes:
        rate_hz: rows of sound features a second.
        window_s: length of its windows.
        hop_s: from one window to the next.
        classes: for each logit the name of its expression; the probabilities
            of several logits of one expression add up.
        temperature: what the logits are divided by, so that probabilities are calibrated.
    """

    rate_hz: float
    window_s: float
    hop_s: float
    classes: tuple[str, ...]
    temperature: float

    def __post_init__(self) -> None:
        for name in ("rate_hz", "window_s", "hop_s", "temperature"):
            value = getattr(self, name)
            if not (isinstance(value, int | float) and math.isfinite(value) and value > 0):
                raise UsageError(f"{name} is {value!r}, not a number above 0")
        if self.rows < 2 or self.hop < 1:
            raise UsageError("a window has less than two rows, or a hop less than one")
        if unknown := set(self.classes) - set(EXPRESSIONS):
            raise UsageError(f"{unknown} are no expressions")

    @classmethod
    def parse(cls, metadata: Mapping[str, str]) -> VoiceSettings:
        """From the metadata of an ONNX file; UsageError, KeyError or TypeError if it is wrong."""
        values: dict[str, Any] = {name: parse_json(metadata[name]) for name in cls.__annotations__}
        return cls(**values | {"classes": tuple(values["classes"])})

    @property
    def rows(self) -> int:
        """Rows of a window."""
        return round(self.window_s * self.rate_hz)

    @property
    def hop(self) -> int:
        """Rows from one window to the next."""
        return round(self.hop_s * self.rate_hz)


class VoiceNet:
    """A net that predicts expressions from windows of sound.

    There are two kinds, told apart by their output. One gives ``logits`` (float32 [B, L]) of a
    window's ``features`` (float32 [B, T, 168], ``sound.front_end``, not standardised). The other
    gives an ``embedding`` (float32 [B, K]) of ``mel_power`` (float32 [B, T, 40]), and holds a
    ``sound.speakers`` model in its metadata.

    Args:
        name: a name of ``models.zoo``: an ONNX file with metadata as in :class:`VoiceSettings`.
        on_event: progress of fetching it.

    Attributes:
        settings: those in its file.
        width: how many values it gives of a window.

    Raises:
        UnknownNameError: there is no model of that name.
        ModelError: it is not to be had, damaged, or no voice net.
    """

    def __init__(self, name: str, on_event: EventCallback = ignore_events) -> None:
        self._net = OnnxNet(model_content(name, on_event=on_event))
        self._speakers: Speakers | None = None
        with reading(name, ModelError, "is no voice net", "choose another"):
            kind = self._net.input_names, self._net.output_names
            if kind not in _KINDS:
                raise UsageError("its input and output are not those of a voice net")
            self._windows = _KINDS[kind]
            self.settings = VoiceSettings.parse(self._net.metadata)
            self.width = len(self.settings.classes)
            if kind == _OF_SPEAKERS:
                self._speakers = Speakers.parse(self._net.metadata)
                require_shape("means", self._speakers.means, (self.width, None))
                self.width = self._speakers.means.shape[1]
        self._classes = np.array(
            [[name == label for label in EXPRESSIONS] for name in self.settings.classes],
            np.float64,
        )

    def windows(self, sound: Sound, starts: NDArray[np.int64]) -> Iterator[tuple[int, Floats]]:
        """What it hears of the windows of a sound (see ``frame_windows``) that begin at rows
        ``starts``, a batch at a time, each with the number of its first window."""
        return self._windows(sound, starts, self.settings)

    def __call__(self, windows: Floats) -> Floats:
        """Float32 [B, width], what it says of windows."""
        values: Floats = self._net(windows)[0]
        return values

    def judge(self, values: Floats, centres: Times) -> Floats:
        """Probabilities float32 [W, 8] in the order of ``EXPRESSIONS`` of all windows of a sound.

        Args:
            values: float32 [W, width], what it says of them.
            centres: float64 [W], their centres in seconds, rising.
        """
        settings = self.settings
        if self._speakers is None:
            chances = softmax(values, settings.temperature)
        else:
            chances = self._speakers.probabilities(
                values, centres, settings.window_s, settings.temperature
            ).astype(np.float64)
        return (chances @ self._classes).astype(np.float32)


@dataclass(frozen=True, eq=False, repr=False)
class Voice(ArrayRecord):
    """Speech and predictions of a whole sound; :meth:`at` puts them on a clock.

    Attributes:
        speech: where somebody speaks.
        centres: float64 [W], the windows' centres in seconds.
        probabilities: float32 [W, 8], of each expression, NaN for windows with too little speech.
    """

    speech: Speech
    centres: Times
    probabilities: Floats

    def at(self, times: Times, span: tuple[float, float]) -> Floats:
        """The rows of the array ``voice`` for frames.

        Args:
            times: float64 [n], the frames' times in seconds.
            span: seconds in which there is sound; outside it a row is NaN throughout.

        Returns:
            float32 [n, 9], see :data:`VOICE`.
        """
        out: Floats = VOICE.missing(len(times))
        begin, end = span
        sound = (times > begin - HALF_S) & (times < end + HALF_S) & (begin < end)
        out[sound, -1] = self.speech.mean(times[sound] - HALF_S, times[sound] + HALF_S)
        near = sound & (self.speech.distance(times) <= MAX_DISTANCE_S)
        out[near, :-1] = self._interpolated(times[near])
        return out

    def _interpolated(self, times: Times) -> Floats:
        """float32 [n, 8]: between a window with and one without a prediction, the prediction."""
        known = np.isfinite(self.probabilities[:, 0])
        if not known.any():
            return np.full((len(times), len(EXPRESSIONS)), np.nan, np.float32)
        weight = np.interp(times, self.centres, known.astype(np.float64))
        filled = np.where(known[:, None], self.probabilities, 0).astype(np.float64)
        total = np.stack([np.interp(times, self.centres, column) for column in filled.T], axis=1)
        with np.errstate(invalid="ignore"):
            return (total / weight[:, None]).astype(np.float32)


def voice_models(name: str) -> tuple[str, ...]:
    """Names in ``models.zoo`` of all weights behind the array ``voice`` of the net ``name``."""
    return (vad.MODEL, name)


def hear(wav: Path, net: VoiceNet, on_event: EventCallback = ignore_events) -> Voice:
    """Listen to a whole sound.

    Windows cover the sound from its beginning to its end and never reach beyond it; only a sound
    shorter than a window is surrounded by digital silence. Windows with less than
    :data:`MIN_SPEECH_S` of speech are not given to the net.

    Args:
        wav: mono, 16 kHz.
        net: the net.
        on_event: progress in seconds (``speech``) and in windows (``voice``).

    Raises:
        MediaError, FeatureError: the file cannot be read or is not mono 16 kHz.
        ModelError: the weights are not to be had or damaged.
    """
    speech = detect_speech(wav, on_event)
    settings = net.settings
    starts = _starts(speech.duration_s, settings)
    centres = _centres(starts, settings)
    half = settings.window_s / 2
    at = np.flatnonzero(speech.seconds(centres - half, centres + half) >= MIN_SPEECH_S)
    values = np.empty((len(at), net.width), np.float32)
    done = 0
    for first, windows in net.windows(wav, starts[at]):
        done = first + len(windows)
        values[first:done] = net(windows)
        on_event(Progress("voice", done, len(at), "windows"))
    probabilities = np.full((len(starts), len(EXPRESSIONS)), np.nan, np.float32)
    probabilities[at] = net.judge(values, centres[at])
    on_event(Progress("voice", len(at), len(at), "windows", finished=True))
    return Voice(speech, centres, probabilities)


def _starts(duration_s: float, settings: VoiceSettings) -> NDArray[np.int64]:
    """The first row of each window; row i lies at ``i / rate_hz`` seconds."""
    # Rounded first: 4.36 s are 218 rows, and not 219 by a rounding error.
    rows = math.ceil(round(duration_s * settings.rate_hz, 6))
    if rows == 0:
        return np.zeros(0, np.int64)
    last = rows - settings.rows
    if last <= 0:
        return np.array([-(-last // 2)], np.int64)
    return np.append(np.arange(0, last, settings.hop), last)


def _centres(starts: NDArray[np.int64], settings: VoiceSettings) -> Times:
    """float64 [W], the windows' centres in seconds."""
    centres: Times = (starts + (settings.rows - 1) / 2) / np.float64(settings.rate_hz)
    return centres


def _features(
    sound: Sound, starts: NDArray[np.int64], settings: VoiceSettings
) -> Iterator[tuple[int, Floats]]:
    """``sound.front_end``'s rows of windows, some at a time."""
    length = settings.rows
    if not len(starts):
        return
    # Only rows that are in a window; in `rows` a window is of one piece as well.
    ends = np.concatenate([[starts[0]], (starts + length)[:-1]])
    rows = np.concatenate(
        [
            np.arange(max(start, end), start + length)
            for start, end in zip(starts, ends, strict=True)
        ]
    )
    places = np.searchsorted(rows, starts)
    kept, first, done = np.zeros((0, WIDTH), np.float32), 0, 0
    for values in speech_features(sound, rows / settings.rate_hz):
        kept = np.concatenate([kept, values])
        while done < len(places) and places[done] + length <= first + len(kept):
            whole = np.searchsorted(places, first + len(kept) - length, side="right")
            mine = places[done : min(done + _BATCH, whole)] - first
            yield done, np.stack([kept[place : place + length] for place in mine])
            done += len(mine)
        # What the next window begins with: none begins behind the rows there are.
        used = (places[done] if done < len(places) else len(rows)) - first
        kept, first = kept[used:], first + used


def _mel_power(
    sound: Sound, starts: NDArray[np.int64], settings: VoiceSettings
) -> Iterator[tuple[int, Floats]]:
    """``sound.mel_power``'s rows of windows, some at a time."""
    if len(starts):
        yield from windows_power(sound, _centres(starts, settings), settings.window_s)


_Windows = Callable[[Sound, NDArray[np.int64], VoiceSettings], Iterator[tuple[int, Floats]]]
_OF_SPEAKERS = (("mel_power",), ("embedding",))
# By the names of its inputs and outputs, what a net hears.
_KINDS: dict[tuple[tuple[str, ...], tuple[str, ...]], _Windows] = {
    (("features",), ("logits",)): _features,
    _OF_SPEAKERS: _mel_power,
}
