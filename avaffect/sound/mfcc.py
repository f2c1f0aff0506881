"""Sound features: 40 MFCC and 128 mel bands per video frame (seed paper 004, section I-B.1).

The paper asks for "N windows for N frames with 50 % overlap". Here each window is centred on its
frame's own timestamp and is twice the median frame step long, which is the same thing at a
constant frame rate and stays true at a variable one. Each window is treated alone: Hann window,
zero-padding to the FFT size, power spectrum, Slaney-style mel bands, decibels (re 1.0, floor
1e-10, at most 80 dB below the window's own maximum), orthonormal DCT-II.

The reference is librosa, see :func:`reference_features`. The batch path agrees with it to 1e-4
and runs on the CPU in NumPy and SciPy, so that no torch needs importing, or on a CUDA device in
torchaudio. Spectra are taken in double precision: bands 80 dB below a pure tone would otherwise
hold the FFT's rounding noise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from avaffect.config import SAMPLE_RATE, AudioConfig
from avaffect.errors import FeatureError, UsageError
from avaffect.files.outside import reading
from avaffect.files.tensors import ArraySpec
from avaffect.progress import EventCallback, Progress, ignore_events

if TYPE_CHECKING:
    import torch

Floats = NDArray[np.float32]
Sound = str | Path | Iterable[Floats]
Bands = Callable[[Floats, NDArray[np.int64]], Floats]

FLOOR = 1e-10
TOP_DB = 80.0

_BLOCK = SAMPLE_RATE * 4
# A lone frame has no step, and a damaged file may claim hours between two frames.
_LONE_STEP = 1 / 25
_LONGEST_WINDOW = SAMPLE_RATE * 30
# A batch gathers at most this many samples and spans at most this much of the sound.
_BATCH_SAMPLES = 1 << 20
_BATCH_SPAN = 1 << 22


class AudioChunk(NamedTuple):
    """The features of some consecutive frames.

    Attributes:
        start: index of the first frame (0-based).
        values: float32 [n, n_mfcc + n_mels], MFCC, then mel bands from the lowest on.
        has_sound: bool [n], False where a frame's whole window lies before or behind the sound.
    """

    start: int
    values: Floats
    has_sound: NDArray[np.bool_]


def audio_specs(config: AudioConfig) -> dict[str, ArraySpec]:
    """The arrays that :class:`AudioChunk` fills, by name: ``audio`` and ``has_sound``."""
    return {
        "audio": ArraySpec((config.n_mfcc + config.n_mels,), "float32"),
        "has_sound": ArraySpec((), "bool"),
    }


def window_samples(times: NDArray[np.float64]) -> int:
    """Length of a window in samples: twice the median step of ``times`` (seconds)."""
    steps = np.diff(times)
    steps = steps[steps > 0]
    step = float(np.median(steps)) if len(steps) else _LONE_STEP
    return int(np.clip(np.rint(2 * step * SAMPLE_RATE), 2, _LONGEST_WINDOW))


def audio_features(
    sound: Sound,
    times: NDArray[np.float64],
    config: AudioConfig,
    device: str = "cpu",
    on_event: EventCallback = ignore_events,
) -> Iterator[AudioChunk]:
    """Features of the sound around every video frame, in frame order, in bounded memory.

    Sound before the beginning and behind the end counts as silence (zeros).

    With ``config.normalise == "clip"`` the sound is read twice, first for the mean and standard
    deviation of each column over the frames that have sound; frames without get zeros, the mean.
    A constant column becomes zero.

    Args:
        sound: path of a mono 16 kHz wav, or its samples as float32 [n] blocks of any lengths,
            range -1..1. Sample 0 is at t = 0. A one-shot iterator cannot be normalised.
        times: float64 [N], each frame's time in seconds, never decreasing.
        config: see :class:`~avaffect.config.AudioConfig`.
        device: ``cpu``, or a torch device such as ``cuda``.

    Raises:
        FeatureError: the wav cannot be read or is not mono 16 kHz.
        UsageError: times decrease or are not finite, or the sound cannot be read twice.
    """
    times = np.asarray(times, dtype=np.float64)
    if times.ndim != 1 or not np.isfinite(times).all() or (np.diff(times) < 0).any():
        raise UsageError("times must be one finite, never decreasing number per frame")
    clip = config.normalise == "clip"
    if clip and not isinstance(sound, str | Path) and iter(sound) is sound:
        raise UsageError("the sound is an iterator, which cannot be read twice to normalise it")
    if clip:
        return _normalised(sound, times, config, device, on_event)
    chunks = _raw(sound, times, config, device)
    return _counted(chunks, len(times), len(times), on_event)


def reference_features(segment: NDArray[np.floating], config: AudioConfig) -> Floats:
    """The features of one window as librosa computes them, in double precision.

    Args:
        segment: float [L], the samples of one window.

    Returns:
        float32 [n_mfcc + n_mels].
    """
    import librosa

    length = len(segment)
    n_fft = _fft_size(length, config)
    before = (n_fft - length) // 2
    padded = np.pad(segment.astype(np.float64), (before, n_fft - length - before))
    power = librosa.feature.melspectrogram(
        y=padded,
        sr=SAMPLE_RATE,
        n_fft=n_fft,
        win_length=length,
        hop_length=n_fft,
        center=False,
        n_mels=config.n_mels,
    )
    decibels = librosa.power_to_db(power, ref=1.0, amin=FLOOR, top_db=TOP_DB)
    mfcc = librosa.feature.mfcc(S=decibels, n_mfcc=config.n_mfcc)
    mel = decibels if config.mel_scale == "log" else power
    return np.concatenate([mfcc[:, 0], mel[:, 0]]).astype(np.float32)


def _raw(
    sound: Sound, times: NDArray[np.float64], config: AudioConfig, device: str
) -> Iterator[AudioChunk]:
    length = window_samples(times)
    starts = np.rint(times * SAMPLE_RATE).astype(np.int64) - length // 2
    filters = mel_filters(_fft_size(length, config), config.n_mels)
    window = np.hanning(length + 1)[:-1]
    if device == "cpu":
        bands = numpy_bands(window, filters)
    else:
        bands = torch_bands(window, filters, device)
    finish = _finisher(config)
    reader = _Reader(_blocks(sound))
    batch = max(1, _BATCH_SAMPLES // filters.shape[0])
    first = 0
    while first < len(starts):
        last = min(first + batch, len(starts))
        # The first frame is always taken, however far apart the frames are.
        last = max(first + 1, int(np.searchsorted(starts[:last], starts[first] + _BATCH_SPAN)))
        mine = starts[first:last]
        samples = reader.read(int(mine[0]), int(mine[-1]) + length)
        has_sound = np.minimum(mine + length, reader.known_end) > np.maximum(mine, 0)
        yield AudioChunk(first, finish(bands(samples, mine - mine[0])), has_sound)
        first = last


def _counted(
    chunks: Iterable[AudioChunk], total: int, frames: int, on_event: EventCallback, done: int = 0
) -> Iterator[AudioChunk]:
    """Pass ``chunks`` on and report them."""
    for chunk in chunks:
        yield chunk
        on_event(Progress("audio", done + chunk.start + len(chunk.values), total))
    if done + frames == total:
        on_event(Progress("audio", total, total, finished=True))


def _normalised(
    sound: Sound,
    times: NDArray[np.float64],
    config: AudioConfig,
    device: str,
    on_event: EventCallback,
) -> Iterator[AudioChunk]:
    frames = len(times)
    count, mean, squares = 0, np.zeros(1), np.zeros(1)
    for chunk in _counted(_raw(sound, times, config, device), 2 * frames, frames, on_event):
        values = chunk.values[chunk.has_sound].astype(np.float64)
        if not len(values):
            continue
        # Chan's merge of two means and sums of squares: exact where E[x^2] - E[x]^2 cancels.
        own = values.mean(axis=0)
        new = count + len(values)
        squares = squares + np.square(values - own).sum(axis=0)
        squares = squares + np.square(own - mean) * (count * len(values) / new)
        mean = mean + (own - mean) * (len(values) / new)
        count = new
    deviation = np.sqrt(squares / max(count, 1))
    # Below float32's own resolution a column is constant.
    deviation[deviation <= 1e-7 * np.abs(mean)] = np.inf
    again = _counted(_raw(sound, times, config, device), 2 * frames, frames, on_event, frames)
    for chunk in again:
        scaled = ((chunk.values - mean) / deviation).astype(np.float32)
        scaled[~chunk.has_sound] = 0
        yield chunk._replace(values=scaled)


def _fft_size(length: int, config: AudioConfig) -> int:
    return max(config.n_fft, 1 << (length - 1).bit_length())


def mel_filters(n_fft: int, n_mels: int) -> NDArray[np.float64]:
    """Slaney's triangular mel filters over 0..8 kHz, each of unit area per Hz.

    Equal to ``librosa.filters.mel(norm="slaney", htk=False)``, whose import costs 0.8 s, and
    closer to it than torchaudio's, which places the filters in single precision.

    Returns:
        float64 [n_fft // 2 + 1, n_mels].
    """
    # The scale is linear up to 1 kHz = 15 mel, then logarithmic: 27 mel for a factor of 6.4.
    top = 15 + 27 * np.log(SAMPLE_RATE / 2 / 1000) / np.log(6.4)
    mels = np.linspace(0, top, n_mels + 2)
    edges = np.where(mels < 15, mels * 200 / 3, 1000 * 6.4 ** ((mels - 15) / 27))
    bins = np.linspace(0, SAMPLE_RATE / 2, n_fft // 2 + 1)[:, None]
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    return np.maximum(0, np.minimum(rising, falling)) * 2 / (edges[2:] - edges[:-2])


def numpy_bands(window: NDArray[np.float64], filters: NDArray[np.float64]) -> Bands:
    """A function from samples [S] and starts [B] to float32 mel power [B, n_mels], on the CPU."""
    from scipy.fft import rfft

    n_fft = 2 * (filters.shape[0] - 1)
    matrix = filters.astype(np.float32)

    def bands(samples: Floats, starts: NDArray[np.int64]) -> Floats:
        segments = np.lib.stride_tricks.sliding_window_view(samples, len(window))[starts]
        spectrum = rfft(segments * window, n=n_fft, workers=-1)
        power = np.square(spectrum.real) + np.square(spectrum.imag)
        return power.astype(np.float32) @ matrix

    return bands


def torch_bands(
    window: NDArray[np.float64], filters: NDArray[np.float64], device: str | torch.device
) -> Bands:
    """As :func:`numpy_bands`, in torchaudio on a torch device."""
    import torch
    from torchaudio.functional import spectrogram

    length, n_fft = len(window), 2 * (filters.shape[0] - 1)
    hann = torch.from_numpy(window).to(device)
    matrix = torch.from_numpy(filters.astype(np.float32)).to(device)

    def bands(samples: Floats, starts: NDArray[np.int64]) -> Floats:
        segments = torch.from_numpy(samples).to(device).unfold(0, length, 1)
        segments = segments[torch.from_numpy(starts).to(device)].double()
        before = (n_fft - length) // 2
        padded = torch.nn.functional.pad(segments, (before, n_fft - length - before))
        power = spectrogram(
            padded,
            pad=0,
            window=hann,
            n_fft=n_fft,
            hop_length=n_fft,
            win_length=length,
            power=2.0,
            normalized=False,
            center=False,
        )
        return (power[:, :, 0].float() @ matrix).cpu().numpy()

    return bands


def _finisher(config: AudioConfig) -> Callable[[Floats], Floats]:
    """A function from mel power [B, n_mels] to the finished rows."""
    from scipy.fft import dct

    transform = dct(np.eye(config.n_mels), type=2, norm="ortho", axis=-1)[:, : config.n_mfcc]

    def finish(power: Floats) -> Floats:
        decibels = 10 * np.log10(np.maximum(power.astype(np.float64), FLOOR))
        decibels = np.maximum(decibels, decibels.max(axis=1, keepdims=True) - TOP_DB)
        mel = decibels if config.mel_scale == "log" else power
        return np.concatenate([decibels @ transform, mel], axis=1).astype(np.float32)

    return finish


class _Reader:
    """Any forward-moving stretch of a stream of blocks, with zeros outside."""

    def __init__(self, blocks: Iterator[Floats]) -> None:
        self._blocks = blocks
        self._kept: list[Floats] = []
        self._first = 0
        self._next = 0
        self._ended = False

    @property
    def known_end(self) -> int:
        """Samples seen so far: behind any stretch read, or the sound's true length."""
        return self._next

    def read(self, start: int, stop: int) -> Floats:
        """float32 [stop - start]. ``start`` must not be less than at the call before."""
        while self._next < stop and not self._ended:
            block = next(self._blocks, None)
            if block is None:
                self._ended = True
            elif block.ndim != 1:
                raise UsageError(f"a block of sound has shape {block.shape}, expected one channel")
            else:
                self._kept.append(block)
                self._next += len(block)
            while self._kept and self._first + len(self._kept[0]) <= start:
                self._first += len(self._kept.pop(0))
        out = np.zeros(stop - start, np.float32)
        at = self._first
        for block in self._kept:
            low, high = max(start, at), min(stop, at + len(block))
            if low < high:
                out[low - start : high - start] = block[low - at : high - at]
            at += len(block)
        return out


def _blocks(sound: Sound) -> Iterator[Floats]:
    if not isinstance(sound, str | Path):
        yield from sound
        return
    import soundfile

    hint = "run `avaffect preprocess` again"
    what = "holds no sound that can be read"
    with reading(sound, FeatureError, what, hint), soundfile.SoundFile(sound) as file:
        if file.samplerate != SAMPLE_RATE or file.channels != 1:
            raise FeatureError(
                f"'{sound}' has {file.channels} channels at {file.samplerate} Hz",
                "give a mono wav at 16 kHz, as `avaffect preprocess` writes it",
            )
        yield from file.blocks(_BLOCK, dtype="float32")


AUDIO = ("audio", "has_sound")


SOUND = (*AUDIO, "voice")
"""The arrays that are made of sound, each if the configuration asks for it."""
