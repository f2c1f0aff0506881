"""What starter-1 is worth, its face net beside `fer`: all figures of the model card in one table.

    python benchmarks/starter.py --fer2013 DIR --ravdess DIR --work DIR --out OUT
    python benchmarks/starter.py --faces fer2013.npz --voice-oof oof.npz --out OUT

Prints the table and writes OUT/starter.md, OUT/starter.json and pictures. What training left is
read: FER2013 made ready (starter_training/fer2013.py) and what the voice nets say of actors that
they have not heard (starter_training/voice.py). Where WORK does not hold them, those scripts are
run. The figures of fusion, action units, valence and arousal are those that training wrote into
the package. Intervals are 95 %: bootstrap over pictures or actors, else as said. Takes minutes,
without the training.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from starter_costs import SAMPLE, size, times
from starter_faces import NETS, face_rows
from starter_figures import (
    NOTHING,
    Confusion,
    Figure,
    Found,
    Row,
    as_markdown,
    calibration_error,
    tell,
)
from starter_pictures import draw_video

import avaffect
from avaffect.arrays import softmax
from avaffect.config import PredictConfig
from avaffect.errors import AvaffectError
from avaffect.files.atomic import write_json, write_text
from avaffect.labels import EXPRESSIONS
from avaffect.metrics.calibration import fit_temperature
from avaffect.predicting.run import predict
from avaffect.predicting.settings import with_features
from avaffect.predictions.prediction import Prediction
from avaffect.sound.voice import DEFAULT_VOICE, VoiceNet

ROOT = Path(__file__).parent.parent
RECORDED = ROOT / "avaffect" / "predictors" / "starter"
PARTS = ("faces", "voice", "fusion", "units", "va", "video", "time", "size")
NOTES = {
    "": "In brackets 95 % intervals: bootstrap over pictures or actors, else as said.",
    "faces": "The nets alone: `fer`, whose makers may have chosen it on these pictures, and "
    "`starter-1-face`; each cut out as by `avaffect predict`, without its other rules. Spoilt are "
    "the 48 x 48 pixels, with the landmarks of the picture before. The interval of ECE lies "
    "somewhat high, since drawing adds noise to each bin.",
    "voice": "The folds' nets, not the shipped one, which has heard all actors; the highest logit "
    "counts. Yardsticks on the same folds: `speech-gru` (docs/training.md), and a linear model of "
    "log-mel.",
    "fusion": "As starter_training/fusion.py measured: RAVDESS's pictures are not at hand, action "
    "units averaged over the take stand in for the face. *As shipped* the voice has less weight "
    "than RAVDESS asks for; the other rows have the weights fitted there. The published figure is "
    "of other nets, perhaps of other folds.",
    "units": "As starter_training/action_units.py measured: no labels of action units, but an "
    "expression that has the unit against neutral; DeLong's intervals. On FER2013's validation "
    "part: the test part was looked at while the signals were chosen.",
    "va": "As starter_training/valence_arousal.py measured, with simulated nets: nothing is "
    "of video.",
    "video": "One clip, a warped portrait with a synthetic voice: no interval.",
    "time": "On a busy machine both are longer than on a free one, CPU time less so.",
}
Values = NDArray[Any]


def made(file: Path, script: str, option: str, data: Path | None, out: Path) -> Path:
    """``file``, which ``starter_training/SCRIPT OPTION data --out out`` makes if need be."""
    if not file.is_file():
        command = [
            sys.executable,
            str(ROOT / "starter_training" / script),
            option,
            str(data or "DIR"),
        ]
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
    linear = "linear, both: .692 / .683; published (wav2vec 2.0 + AU): .867"
    aims = {"face": "linear, AU: .567 / .554", "both, voice clean": linear}
    split = "RAVDESS, 8 emotions, 5 folds by actor; AU means as face"
    shipped = "RAVDESS, 7 expressions; nets by actor, the 2 weights of all takes; AU means as face"
    measured = [(name, split, one) for name, one in record["eight_labels_by_actor"].items()]
    measured += [
        (f"both as shipped, {name}", shipped, one) for name, one in record["as_shipped"].items()
    ]
    rows = []
    for name, how, one in measured:
        for key, what in (("accuracy", "accuracy"), ("macro_f1", "macro F1")):
            figure = Figure(one[key], *one[f"{key}_interval"])
            rows.append(Row("fusion", f"{what}, {name}", how, NOTHING, figure, aims.get(name, "")))
    return rows, {key: record[key] for key in ("weights", "fitted", "fitted_on")}


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
        after = next(one for name, one in tried.items() if name.startswith("chosen"))
        split = f"AffectNet-C25, 10 folds by picture; simulated nets, each {sees}"
        for name in ("valence", "arousal"):
            for key in ("rmse", "ccc"):
                figure = Figure(after[name][key])
                rows.append(Row("va", f"{key.upper()}, {name}", split, NOTHING, figure))
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
    for when, net in NETS.items():
        tell(f"video: {net}")
        config = PredictConfig(frame_model=net, tasks=("va",))
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
        "--spoilt", type=int, default=1000, help="test pictures to spoil (%(default)s)"
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
        return face_rows(file, out, options.spoilt)

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
    table = f"# starter-1\n\n{made_on}, {busy}.\n{as_markdown(rows, NOTES)}"
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
