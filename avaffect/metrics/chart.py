"""An evaluation as a picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from avaffect.files.atomic import atomic_path
from avaffect.files.editions import edition_named
from avaffect.metrics.evaluation import Evaluation


def draw(evaluation: Evaluation, path: Path, title: str = "") -> None:
    """Write a PNG: the parts of the score, every subject's score, and a confusion matrix (expr).

    Raises:
        OutputError: if the file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    confusion = evaluation.confusion
    figure = Figure(figsize=(15 if confusion is not None else 10, 5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, 3 if confusion is not None else 2)
    names, values = list(evaluation.parts), list(evaluation.parts.values())
    places = np.arange(len(names))
    axes[0].barh(places, values, color="tab:blue")
    axes[0].set_yticks(places, names)
    axes[0].invert_yaxis()
    axes[0].axvline(0, color="black", linewidth=0.8)
    for place, value in zip(places, values, strict=True):
        axes[0].text(max(value, 0) + 0.01, place, f"{value:.3f}", va="center", fontsize=8)
    axes[0].set_xlim(min(0, *values) - 0.05, 1.15)
    known = np.isfinite(evaluation.low)
    axes[0].set_title(
        f"{evaluation.task}, {evaluation.edition}: {evaluation.score:.4f}"
        + (f" [{evaluation.low:.4f}, {evaluation.high:.4f}]" if known else "")
    )
    scores = np.sort([one.score for one in evaluation.subjects if np.isfinite(one.score)])
    shares = np.arange(1, len(scores) + 1) / len(scores)
    axes[1].plot(scores, shares, drawstyle="steps-post", marker=".")
    axes[1].set_ylim(0, 1.05)
    axes[1].axvline(evaluation.score, color="tab:red", linestyle="--", label="all together")
    axes[1].set_xlabel("score of a subject alone")
    axes[1].set_ylabel("share of subjects at or below")
    axes[1].legend()
    if confusion is not None:
        classes = edition_named(evaluation.edition).expressions
        shares = confusion / np.maximum(confusion.sum(1, keepdims=True), 1)
        axes[2].imshow(shares, vmin=0, vmax=1, cmap="Blues")
        axes[2].set_xticks(range(len(classes)), classes, rotation=45, ha="right")
        axes[2].set_yticks(range(len(classes)), classes)
        axes[2].set_xlabel("predicted")
        axes[2].set_ylabel("annotated")
        for row, column in np.ndindex(shares.shape):
            axes[2].text(
                column,
                row,
                f"{shares[row, column]:.2f}",
                ha="center",
                va="center",
                fontsize=7,
                color="white" if shares[row, column] > 0.5 else "black",
            )
    if title:
        figure.suptitle(title)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=100)
