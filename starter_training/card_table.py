"""One table of the whole of starter-2 for its card: face, rules, voice, both together, a sample.

    python starter_training/card_table.py --films work/films/rules.json --voice work/voice \\
        --older work/starter1 --sample PREPARED --out work/card.json [--before work/card_old.json]

prints Markdown and keeps its figures in ``--out``; ``--before`` is such a file of an earlier state
and fills the column of that name. ``--face`` is face_report.py's report.json, ``--films``
film_rules.py's, ``--voice`` the folder of voice_speakers.py's runs with figures, ``--older`` that
of starter-1's voice; what both are worth stands in the package (fusion_elsewhere.py). PREPARED is
what ``avaffect preprocess sample_media/one_person.mp4`` wrote, and ``--silent`` the same with
``--no-voice``. What is left out has no rows.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from voice_corpora import CORPORA
from voice_multi_figures import SPEAKERS, UNHEARD
from voice_said import KINDS

from avaffect.files.atomic import write_json
from avaffect.labels import EXPRESSIONS
from avaffect.predictors.starter.fusion import weights_path
from avaffect.predictors.starter.starter2 import Starter2
from avaffect.store.prepared import Prepared

# What is measured: words, and a value with the ends of its interval, or without.
Row = tuple[str, Sequence[float]]
TRUTH = Path(__file__).parents[1] / "sample_media" / "truth.json"
FACES = {"rafdb": "RAF-DB", "affectnet8": "AffectNet", "ferplus": "FER+"}
FIRST = "starter-1: "
COMPANY = {
    "alone": "a take alone",
    "half": "10 takes, half neutral",
    "mixed": "30 takes of all emotions",
    "same": "10 takes of one emotion",
}


def of_faces(path: Path) -> Iterator[Row]:
    """Accuracy and macro F1 on each set's validation part."""
    report = json.loads(path.read_text(encoding="utf-8"))
    for name, title in FACES.items():
        for net, first in (("starter-1-face", FIRST), ("net", "")):
            for key in ("accuracy", "macro_f1"):
                words = "accuracy" if key == "accuracy" else "macro F1"
                yield f"{first}face, {title}: {words}", report[name][net][key]


def of_films(path: Path) -> Iterator[Row]:
    """What the rules leave of the net's accuracy."""
    report = json.loads(path.read_text(encoding="utf-8"))
    for name, row in report.items():
        yield f"rules, {name}: accuracy", [row["now"]["accuracy"]]


def of_voice(folders: Mapping[str, Path], first: str = "") -> Iterator[Row]:
    """Corpora left out: mean recall and how much of Neutral is found; RAVDESS's other actors."""
    for title, folder in folders.items():
        figures = json.loads((folder / "figures.json").read_text(encoding="utf-8"))
        for kind in KINDS:
            rows = [figures[UNHEARD].get(kind, {}).get(corpus) for corpus in CORPORA]
            there = [row for row in rows if row is not None]
            if there:
                where = f"{first}voice, {title}, {kind}"
                mean = np.mean([row["UAR"] for row in there])
                yield f"{where}: UAR, mean of corpora left out", [float(mean)]
                plain = np.mean([row["recall"]["neutral"] for row in there])
                yield f"{where}: Neutral found there", [float(plain)]
            inside = figures.get(SPEAKERS, {}).get(kind, {}).get("RAVDESS, 8 labels")
            if inside is not None:
                value = [inside["macro F1"], *inside["macro F1, 95 %"]]
                yield f"{first}voice, {title}, {kind}: RAVDESS, F1 of 8 labels", value


def of_both(path: Path) -> Iterator[Row]:
    """Corpora left out, beside faces of the same expression; RAVDESS's actors left out."""
    table = json.loads(path.read_text(encoding="utf-8"))
    for name, row in table.get("elsewhere", {}).get("mean", {}).items():
        for figure in ("UAR", "Neutral found"):
            yield f"{name}, corpora left out: {figure}", [row[figure]]
    for name, row in table["ravdess"].get("folds.npz", {}).items():
        if "accuracy" in row:
            value = [row["accuracy"], *row["accuracy_interval"]]
            yield f"{name}, RAVDESS by actor: accuracy of 7", value


def of_sample(folder: Path, title: str = "sample") -> Iterator[Row]:
    """Of the frames of a phase of the sample the share that is named as its name says."""
    clip = next(
        clip
        for clip in json.loads(TRUTH.read_text(encoding="utf-8"))["clips"]
        if clip["file"] == "one_person.mp4"
    )
    (subject,) = Prepared(folder).subjects()
    times = np.asarray(subject.times)
    named = Starter2().predict(subject, ("expr",)).expression_ids()
    rest, spoken = np.ones(len(times), bool), np.zeros(len(times), bool)
    for event in clip["events"]:
        rest &= (times < event["start"]) | (times > event["end"])
    for speech in clip["speech"]:
        spoken |= (times >= speech["start"]) & (times <= speech["end"])
    smile = next(event for event in clip["events"] if event["expression"] == "smile")
    apex = (times >= smile["apex_start"]) & (times <= smile["apex_end"])
    for phase, frames, name in (
        ("at rest, while a voice is heard: Neutral", rest & spoken, "Neutral"),
        ("at rest, silent: Neutral", rest & ~spoken, "Neutral"),
        ("smiling: Happiness", apex, "Happiness"),
    ):
        found = named[frames] == EXPRESSIONS.index(name)
        yield f"{title}, {phase}", [float(found.mean())]


def cell(values: Sequence[float] | None) -> str:
    """A figure with its interval."""
    if values is None:
        return ""
    short = [f"{value:.3f}".removeprefix("0") for value in values]
    return short[0] + (f" ({short[1]} to {short[2]})" if len(short) == 3 else "")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--face", type=Path)
    parser.add_argument("--films", type=Path)
    parser.add_argument("--voice", type=Path)
    parser.add_argument("--older", type=Path)
    parser.add_argument("--sample", type=Path)
    parser.add_argument("--silent", type=Path)
    parser.add_argument("--before", type=Path)
    parser.add_argument("--fusion", type=Path, default=weights_path("starter2"))
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    parts = (
        (options.face, of_faces),
        (options.films, of_films),
        (options.older, lambda path: of_voice({COMPANY["alone"]: path}, FIRST)),
        (options.voice, lambda path: of_voice({t: path / name for name, t in COMPANY.items()})),
        (options.fusion, of_both),
        (options.silent, lambda path: of_sample(path, "sample, face alone")),
        (options.sample, of_sample),
    )
    rows = {title: list(v) for path, part in parts if path is not None for title, v in part(path)}
    write_json(options.out, rows)
    before = {} if options.before is None else json.loads(options.before.read_text("utf-8"))
    print("| figure | starter-1 | before | now |\n|---|---|---|---|")
    for title, values in rows.items():
        if not title.startswith(FIRST):
            cells = (rows.get(FIRST + title), before.get(title), values)
            print(f"| {title} | " + " | ".join(map(cell, cells)) + " |")


if __name__ == "__main__":
    main()
