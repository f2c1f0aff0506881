"""The sound so far: what is made of it for a frame, without what comes later.

What the file path centres on a frame ends with it here. A voice net hears the last window every
half second where somebody spoke in it; all windows of the last minutes tell of the speaker.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

import av
import numpy as np

from avaffect.config import SAMPLE_RATE, AnalysisConfig
from avaffect.errors import UsageError
from avaffect.files.npy import Array, ArraySpec
from avaffect.preprocessing.sound import sound_arrays
from avaffect.progress import EventCallback, ignore_events
from avaffect.sound.mfcc import audio_features, audio_specs
from avaffect.sound.samples import Floats, as_samples, mixed
from avaffect.sound.speech import CHUNK, STEP_S, Speech, SpeechDetector
from avaffect.sound.voice import HALF_S, MAX_DISTANCE_S, MIN_SPEECH_S, VOICE, VoiceNet

# Windows of so many seconds tell of the speaker.
REMEMBERED_S = 300.0
# Sound beside its place by less follows on the sound before it, as clocks drift and round.
_GAP_S = 0.25
# Sound of this length is behind every window.
_SHORTEST_S = 10.0
# In one piece may be no more than this.
MOST_S = 60.0


class Listener:
    """Listens to sound as it comes.

    Args:
        config: which arrays are made of it: ``audio``, ``voice`` or neither.
        on_event: progress of fetching the nets.

    Attributes:
        specs: the arrays, by name.

    Raises:
        ModelError: weights are not to be had or damaged.
        UsageError: ``audio`` is to be normalised by a whole clip.
    """

    def __init__(self, config: AnalysisConfig, on_event: EventCallback = ignore_events) -> None:
        wanted = sound_arrays(config)
        self._audio = config.audio if "audio" in wanted else None
        if self._audio is not None and self._audio.normalise == "clip":
            raise UsageError(
                "sound normalised by its whole clip is not known live",
                "predict the file, or train without normalise=clip",
            )
        self.specs: dict[str, ArraySpec] = {}
        if self._audio is not None:
            self.specs |= audio_specs(self._audio)
        self._net: VoiceNet | None = None
        self._speech: SpeechDetector | None = None
        if "voice" in wanted and config.voice is not None:
            self.specs["voice"] = VOICE
            self._net, self._speech = VoiceNet(config.voice, on_event), SpeechDetector(on_event)
        window = 0.0 if self._net is None else self._net.settings.window_s
        self._kept = round(max(_SHORTEST_S, 2 * window) * SAMPLE_RATE)
        self._samples = np.zeros(0, np.float32)
        self._first = 0  # number of the first sample that is kept
        self._begin: float | None = None  # when sample 0 is
        self._resampler: tuple[float, Any] | None = None
        self._given = 0  # samples that came, as seconds * SAMPLE_RATE
        self._chances: deque[float] = deque(maxlen=round(2 * self._kept / CHUNK))
        self._heard = 0  # chunks of speech looked at
        self._windows: deque[tuple[float, Floats]] = deque()
        self._next = 0
        self._voice: tuple[float, Floats] | None = None

    @property
    def end(self) -> float | None:
        """Until when there is sound, seconds; None before the first."""
        if self._begin is None:
            return None
        return self._begin + (self._first + len(self._samples)) / SAMPLE_RATE

    def push(self, samples: Any, rate: float, time: float) -> None:
        """Add sound; see ``Session.push_sound``.

        Args:
            samples: float [n] or [channels, n].
            rate: hertz.
            time: seconds of the first sample.
        """
        given = as_samples(samples, rate)
        if given.shape[1] > MOST_S * rate:
            raise UsageError(
                f"{given.shape[1] / rate:.0f} s of sound come at once",
                f"give at most {MOST_S:.0f} s at a time",
            )
        if not self.specs:
            return
        end = self.end
        if end is None:
            self._begin, end = time, time
        self._place(time - end)
        self._take(self._resampled(mixed(given), float(rate)))

    def rows(self, time: float, step: float) -> Mapping[str, Array]:
        """A row of each array for a frame.

        Args:
            time: seconds.
            step: seconds since the frame before.
        """
        found: dict[str, Array] = {}
        if "voice" in self.specs:
            found["voice"] = self._voice_row(time)
        if self._audio is not None:
            found |= self._audio_row(time, step)
        return found

    def _place(self, gap: float) -> None:
        """Silence where sound is missing; an end that lies too far ahead begins anew."""
        if abs(gap) <= _GAP_S:
            return
        if gap > 0:
            missing = round(gap * SAMPLE_RATE)
            # Of a long silence no more is written than a window reaches over.
            skipped = max(0, missing - 2 * self._kept)
            skipped -= skipped % CHUNK
            self._take(np.zeros(missing - skipped, np.float32))
            self._begin = (self._begin or 0.0) + skipped / SAMPLE_RATE
        else:
            # Given again, or by another clock: what comes follows on what there is.
            self._begin = (self._begin or 0.0) + gap
        self._resampler = None

    def _resampled(self, mono: Floats, rate: float) -> Floats:
        if round(rate) == SAMPLE_RATE:
            return mono
        if self._resampler is None or self._resampler[0] != rate:
            made = av.AudioResampler(format="fltp", layout="mono", rate=SAMPLE_RATE)
            self._resampler = (rate, made)
        frame = av.AudioFrame.from_ndarray(mono[None], format="fltp", layout="mono")
        frame.sample_rate = round(rate)
        parts = [part.to_ndarray()[0] for part in self._resampler[1].resample(frame)]
        return np.concatenate([np.zeros(0, np.float32), *parts])

    def _take(self, samples: Floats) -> None:
        # A second at a time, so that windows are heard at their own moments.
        for start in range(0, len(samples), SAMPLE_RATE // 4):
            self._samples = np.concatenate(
                [self._samples, samples[start : start + SAMPLE_RATE // 4]]
            )
            self._listen()
            if (over := len(self._samples) - self._kept) > 0:
                self._samples, self._first = self._samples[over:], self._first + over

    def _listen(self) -> None:
        if self._net is None or self._speech is None:
            return
        end = self._first + len(self._samples)
        new = self._samples[self._heard * CHUNK - self._first :]
        whole = len(new) - len(new) % CHUNK
        self._chances.extend(self._speech(new[:whole]).tolist())
        self._heard += whole // CHUNK
        if end < self._next:
            return
        settings = self._net.settings
        self._next = end + round(settings.hop_s * SAMPLE_RATE)
        begin_s = end / SAMPLE_RATE - settings.window_s
        chances, first = self._speech_since()
        speech = Speech(chances, len(chances) * CHUNK)
        at = np.array([begin_s - first, end / SAMPLE_RATE - first])
        if speech.seconds(at[:1], at[1:])[0] < MIN_SPEECH_S:
            return
        length = round(settings.rows / settings.rate_hz * SAMPLE_RATE)
        window = self._samples[-length:]
        # A sound shorter than a window is surrounded by silence, as in files.
        padded = np.pad(window, ((length - len(window)) // 2, 0))
        padded = np.pad(padded, (0, length - len(padded)))
        _, heard = next(iter(self._net.windows((padded,), np.zeros(1, np.int64))))
        now = end / SAMPLE_RATE
        self._windows.append((now - settings.window_s / 2, self._net(heard)[0]))
        while self._windows[0][0] < now - REMEMBERED_S:
            self._windows.popleft()
        centres = np.array([centre for centre, _ in self._windows])
        values = np.stack([value for _, value in self._windows])
        self._voice = now, self._net.judge(values, centres)[-1]

    def _speech_since(self) -> tuple[Floats, float]:
        """The chances of speech that are kept, and when the first begins, of the sound's."""
        first = (self._heard - len(self._chances)) * STEP_S
        return np.array(self._chances, np.float32), first

    def _voice_row(self, time: float) -> Array:
        row: Array = VOICE.missing(1)[0]
        if self._begin is None or not self._chances:
            return row
        at = time - self._begin
        chances, first = self._speech_since()
        speech = Speech(chances, len(chances) * CHUNK)
        span = np.array([at - 2 * HALF_S, at]) - first
        row[-1] = speech.mean(span[:1], span[1:])[0]
        near = speech.distance(np.array([at - first]))[0] <= MAX_DISTANCE_S
        window = 0.0 if self._net is None else self._net.settings.window_s
        if near and self._voice is not None and at - self._voice[0] <= window:
            row[:-1] = self._voice[1]
        return row

    def _audio_row(self, time: float, step: float) -> dict[str, Array]:
        assert self._audio is not None  # noqa: S101  (who calls has looked)
        begin = 0.0 if self._begin is None else self._begin + self._first / SAMPLE_RATE
        # Two frames, from which the length of a window follows, of which the last ends now.
        times = np.maximum(np.array([time - 2 * step, time - step]) - begin, 0.0)
        sound = (self._samples,) if len(self._samples) else ()
        chunk = list(audio_features(sound, times, self._audio))[-1]
        return {"audio": chunk.values[-1], "has_sound": chunk.has_sound[-1]}
