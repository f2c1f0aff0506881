"""An evaluation as a picture."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from avaffect.challenge.editions import edition_named
from avaffect.errors import need
from avaffect.files.atomic import atomic_path
from avaffect.files.ours import holds, require_own_file
from avaffect.metrics.evaluation import Evaluation
from avaffect.metrics.tallies import MTL
from avaffect.tasks.kinds import Values
from avaffect.tasks.registry import EXPR, task_named

if TYPE_CHECKING:
    from matplotlib.axes import Axes


_OURS = b"avaffect evaluate"
# Of what no frame is annotated with.
_ABSENT = "#d9d9d9"
_MOST_NAMES, _LONGEST_NAME = 40, 28


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
    need("plot", "matplotlib")
    require_own_file(path, holds(_OURS))
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    panels = 2 if evaluation.confusion is None else 3
    named = len(evaluation.subjects) if len(evaluation.subjects) <= _MOST_NAMES else 0
    height = max(5.0, 1.2 + 0.27 * len(evaluation.parts), 1.2 + 0.2 * named)
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
        figure.suptitle(_plain(title, 100))
    with atomic_path(path) as temporary, warnings.catch_warnings():
        # Letters that the font lacks become boxes.
        warnings.filterwarnings("ignore", "Glyph .* missing")
        metadata = {"Software": _OURS.decode()}
        figure.savefig(temporary, format="png", dpi=100, metadata=metadata)


def _parts(axes: Axes, evaluation: Evaluation, tuned: Evaluation | None) -> None:
    """A bar a part; means dark, what they are the means of light."""
    names, values = list(evaluation.parts), list(evaluation.parts.values())
    places = np.arange(len(names))
    few = evaluation.task != MTL and isinstance(task_named(evaluation.task), Values)
    absent = [name in evaluation.absent for name in names]
    colours = [
        _ABSENT if no else "tab:blue" if few or not name.startswith(("F1", "CCC")) else "#9ec5e8"
        for name, no in zip(names, absent, strict=True)
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
    shown = [f"{name} (absent)" if no else name for name, no in zip(names, absent, strict=True)]
    axes.set_yticks(places, shown, fontsize=9)
    _grey(axes, absent)
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
    """A dot a subject, the worst on top, with its name as long as names can be read."""
    known = [subject for subject in evaluation.subjects if np.isfinite(subject.score)]
    known.sort(key=lambda subject: subject.score)
    axes.plot([subject.score for subject in known], range(len(known)), "o", markersize=4)
    axes.axvline(evaluation.score, color="tab:red", linestyle="--", label="all together")
    if len(known) <= _MOST_NAMES:
        names = [_plain(subject.subject, _LONGEST_NAME) for subject in known]
        axes.set_yticks(range(len(known)), names, fontsize=8)
        axes.grid(axis="y", alpha=0.3)
    else:
        axes.set_yticks([])
        axes.set_ylabel("subjects in the order of their scores")
    axes.set_ylim(max(len(known), 1) - 0.4, -0.6)
    axes.set_xlabel("score of a subject alone")
    scored = len(known)
    axes.set_title(f"{scored} {'subject' if scored == 1 else 'subjects'}", fontsize=11)
    axes.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.13))


def _confusion(axes: Axes, counts: NDArray[np.int64], names: tuple[str, ...]) -> None:
    """Shares of each annotated class; how many frames it has stands beside its name.

    The row of a class that no frame is annotated with is grey: it has no shares.
    """
    from matplotlib import colormaps

    frames = counts.sum(1)
    shares = counts / np.where(frames, frames, np.nan)[:, None]
    axes.imshow(shares, vmin=0, vmax=1, cmap=colormaps["Blues"].with_extremes(bad=_ABSENT))
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right", fontsize=9)
    rows = [f"{name} ({number:,})" for name, number in zip(names, frames, strict=True)]
    axes.set_yticks(range(len(names)), rows, fontsize=9)
    _grey(axes, frames == 0)
    axes.set_xlabel("predicted")
    axes.set_ylabel("annotated (frames)")
    axes.set_title("share of each annotated class", fontsize=11)
    for row, column in np.ndindex(shares.shape):
        share = shares[row, column]
        if np.isnan(share):
            continue
        colour = "white" if share > 0.5 else "black"
        axes.text(column, row, f"{share:.2f}", ha="center", va="center", fontsize=7, color=colour)


def _grey(axes: Axes, absent: Iterable[bool]) -> None:
    """Grey names for what the annotations cannot tell anything of."""
    for label, no in zip(axes.get_yticklabels(), absent, strict=True):
        if no:
            label.set_color("0.55")


def _plain(name: str, longest: int) -> str:
    """The end of ``name`` in printable letters; a dollar sign would begin a formula."""
    shown = "".join(letter if letter.isprintable() else " " for letter in name)
    shown = shown if len(shown) <= longest else f"…{shown[1 - longest :]}"
    return shown.replace("$", r"\$")
