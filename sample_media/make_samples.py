"""Make the sample clips and the JSON of what happens in them: python sample_media/make_samples.py

Needs scikit-image (``pip install avaffect[media]``) and Debian's espeak-ng; see README.md.
The same versions of everything give the same bytes.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
import wave
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import imageio_ffmpeg
import numpy as np
from numpy.typing import NDArray
from skimage import data
from warp import OTHER_PERSON, Portrait, Pose, ease, find_mesh

from avaffect.files.atomic import write_json
from avaffect.models.fetch import model_path

HERE = Path(__file__).parent
FPS = 25
FACE_BOX = (179, 70, 271, 179)
BROW_LINE, MOUTH_LINE = 86, 137  # between fringe and brows, between nose and upper lip
HEAD = ((225, 105), (95, 112))  # centre and half axes of an ellipse around hair and neck
SOUND_RATE = 22_050
TIME_BASE = Fraction(1, 1000)

Picture = NDArray[np.uint8]
Sound = NDArray[np.int16]
# Without cpu-independent, x264 makes other bytes now and then, even on one machine.
X264 = {"crf": "20", "preset": "slow", "x264-params": "cpu-independent=1"}

# What each expression must do to the outputs, by the definitions of the action units (FACS).
EFFECTS = {
    "smile": {"raises": ["AU12", "AU25", "valence"], "lowers": []},
    "brow_raise": {"raises": ["AU1", "AU2"], "lowers": []},
    "open_mouth": {"raises": ["AU25", "AU26"], "lowers": []},
    "frown": {"raises": ["AU4", "AU15"], "lowers": ["valence"]},
}


@dataclass(frozen=True)
class Event:
    """What a subject does: it grows from start to apex_start, stays, is gone at end (seconds)."""

    subject: str
    expression: str
    start: float
    apex_start: float
    apex_end: float
    end: float

    def weight(self, time: float) -> float:
        """How strong it is at a time, 0..1."""
        times = (self.start, self.apex_start, self.apex_end, self.end)
        return float(ease(np.interp(time, times, (0.0, 1.0, 1.0, 0.0))))


@dataclass(frozen=True)
class Phrase:
    """Words and the second at which they begin."""

    text: str
    start: float


EVENTS = (
    Event("one_person", "smile", 1.5, 1.8, 2.7, 3.0),
    Event("one_person", "brow_raise", 3.6, 3.84, 4.56, 4.8),
    Event("one_person", "open_mouth", 5.2, 5.44, 6.16, 6.4),
    Event("one_person", "frown", 6.8, 7.08, 7.72, 8.0),
    Event("two_people_left", "smile", 0.6, 0.88, 1.52, 1.8),
    Event("two_people_right", "open_mouth", 0.6, 0.88, 1.52, 1.8),
    Event("two_people_left", "open_mouth", 2.4, 2.68, 3.32, 3.6),
    Event("two_people_right", "smile", 2.4, 2.68, 3.32, 3.6),
    Event("vfr_rotated", "smile", 1.0, 1.3, 1.9, 2.2),
)


def weights(subject: str, time: float) -> dict[str, float]:
    """How strong each expression of a subject is at a time."""
    return {e.expression: e.weight(time) for e in EVENTS if e.subject == subject}


def sway(time: float, phase: float) -> Pose:
    """The small, slow movements of a person who sits still."""

    def wave_of(period: float, shift: float) -> float:
        return float(np.sin(2 * np.pi * (time / period + shift + phase)))

    return Pose(
        yaw=3.0 * wave_of(4.1, 0.0),
        pitch=1.5 * wave_of(3.3, 0.3),
        roll=2.0 * wave_of(5.3, 0.1),
        right=0.05 * wave_of(4.7, 0.6),
        down=0.03 * wave_of(3.7, 0.2),
        size=1 + 0.02 * wave_of(6.1, 0.5),
    )


def view(scale: float, left: float, top: float) -> NDArray[np.float64]:
    """From a portrait's pixels to those of a picture whose corner is at (left, top)."""
    return np.array([[scale, 0, -left * scale], [0, scale, -top * scale]])


def second_person(image: Picture, bundle: Path) -> Portrait:
    """Someone else out of the same portrait: mirrored, another face, hair, skin and suit."""
    first = Portrait(image, find_mesh(bundle, image, FACE_BOX))
    height, width = image.shape[:2]
    first.add_expression("other", OTHER_PERSON)
    image = first.draw({"smile": 1, "other": 1}, Pose(), view(1, 0, 0), (width, height))

    hue, saturation, value = cv2.split(cv2.cvtColor(image, cv2.COLOR_RGB2HSV).astype(np.float32))
    ys, xs = np.mgrid[:height, :width]
    (x, y), (across, along) = HEAD
    radius = np.hypot((xs - x) / across, (ys - y) / along)
    left, top, right, bottom = FACE_BOX
    middle, half = (left + right) / 2, (right - left) / 2
    oval = np.hypot((xs - middle) / half, 2 * (ys - top) / (bottom - top) - 1) < 1
    face = oval & (ys > BROW_LINE)
    warm = np.clip((saturation - np.where(oval, 15, 35)) / 25, 0, 1)
    warm[oval & (ys < MOUTH_LINE)] = 1  # highlights too, but not the teeth
    head = np.clip((1.15 - radius) / 0.15, 0, 1) * warm
    # In the head, what is warm and dark is hair, unless it is a shadow in the face.
    skin = np.where(face, 1, np.clip((value - 140) / 50, 0, 1)).astype(np.float32)
    skin = cv2.GaussianBlur(skin, (0, 0), 1.5)
    suit = (hue < 14) & (saturation > 130) & (radius > 1)
    wall = np.clip((60 - saturation) / 20, 0, 1) * (ys < 280) * ~oval

    picture = image.astype(np.float64)
    for part, tint in (
        (head * skin, (0.84, 0.73, 0.64)),
        (head * (1 - skin), (0.36, 0.31, 0.32)),
        (wall, (0.72, 0.86, 0.84)),
    ):
        picture *= 1 + part[..., None] * (np.array(tint) - 1)
    picture[suit] = picture[suit] @ np.array([[0.15, 0.2, 0.5], [0.1, 0.8, 0.3], [0.3, 0, 0.8]])
    mirrored = np.ascontiguousarray(np.clip(picture, 0, 255).astype(np.uint8)[:, ::-1])
    box = (width - right, top, width - left, bottom)
    return Portrait(mirrored, find_mesh(bundle, mirrored, box))


def speak(
    phrases: Iterable[Phrase], seconds: float, voice: str
) -> tuple[Sound, list[dict[str, Any]]]:
    """The phrases in silence of a given length, and when each is to be heard."""
    sound = np.zeros(round(seconds * SOUND_RATE), np.int16)
    heard = []
    for phrase in phrases:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "voice.wav"
            command = ["espeak-ng", "-v", voice, "-s", "150", "-w", str(path), phrase.text]
            subprocess.run(command, check=True)
            with wave.open(str(path)) as file:
                words = np.frombuffer(file.readframes(file.getnframes()), np.int16)
        loud = np.flatnonzero(np.abs(words.astype(np.int32)) > 200)
        words = words[loud[0] : loud[-1] + 1]
        first = round(phrase.start * SOUND_RATE)
        sound[first : first + len(words)] = words
        end = round(phrase.start + len(words) / SOUND_RATE, 3)
        heard.append({"start": phrase.start, "end": end, "text": phrase.text})
    return sound, heard


def write_clip(
    path: Path,
    pictures: Iterable[Picture],
    times: NDArray[np.int64],
    size: tuple[int, int],
    sound: Sound | None = None,
    sound_start: float = 0.0,
) -> None:
    """Encode H.264 and AAC. ``times`` holds each picture's milliseconds."""
    with av.open(str(path), "w", options={"fflags": "+bitexact"}) as file:
        video = file.add_stream("libx264", rate=FPS, options=X264)
        video.width, video.height = size
        video.pix_fmt = "yuv420p"
        video.codec_context.time_base = TIME_BASE
        video.codec_context.thread_count = 1
        video.codec_context.flags |= av.codec.context.Flags.bitexact
        audio = None
        if sound is not None:
            audio = file.add_stream("aac", rate=SOUND_RATE, layout="mono")
            audio.bit_rate = 40_000
            audio.codec_context.flags |= av.codec.context.Flags.bitexact
        for picture, time in zip(pictures, times, strict=True):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = int(time), TIME_BASE
            file.mux(video.encode(frame))
        file.mux(video.encode())
        if audio is not None:
            samples = av.AudioFrame.from_ndarray(sound[None], format="s16", layout="mono")
            samples.sample_rate, samples.time_base = SOUND_RATE, Fraction(1, SOUND_RATE)
            samples.pts = round(sound_start * SOUND_RATE)
            file.mux(audio.encode(samples))
            file.mux(audio.encode())


def turn(path: Path, degrees: int) -> None:
    """Set the flag that tells players to turn the picture counterclockwise by ``degrees``."""
    turned = path.with_name(f"turned{path.suffix}")
    ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", "-fflags", "+bitexact"]
    flag = ["-display_rotation:v:0", str(degrees), "-i", str(path)]
    subprocess.run([*ffmpeg, *flag, "-c", "copy", "-bitexact", str(turned)], check=True)
    turned.replace(path)


def steady(seconds: float) -> NDArray[np.int64]:
    """Milliseconds of the pictures of a clip with a constant frame rate."""
    return np.arange(round(seconds * FPS)) * (1000 // FPS)


def describe(
    path: Path,
    times: NDArray[np.int64],
    size: tuple[int, int],
    subjects: Sequence[str],
    **more: Any,
) -> dict[str, Any]:
    """A clip's entry in truth.json: what it says of every clip, and what ``more`` there is."""
    facts = {
        "file": path.name,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "bytes": path.stat().st_size,
        "frames": len(times),
        "fps": FPS,
        "width": size[0],
        "height": size[1],
        "rotation": 0,
    }
    events = [asdict(e) | EFFECTS[e.expression] for e in EVENTS if e.subject in subjects]
    return facts | more | {"subjects": subjects, "events": events}


def one_person(folder: Path, person: Portrait) -> dict[str, Any]:
    """Four expressions, one after the other, and a voice."""
    path, times, size = folder / "one_person.mp4", steady(8.0), (400, 400)
    phrases = (
        Phrase("Good morning. Please look at the camera and smile.", 0.4),
        Phrase("Now open your mouth.", 4.6),
    )
    sound, speech = speak(phrases, 8.0, "en-us+f3")
    pictures = (
        person.draw(weights("one_person", t), sway(t, 0.0), view(1.75, 111, 2), size)
        for t in times / 1000
    )
    write_clip(path, pictures, times, size, sound)
    return describe(path, times, size, ["one_person"], sound=[0.0, 8.0], speech=speech)


def two_people(folder: Path, left: Portrait, right: Portrait) -> dict[str, Any]:
    """Side by side; each does what the other did before."""
    path, times, size = folder / "two_people.mp4", steady(4.0), (320, 320)
    sound, speech = speak((Phrase("One, two, three, and change over.", 0.5),), 4.0, "en-us+m3")

    def picture(t: float) -> Picture:
        halves = [
            left.draw(weights("two_people_left", t), sway(t, 0.15), view(1.4, 111, 2), size),
            right.draw(weights("two_people_right", t), sway(t, 0.55), view(1.4, 172, 2), size),
        ]
        return np.concatenate(halves, axis=1)

    write_clip(path, (picture(t) for t in times / 1000), times, (640, 320), sound)
    subjects = ["two_people_left", "two_people_right"]
    return describe(
        path,
        times,
        (640, 320),
        subjects,
        sound=[0.0, 4.0],
        speech=speech,
    )


def no_face(folder: Path) -> dict[str, Any]:
    """A cup of coffee; no person and no sound stream."""
    path, times, size = folder / "no_face.mp4", steady(2.0), (320, 240)
    cup = data.coffee()
    pictures = (
        cv2.warpAffine(cup, view(0.72 + 0.04 * t, 60 + 45 * t, 15 + 10 * t), size)
        for t in times / 1000
    )
    write_clip(path, pictures, times, size)
    return describe(path, times, size, [], sound=None, speech=[])


def vfr_rotated(folder: Path, person: Portrait) -> dict[str, Any]:
    """As from a phone: uneven frame times, stored lying on its side, sound late and short."""
    path, size = folder / "vfr_rotated.mov", (240, 320)
    steps = np.random.default_rng(2).integers(20, 61, 200)
    times = np.concatenate([[0], np.cumsum(steps)])
    times = times[times < 3000]
    sound, speech = speak((Phrase("Say cheese!", 0.7),), 2.3, "en-us+f3")
    late = round(0.5 * SOUND_RATE)
    pictures = (
        np.ascontiguousarray(
            np.rot90(person.draw(weights("vfr_rotated", t), sway(t, 0.3), view(1.3, 133, 2), size))
        )
        for t in times / 1000
    )
    write_clip(path, pictures, times, size[::-1], sound[late:], 0.5)
    turn(path, -90)
    return describe(
        path,
        times,
        size,
        ["vfr_rotated"],
        fps="vfr",
        rotation=-90,
        frame_times=[round(t / 1000, 3) for t in times.tolist()],
        sound=[0.5, 2.3],
        speech=speech,
    )


def main() -> None:
    if shutil.which("espeak-ng") is None:
        sys.exit("espeak-ng is missing: apt-get install espeak-ng")
    bundle = model_path("face-landmarker")
    portrait = data.astronaut()
    person = Portrait(portrait, find_mesh(bundle, portrait, FACE_BOX))
    other = second_person(portrait, bundle)
    clips = [
        one_person(HERE, person),
        two_people(HERE, person, other),
        no_face(HERE),
        vfr_rotated(HERE, person),
    ]
    truth = {
        "about": "made by make_samples.py; times in seconds from the first decoded frame",
        "sources": {
            "person": "Eileen Collins, NASA portrait, skimage.data.astronaut(): public domain",
            "coffee": "Rachel Michetti, Pikolo Espresso Bar, skimage.data.coffee(): CC0",
            "voice": "synthetic, made with eSpeak NG",
        },
        "clips": clips,
    }
    write_json(HERE / "truth.json", truth)
    for clip in clips:
        print(f"{clip['file']}: {clip['frames']} frames, {clip['bytes'] / 1000:.0f} kB")


if __name__ == "__main__":
    main()
