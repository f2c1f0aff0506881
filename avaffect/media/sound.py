"""A video's sound as a 16 kHz mono WAV on the picture's clock."""

from __future__ import annotations

import wave
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
import soundfile
from av.audio.stream import AudioStream
from av.container import InputContainer
from numpy.typing import NDArray

from avaffect.config import SAMPLE_RATE, MediaConfig
from avaffect.errors import MediaError
from avaffect.files.atomic import atomic_path
from avaffect.files.outside import reading
from avaffect.media.apart import apart
from avaffect.media.channels import DOWNMIX, Mix, choose_mix
from avaffect.media.container import open_container
from avaffect.media.ffmpeg import MESSAGES, own_program
from avaffect.media.mono import mono_pieces
from avaffect.media.piped import piped_pieces
from avaffect.media.tracks import Track, Tracks, choose_track
from avaffect.progress import EventCallback, Notice, Progress, ignore_events

Times = NDArray[np.float64]

SAMPLE_BYTES = 2
# A WAV file ends at 4 GiB, which is reached after 37 hours.
MAX_SECONDS = 36 * 3600
# Sound whose timestamp is off by less follows on the sound before it: containers round their
# timestamps. From here on (less than one AAC or Opus packet) something is missing or repeated.
MIN_GAP_S = 0.015
# Silence for gaps is written as long as it is less than this and the sound before it together ...
SPARE_S = 600.0
# ... and of a longer gap so much, so that no window reaches over it.
SHORT_GAP_S = 6.0
_SILENCE = bytes(SAMPLE_RATE * SAMPLE_BYTES)


@dataclass(frozen=True, slots=True)
class SoundInfo:
    """A WAV file made from a video. Times are seconds since the first decoded frame.

    Attributes:
        samples: length of the file.
        sample_rate: 16000.
        duration_s: ``samples / sample_rate``.
        start_s: where the sound begins; before it the file is silent.
        end_s: where it ends; after it the file is silent. Both are 0 where the stream holds no
            sound between the first frame and the end.
        errors: complaints of the decoder, at most 20.
        stream: which audio stream of the file this is, counted from 0.
        streams: how many it has.
        channels: of this stream, by the header.
        mix: how the channels became one, see :class:`avaffect.media.channels.Mix`.
        cuts: long silences that are not in the file: from when, and how many seconds of it.
    """

    samples: int
    sample_rate: int
    duration_s: float
    start_s: float
    end_s: float
    errors: int
    stream: int = 0
    streams: int = 1
    channels: int = 1
    mix: str = DOWNMIX
    cuts: tuple[tuple[float, float], ...] = ()

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> SoundInfo:
        """What ``asdict`` made of one and JSON kept, also of an earlier version."""
        known = {name: record[name] for name in cls.__slots__ if name in record}
        return cls(**known | {"cuts": tuple((at, left) for at, left in known.get("cuts", ()))})

    def in_wav(self, times: Times) -> Times:
        """Where in the WAV file the moments ``times`` (float64 [n], seconds) are, in seconds.

        The same unless a silence was left out; all moments of that are one.
        """
        if not self.cuts:
            return times
        at, left = np.array(self.cuts).T
        # The moments between which the WAV file goes on, and those at which it stands.
        moments = np.stack([at, at + left], axis=1).ravel()
        places = np.repeat(at - np.concatenate([[0.0], np.cumsum(left)[:-1]]), 2)
        beyond = max(0.0, float(np.max(times, initial=0.0)) - moments[-1])
        begin = min(0.0, float(np.min(times, initial=0.0)))
        found: Times = np.interp(
            times,
            [begin, *moments, moments[-1] + beyond],
            [begin, *places, places[-1] + beyond],
        )
        return found


def extract_sound(
    path: Path | str,
    config: MediaConfig,
    out_wav: Path | str,
    *,
    first_time_s: float | None,
    tracks: Tracks | None = None,
    on_event: EventCallback = ignore_events,
) -> SoundInfo | None:
    """Write the sound of ``path`` to ``out_wav``: 16 kHz, mono, 16 bit.

    Sample 0 belongs to the first decoded frame: earlier sound is cut off, a later start is
    preceded by silence, and silence fills gaps; most of a gap of more than ten minutes is left out
    (``cuts``), so that a file grows with the sound and not with the gaps. Sound is placed by its
    own timestamps. Any number of channels becomes one, see :mod:`avaffect.media.channels`. In
    damaged sound all that can be decoded is used. Notices name damage, what was left out,
    the choice among several streams, and channels that are not simply mixed. The file ends with
    the sound, after 36 hours in any case. Memory does not grow with the length.

    Args:
        config: which audio stream, and which channel.
        first_time_s: container time of the first decoded frame, from
            :func:`avaffect.media.probe.first_frame_time` or a :class:`MediaInfo`; None, for a
            file without a picture, begins with the first sound that can be decoded.
        tracks: the audio streams of ``path``; None opens it for them.

    Returns:
        what was written, None (and no file) without an audio stream.

    Raises:
        InputNotFoundError, MediaError: ``path`` cannot be read.
        OutputError: ``out_wav`` cannot be written.
    """
    path = Path(path)
    errors: list[str] = []

    def complain(text: str) -> None:
        if len(errors) < MESSAGES:
            errors.append(text)

    heard = hear(path, config, tracks, on_event, complain)
    first = next(heard, None)
    if first is None:
        return None
    stream = first[0]
    assert isinstance(stream, Heard)  # noqa: S101
    track, mix = stream.track, stream.mix
    if stream.begin_s is None or first_time_s is None:
        begin = 0
    else:
        begin = round((stream.begin_s - first_time_s) * SAMPLE_RATE)
    pieces = ((place, data) for place, data in heard if isinstance(place, int))
    # Opened here: `wave` complains with a traceback of a file that it cannot open itself.
    with (
        closing(heard),
        atomic_path(out_wav) as temporary,
        temporary.open("wb") as file,
        wave.open(file, "wb") as wav,
    ):
        wav.setnchannels(1)
        wav.setsampwidth(SAMPLE_BYTES)
        wav.setframerate(SAMPLE_RATE)
        placed = _Placed(wav)
        # ffmpeg shifts all timestamps by an amount that depends on container and version, so the
        # first piece is put at `begin` and the others keep their distance from it.
        placed.write(((begin + place, data) for place, data in pieces), on_event)
    seconds = placed.end // SAMPLE_RATE
    on_event(Progress("sound", seconds, seconds, "seconds", finished=True))
    if errors:
        text = f"the sound of '{path}' is damaged ({errors[0]}), what can be decoded is used"
        on_event(Notice(text, warning=True))
    return SoundInfo(
        samples=placed.end,
        sample_rate=SAMPLE_RATE,
        duration_s=placed.end / SAMPLE_RATE,
        start_s=(placed.start or 0) / SAMPLE_RATE,
        end_s=(placed.end + placed.left_out) / SAMPLE_RATE,
        errors=len(errors),
        stream=track.ordinal,
        streams=track.streams,
        channels=track.channels,
        mix=mix.name,
        cuts=tuple((at / SAMPLE_RATE, left / SAMPLE_RATE) for at, left in placed.cuts),
    )


@dataclass(frozen=True, slots=True)
class Heard:
    """What is heard of a file.

    Attributes:
        track: the audio stream.
        mix: how its channels become one.
        begin_s: container time of the first sound that can be decoded; None if none can.
    """

    track: Track
    mix: Mix
    begin_s: float | None


@apart
def hear(
    path: Path,
    config: MediaConfig,
    tracks: Tracks | None,
    on_event: EventCallback,
    on_message: Callable[[str], None],
) -> Generator[tuple[Heard | int, bytes], None, None]:
    """Choose the sound of a file and decode it; nothing comes where there is none.

    Args:
        path, config, tracks, on_event: see `extract_sound`.
        on_message: gets a line for each part that cannot be decoded.

    Yields:
        first what is heard; then pieces, see `media.mono.mono_pieces`.
    """
    track = choose_track(path, config, on_event, tracks)
    if track is None:
        return
    mix = choose_mix(path, track, config.channel, on_event)
    unusable = reading(path, MediaError, "has sound that cannot be used", "convert it to MP4")
    with unusable, open_container(path) as container:
        begin_s = first_sound_time(container, container.streams.audio[track.ordinal])
    yield Heard(track, mix, begin_s), b""
    yield from (piped_pieces if own_program() else mono_pieces)(path, track, mix, on_message)


def read_blocks(wav: Path | str, block_s: float) -> Iterator[NDArray[np.float32]]:
    """Read a sound file in blocks.

    Args:
        wav: a mono file that ``soundfile`` can read.
        block_s: length of a block in seconds.

    Yields:
        float32 [samples] in -1..1; the last block may be shorter.

    Raises:
        MediaError: the file is missing, cannot be read or is not mono.
    """
    gone = MediaError(f"there is no sound '{wav}'", "make it again")
    unusable = reading(wav, MediaError, "cannot be read", "make it again", missing=gone)
    with unusable, soundfile.SoundFile(wav) as file:
        if file.channels != 1:
            raise MediaError(f"'{wav}' has {file.channels} channels", "mix it down to one")
        size = max(1, round(block_s * file.samplerate))
        while len(block := file.read(size, dtype="float32")):
            yield block


def first_sound_time(container: InputContainer, stream: AudioStream) -> float | None:
    """Container time of the first sound that can be decoded, in seconds; None if none can."""
    try:
        for packet in container.demux(stream):
            with suppress(av.InvalidDataError):
                for frame in stream.decode(packet):
                    if frame.time is not None:
                        return frame.time
    except (av.FFmpegError, IndexError):
        pass
    return None


class _Placed:
    """Writes each piece at its place.

    Attributes:
        start: place of the first sample, None without any.
        end: samples written so far.
        left_out: samples of silence that were not.
        cuts: of each such silence the place and the length, in samples.
    """

    def __init__(self, wav: wave.Wave_write) -> None:
        self.start: int | None = None
        self.end = self.left_out = 0
        self.cuts: list[tuple[int, int]] = []
        self._wav = wav
        self._limit = round(MAX_SECONDS * SAMPLE_RATE)
        self._spare = round(SPARE_S * SAMPLE_RATE)

    def write(self, pieces: Iterator[tuple[int, bytes]], on_event: EventCallback) -> None:
        """Write ``pieces`` until they end or the limit is reached."""
        for place, data in pieces:
            place -= self.left_out
            if self.start is not None and abs(place - self.end) < MIN_GAP_S * SAMPLE_RATE:
                place = self.end
            data = data[max(0, self.end - place) * SAMPLE_BYTES :]
            if not data:
                continue
            second = self.end // SAMPLE_RATE
            gap = max(0, place - self.end)
            kept = self._kept(gap)
            room = self._limit - self.end - kept
            if room <= 0:
                break
            self._silence(gap, kept)
            if self.start is None:
                self.start = self.end + self.left_out
            self._wav.writeframesraw(data[: room * SAMPLE_BYTES])
            written = min(room, len(data) // SAMPLE_BYTES)
            self.end += written
            self._spare += written
            if self.end // SAMPLE_RATE > second:
                on_event(Progress("sound", self.end // SAMPLE_RATE, None, "seconds"))

    def _kept(self, gap: int) -> int:
        """How much of a gap is written."""
        return gap if gap <= self._spare else min(gap, round(SHORT_GAP_S * SAMPLE_RATE))

    def _silence(self, length: int, kept: int) -> None:
        if kept < length:
            self.cuts.append((self.end + self.left_out + kept // 2, length - kept))
            self.left_out += length - kept
        _write_silence(self._wav, kept)
        self.end += kept
        self._spare = max(0, self._spare - kept)


def _write_silence(wav: wave.Wave_write, samples: int) -> None:
    while samples > 0:
        block = min(samples, SAMPLE_RATE)
        wav.writeframesraw(_SILENCE[: block * SAMPLE_BYTES])
        samples -= block
