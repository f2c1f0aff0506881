"""Where the time of `avaffect predict` goes: the command with timers put around its parts.

    python benchmarks/stages.py stages.json predict clip.mp4 --task all -o out/

Everything behind the JSON file's name is what `avaffect` gets. Times are exclusive: what a part
spends in another timed part is counted there. Parts run in several threads at once, so their wall
times do not add up to the whole; CPU times are those of the thread itself and leave out what the
decoder's, ONNX Runtime's and ffmpeg's own workers use.
"""

from __future__ import annotations

import builtins
import functools
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

BEGIN = time.perf_counter()

# Nets by the shape of their first input.
NETS = {
    (1, 256, 256, 3): "landmark net",
    (1, 146, 2): "blendshape net",
    (1, 192, 192, 3): "detector net",
    (1, 64, 64, 1): "fer net",
}
MAIN_THREAD = "follow"
THREADS = {"MainThread": MAIN_THREAD, "avaffect-decode": "decode", "avaffect-recorder": "record"}


class Clock:
    """Exclusive wall and CPU time, and calls, by (thread, part)."""

    def __init__(self) -> None:
        self.parts: dict[tuple[str, str], list[float]] = {}
        self._local = threading.local()

    def run(self, part: str, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call ``function`` and count it as ``part``."""
        stack = self._local.__dict__.setdefault("stack", [])
        inner = [0.0, 0.0]
        stack.append(inner)
        wall, cpu = time.perf_counter(), time.thread_time()
        try:
            return function(*args, **kwargs)
        finally:
            wall, cpu = time.perf_counter() - wall, time.thread_time() - cpu
            stack.pop()
            if stack:
                stack[-1][0] += wall
                stack[-1][1] += cpu
            name = threading.current_thread().name
            total = self.parts.setdefault((THREADS.get(name, name), part), [0.0, 0.0, 0])
            total[0] += wall - inner[0]
            total[1] += cpu - inner[1]
            total[2] += 1

    def around(self, owner: Any, name: str, part: str | Callable[..., str]) -> None:
        """Time the function ``name`` of a module or class; ``part`` may go by its arguments."""
        function = getattr(owner, name)

        @functools.wraps(function)
        def timed(*args: Any, **kwargs: Any) -> Any:
            label = part if isinstance(part, str) else part(*args)
            return self.run(label, function, *args, **kwargs)

        setattr(owner, name, timed)

    def around_steps(self, owner: Any, name: str, part: str) -> None:
        """Time each step of the iterator that the function ``name`` gives."""
        function = getattr(owner, name)

        @functools.wraps(function)
        def timed(*args: Any, **kwargs: Any) -> Iterator[Any]:
            end = object()
            steps = iter(function(*args, **kwargs))
            while (item := self.run(part, next, steps, end)) is not end:
                yield item

        setattr(owner, name, timed)


def time_imports(clock: Clock) -> None:
    """Count every import that loads something, outermost only."""
    inside = threading.local()
    plain = builtins.__import__

    def timed(name: str, *rest: Any, **kwargs: Any) -> Any:
        if getattr(inside, "yes", False) or name in sys.modules:
            return plain(name, *rest, **kwargs)
        inside.yes = True
        try:
            return clock.run("imports", plain, name, *rest, **kwargs)
        finally:
            inside.yes = False

    builtins.__import__ = timed


def put_timers(clock: Clock) -> None:
    """Put timers around the parts of the pass, of what comes before it and what comes after."""
    from avaffect.faces import track
    from avaffect.faces.detectors.blazeface import BlazeFace
    from avaffect.faces.encoders import Encoder
    from avaffect.faces.holding import Holding
    from avaffect.faces.landmarks import Landmarker
    from avaffect.faces.pose import HeadModel
    from avaffect.faces.quality import QualityReader
    from avaffect.media import frames, source
    from avaffect.models.session import TfliteNet
    from avaffect.predicting import outputs
    from avaffect.predicting import run as predict
    from avaffect.predictors.starter.starter2 import Starter2
    from avaffect.preprocessing import face_reader, recorder
    from avaffect.preprocessing import sound as sounds
    from avaffect.preprocessing import video_pass as analyse
    from avaffect.store.spool import Spool

    clock.around(source, "video_hash", "hash of the video")
    clock.around(source, "read_header", "probe")
    clock.around(analyse.Nets, "load", "load nets")

    clock.around_steps(frames, "decoded_frames", "decode")
    clock.around(frames.RgbConverter, "__call__", "to RGB")

    clock.around(track.Tracker, "update", "track")
    clock.around(track.CutDetector, "__call__", "cuts")
    clock.around(track, "describe", "appearance")
    clock.around(BlazeFace, "__call__", "detector, its net left out")
    clock.around(Landmarker, "__call__", "landmarks, their nets left out")
    clock.around(HeadModel, "fit", "head pose")
    clock.around(Holding, "__call__", "whether faces changed")
    clock.around(
        TfliteNet, "__call__", lambda net, *_: NETS.get(net.input_shapes[0], "another tflite net")
    )

    clock.around(face_reader, "align", "align")
    clock.around(Encoder, "__call__", lambda encoder, *_: f"encode {encoder.spec.name}")
    clock.around(QualityReader, "__call__", "quality")
    clock.around(face_reader, "face_pose", "face pose vector")
    clock.around(recorder.Lines, "between", "held faces")
    clock.around(recorder, "write_crop", "crops")
    clock.around(Spool, "append_record", "spool")
    clock.around(Spool, "record", "spool")
    clock.around(Spool, "checkpoint", "checkpoint")

    clock.around(sounds, "extract_sound", "sound: decode")
    clock.around_steps(sounds, "audio_features", "sound: features")
    clock.around(predict, "keep_subjects", "write features")
    clock.around(Starter2, "predict", "predict from features")
    clock.around(outputs.Outputs, "write", "write predictions")
    clock.around(predict, "analyse", "wait, and all else in the pass")


def main() -> None:
    """Run avaffect and write where its time went."""
    target, arguments = Path(sys.argv[1]), sys.argv[2:]
    clock = Clock()
    time_imports(clock)
    put_timers(clock)
    from avaffect.cli.main import main as avaffect
    from avaffect.files.atomic import write_json

    sys.argv = ["avaffect", *arguments]
    try:
        clock.run("all else", avaffect)
    except SystemExit as end:
        if end.code:
            raise
    rows = [
        {"thread": thread, "part": part, "wall": wall, "cpu": cpu, "calls": calls}
        for (thread, part), (wall, cpu, calls) in clock.parts.items()
    ]
    write_json(target, {"wall": time.perf_counter() - BEGIN, "parts": rows})


if __name__ == "__main__":
    main()
