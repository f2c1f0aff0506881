"""A video's sound, and the arrays made of it on the picture's clock."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avaffect.config import SAMPLE_RATE, AnalysisConfig, MediaConfig
from avaffect.files.npy import Array, ArraySpec
from avaffect.media.sound import SoundInfo, extract_sound
from avaffect.media.source import Source
from avaffect.progress import EventCallback, Notice, ignore_events
from avaffect.sound.frame_windows import window_samples
from avaffect.sound.mfcc import AUDIO, audio_features, audio_specs
from avaffect.sound.voice import VOICE, VoiceNet, hear
from avaffect.store.prepared import Prepared
from avaffect.store.subject import StoredSubject
from avaffect.store.writing import replace_arrays

_ROWS = 4096


def sound_arrays(config: AnalysisConfig) -> tuple[str, ...]:
    """Those of :data:`SOUND` that ``config`` asks for."""
    audio = () if config.audio is None else AUDIO
    return audio if config.voice is None else (*audio, "voice")


def stages(arrays: Collection[str]) -> tuple[str, ...]:
    """What making ``arrays`` is called in reports: of ``audio`` and ``voice``."""
    return tuple(name for name in ("audio", "voice") if name in arrays)


def make_wav(
    video: Source, wav: Path, config: MediaConfig, on_event: EventCallback = ignore_events
) -> SoundInfo | None:
    """Write ``wav`` (16 kHz mono, sample 0 at the first frame); None if there is no sound."""
    start, tracks = video.media.video.first_time_s, video.header.tracks
    sound = extract_sound(
        video.path, config, wav, first_time_s=start, tracks=tracks, on_event=on_event
    )
    name = video.path.name
    if sound is None:
        on_event(Notice(f"'{name}' has no sound; its audio features are marked missing"))
    else:
        tell_cuts(video.path, sound, "the times of frames stay as they are", on_event)
    return sound


def tell_cuts(
    source: Path, sound: SoundInfo, consequence: str, on_event: EventCallback = ignore_events
) -> None:
    """Say it if long silences were left out of the wav."""
    if sound.cuts:
        minutes = sum(left for _, left in sound.cuts) / 60
        count = len(sound.cuts)
        gaps = f"{count} long gaps" if count > 1 else "a long gap"
        text = (
            f"the sound of '{source.name}' has {gaps}: {minutes:.0f} minutes of silence are not "
            f"in audio.wav; {consequence}"
        )
        on_event(Notice(text, warning=True))


class SoundReader:
    """Makes arrays of a sound, on one clock after the other; the voice is listened to once.

    Args:
        wav: from :func:`make_wav`.
        sound: what is known of it, since the wav is silent where the video has no sound; None
            where there is no sound and no wav.
        config: the settings.
        arrays: which to make, of :func:`sound_arrays`.
        on_event: progress.
        device: see ``mfcc.audio_features``.

    Attributes:
        specs: the arrays, by name.
        wav: where the wav lies; it may be moved.
        on_event: gets progress.

    Raises:
        ModelError: the weights of the voice net are not to be had or damaged.
    """

    def __init__(
        self,
        wav: Path,
        sound: SoundInfo | None,
        config: AnalysisConfig,
        arrays: Sequence[str],
        on_event: EventCallback = ignore_events,
        device: str = "cpu",
    ) -> None:
        self.wav = wav
        self._device = device
        self._sound = sound
        self.on_event = on_event
        self._audio = config.audio if "audio" in arrays else None
        self._voice = None
        self.specs: dict[str, ArraySpec] = {}
        if self._audio is not None:
            self.specs |= audio_specs(self._audio)
        if "voice" in arrays and config.voice is not None:
            self.specs["voice"] = VOICE
            if sound is not None:
                self._voice = hear(wav, VoiceNet(config.voice, on_event), on_event)

    def chunks(self, times: NDArray[np.float64]) -> Iterator[dict[str, Array]]:
        """The arrays for consecutive frames at ``times`` (float64 [N], seconds)."""
        if self._sound is not None:
            times = self._sound.in_wav(times)
        for rows, chunk in self._audio_chunks(times):
            if "voice" in self.specs:
                chunk["voice"] = self._voice_rows(times[rows])
            yield chunk

    def _audio_chunks(
        self, times: NDArray[np.float64]
    ) -> Iterator[tuple[slice, dict[str, Array]]]:
        """Consecutive frames, and what was asked for of ``AUDIO`` for them."""
        if self._audio is None:
            for start in range(0, len(times), _ROWS):
                yield slice(start, start + _ROWS), {}
            return
        half = window_samples(times) / SAMPLE_RATE / 2
        start_s, end_s = self._span
        sound = self.wav if self._sound else ()
        for chunk in audio_features(sound, times, self._audio, self._device, self.on_event):
            rows = slice(chunk.start, chunk.start + len(chunk.values))
            within = (times[rows] + half > start_s) & (times[rows] - half < end_s)
            yield rows, {"audio": chunk.values, "has_sound": chunk.has_sound & within}

    def _voice_rows(self, times: NDArray[np.float64]) -> Array:
        if self._voice is None:
            return VOICE.missing(len(times))
        return self._voice.at(times, self._span)

    @property
    def _span(self) -> tuple[float, float]:
        """Seconds of the wav in which there is sound."""
        if self._sound is None:
            return 0.0, 0.0
        start, end = self._sound.in_wav(np.array([self._sound.start_s, self._sound.end_s]))
        return float(start), float(end)


def store_sound(
    folder: Prepared,
    stored: list[StoredSubject],
    reader: SoundReader,
    wanted: Mapping[str, str],
    about: Mapping[str, Any],
) -> None:
    """Add or replace arrays made of sound in every stored subject.

    Args:
        folder: where they are stored.
        stored: the subjects, read anew at the end.
        reader: makes them.
        wanted: the key of every array, from ``store.keys``.
        about: provenance.
    """
    keys = {name: wanted[name] for name in reader.specs}
    for subject in stored:
        replace_arrays(subject.folder, reader.specs, reader.chunks(subject.times), about, keys)
    stored[:] = folder.subjects()


def stale_arrays(
    stored: Sequence[StoredSubject], config: AnalysisConfig, wanted: Mapping[str, str]
) -> tuple[str, ...]:
    """Those of :func:`sound_arrays` that are not stored, or were made in another way."""
    stale = [
        name
        for name in sound_arrays(config)
        if not all(subject.has(name, wanted[name]) for subject in stored)
    ]
    # These two are made together.
    again = AUDIO if set(stale) & set(AUDIO) else ()
    return (*again, *(name for name in stale if name not in AUDIO))
