"""One table of all figures of a voice net, by what else of the speaker is in the file.

    python starter_training/voice_table.py --runs work/voice --before work/starter1

reads ``RUNS/COMPANY/figures.json`` and the older net's (voice_multi_figures.py), prints Markdown.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from voice_corpora import CORPORA
from voice_multi_figures import SPEAKERS, UNHEARD
from voice_speakers import COMPANIES


def cell(row: Mapping[str, Any] | None, name: str = "UAR") -> str:
    """A figure with its interval."""
    if row is None:
        return ""
    low, high = (f"{value:.2f}".removeprefix("0") for value in row[f"{name}, 95 %"])
    return f"{row[name]:.3f}".removeprefix("0") + f" ({low} to {high})"


def line(title: str, figures: Mapping[str, Any], kind: str) -> str:
    """A row: corpora left out, their mean, how much of Neutral is found there, RAVDESS's actors
    left out."""
    out, inside = figures[UNHEARD].get(kind, {}), figures.get(SPEAKERS, {}).get(kind, {})
    rows = [out.get(corpus) for corpus in CORPORA]
    there = [row["UAR"] for row in rows if row is not None]
    plain = np.mean([row["recall"]["neutral"] for row in rows if row is not None])
    mean = f"{np.mean(there):.3f}".removeprefix("0") if len(there) == len(CORPORA) else ""
    eight = cell(inside.get("RAVDESS, 8 labels"), "macro F1")
    found = f"{plain:.2f}".removeprefix("0")
    return "| " + " | ".join([title, *map(cell, rows), mean, found, eight]) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--before", type=Path, required=True, help="runs of the older net")
    arguments = parser.parse_args()
    print(
        "| company | "
        + " | ".join(CORPORA)
        + " | mean | Neutral found | RAVDESS, 8 labels: macro F1 |"
    )
    print("|---|" + "---|" * (len(CORPORA) + 3))
    old = json.loads((arguments.before / "figures.json").read_text(encoding="utf-8"))
    print(line("the older net, alone", old, "clean"))
    for kind in ("clean", "degraded"):
        for company in COMPANIES:
            path = arguments.runs / company / "figures.json"
            new = json.loads(path.read_text(encoding="utf-8"))
            print(line(f"{company}, {kind}", new, kind))


if __name__ == "__main__":
    main()
