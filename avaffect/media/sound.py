"""A video's sound as a 16 kHz mono WAV on the picture's clock."""

from __future__ import annotations

import wave
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import av
import numpy as np
import soundfile
from av.audio.stream import AudioStream
from av.container import InputContainer
from numpy.typing import NDArray

from avaffect.config import SAMPLE_RATE, MediaConfig
from avaffect.errors import MediaError
from avaffect.files.atomic import atomic_path
from avaffect.media.container import choose_audio, open_container
from avaffect.media.ffmpeg import file_input, pipe_from
from avaffect.progress import EventCallback, Notice, Progress, ignore_events

SAMPLE_BYTES = 2
# A WAV file ends at 4 GiB, which is reached after 37 hours.
MAX_SECONDS = 36 * 3600
# Sound whose timestamp is off by less follows on the sound before it: containers round their
# timestamps. From here on (less than one AAC or Opus packet) something is missing or repeated.
MIN_GAP_S = 0.015
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
    """

    samples: int
    sample_rate: int
    duration_s: float
    start_s: float
    end_s: float
    errors: int


def extract_sound(
    path: Path | str,
    config: MediaConfig,
    out_wav: Path | str,
    *,
    first_time_s: float | None,
    duration_s: float | None = None,
    on_event: EventCallback = ignore_events,
) -> SoundInfo | None:
    """Write the sound of ``path`` to ``out_wav``: 16 kHz, mono, 16 bit.

    Sample 0 belongs to the first decoded frame: earlier sound is cut off, a later start is
    preceded by silence, and silence fills gaps. Sound is placed by its own timestamps. Any number
    of channels is mixed down. In damaged sound all that can be decoded is used, and a Notice says
    so. Memory does not grow with the length.

    Args:
        config: which audio stream.
        first_time_s: container time of the first decoded frame, from
            :func:`avaffect.media.probe.first_frame_time` or a :class:`MediaInfo`; None, for a
            file without a picture, begins with the first sound that can be decoded.
        duration_s: exact length of the file in seconds, cut or filled up with silence; None ends
            it with the sound. After 36 hours it ends in any case.

    Returns:
        what was written, None (and no file) without an audio stream.

    Raises:
        InputNotFoundError, MediaError: ``path`` cannot be read.
        OutputError: ``out_wav`` cannot be written.
    """
    path = Path(path)
    with open_container(path) as container:
        stream = choose_audio(container, path, config.audio_stream)
        if stream is None:
            return None
        index = stream.index
        begin_s = first_sound_time(container, stream)
    if begin_s is None or first_time_s is None:
        begin = 0
    else:
        begin = round((begin_s - first_time_s) * SAMPLE_RATE)
    limit_s = MAX_SECONDS if duration_s is None else min(duration_s, MAX_SECONDS)
    limit = round(limit_s * SAMPLE_RATE)
    errors: list[str] = []
    with atomic_path(out_wav) as temporary, wave.open(str(temporary), "wb") as wav:
        wav.setnchannels(1)
        wav.setsampwidth(SAMPLE_BYTES)
        wav.setframerate(SAMPLE_RATE)
        with pipe_from(_graph(path, index), errors.append) as pipe:
            start, end = _place(wav, _pieces(pipe, begin), limit, on_event)
        samples = end if duration_s is None else limit
        _write_silence(wav, samples - end)
    seconds = samples // SAMPLE_RATE
    on_event(Progress("sound", seconds, seconds, "seconds", finished=True))
    if errors:
        text = f"the sound of '{path}' is damaged ({errors[0]}), what can be decoded is used"
        on_event(Notice(text, warning=True))
    return SoundInfo(
        samples=samples,
        sample_rate=SAMPLE_RATE,
        duration_s=samples / SAMPLE_RATE,
        start_s=start / SAMPLE_RATE,
        end_s=end / SAMPLE_RATE,
        errors=len(errors),
    )


def read_blocks(wav: Path | str, block_s: float) -> Iterator[NDArray[np.float32]]:
    """Read a sound file in blocks.

    Args:
        wav: a mono file that ``soundfile`` can read.
        block_s: length of a block in seconds.

    Yields:
        float32 [samples] in -1..1; the last block may be shorter.

    Raises:
        MediaError: the file cannot be read or is not mono.
    """
    try:
        with soundfile.SoundFile(wav) as file:
            if file.channels != 1:
                raise MediaError(f"'{wav}' has {file.channels} channels", "mix it down to one")
            size = max(1, round(block_s * file.samplerate))
            while len(block := file.read(size, dtype="float32")):
                yield block
    except (OSError, soundfile.LibsndfileError) as error:
        raise MediaError(f"the sound '{wav}' cannot be read ({error})", "make it again") from error


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


def _graph(path: Path, index: int) -> Any:
    """Decode and convert. NUT carries each piece's timestamp through the pipe.

    ffmpeg's own filling of gaps (``aresample=async=1:first_pts=0``) is not used: it begins anew
    where the rate or the channels change in mid-stream, as they do in broadcasts.
    """
    return (
        file_input(path)[str(index)]
        .filter("aresample", SAMPLE_RATE)
        .filter("aformat", sample_fmts="s16", channel_layouts="mono", sample_rates=SAMPLE_RATE)
        .output("pipe:1", format="nut", acodec="pcm_s16le")
    )


def _pieces(pipe: BinaryIO, begin: int) -> Iterator[tuple[int, bytes]]:
    """Pieces of sound: the place of the first sample, and samples of 16 bit.

    ffmpeg shifts all timestamps by an amount that depends on container and version, so the first
    piece is put at ``begin`` and the others keep their distance from it.
    """
    try:
        with av.open(pipe, mode="r", format="nut") as container:
            stream = container.streams.audio[0]
            shift: int | None = None
            for packet in container.demux(stream):
                if packet.size and packet.pts is not None and packet.time_base is not None:
                    place = round(packet.pts * packet.time_base * SAMPLE_RATE)
                    shift = begin - place if shift is None else shift
                    yield place + shift, bytes(packet)
    except (av.FFmpegError, IndexError):
        # Nothing was decoded, or ffmpeg ended early, which its messages tell.
        return


def _place(
    wav: wave.Wave_write, pieces: Iterator[tuple[int, bytes]], limit: int, on_event: EventCallback
) -> tuple[int, int]:
    """Write each piece at its place. Returns start and end of the sound in samples."""
    start: int | None = None
    end = 0
    for place, data in pieces:
        if start is not None and abs(place - end) < MIN_GAP_S * SAMPLE_RATE:
            place = end
        data = data[max(0, end - place) * SAMPLE_BYTES :]
        if not data:
            continue
        gap = max(0, place - end)
        room = limit - end - gap
        if room <= 0:
            break
        if start is None:
            start = end + gap
        _write_silence(wav, gap)
        wav.writeframesraw(data[: room * SAMPLE_BYTES])
        second = end // SAMPLE_RATE
        end += gap + min(room, len(data) // SAMPLE_BYTES)
        if end // SAMPLE_RATE > second:
            on_event(Progress("sound", end // SAMPLE_RATE, None, "seconds"))
    return start or 0, end


def _write_silence(wav: wave.Wave_write, samples: int) -> None:
    while samples > 0:
        block = min(samples, SAMPLE_RATE)
        wav.writeframesraw(_SILENCE[: block * SAMPLE_BYTES])
        samples -= block
