"""The pictures of starter.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import numpy as np
from matplotlib import pyplot as plt
from numpy.typing import NDArray

from avaffect.files.atomic import atomic_path
from avaffect.metrics.calibration import reliability
from avaffect.predictions.prediction import Prediction

Array = NDArray[Any]
# Bins with fewer pictures say nothing.
FEWEST = 10


def draw_reliability(nets: Mapping[str, Array], truth: Array, path: Path) -> None:
    """How often nets are right against how sure they are."""
    figure, panel = plt.subplots(figsize=(5, 4.6))
    for name, chances in nets.items():
        bins = [one for one in reliability(chances, truth) if one.count >= FEWEST]
        panel.plot(
            [one.confidence for one in bins], [one.accuracy for one in bins], "o-", label=name
        )
    panel.plot([0, 1], [0, 1], color="0.7", linewidth=1)
    panel.set(xlabel="highest probability", ylabel="share that is right", xlim=(0, 1), ylim=(0, 1))
    panel.set_title(f"{len(truth):,} test pictures of FER2013")
    panel.legend(loc="upper left")
    _save(figure, path)


def draw_confusion(table: Array, names: Sequence[str], path: Path) -> None:
    """A row a true class; numbers are counts, colours shares of the row."""
    share = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    figure, panel = plt.subplots(figsize=(6.4, 5.6))
    panel.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(table):
        colour = "white" if share[row, column] > 0.5 else "black"
        text = f"{count}\n{share[row, column]:.0%}"
        panel.text(column, row, text, ha="center", va="center", color=colour, fontsize=8)
    panel.set_xticks(range(len(names)), names, rotation=35, ha="right")
    panel.set_yticks(range(len(names)), names)
    panel.set(xlabel="said", ylabel="label")
    _save(figure, path)


def draw_errors(errors: Sequence[tuple[Array, str]], path: Path) -> None:
    """Pictures with what they are and were said to be."""
    columns = 10
    lines = -(-len(errors) // columns)
    figure, panels = plt.subplots(
        lines, columns, figsize=(1.5 * columns, 1.95 * lines), squeeze=False
    )
    for panel in panels.ravel():
        panel.axis("off")
    for panel, (picture, text) in zip(panels.ravel(), errors, strict=False):
        panel.imshow(picture, cmap="gray", vmin=0, vmax=255)
        panel.set_title(text, fontsize=8)
    _save(figure, path)


def draw_video(
    before: Prediction, after: Prediction, events: Sequence[Mapping[str, Any]], path: Path
) -> None:
    """Valence and arousal over time, the known moments shaded."""
    figure, panels = plt.subplots(2, 1, figsize=(10, 6), sharex=True)
    assert before.va is not None and after.va is not None and after.va_interval is not None
    for number, (panel, name) in enumerate(zip(panels, ("valence", "arousal"), strict=True)):
        for event in events:
            panel.axvspan(event["start"], event["end"], color="0.92")
            panel.axvspan(event["apex_start"], event["apex_end"], color="0.84")
            sign = "+" * (name in event["raises"]) + "-" * (name in event["lowers"])
            text = f"{event['expression'].replace('_', ' ')} {sign}"
            middle = (event["start"] + event["end"]) / 2
            panel.text(middle, 0.98, text, ha="center", va="top", fontsize=9)
        band = after.va_interval[:, number]
        panel.fill_between(
            after.times, band[:, 0], band[:, 1], color="C0", alpha=0.2, label="its 90 % interval"
        )
        panel.plot(after.times, after.va[:, number], "C0", label="starter-1")
        panel.plot(before.times, before.va[:, number], "C1--", label="with fer")
        panel.axhline(0, color="0.6", linewidth=0.8)
        panel.set(ylabel=name, ylim=(-1, 1), xlim=(0, float(after.times[-1])))
    panels[0].legend(loc="lower left", ncols=3)
    panels[1].set_xlabel("seconds; known moments shaded, their height darker")
    _save(figure, path)


def _save(figure: Any, path: Path) -> None:
    figure.tight_layout()
    with atomic_path(path) as target:
        figure.savefig(target, dpi=110, format="png")
    plt.close(figure)
