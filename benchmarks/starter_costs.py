"""What starter-1 costs, time and size, for starter.py."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from starter_faces import NETS
from starter_figures import NOTHING, Figure, Found, Row, tell

from avaffect.config import SAMPLE_RATE, MediaConfig
from avaffect.faces.align import warp
from avaffect.faces.encoders import build_encoder
from avaffect.media.sound import extract_sound, read_blocks
from avaffect.sound.voice import DEFAULT_VOICE, VoiceNet, hear

ROOT = Path(__file__).parent.parent
SHIPPED = ROOT / "avaffect" / "models" / "shipped"
SAMPLE = ROOT / "sample_media" / "one_person.mp4"
RUNS = 200
SOUND_S = 60


def measured_ms(call: Callable[[], object], runs: int) -> tuple[Figure, Figure]:
    """Median milliseconds of a call on the clock, and of CPU time, with 95 % intervals.

    The interval of a median needs no assumption: two of the sorted values bound it.
    """
    walls, cpus = [], []
    call()
    for _ in range(runs):
        began, used = time.perf_counter(), time.process_time()
        call()
        walls.append(1e3 * (time.perf_counter() - began))
        cpus.append(1e3 * (time.process_time() - used))
    return _median(walls), _median(cpus)


def _median(values: list[float]) -> Figure:
    ordered, middle = sorted(values), len(values) // 2
    away = min(round(0.98 * len(values) ** 0.5), middle)
    low, high = ordered[middle - away], ordered[min(middle + away, len(values) - 1)]
    return Figure(float(np.median(values)), low, high, digits=2)


def times(work: Path) -> Found:
    """Milliseconds a face and a second of sound, on one thread."""
    import torch

    torch.set_num_threads(1)
    picture = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
    found: dict[str, dict[str, Figure]] = {}
    for when, name in NETS.items():
        tell(f"time: {name}")
        encoder = build_encoder(name)
        side = encoder.spec.crop.size
        scale = side / 200
        matrix = np.array([[scale, 0, -200 * scale], [0, scale, -100 * scale]])
        crop = warp(picture, matrix, side)
        wall, cpu = measured_ms(partial(encoder, crop[None]), RUNS)
        _, cut = measured_ms(partial(warp, picture, matrix, side), RUNS)
        figures = {
            "ms a face, CPU": cpu,
            "ms a face, on the clock": wall,
            "ms to cut a face of 200 pixels out, CPU": cut,
        }
        for what, figure in figures.items():
            found.setdefault(what, {})[when] = figure
    split = f"one thread, one face a call, median of {RUNS}"
    rows = []
    for what, pair in found.items():
        aim = "" if "cut" in what else "at most 4"
        rows.append(Row("time", what, split, pair["before"], pair["after"], aim))
    tell("time: voice")
    net, wav = VoiceNet(DEFAULT_VOICE), _speech(work)
    wall, cpu = measured_ms(partial(hear, wav, net), 5)
    split = f"speech detector, features and net on {SOUND_S} s, one thread, median of 5"
    for what, whole in (("on the clock", wall), ("CPU", cpu)):
        assert whole.low is not None and whole.high is not None
        second = Figure(whole.value / SOUND_S, whole.low / SOUND_S, whole.high / SOUND_S, 2)
        text = f"ms a second of sound, {what}"
        rows.append(Row("time", text, split, "has no voice", second))
        ratio = Figure(1e3 / second.value, digits=0, unit=" x")
        rows.append(Row("time", f"real time, {what}", split, "has no voice", ratio))
    return rows, {}


def _speech(work: Path) -> Path:
    """The sample video's sound over and over, a wav of :data:`SOUND_S` seconds."""
    import soundfile

    once, whole = work / "once.wav", work / "whole.wav"
    extract_sound(SAMPLE, MediaConfig(), once, first_time_s=None)
    sound = np.concatenate(list(read_blocks(once, 10)))
    soundfile.write(whole, np.resize(sound, SOUND_S * SAMPLE_RATE), SAMPLE_RATE, subtype="PCM_16")
    return whole


def size() -> Found:
    """Megabytes of weights in the package."""
    files = sorted(path for path in SHIPPED.iterdir() if path.is_file())
    rows = [
        Row(
            "size",
            path.name,
            "-",
            NOTHING,
            Figure(path.stat().st_size / 1e6, digits=2, unit=" MB"),
        )
        for path in files
    ]
    total = Figure(sum(path.stat().st_size for path in files) / 1e6, digits=2, unit=" MB")
    rows.append(Row("size", "all shipped weights", "-", NOTHING, total, "at most 20 MB"))
    return rows, {}
