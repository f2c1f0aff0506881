"""The sound of a video on its picture's clock, without gaps, as a film needs it."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing, suppress
from pathlib import Path

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer
from numpy.typing import NDArray

from avaffect.media.apart import apart
from avaffect.media.clock import FrameClock
from avaffect.media.container import open_container
from avaffect.media.pyav import leave_out
from avaffect.media.tracks import Track

# What AAC can have; other rates become the first.
_RATES = (48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000)
# Timestamps are rounded: steps below this are none.
_TOLERANCE_S = 0.005
_BLOCK_S = 0.1

Samples = NDArray[np.float32]


class Soundtrack:
    """The sound of an audio stream from the first frame on; silence stands in for gaps.

    Args:
        path: the file.
        track: the stream.
        first_time_s: container time of the first frame in seconds.
        restarts: the container's clock may restart, see `media.clock.FrameClock`.

    Attributes:
        rate: samples a second.
        layout: ``mono`` or ``stereo``.
    """

    def __init__(
        self, path: Path, track: Track, first_time_s: float, restarts: bool = False
    ) -> None:
        self._path, self._track = path, track
        self._first, self._restarts = first_time_s, restarts
        rate = rate_of(path, track.ordinal)
        self.rate = rate if rate in _RATES else _RATES[0]
        self.layout = "mono" if track.channels == 1 else "stereo"
        self._channels = 1 if track.channels == 1 else 2

    def blocks(self) -> Iterator[tuple[float, Samples]]:
        """Pieces that follow each other, without end: when the sound is over, silence comes.

        Yields:
            when the piece ends, in seconds since the first frame; float32 [channels, N] in -1..1.
        """
        end = 0
        for start, samples in self._placed():
            place = round((start - self._first) * self.rate)
            if place > end + _TOLERANCE_S * self.rate:
                for silence in self._silence(place - end):
                    end += silence.shape[1]
                    yield end / self.rate, silence
            elif place < end - _TOLERANCE_S * self.rate:
                samples = samples[:, end - place :]
            if samples.shape[1]:
                end += samples.shape[1]
                yield end / self.rate, samples
        while True:
            end += (silence := next(self._silence(round(_BLOCK_S * self.rate)))).shape[1]
            yield end / self.rate, silence

    def _silence(self, length: int) -> Iterator[Samples]:
        block = round(_BLOCK_S * self.rate)
        for begin in range(0, length, block):
            yield np.zeros((self._channels, min(block, length - begin)), np.float32)

    def _placed(self) -> Iterator[tuple[float, Samples]]:
        """Decoded sound and the container time of its first sample."""
        found = placed(self._path, self._track.ordinal, self.rate, self.layout, self._restarts)
        with closing(found):
            for time, data in found:
                samples = np.frombuffer(data, np.float32)
                yield (
                    time,
                    samples[: len(samples) // self._channels * self._channels].reshape(
                        self._channels, -1
                    ),
                )


@apart
def rate_of(path: Path, ordinal: int) -> int:
    """Samples a second of an audio stream, counted from 0 among those of the file."""
    with open_container(path) as container:
        return int(container.streams.audio[ordinal].sample_rate)


@apart
def placed(
    path: Path, ordinal: int, rate: int, layout: str, restarts: bool
) -> Generator[tuple[float, Samples], None, None]:
    """An audio stream's sound, float32 [channels, N], and the container time where it begins."""
    with open_container(path) as container:
        stream = container.streams.audio[ordinal]
        for other in container.streams:
            if other.index != stream.index:
                leave_out(other)
        resampler: AudioResampler | None = None
        kind: tuple[str, str, int] | None = None
        clock: FrameClock | None = None
        for frame in _frames(container, stream):
            now = (frame.format.name, frame.layout.name, frame.sample_rate)
            if resampler is None or now != kind:
                resampler = AudioResampler(format="fltp", layout=layout, rate=rate)
                kind = now
            if clock is None:
                clock = FrameClock(frame.samples / frame.sample_rate, restarts)
            time = clock.time(frame.time, None) + (clock.first or 0.0)
            with suppress(av.FFmpegError, ValueError):
                frame.pts = None
                parts = [part.to_ndarray() for part in resampler.resample(frame)]
                if parts:
                    yield time, np.ascontiguousarray(np.concatenate(parts, axis=1), np.float32)


def _frames(container: InputContainer, stream: AudioStream) -> Iterator[AudioFrame]:
    with suppress(av.FFmpegError, IndexError):
        for packet in container.demux(stream):
            with suppress(av.FFmpegError):
                yield from stream.decode(packet)
