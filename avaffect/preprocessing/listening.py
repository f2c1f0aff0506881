"""The sound of a video, read in a thread while the pass goes on over its pictures."""

from __future__ import annotations

import queue
import threading
from dataclasses import dataclass
from pathlib import Path

from avaffect.config import AnalysisConfig
from avaffect.media.sound import SoundInfo
from avaffect.media.source import Source
from avaffect.preprocessing.sound import SoundReader, make_wav, sound_arrays
from avaffect.progress import Event, EventCallback, Notice, ignore_events


class _Stopped(Exception):
    """Ends the thread, raised where it reports progress."""


@dataclass(frozen=True)
class Heard:
    """What became of a video's sound.

    Attributes:
        sound: what was written, None if there is no sound.
        reader: makes arrays of it.
    """

    sound: SoundInfo | None
    reader: SoundReader

    def moved(self, wav: Path) -> SoundReader:
        """The reader, after the wav was moved to ``wav``."""
        self.reader.wav = wav
        return self.reader


class Listening:
    """Writes a video's sound as a wav and listens to it, from the beginning of the block on.

    What it has to say is kept back until :meth:`heard` is called, and so is what goes wrong.
    Leaving the block before that gives it up.

    Args:
        video: the video.
        wav: where the sound goes.
        config: the settings.
        device: see ``mfcc.audio_features``.
    """

    def __init__(
        self, video: Source, wav: Path, config: AnalysisConfig, device: str = "cpu"
    ) -> None:
        self._video, self._wav, self._config, self._device = video, wav, config, device
        self._said: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._awaited = self._stop = False
        self._error: BaseException | None = None
        self._heard: Heard
        self._thread = threading.Thread(target=self._run, name="avaffect-listening", daemon=True)

    def __enter__(self) -> Listening:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop = True
        self._thread.join()

    def heard(self, on_event: EventCallback = ignore_events) -> Heard:
        """Wait for the end, and get what became of the sound.

        Args:
            on_event: gets all notices, and progress from now on.

        Raises:
            MediaError, FeatureError: the sound cannot be read.
            ModelError: weights are not to be had or damaged.
            OutputError: the wav cannot be written.
        """
        self._awaited = True
        while (event := self._said.get()) is not None:
            on_event(event)
        if self._error is not None:
            raise self._error
        self._heard.reader.on_event = on_event
        return self._heard

    def _run(self) -> None:
        try:
            self._heard = self._listen()
        except _Stopped:
            pass
        except BaseException as error:  # raised in `heard`
            self._error = error
        finally:
            self._said.put(None)

    def _listen(self) -> Heard:
        arrays, config = sound_arrays(self._config), self._config
        sound = make_wav(self._video, self._wav, config.media, self._hear) if arrays else None
        reader = SoundReader(self._wav, sound, config, arrays, self._hear, self._device)
        return Heard(sound, reader)

    def _hear(self, event: Event) -> None:
        if self._stop:
            raise _Stopped
        if self._awaited or isinstance(event, Notice):
            self._said.put(event)
