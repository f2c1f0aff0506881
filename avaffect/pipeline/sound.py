"""A video's sound, and its features on the picture's clock."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avaffect.config import SAMPLE_RATE, AudioConfig, MediaConfig
from avaffect.features.audio import audio_features, window_samples
from avaffect.features.tensors import Array
from avaffect.media.probe import first_frame_time
from avaffect.media.sound import SoundInfo, extract_sound
from avaffect.progress import EventCallback, Notice, ignore_events


def make_wav(
    video: Path, wav: Path, config: MediaConfig, on_event: EventCallback = ignore_events
) -> SoundInfo | None:
    """Write ``wav`` (16 kHz mono, sample 0 at the first frame); None if there is no sound."""
    start = first_frame_time(video, config)
    sound = extract_sound(video, config, wav, first_time_s=start, on_event=on_event)
    if sound is None:
        on_event(Notice(f"'{video.name}' has no sound; its audio features are marked missing"))
    return sound


def sound_chunks(
    wav: Path,
    span: tuple[float, float] | None,
    times: NDArray[np.float64],
    config: AudioConfig,
    on_event: EventCallback = ignore_events,
) -> Iterator[dict[str, Array]]:
    """The arrays ``audio`` and ``has_sound`` for consecutive frames.

    Args:
        wav: from :func:`make_wav`.
        span: seconds in which there is sound, since the wav is silent where the video has none;
            None where there is no sound and no wav.
        times: float64 [N], the frames' times in seconds.
        config: the settings.
        on_event: progress in frames.
    """
    half = window_samples(times) / SAMPLE_RATE / 2
    start, end = span or (0.0, 0.0)
    for chunk in audio_features(wav if span else (), times, config, on_event=on_event):
        mine = times[chunk.start : chunk.start + len(chunk.values)]
        within = (mine + half > start) & (mine - half < end)
        yield {"audio": chunk.values, "has_sound": chunk.has_sound & within}
