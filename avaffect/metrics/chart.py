"""An evaluation as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from avaffect.challenge.editions import edition_named
from avaffect.files.atomic import atomic_path
from avaffect.files.ours import holds, require_own_file
from avaffect.metrics.evaluation import Evaluation
from avaffect.metrics.tallies import MTL
from avaffect.tasks.kinds import Values
from avaffect.tasks.registry import EXPR, task_named

if TYPE_CHECKING:
    from matplotlib.axes import Axes


_OURS = b"avaffect evaluate"


def draw(
    evaluation: Evaluation, path: Path, title: str = "", tuned: Evaluation | None = None
) -> None:
    """Write a PNG: the parts of the score, every subject's score, and a confusion matrix.

    Args:
        evaluation: of any task; expr and mtl have a confusion matrix.
        path: the file to write.
        title: stands above all.
        tuned: the same with tuned thresholds, drawn beside it.

    Raises:
        ForeignFileError: if a file is there that is no such picture.
        OutputError: if the file cannot be written.
    """
    require_own_file(path, holds(_OURS))
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    panels = 2 if evaluation.confusion is None else 3
    height = max(5.0, 1.2 + 0.27 * len(evaluation.parts))
    figure = Figure(figsize=(5.2 * panels, height), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, panels)
    _parts(axes[0], evaluation, tuned)
    _subjects(axes[1], evaluation)
    if evaluation.confusion is not None:
        task = EXPR.name if evaluation.task == MTL else evaluation.task
        names = edition_named(evaluation.edition).targets(task)
        _confusion(axes[2], evaluation.confusion, names)
    if title:
        # A dollar sign would begin a formula.
        figure.suptitle(title[-100:].replace("$", r"\$"))
    with atomic_path(path) as temporary:
        metadata = {"Software": _OURS.decode()}
        figure.savefig(temporary, format="png", dpi=100, metadata=metadata)


def _parts(axes: Axes, evaluation: Evaluation, tuned: Evaluation | None) -> None:
    """A bar a part; means dark, what they are the means of light."""
    names, values = list(evaluation.parts), list(evaluation.parts.values())
    places = np.arange(len(names))
    few = evaluation.task != MTL and isinstance(task_named(evaluation.task), Values)
    colours = [
        "tab:blue" if few or not name.startswith(("F1", "CCC")) else "#9ec5e8" for name in names
    ]
    height = 0.8 if tuned is None else 0.4
    axes.barh(places - (0.8 - height) / 2, values, height, color=colours)
    labels = [(place - (0.8 - height) / 2, value) for place, value in enumerate(values)]
    if tuned is not None:
        others = [tuned.parts[name] for name in names]
        axes.barh(places + 0.2, others, height, color="tab:orange", label="tuned (optimistic)")
        labels += [(place + 0.2, value) for place, value in enumerate(others)]
        axes.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.06))
    for place, value in labels:
        if np.isfinite(value):
            axes.text(max(value, 0) + 0.01, place, f"{value:.3f}", va="center", fontsize=7)
    axes.set_yticks(places, names, fontsize=9)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_xlim(min(0.0, np.nanmin(values)) - 0.02, 1.15)
    known = np.isfinite(evaluation.low)
    axes.set_title(
        f"{evaluation.task}, {evaluation.edition}: {evaluation.score:.4f}"
        + (f" [{evaluation.low:.4f}, {evaluation.high:.4f}]" if known else ""),
        fontsize=11,
    )


def _subjects(axes: Axes, evaluation: Evaluation) -> None:
    """How the subjects' own scores are distributed."""
    scores = np.sort(
        [subject.score for subject in evaluation.subjects if np.isfinite(subject.score)]
    )
    shares = np.arange(1, len(scores) + 1) / max(len(scores), 1)
    axes.plot(scores, shares, drawstyle="steps-post", marker=".")
    axes.axvline(evaluation.score, color="tab:red", linestyle="--", label="all together")
    axes.set_ylim(0, 1.05)
    axes.set_xlabel("score of a subject alone")
    axes.set_ylabel("share of subjects at or below")
    axes.set_title(f"{len(scores)} subjects", fontsize=11)
    axes.legend(fontsize=8, loc="upper left")


def _confusion(axes: Axes, counts: NDArray[np.int64], names: tuple[str, ...]) -> None:
    """Shares of each annotated class; how many frames it has stands beside its name."""
    frames = counts.sum(1)
    shares = counts / np.maximum(frames[:, None], 1)
    axes.imshow(shares, vmin=0, vmax=1, cmap="Blues")
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right", fontsize=9)
    rows = [f"{name} ({number:,})" for name, number in zip(names, frames, strict=True)]
    axes.set_yticks(range(len(names)), rows, fontsize=9)
    axes.set_xlabel("predicted")
    axes.set_ylabel("annotated (frames)")
    axes.set_title("share of each annotated class", fontsize=11)
    for row, column in np.ndindex(shares.shape):
        share = shares[row, column]
        colour = "white" if share > 0.5 else "black"
        axes.text(column, row, f"{share:.2f}", ha="center", va="center", fontsize=7, color=colour)
