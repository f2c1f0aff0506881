"""Print the tables of starter-2's card from what the other scripts have measured.

    python starter_training/face_table.py --run work/face \\
        --without work/without_rafdb work/without_affectnet8 work/without_ferplus \\
        --nets work/small work/relu > tables.md

Each part says which script makes it where that has not run yet:

    report.json            face_report.py      the net and starter-1's, each set, units
    free.json              face_free.py        what is left without the nets for research
    heads.json             face_heads.py       what a head of its own adds for a set
    groups.json            face_groups.py      by head turn, light, colour, size, detail
    shifts.json            face_shifts.py      what moving values to people's means costs
    leaks.json             face_leaks.py       what a newer search for twins would leave out
    export.json            face_export.py      milliseconds a face, file sizes
    WITHOUT/report.json    face_report.py      a set that the net never saw
    NETS/report.json       face_report.py      other nets of the same kind, beside this one,
    NETS/export.json       face_export.py      by the time that a face takes

Markdown; figures are of validation parts, with 95 % intervals over pictures. Seconds.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from face_report import OLD
from face_sets import SETS
from face_units import CODED, CODED_IN

from avaffect.labels import ACTION_UNITS

NET, NOTHING = "starter-2-face.onnx", "-"
# A set, a figure of report.json, the task of heads.json that it is of, words, the aim.
ROWS = (
    ("rafdb", "accuracy", "rafdb", "RAF-DB, accuracy of 7", ".84"),
    ("rafdb", "macro_f1", "rafdb", "RAF-DB, macro F1", ".76"),
    ("affectnet8", "accuracy", "affectnet8", "AffectNet, accuracy of 8", ""),
    ("affectnet8", "macro_f1", "affectnet8", "AffectNet, macro F1 of 8", ".58"),
    ("affectnet8", "seven_macro_f1", "", "AffectNet, macro F1 of 7", ".62"),
    ("ferplus", "accuracy", "ferplus", "FER+, accuracy, majority", ".84"),
    ("ferplus", "macro_f1", "ferplus", "FER+, macro F1", ""),
    ("ferplus", "own_label_accuracy", "fer2013", "FER2013's own label, accuracy", ".70"),
    ("ferplus", "own_label_macro_f1", "fer2013", "FER2013's own label, macro F1", ""),
    ("rafdb", "valence_ccc", "", "RAF-DB, valence, CCC with the targets", ""),
    ("rafdb", "arousal_ccc", "", "RAF-DB, arousal", ""),
    ("affectnet8", "valence_ccc", "", "AffectNet, valence", ""),
    ("affectnet8", "arousal_ccc", "", "AffectNet, arousal", ""),
)
# Of test parts, as their authors give them; copies across parts were not left out there.
PUBLISHED = (
    ("EmoXNetLite", "", "FER+ .821, RAF-DB .818", "arXiv 2106.16126"),
    (
        "EfficientFace",
        "1.3",
        "RAF-DB .884, AffectNet .637 of 7, .599 of 8",
        "AAAI 2021, Zhao et al.",
    ),
    ("POSTER++", "43.7", "RAF-DB .922, AffectNet .675 of 7, .638 of 8", "arXiv 2301.12149"),
)
# What leaving a set out shall be above starter-1's macro F1.
ABOVE = 0.10


def figure(value: Sequence[float] | None) -> str:
    """``.841 (.820 to .861)``"""
    if value is None:
        return NOTHING
    middle, *ends = (short(each) for each in value)
    return f"{middle} ({ends[0]} to {ends[1]})" if ends else middle


def short(value: float, digits: int = 3) -> str:
    """``.841``, without the 0 before the point."""
    text = f"{value:.{digits}f}"
    return text.replace("0.", ".", 1) if abs(value) < 1 else text


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def missing(name: str, script: str) -> str:
    return f"*{name} is not there: run {script}.*"


def sets(run: dict[str, Any]) -> Iterator[str]:
    """The main table: set by system."""
    yield "## By set\n"
    if "report" not in run:
        yield missing("report.json", "face_report.py")
        return
    rows = []
    for name, key, task, words, aim in ROWS:
        if name not in run["report"]:
            continue
        both = run["report"][name]
        base = key.replace("own_label_", "")
        head = run.get("heads", {}).get(task, {}).get("head", {}).get(base) if task else None
        free = run.get("free", {}).get(name, {}).get("net", {}).get(key)
        pictures = str(both["pictures"])
        three = (free, both[OLD].get(key), both["net"].get(key), head)
        rows.append([words, pictures, *(figure(value) for value in three), aim])
    columns = ("--no-nc", "starter-1's net", "starter-2's net", "a head of the set's own")
    yield table(["set, figure", "pictures", *columns, "aim"], rows)
    yield ""
    yield "Published, of test parts:\n"
    heads = ("net", "million parameters", "accuracy", "source")
    yield table(heads, [[each or NOTHING for each in row] for row in PUBLISHED])


def costs(run: dict[str, Any]) -> Iterator[str]:
    yield "\n## Cost\n"
    if "export" not in run:
        yield missing("export.json", "face_export.py")
        return
    rows = [
        [
            name,
            f"{facts['ms']:.1f}",
            f"{facts['bytes'] / 1e6:.1f}" if "bytes" in facts else NOTHING,
            short(facts["accuracy"]) if "accuracy" in facts else NOTHING,
        ]
        for name, facts in run["export"].items()
        if isinstance(facts, dict)
    ]
    rows.append(["--no-nc", "0", "0", NOTHING])
    heads = ("file", "ms a face, one core", "MB", "accuracy on some faces of all sets")
    yield table(heads, rows)


def heads(run: dict[str, Any]) -> Iterator[str]:
    yield "\n## What a set's convention costs: accuracy\n"
    if "heads" not in run:
        yield missing("heads.json", "face_heads.py")
        return
    ways = ("net", "offsets", "head", "fresh")
    rows = []
    for task, found in run["heads"].items():
        if task == "people":
            continue
        cells = [figure(found["net"]["accuracy"])]
        for way in ways[1:]:
            value, low, high = found[way]["accuracy_more"]
            cells.append(
                f"{short(found[way]['accuracy'][0])} ({value:+.3f}, {low:+.3f} to {high:+.3f})"
            )
        rows.append([task, *cells])
    words = ("one head for all", "8 offsets", "a head from the training part")
    yield table(["label", *words, "a head from the validation part, 5 folds"], rows)
    yield ""
    for name, (value, count) in run["heads"]["people"].items():
        yield f"* {name.replace('_', ' ')}: {short(value)} of {count}"


def shifts(run: dict[str, Any]) -> Iterator[str]:
    """What it costs to move the expressions' means to people's."""
    yield "\n## Means of expressions moved towards people's\n"
    if "shifts" not in run:
        yield missing("shifts.json", "face_shifts.py")
        return
    rows = []
    for dimension, names in run["shifts"].items():
        for name, found in names.items():
            for way, facts in found.items():
                cells = [
                    f"{short(facts[f'ccc_{truth}'])} ({low:+.3f} to {high:+.3f})"
                    for truth in ("targets", "teachers")
                    for low, high in [facts[f"ccc_{truth}_more"]]
                ]
                rows.append([dimension, name, way, *cells, short(facts["from_people"])])
    ccc = ("CCC with the targets (more than none)", "with the teachers")
    yield table(["value", "set", "moved", *ccc, "means from people's"], rows)


def leaks(run: dict[str, Any]) -> Iterator[str]:
    """Copies that the training had of validation pictures."""
    yield "\n## Twins that a newer search finds\n"
    if "leaks" not in run:
        yield missing("leaks.json", "face_leaks.py")
        return
    rows = [
        [
            name,
            f"{facts['left_out_from_now_on']} of {facts['learnt']}",
            str(facts["flattered"]),
            short(facts["validation"]["accuracy"]),
            short(facts["validation_without"]["accuracy"]),
        ]
        for name, facts in run["leaks"].items()
    ]
    accuracy = ("accuracy of validation", "without those")
    yield table(["set", "learnt, now left out", "validation pictures", *accuracy], rows)


def left_out(runs: dict[str, dict[str, Any]]) -> Iterator[str]:
    """The sets that nets never saw, beside starter-1 on the same pictures."""
    yield "\n## Leave one set out\n"
    rows = []
    for run, found in runs.items():
        name = next((each for each in SETS if run.endswith(f"without_{each}")), run)
        if name not in found.get("report", {}):
            rows.append([name, NOTHING, f"not run yet: face_report.py --net {run}/net.pt", *"---"])
            continue
        both = found["report"][name]
        for key in ("accuracy", "macro_f1"):
            new, old = both["net"][key], both[OLD][key]
            more = new[0] - old[0]
            verdict = NOTHING
            if key == "macro_f1":
                verdict = "reached" if more >= ABOVE else "missed"
            cells = [figure(new), figure(old), f"{more:+.3f}", verdict]
            rows.append([f"{name}, {key}", str(both["pictures"]), *cells])
    aim = f"aim {ABOVE:+.2f} of F1"
    yield table(["set", "pictures", "net that never saw it", "starter-1's net", "more", aim], rows)


def nets(runs: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Accuracy against time: each net, and the same in 8 bits."""
    yield "\n## Accuracy against time\n"
    rows = []
    for run, found in runs.items():
        if not {"report", "export"} <= found.keys():
            rows.append((float("inf"), [Path(run).name, *[NOTHING] * 7]))
            continue
        for file, facts in found["export"].items():
            if not isinstance(facts, dict) or "accuracy" not in facts:
                continue
            small = file.endswith("-int8.onnx")
            cells = [
                NOTHING if small else figure(found["report"][each]["net"][key])
                for each, key in (
                    ("rafdb", "accuracy"),
                    ("rafdb", "macro_f1"),
                    ("affectnet8", "macro_f1"),
                    ("ferplus", "accuracy"),
                )
            ]
            some = short(facts["accuracy"])
            name = f"{Path(run).name}, 8 bits" if small else Path(run).name
            costs = f"{facts['ms']:.1f}", f"{facts['bytes'] / 1e6:.1f}"
            rows.append((facts["ms"], [name, *costs, some, *cells]))
    columns = ("RAF-DB, accuracy of 7", "macro F1", "AffectNet, macro F1 of 8", "FER+, accuracy")
    heads = ("net", "ms a face, one core", "MB", "accuracy on some faces of all sets")
    yield table([*heads, *columns], [cells for _, cells in sorted(rows)])


def units(run: dict[str, Any]) -> Iterator[str]:
    """Rates by expression beside people's, and areas under the curve."""
    yield "\n## Action units: P(unit | expression), the net's of stills / people's (RAF-AU)\n"
    if "report" not in run:
        yield missing("report.json", "face_report.py")
        return
    for name, facts in run["report"].items():
        seen, alike = facts["unit_rates"], facts["unit_rates_beside_coded"]
        free = run.get("free", {}).get(name, {})
        rows = []
        for unit in ACTION_UNITS:
            people = dict(zip(CODED_IN, CODED[unit], strict=True))
            cells = [
                f"{short(seen[each][unit], 2)} / {short(people[each], 2)}" for each in CODED_IN
            ]
            areas = [facts["unit_auc"].get(unit), free.get("unit_auc", {}).get(unit)]
            rows.append(
                [
                    unit,
                    *cells,
                    short(alike[unit], 2) if unit in alike else NOTHING,
                    *(NOTHING if area is None else short(area, 2) for area in areas),
                ]
            )
        yield f"{name}:\n"
        yield table(["unit", *CODED_IN, "r", "AUC, net", "AUC, blendshapes"], rows)
        yield ""


def groups(run: dict[str, Any]) -> Iterator[str]:
    yield "\n## By what can be measured of a picture\n"
    if "groups" not in run:
        yield missing("groups.json", "face_groups.py")
        return
    rows = []
    for name, measures in run["groups"].items():
        for measure, found in measures.items():
            for called, facts in found.items():
                both = (facts["accuracy"], facts["accuracy_at_the_sets_mix"])
                rows.append(
                    [name, measure.replace("_", " "), called, str(facts["pictures"])]
                    + [figure(each) for each in both]
                )
    yield table(["set", "measure", "group", "pictures", "accuracy", "at the set's mix"], rows)
    yield "\nNot measurable: age, sex, skin, glasses, beards (no set has such labels)."


def read(folder: Path) -> dict[str, Any]:
    """What is there of the files that the scripts wrote to ``folder``."""
    names = ("report", "free", "heads", "groups", "shifts", "leaks", "export")
    files = {name: folder / f"{name}.json" for name in names}
    return {
        name: json.loads(file.read_text(encoding="utf-8"))
        for name, file in files.items()
        if file.exists()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--run", type=Path, required=True, help="folder of the JSON files")
    parser.add_argument("--without", type=Path, nargs="*", default=[], help="other runs' folders")
    parser.add_argument("--nets", type=Path, nargs="*", default=[], help="runs of smaller nets")
    options = parser.parse_args()
    run = read(options.run)
    for part in (sets, costs, heads, shifts, leaks, units, groups):
        print("\n".join(part(run)))
    print("\n".join(left_out({str(path): read(path) for path in options.without})))
    print("\n".join(nets({str(path): read(path) for path in (options.run, *options.nets)})))


if __name__ == "__main__":
    main()
