"""Films, sounds and pictures that were changed: what they are made of, and what reads them.

FFmpeg's decoders are not ours, and a fault of theirs would end the process that meets it. So the
files are read in a process of its own (`python -m hostile.media`), with limits of memory and
time, which reports a line a file; whoever started it sees at which file it died.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np

TESTS = Path(__file__).parents[1]
# By ending: the picture's codec, its pixels, the sound's codec; None leaves it out.
KINDS: dict[str, tuple[str | None, str, str | None]] = {
    "a.mp4": ("libx264", "yuv420p", "aac"),
    "b.mp4": ("mpeg4", "yuv420p", "mp3"),
    "a.mkv": ("libx264", "yuv420p", "flac"),
    "b.mkv": ("ffv1", "yuv422p10le", "libopus"),
    "a.webm": ("libvpx-vp9", "yuv420p", "libopus"),
    "a.mov": ("mjpeg", "yuvj420p", "pcm_s16le"),
    "a.avi": ("mpeg4", "yuv420p", "mp3"),
    "a.ts": ("mpeg2video", "yuv420p", "mp2"),
    "a.flv": ("flv", "yuv420p", "aac"),
    "a.gif": ("gif", "rgb8", None),
    "a.h264": ("libx264", "yuv420p", None),
    "a.wav": (None, "", "pcm_s16le"),
    "a.flac": (None, "", "flac"),
    "a.ogg": (None, "", "libopus"),
    "a.m4a": (None, "", "aac"),
    "a.mp3": (None, "", "mp3"),
    "a.png": ("png", "rgb24", None),
    "a.jpg": ("mjpeg", "yuvj420p", None),
    "a.webp": ("libwebp", "yuv420p", None),
    "a.tiff": ("tiff", "rgb24", None),
    "a.bmp": ("bmp", "bgr24", None),
}
STILL = (".png", ".jpg", ".webp", ".tiff", ".bmp")
FRAMES, SIDE, RATE = 12, 64, 16_000
MEMORY = 3 << 30
# Seconds of processor time a file: a decoder that is led astray is not let go on for ever.
CPU_S = 30


def seed(name: str, folder: Path) -> Path | None:
    """Half a second of noise as one of `KINDS`; None where this PyAV cannot write it."""
    path = folder / name
    try:
        _write(path, *KINDS[name])
    except (av.FFmpegError, ValueError):
        path.unlink(missing_ok=True)
        return None
    return path


def _write(path: Path, picture: str | None, pixels: str, sound: str | None) -> None:
    rng = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        shown: Any = container.add_stream(picture, rate=25) if picture else None
        heard: Any = None
        if sound:
            heard = container.add_stream(sound, rate=48_000 if "opus" in sound else RATE)
        if shown is not None:
            shown.width = shown.height = SIDE
            shown.pix_fmt = pixels
            for number in range(1 if path.suffix in STILL else FRAMES):
                image = rng.integers(0, 255, (SIDE // 8, SIDE // 8, 3), dtype=np.uint8)
                frame = av.VideoFrame.from_ndarray(np.kron(image, np.ones((8, 8, 1), np.uint8)))
                frame.pts, frame.time_base = number, Fraction(1, 25)
                container.mux(shown.encode(frame))
        if heard is not None:
            tone = (np.sin(np.arange(heard.rate // 2) / 9) * 9000).astype(np.int16)
            samples = av.AudioFrame.from_ndarray(tone[None], "s16", "mono")
            samples.sample_rate, samples.pts = heard.rate, 0
            container.mux(heard.encode(samples))
        for stream in (shown, heard):
            if stream is not None:
                container.mux(stream.encode(None))


def mutated(data: bytes, chance: random.Random) -> bytes:
    """``data`` as a bad disk, a bad line or a bad person would leave it."""
    changed = bytearray(data)
    for _ in range(chance.choice([1, 1, 2, 4, 30])):
        if not changed:
            break
        # Headers lie at both ends.
        near = chance.choice([len(changed), min(len(changed), 600)])
        at = chance.randrange(near)
        if chance.random() < 0.2:
            at = len(changed) - 1 - at
        way = chance.randrange(7)
        length = chance.choice([1, 2, 4, 8, 64, 1000])
        if way < 2:
            changed[at] = chance.randrange(256)
        elif way == 2:
            changed[at] ^= 1 << chance.randrange(8)
        elif way == 3:
            odd = chance.choice([0, 1, 0x7F, 0x80, 0xFF, 0x7FFFFFFF, 0xFFFFFFFF, 0x10000])
            changed[at : at + 4] = odd.to_bytes(4, chance.choice(["big", "little"]))
        elif way == 4:
            del changed[at : at + length]
        elif way == 5:
            changed[at:at] = changed[at : at + length]
        else:
            start = chance.randrange(len(changed))
            changed[at : at + length] = changed[start : start + length]
    return bytes(
        changed[: chance.randrange(len(changed) + 1)] if chance.random() < 0.1 else changed
    )


class Outcome(NamedTuple):
    """What became of a file: ``read``, ``refused`` or ``fault``, and in which words."""

    path: Path
    kind: str
    words: str = ""


def outcomes(paths: Sequence[Path], untrusted: bool = False) -> Iterator[Outcome]:
    """Read files in processes with limits; a death is a fault, and the next file has a new one."""
    left = list(paths)
    while left:
        command = [sys.executable, "-m", "hostile.media", *(["--untrusted"] if untrusted else [])]
        process = subprocess.run(
            [*command, *map(str, left)], cwd=TESTS, capture_output=True, text=True
        )
        said = [
            Outcome(Path(p), *rest)
            for p, *rest in map(json.loads, process.stdout.split("\n")[:-1])
        ]
        yield from said
        left = left[len(said) :]
        if left:
            words = process.stderr[-400:]
            yield Outcome(left.pop(0), "fault", f"ended with {process.returncode}: {words}")


def read_all(path: Path) -> str:
    """All that is read of a file before faces are looked for; how many frames and samples."""
    from avaffect.config import MediaConfig
    from avaffect.errors import NoVideoStreamError
    from avaffect.media.frames import FrameReader
    from avaffect.media.sound import extract_sound
    from avaffect.media.source import read_header

    config = MediaConfig()
    header = read_header(path, config)
    frames, first = 0, None
    if header.media is not None:
        with FrameReader(path, config, info=header.media) as reader:
            for frame in reader:
                frames += 1
                assert frame.image.shape[2] == 3
                if frames >= 4 * FRAMES:
                    break
        first = header.media.video.first_time_s
    wav = path.with_name(f"{path.name}.sound")
    try:
        sound = extract_sound(path, config, wav, first_time_s=first, tracks=header.tracks)
    except NoVideoStreamError:
        sound = None
    finally:
        wav.unlink(missing_ok=True)
    return f"{frames} frames, {sound.samples if sound else 0} samples"


def main(arguments: Iterable[str]) -> None:
    """Read the files that are named and say of each what became of it."""
    import os
    import resource

    from hostile.watch import watched

    from avaffect.errors import AvaffectError

    paths = list(arguments)
    if paths[0] == "--untrusted":
        os.environ["AVAFFECT_UNTRUSTED"] = paths.pop(0)[2:]
    else:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for path in map(Path, paths):
        used = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
        resource.setrlimit(resource.RLIMIT_CPU, (int(used) + CPU_S, resource.RLIM_INFINITY))
        try:
            with watched(path.parent, untrusted="AVAFFECT_UNTRUSTED" in os.environ):
                try:
                    outcome = "read", read_all(path)
                except AvaffectError as error:
                    outcome = "refused", str(error)
                    raise
        except BaseException as error:
            outcome = "fault", repr(error)
        print(json.dumps([str(path), *outcome]), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
