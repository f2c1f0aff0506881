"""How the channels of a sound become one, so that none that holds speech is lost.

FFmpeg's downmix is taken wherever it keeps what is there. It does not where channels are of
opposite phase (they cancel), where a channel is left out of it that holds speech (LFE), and where
there is no layout to go by (9 channels of a recorder). All this is measured in the band of speech
before the sound is made.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from numpy.typing import NDArray

from avaffect.media.tracks import Floats, Piece, Track, pieces
from avaffect.progress import EventCallback, Notice, ignore_events

Doubles = NDArray[np.float64]

DOWNMIX = "downmix"

_WINDOW_S = 0.25
_BAND_HZ = (300.0, 3400.0)
# Windows whose loudest channel is weaker than this (power, full scale is 1) do not count.
_QUIET = 1e-7
# A mix has cancelled where it is weaker than a quarter of what its strongest channel gives alone.
_CANCELLED = 0.25
# A channel that is left out counts where it has a tenth of the power of the loudest of the others.
_SPEAKS = 0.1
# What is so in one of twenty windows that count decides for the file.
_SHARE = 0.05
# A channel with less than this of the loudest channel's power in all is silent.
_SILENT = 1e-4
# Powers that differ by less, as by rounding, are the same.
_AS_LOUD = 0.99


@dataclass(frozen=True)
class Mix:
    """How channels become one.

    Attributes:
        name: for records: ``downmix``, ``channel 1``, ``mean of channels 0, 3``.
        weights: by number of channels (it may change in mid-stream) how much each counts; empty
            leaves all to FFmpeg's downmix.
        channel: the only one that is heard; None goes by ``weights``.
    """

    name: str = DOWNMIX
    weights: dict[int, tuple[float, ...]] = field(default_factory=dict)
    channel: int | None = None

    @property
    def expression(self) -> str | None:
        """For FFmpeg's filter ``aeval``; None for its downmix."""
        if self.channel is not None:
            return f"val({self.channel})"
        if not self.weights:
            return None
        found = "val(0)"
        for count, weights in self.weights.items():
            terms = [f"{weight:.6g}*val({i})" for i, weight in enumerate(weights) if weight]
            found = f"if(eq(nb_in_channels,{count}),{'+'.join(terms)},{found})"
        return found


def choose_mix(
    path: Path,
    track: Track,
    channel: int | None = None,
    on_event: EventCallback = ignore_events,
) -> Mix:
    """Listen to a track of several channels and decide how they become one.

    Decodes the track once, in bounded memory. A Notice names everything but the downmix.

    Args:
        path: the file.
        track: which audio stream.
        channel: the channel to take, counted from 0; None decides by what is heard.
    """
    if channel is not None:
        return Mix(f"channel {channel}", channel=channel)
    if track.channels == 1 and not track.varies:
        return Mix()
    heard: dict[str, _Layout] = {}
    for piece in _windows(pieces(path, track)):
        count = piece.samples.shape[1]
        if count > 1:
            layout = heard.setdefault(piece.layout, _Layout(count, _downmix(piece.layout, count)))
            layout.add(piece)
    decided = {layout: layout.decide() for layout in heard.values()}
    if all(verdict is None for verdict in decided.values()):
        return Mix()
    # What most of the sound is.
    main = max((layout for layout in decided if decided[layout]), key=lambda layout: layout.active)
    name, reason = decided[main] or (DOWNMIX, "")
    on_event(
        Notice(
            f"the sound of '{path.name}': {reason}, so what is heard is: {name} "
            "(channel=N takes another one, counted from 0)",
            warning=True,
        )
    )
    # Only one layout a number of channels: the one that is heard most.
    by_activity = sorted(decided, key=lambda layout: layout.active)
    return Mix(name, {layout.count: tuple(layout.weights()) for layout in by_activity})


class _Layout:
    """What was heard in one layout."""

    def __init__(self, count: int, downmix: Doubles | None) -> None:
        self.count = count
        self.active = 0
        self._downmix = downmix
        self._mean = np.ones(count)
        self._left_out = np.zeros(count, bool) if downmix is None else downmix == 0
        self._power = np.zeros(count)
        self._speaks = np.zeros(count, np.int64)
        self._cancelled = {"downmix": 0, "mean": 0}

    def add(self, piece: Piece) -> None:
        """A window of samples."""
        length = len(piece.samples)
        low, high = (round(edge * length / piece.rate) for edge in _BAND_HZ)
        # Tapered: the rumble of LFE must not leak into the band.
        window = np.hanning(length).astype(np.float32)[:, None]
        spectrum = np.fft.rfft(piece.samples * window, axis=0)[low : high + 1]
        gram = np.asarray((spectrum.conj().T @ spectrum).real, np.float64) * 2 / length**2
        power = np.diag(gram)
        if not np.isfinite(gram).all() or power.max(initial=0) < _QUIET:
            return
        self.active += 1
        self._power += power
        others = power[~self._left_out].max(initial=_QUIET)
        self._speaks += power > _SPEAKS * others
        self._cancelled["mean"] += _cancels(gram, self._mean)
        if self._downmix is not None:
            self._cancelled["downmix"] += _cancels(gram, self._downmix)

    def decide(self) -> tuple[str, str] | None:
        """What is heard and why; None for FFmpeg's downmix."""
        if self._cancels():
            return f"channel {self._loudest}", "its channels cancel each other"
        if not self._by_mean():
            return None
        chosen = np.flatnonzero(self._loud())
        name = "mean of all channels"
        if len(chosen) < self.count:
            name = f"mean of channels {', '.join(map(str, chosen))}"
        if len(chosen) == 1:
            name = f"channel {chosen[0]}"
        if self._downmix is None:
            return name, f"its {self.count} channels have no layout to mix them by"
        return name, "a channel that a downmix leaves out (LFE) holds speech"

    def weights(self) -> Doubles:
        """How much each channel counts; they add up to 1."""
        if self._cancels():
            return np.eye(self.count)[self._loudest]
        chosen = np.asarray(self._loud() if self._by_mean() else self._downmix, np.float64)
        return np.asarray(chosen / chosen.sum())

    @property
    def _loudest(self) -> int:
        """The first of those that are as loud as any."""
        return int(np.argmax(self._power >= _AS_LOUD * self._power.max()))

    def _by_mean(self) -> bool:
        needed = self._speaks[self._left_out]
        return self._downmix is None or bool((needed > _SHARE * self.active).any())

    def _cancels(self) -> bool:
        mix = "mean" if self._by_mean() else "downmix"
        return self._cancelled[mix] > _SHARE * self.active

    def _loud(self) -> NDArray[np.bool_]:
        return np.asarray(self._power >= _SILENT * self._power.max())


def _cancels(gram: Doubles, weights: Doubles) -> bool:
    alone = (np.square(weights) * np.diag(gram)).max()
    return bool(weights @ gram @ weights < _CANCELLED * alone)


def _downmix(layout: str, count: int) -> Doubles | None:
    """FFmpeg's own weights; None if it has none for this layout."""
    mono = AudioResampler(format="flt", layout="mono", rate=48_000)
    try:
        frame = AudioFrame.from_ndarray(
            np.eye(count, dtype=np.float32).reshape(1, -1), format="flt", layout=layout
        )
        frame.sample_rate = 48_000
        (mixed,) = mono.resample(frame)
    except (av.FFmpegError, ValueError):
        return None
    weights = np.asarray(mixed.to_ndarray(), np.float64).ravel()
    return weights if len(weights) == count and weights.any() else None


def _windows(found: Iterator[Piece]) -> Iterator[Piece]:
    """The same sound in windows of about a quarter of a second."""
    kept: list[Floats] = []
    kind: tuple[str, int] | None = None
    length = 0
    for piece in found:
        now = (piece.layout, piece.rate)
        if kind is not None and kept and (now != kind or length >= _WINDOW_S * kind[1]):
            yield Piece(*kind, np.concatenate(kept))
            kept, length = [], 0
        kind = now
        kept.append(piece.samples)
        length += len(piece.samples)
    if kind is not None and kept:
        yield Piece(*kind, np.concatenate(kept))
