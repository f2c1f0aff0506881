"""Which way of reading frames is fastest: PyAV, a pipe of RGB from ffmpeg, or OpenCV?

    python benchmarks/decode.py [video] [--rounds 5]

Each way decodes every frame to RGB. They take turns within a round, so that what else runs on the
machine slows all of them alike; the best round of each counts. CPU time adds up all threads
and child processes. Of the foreign ways only PyAV gives every frame's own time. FrameReader also
reads the headers first, repairs times, turns pictures upright and hands them to another thread.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path

import av
import cv2

from avaffect.media.container import open_container
from avaffect.media.ffmpeg import file_input, pipe_from
from avaffect.media.frames import FrameReader
from avaffect.media.probe import probe

SAMPLES = Path(__file__).parent.parent / "sample_media"


def frame_reader(path: Path) -> int:
    """avaffect's own reader."""
    with FrameReader(path) as reader:
        return sum(1 for _ in reader)


def plain_pyav(path: Path) -> int:
    """PyAV as in its tutorial: default threads, no turning, no checks."""
    with open_container(path) as container:
        return sum(
            1 for frame in container.decode(video=0) if len(frame.to_ndarray(format="rgb24"))
        )


def threaded_pyav(path: Path) -> int:
    """PyAV with frame threads."""
    with open_container(path) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        return sum(
            1 for frame in container.decode(stream) if len(frame.to_ndarray(format="rgb24"))
        )


def ffmpeg_pipe(path: Path) -> int:
    """The ffmpeg program writes raw RGB into a pipe."""
    video = probe(path).video
    size = video.width * video.height * 3
    graph = file_input(path)[str(video.index)].output(
        "pipe:1", format="rawvideo", pix_fmt="rgb24", fps_mode="passthrough"
    )
    frames = 0
    with pipe_from(graph, lambda line: None) as pipe:
        while len(pipe.read(size)) == size:
            frames += 1
    return frames


def opencv(path: Path) -> int:
    """OpenCV's VideoCapture, BGR turned to RGB."""
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    frames = 0
    while True:
        good, image = capture.read()
        if not good:
            capture.release()
            return frames
        cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
        frames += 1


WAYS: dict[str, Callable[[Path], int]] = {
    "avaffect FrameReader": frame_reader,
    "PyAV": plain_pyav,
    "PyAV, frame threads": threaded_pyav,
    "ffmpeg RGB pipe": ffmpeg_pipe,
    "OpenCV": opencv,
}


def main() -> None:
    """Run and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("video", nargs="?", type=Path, default=next(SAMPLES.glob("*.mp4"), None))
    parser.add_argument("--rounds", type=int, default=5, help="default: %(default)s")
    options = parser.parse_args()
    if options.video is None:
        parser.error("there is no mp4 in sample_media/: name a video")
    info = probe(options.video)
    print(f"{options.video}: {info.video.codec} {info.video.width}x{info.video.height}")
    print(f"PyAV {av.__version__}, OpenCV {cv2.__version__}, best of {options.rounds} rounds\n")

    frames = {name: way(options.video) for name, way in WAYS.items()}
    wall = dict.fromkeys(WAYS, float("inf"))
    cpu = dict.fromkeys(WAYS, float("inf"))
    for _ in range(options.rounds):
        for name, way in WAYS.items():
            start, used = time.perf_counter(), sum(os.times()[:4])
            way(options.video)
            wall[name] = min(wall[name], time.perf_counter() - start)
            cpu[name] = min(cpu[name], sum(os.times()[:4]) - used)

    ours = "avaffect FrameReader"
    print(f"{'way':<22}{'frames':>8}{'frames/s':>10}{'of ours':>9}{'CPU ms/frame':>14}")
    for name, count in frames.items():
        ratio = (count / wall[name]) / (frames[ours] / wall[ours])
        cost = 1000 * cpu[name] / count
        print(f"{name:<22}{count:>8}{count / wall[name]:>10.0f}{ratio:>9.2f}{cost:>14.2f}")


if __name__ == "__main__":
    main()
