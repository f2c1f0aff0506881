"""One artificial video: who is in it, what they do, and how the camera sees it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from avaffect.config import SAMPLE_RATE
from avaffect.datasets.synth.face import FacePainter, Person, Picture, Pose
from avaffect.datasets.synth.script import Labels, label, wander
from avaffect.datasets.synth.voice import CONTROL_RATE, Floats, Speech, SynthVoice, speak
from avaffect.files.atomic import atomic_path

_NOISE_SHIFT = 32
_X264 = {"crf": "20", "preset": "veryfast"}


@dataclass(frozen=True, eq=False)
class Role:
    """One subject of a film.

    Attributes:
        subject: the subject's name, e.g. ``video_left``.
        person: how the subject looks.
        actions: float64 [K, 6], what the face does, see `synth_script.random_actions`.
    """

    subject: str
    person: Person
    actions: Floats


@dataclass(frozen=True, eq=False)
class Film:
    """One video.

    Attributes:
        name: the video's name without suffix.
        fps: frames a second.
        frames: N, how many.
        size: width and height in pixels, both even.
        scale: pixels for one of the portrait.
        roles: one subject, or two from left to right.
        voice: whose voice is heard; None: there is no sound.
        speech: what it does.
        faceless: seconds from and to which no face is to be seen.
        seed: of what the camera and the microphone add.
    """

    name: str
    fps: Fraction
    frames: int
    size: tuple[int, int]
    scale: float
    roles: tuple[Role, ...]
    voice: SynthVoice | None
    speech: Speech
    faceless: tuple[float, float] | None
    seed: int

    @property
    def times(self) -> Floats:
        """float64 [N], seconds."""
        return np.arange(self.frames) / float(self.fps)

    @property
    def has_face(self) -> NDArray[np.bool_]:
        """bool [N], where faces are to be seen."""
        start, end = self.faceless or (0.0, 0.0)
        return (self.times < start) | (self.times >= end)

    def actions(self, role: Role) -> Floats:
        """float64 [N, 6], what a role's face does in each frame; zeros where it is not seen."""
        place = np.arange(len(role.actions)) / CONTROL_RATE
        columns = [np.interp(self.times, place, column) for column in role.actions.T]
        return np.column_stack(columns) * self.has_face[:, None]

    def labels(self, role: Role) -> Labels:
        """The labels of each frame: of what is to be seen and heard in it.

        The one voice belongs to all that are in the picture.
        """
        pitch, energy = self.speech.at(self.times)
        heard = self.voice is not None
        return label(self.actions(role), pitch * heard, energy * heard)

    def pictures(self) -> Iterator[Picture]:
        """N pictures, uint8 [H, W, 3] RGB, the same at every call."""
        rng = np.random.default_rng(self.seed)
        seconds = float(self.times[-1])
        width, height = self.size
        part = (width // len(self.roles), height)
        faces = [FacePainter(role.person, part, self.scale) for role in self.roles]
        moves = [self.actions(role) for role in self.roles]
        poses = [self._poses(rng, seconds) for _ in self.roles]
        light = self._sample(1 + 0.08 * wander(rng, seconds, 2.0))
        tint = 1 + rng.uniform(-0.03, 0.03, 3).astype(np.float32)
        grain, blur = rng.uniform(1, 5), rng.uniform(0.0, 0.7)
        noise = grain * rng.standard_normal(
            (height + _NOISE_SHIFT, width + _NOISE_SHIFT, 3), np.float32
        )
        shifts = rng.integers(0, _NOISE_SHIFT + 1, (self.frames, 2))
        empty = _empty_room(rng, self.size)
        for i, visible in enumerate(self.has_face):
            picture = empty
            if visible:
                halves = [
                    face.draw(actions[i], pose[i])
                    for face, actions, pose in zip(faces, moves, poses, strict=True)
                ]
                picture = np.concatenate(halves, axis=1) if len(halves) > 1 else halves[0]
            if blur > 0.3:
                picture = cv2.GaussianBlur(picture, (0, 0), blur).astype(np.uint8, copy=False)
            down, right = shifts[i]
            seen = picture * (tint * np.float32(light[i]))
            seen += noise[down : down + height, right : right + width]
            yield np.clip(seen + 0.5, 0, 255, out=seen).astype(np.uint8)

    def sound(self) -> NDArray[np.float32] | None:
        """float32, mono, as long as the pictures; None where the film is silent."""
        if self.voice is None:
            return None
        rng = np.random.default_rng([self.seed, 1])
        length = round(float(self.frames / self.fps) * SAMPLE_RATE)
        return speak(self.voice, self.speech, rng)[:length]

    def _sample(self, values: Floats) -> Floats:
        return np.interp(self.times, np.arange(len(values)) / CONTROL_RATE, values)

    def _poses(self, rng: np.random.Generator, seconds: float) -> list[Pose]:
        """The small, slow movements of a person who sits still."""
        spreads = {"yaw": 5.0, "pitch": 2.5, "roll": 2.5, "right": 0.05, "down": 0.03}
        course = {
            name: self._sample(np.clip(wander(rng, seconds, 1.5), -2, 2) * spread).tolist()
            for name, spread in spreads.items()
        }
        course["size"] = self._sample(1 + 0.02 * wander(rng, seconds, 2.5)).tolist()
        names = list(course)
        return [
            Pose(**dict(zip(names, row, strict=True)))
            for row in zip(*course.values(), strict=True)
        ]


def write_film(path: Path, film: Film, on_frame: Callable[[int], None]) -> None:
    """Encode H.264 and AAC in an MP4 file, picture by picture.

    Args:
        path: the file.
        film: the video.
        on_frame: called with 1, 2 ... after each frame.

    Raises:
        OutputError: the file cannot be written.
    """
    import av

    with atomic_path(path) as temporary, av.open(str(temporary), "w") as file:
        video = file.add_stream("libx264", rate=film.fps, options=_X264)
        video.width, video.height = film.size
        video.pix_fmt = "yuv420p"
        video.codec_context.time_base = 1 / film.fps
        video.codec_context.thread_count = 1
        sound = film.sound()
        if sound is not None:
            audio = file.add_stream("aac", rate=SAMPLE_RATE, layout="mono")
            audio.bit_rate = 48_000
            samples = av.AudioFrame.from_ndarray(sound[None], format="fltp", layout="mono")
            samples.sample_rate, samples.time_base = SAMPLE_RATE, Fraction(1, SAMPLE_RATE)
            samples.pts = 0
            file.mux(audio.encode(samples))
            file.mux(audio.encode())
        for number, picture in enumerate(film.pictures()):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = number, 1 / film.fps
            file.mux(video.encode(frame))
            on_frame(number + 1)
        file.mux(video.encode())


def _empty_room(rng: np.random.Generator, size: tuple[int, int]) -> Picture:
    """A wall with shadows on it: nothing that looks like a face."""
    width, height = size
    coarse = rng.uniform(90, 170, 3) + rng.uniform(-40, 40, (4, 5, 1))
    smooth = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(smooth, 0, 255).astype(np.uint8)
