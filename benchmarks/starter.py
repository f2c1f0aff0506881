"""What starter-1 is worth beside starter-0: all figures of the model card in one table.

    python benchmarks/starter.py --fer2013 DIR --ravdess DIR --work DIR --out OUT
    python benchmarks/starter.py --faces fer2013.npz --voice-oof oof.npz --out OUT

Prints the table and writes OUT/starter.md, OUT/starter.json and pictures. What training left is
read: FER2013 made ready (training/fer2013.py) and what the voice nets say of actors that they have
not heard (training/voice.py). Where WORK does not hold them, those scripts are run. The figures of
fusion, action units, valence and arousal are those that training wrote into the package. Intervals
are 95 %: bootstrap over pictures or actors, else as said. Takes minutes, without the training.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from starter_faces import NETS, face_rows
from starter_figures import Confusion, Figure, Row, as_markdown, calibration_error
from starter_pictures import draw_video

import avaffect
from avaffect.config import SAMPLE_RATE, PredictConfig
from avaffect.errors import AvaffectError
from avaffect.faces.align import warp
from avaffect.features.encoders import build_encoder
from avaffect.features.voice import DEFAULT_VOICE, VoiceNet, hear
from avaffect.files.atomic import write_json, write_text
from avaffect.files.editions import EXPRESSIONS
from avaffect.media.sound import extract_sound, read_blocks
from avaffect.metrics.calibration import fit_temperature, softmax
from avaffect.pipeline.predict import predict, with_features
from avaffect.predictions.prediction import Prediction

ROOT = Path(__file__).parent.parent
RECORDED = ROOT / "avaffect" / "predictions"
SHIPPED = ROOT / "avaffect" / "models" / "shipped"
SAMPLE = ROOT / "sample_media" / "one_person.mp4"
PARTS = ("faces", "voice", "fusion", "units", "va", "video", "time", "size")
NOTHING = "-"
RUNS = 200
SOUND_S = 60
NOTES = {
    "": "In brackets 95 % intervals: bootstrap over pictures or actors, else as said.",
    "faces": "The nets alone: `fer`, whose makers may have chosen it on these pictures, and "
    "`starter-1-face`; each cut out as by `avaffect predict`, without its other rules. Spoilt are "
    "the 48 x 48 pixels, with the landmarks of the picture before. The interval of ECE lies "
    "somewhat high, since drawing adds noise to each bin.",
    "voice": "The folds' nets, not the shipped one, which has heard all actors; the highest logit "
    "counts. Yardsticks on the same folds: `speech-gru` (docs/training.md), and a linear model of "
    "log-mel.",
    "fusion": "As training/fusion.py measured: RAVDESS's pictures are not at hand, action units "
    "averaged over the take stand in for the face. The published figure is of other nets, perhaps "
    "of other folds.",
    "units": "As training/action_units.py measured: no labels of action units, but an expression "
    "that has the unit against neutral; DeLong's intervals. On FER2013's validation part: its test "
    "part was looked at while the signals were chosen.",
    "va": "As training/valence_arousal.py measured, with simulated nets: nothing is of video.",
    "video": "One clip, a warped portrait with a synthetic voice: no interval.",
    "time": "On a busy machine both are longer than on a free one, CPU time less so.",
}
Values = NDArray[Any]
Found = tuple[list[Row], dict[str, Any]]


def tell(text: str) -> None:
    """Progress, apart from the table."""
    print(text, file=sys.stderr, flush=True)


def made(file: Path, script: str, option: str, data: Path | None, out: Path) -> Path:
    """``file``, which ``training/SCRIPT OPTION data --out out`` makes if it is not there."""
    if not file.is_file():
        command = [sys.executable, str(ROOT / "training" / script), option, str(data or "DIR")]
        command += ["--out", str(out)]
        if data is None:
            raise SystemExit(
                f"'{file}' is not there; give {option} DIR, or run\n{shlex.join(command)}"
            )
        tell(f"'{file}' is not there: running {script}, which takes its time")
        subprocess.run(command, check=True)
    return file


def voice(oof: Path) -> Found:
    """What nets say of takes of actors that they have not heard."""
    with np.load(oof, allow_pickle=False) as file:
        takes = dict(file)
    label, actor, of = takes["label"], takes["actor"], takes["window_take"]
    names = VoiceNet(DEFAULT_VOICE).settings.classes
    merge = np.array([EXPRESSIONS.index(name) for name in names])
    as_expression = np.eye(len(EXPRESSIONS))[merge]
    rows, tables = [], {}
    for kind, key in (("clean", ""), ("degraded", "_degraded")):
        split = f"RAVDESS {kind}, 5 folds by actor"
        logits, windows = takes["logits" + key], takes["windows" + key]
        eight = Confusion(label, logits.argmax(axis=1), len(names), actor)
        said = (softmax(logits) @ as_expression).argmax(axis=1)
        seven = Confusion(merge[label], said, len(EXPRESSIONS), actor)
        yardstick = ("speech-gru .653, linear .487", "speech-gru .652, linear .472")
        for what, score, aim in zip(
            ("accuracy", "macro F1"),
            (Confusion.accuracy, Confusion.macro_f1),
            yardstick if not key else ("", ""),
            strict=True,
        ):
            rows.append(_heard(f"{what}, 8 emotions", split, score(eight), aim))
            rows.append(_heard(f"{what}, 7 expressions", split, score(seven)))
        for sex, name in (("F", "women"), ("M", "men")):
            held = takes["sex"] == sex
            theirs = Confusion(label[held], logits[held].argmax(axis=1), len(names), actor[held])
            rows.append(_heard(f"accuracy, 8 emotions, {name}", split, theirs.accuracy()))
        chances = _calibrated(windows, label[of], takes["fold"][of])
        error = calibration_error(chances, label[of], actor[of])
        rows.append(_heard("ECE of windows, 15 bins", split, error, "low"))
        tables[kind] = eight.table.tolist()
    return rows, {"emotions": takes["labels"].tolist(), "confusion (rows are true)": tables}


def _heard(what: str, split: str, figure: Figure, aim: str = "") -> Row:
    return Row("voice", what, split, "has no voice", figure, aim)


def _calibrated(logits: Values, label: Values, fold: Values) -> Values:
    """Probabilities; each fold's temperature is that of the others."""
    chances = np.empty(logits.shape)
    for one in np.unique(fold):
        held = fold == one
        chances[held] = softmax(logits[held], fit_temperature(logits[~held], label[~held]))
    return chances


def fusion() -> Found:
    """Face and voice together, by actor, as training measured it."""
    record = _recorded("fusion")
    aims = {"both, voice clean": "linear, both: .692 / .683; published (wav2vec 2.0 + AU): .867"}
    aims |= {"face": "linear, AU: .567 / .554"}
    rows = []
    for name, one in record["eight_labels_by_actor"].items():
        for key, what in (("accuracy", "accuracy"), ("macro_f1", "macro F1")):
            figure = Figure(one[key], *one[f"{key}_interval"])
            what, split = (
                f"{what}, {name}",
                "RAVDESS, 8 emotions, 5 folds by actor; AU means as face",
            )
            rows.append(Row("fusion", what, split, NOTHING, figure, aims.get(name, "")))
    return rows, {"weights": record["weights"], "fitted on": record["fitted_on"]}


def units() -> Found:
    """How well each action unit's proxy tells an expression from neutral, as training measured."""
    rows = []
    for unit, one in _recorded("au")["validation"].items():
        counts = " and ".join(map(str, one["pictures"]))
        split = f"FER2013 validation, {one['expression']} against neutral, {counts}"
        if one["among"] != "all":
            split += f", {one['among']}"
        figure = Figure(one["auc"], *one["interval"])
        rows.append(Row("units", f"AUC of {unit}", split, NOTHING, figure, "chance: .5"))
    return rows, {}


def va() -> Found:
    """Valence and arousal from simulated nets' probabilities, as training cross-validated them."""
    record, rows = _recorded("va"), []
    for sees in ("sees picture", "sees label"):
        tried = record["tried"]["values"][sees]
        before = tried["starter-0's formula"]
        after = next(one for name, one in tried.items() if name.startswith("chosen"))
        split = f"AffectNet-C25, 10 folds by picture; simulated nets, each {sees}"
        for name in ("valence", "arousal"):
            for key in ("rmse", "ccc"):
                pair = Figure(before[name][key]), Figure(after[name][key])
                rows.append(Row("va", f"{key.upper()}, {name}", split, *pair))
    intervals = record["tried"]["intervals"]
    chosen = next(one for name, one in intervals.items() if name.startswith("chosen"))
    for name in ("valence", "arousal"):
        low, mean, high = chosen[name]["all"]
        split = "same; mean (least to most) of 24 simulated nets"
        what = f"share in the 90 % interval, {name}"
        rows.append(Row("va", what, split, "no interval", Figure(mean, low, high), "0.900"))
        low, mean, high = chosen[name]["width"]
        what = f"width of the 90 % interval, {name}"
        rows.append(Row("va", what, split, "no interval", Figure(mean, low, high)))
    return rows, {"measured": record["measured"]}


def _recorded(name: str) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((RECORDED / f"starter1_{name}.json").read_bytes())
    return record


def video(out: Path) -> Found:
    """The sample's known moments: what valence does there, and a plot."""
    clips = json.loads((SAMPLE.parent / "truth.json").read_text(encoding="utf-8"))["clips"]
    events = next(clip for clip in clips if clip["file"] == SAMPLE.name)["events"]
    said = {}
    for when, model in (("before", "starter-0"), ("after", "starter-1")):
        tell(f"video: {model}")
        config = PredictConfig(model=model, frame_model=NETS[when], tasks=("va",))
        said[when] = predict(SAMPLE, task="va", config=with_features(config)).predictions[0]
    draw_video(said["before"], said["after"], events, out / "video_va.png")
    rest = [(0.0, first["start"]) for first in events[:1]]
    rest += [(one["end"], then["start"]) for one, then in pairwise(events)]
    rows = []
    for event in events:
        if "valence" not in (*event["raises"], *event["lowers"]):
            continue
        apex = [(event["apex_start"], event["apex_end"])]
        pair = {
            when: Figure(mean_valence(one, apex) - mean_valence(one, rest), digits=2)
            for when, one in said.items()
        }
        what = f"valence of the {event['expression']} over that of rest"
        aim = "above 0" if "valence" in event["raises"] else "below 0"
        split = f"{SAMPLE.name}, smoothed as by default"
        rows.append(Row("video", what, split, pair["before"], pair["after"], aim))
    return rows, {}


def mean_valence(prediction: Prediction, spans: list[tuple[float, float]]) -> float:
    """Of the frames within spans of time."""
    assert prediction.va is not None
    times = prediction.times
    held = np.any([(times >= start) & (times <= end) for start, end in spans], axis=0)
    return float(prediction.va[held, 0].mean())


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
    extract_sound(SAMPLE, PredictConfig().analysis.media, once, first_time_s=None)
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


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--fer2013", type=Path, help="FER2013's folder")
    parser.add_argument("--ravdess", type=Path, help="folder of RAVDESS's speech")
    parser.add_argument("--work", type=Path, help="what training left; default: OUT/work")
    parser.add_argument("--faces", type=Path, help="default: WORK/fer2013.npz")
    parser.add_argument("--voice-oof", type=Path, help="default: WORK/voice/oof.npz")
    parser.add_argument(
        "--spoilt", type=int, default=600, help="test pictures to spoil (%(default)s)"
    )
    parser.add_argument("--parts", default=",".join(PARTS), help="default: %(default)s")
    options = parser.parse_args()
    parts = options.parts.split(",")
    if unknown := set(parts) - set(PARTS):
        parser.error(f"no part {sorted(unknown)}: choose of {','.join(PARTS)}")
    work, out = options.work or options.out / "work", options.out
    out.mkdir(parents=True, exist_ok=True)

    def of_faces() -> Found:
        file = options.faces or work / "fer2013.npz"
        made(file, "fer2013.py", "--fer2013", options.fer2013, file)
        return face_rows(file, out, options.spoilt, tell)

    def of_voice() -> Found:
        file = options.voice_oof or work / "voice" / "oof.npz"
        return voice(made(file, "voice.py", "--ravdess", options.ravdess, file.parent))

    def of_times() -> Found:
        with tempfile.TemporaryDirectory() as folder:
            return times(Path(folder))

    measure: dict[str, Callable[[], Found]] = {
        "faces": of_faces,
        "voice": of_voice,
        "fusion": fusion,
        "units": units,
        "va": va,
        "video": lambda: video(out),
        "time": of_times,
        "size": size,
    }
    rows: list[Row] = []
    details = {}
    for part in (name for name in PARTS if name in parts):
        tell(part)
        found, details[part] = measure[part]()
        rows += found
    made_on = f"avaffect {avaffect.__version__}, {date.today().isoformat()}"
    busy = f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    table = f"# starter-0 and starter-1\n\n{made_on}, {busy}.\n{as_markdown(rows, NOTES)}"
    write_text(out / "starter.md", table)
    write_json(
        out / "starter.json",
        {
            "made": made_on,
            "machine": busy,
            "rows": [row.to_dict() for row in rows],
            "details": details,
        },
    )
    print(table)


if __name__ == "__main__":
    try:
        main()
    except AvaffectError as error:
        sys.exit(str(error))
