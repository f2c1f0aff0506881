"""``plot``: predictions over time as a figure for a paper."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from avaffect.drawing import panels
from avaffect.drawing.curves import Floats, band_of
from avaffect.drawing.subjects import Table, find_tables, load_table
from avaffect.drawing.target import require_target
from avaffect.drawing.words import plain
from avaffect.errors import FormatError, UsageError, boundary, need
from avaffect.files.atomic import atomic_path
from avaffect.labels import ACTION_UNITS, EXPRESSIONS
from avaffect.progress import EventCallback, Notice, Progress, ignore_events

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARK = "drawn by avaffect plot"
# What a file says of itself, by its ending; no date, so that the same table gives the same file.
_ABOUT: dict[str, dict[str, Any]] = {
    ".png": {"Software": MARK},
    ".pdf": {"Creator": MARK, "CreationDate": None},
    ".svg": {"Creator": MARK, "Date": None},
}
_STYLE: Any = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    # Letters remain letters in a PDF, and a name is no formula.
    "pdf.fonttype": 42,
    "text.parse_math": False,
    "svg.hashsalt": "avaffect",
}
_DPI = 200
MOST_SUBJECTS = 60
_ACROSS = 3


@dataclass(frozen=True)
class Plotted:
    """A figure that was written.

    Attributes:
        path: the file.
        subjects: whose values it shows.
    """

    path: Path
    subjects: tuple[str, ...]


@boundary()
def plot(
    predictions: Path | str,
    out: Path | str,
    *,
    subjects: Sequence[str] | None = None,
    group: bool = False,
    overwrite: bool = False,
    on_event: EventCallback = ignore_events,
) -> Plotted:
    """Draw predictions over time.

    Of one subject: valence and arousal with their intervals, the probabilities of the
    expressions, the scores of the units. Of several: valence and arousal of each. With ``group``:
    the mean of all over the time since each one's first frame, with its 95 % confidence interval.
    Missing values are gaps, or grey. Curves of more than 2,000 frames are thinned by means.

    Args:
        predictions: a folder that `predict` wrote, or one table of it.
        out: the figure: ``.png``, ``.pdf`` or ``.svg``.
        subjects: names of those to draw; None draws all, at most 60 if each one's own.
        group: draw what they have in common.
        overwrite: replace a figure that `plot` wrote before; other files are never replaced.
        on_event: progress, stage ``subjects``, and notices.

    Raises:
        InputNotFoundError: there are no such predictions.
        UnknownNameError: no subject is called so.
        ForeignFileError: a file is in the way that is no such figure.
        FormatError: a table that is damaged, or holds nothing that can be drawn.
        OutputError: the figure cannot be written.
        UsageError: another ending; the figure is there; a group of one.
    """
    need("plot", *(("matplotlib", "scipy") if group else ("matplotlib",)))
    predictions, out = Path(predictions), Path(out)
    require_target(out, tuple(_ABOUT), MARK, overwrite)
    paths = find_tables(predictions, subjects)
    if group and len(paths) < 2:
        raise UsageError(
            f"'{predictions}' holds one subject, which is no group", "draw it without group=True"
        )
    if not group and len(paths) > MOST_SUBJECTS:
        on_event(
            Notice(
                f"the first {MOST_SUBJECTS} of {len(paths)} subjects are drawn: choose others "
                "with subjects=..., or draw their mean with group=True",
                warning=True,
            )
        )
        paths = dict(list(paths.items())[:MOST_SUBJECTS])
    import matplotlib

    with matplotlib.rc_context(_STYLE), warnings.catch_warnings():
        # Letters that the font lacks become boxes.
        warnings.filterwarnings("ignore", "Glyph .* missing")
        figure = _group(paths, on_event) if group else _each(paths, on_event)
        with atomic_path(out) as temporary:
            kind = out.suffix.lower()
            figure.savefig(temporary, format=kind[1:], dpi=_DPI, metadata=_ABOUT[kind])
    return Plotted(out, tuple(paths))


def _loaded(paths: Mapping[str, Path], on_event: EventCallback) -> Iterator[tuple[str, Table]]:
    """Each table when its turn comes, so that many long ones are never in memory together."""
    for done, (name, path) in enumerate(paths.items(), 1):
        yield name, load_table(name, path)
        on_event(Progress("subjects", done, len(paths), "subjects", finished=done == len(paths)))


def _each(paths: Mapping[str, Path], on_event: EventCallback) -> Figure:
    if len(paths) == 1:
        ((name, path),) = paths.items()
        return _one(name, load_table(name, path), path)
    across = min(_ACROSS, len(paths))
    rows = -(-len(paths) // across)
    figure = _figure(3.5 * across, 0.7 + 1.9 * rows)
    axes = figure.subplots(rows, across, squeeze=False, sharey=True).ravel()
    for at, (name, table) in enumerate(_loaded(paths, on_event)):
        panels.both(axes[at], table)
        _span(axes[at], table)
        axes[at].set_title(plain(name, 40))
        axes[at].tick_params(labelleft=at % across == 0)
        if at % across == 0:
            axes[at].set_ylabel("value (−1 to 1)")
        if at + across >= len(paths):
            axes[at].set_xlabel(panels.TIME)
    for empty in axes[len(paths) :]:
        empty.set_visible(False)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper right", ncols=2, frameon=False)
    return figure


def _one(name: str, table: Table, path: Path) -> Figure:
    """Whatever the table has of one subject, one panel upon the other."""
    parts: list[tuple[float, Callable[[Axes, Table], None]]] = []
    if panels.has(table, *(f"p_{each}" for each in EXPRESSIONS)):
        parts.append((1.8, panels.expressions))
    if panels.has(table, *(f"{each}_p" for each in ACTION_UNITS)):
        parts.append((2.6, panels.units))
    if panels.has(table, *panels.DIMENSIONS) or not parts:
        parts[:0] = [(1.6, partial(panels.dimension, name=each)) for each in panels.DIMENSIONS]
    if not any(name in table.columns for name in ("valence", "p_Neutral", "AU1_p")):
        raise FormatError(f"'{path}' holds nothing that can be drawn", "predict the video again")
    heights = [height for height, _ in parts]
    figure = _figure(7.2, sum(heights) + 0.8)
    axes = figure.subplots(len(parts), 1, squeeze=False, sharex=True, height_ratios=heights)
    for each, (_, draw) in zip(axes[:, 0], parts, strict=True):
        draw(each, table)
    _span(axes[-1, 0], table)
    axes[0, 0].set_title(plain(name, 60), loc="left")
    axes[-1, 0].set_xlabel(panels.TIME)
    figure.align_ylabels()
    return figure


def _group(paths: Mapping[str, Path], on_event: EventCallback) -> Figure:
    """Mean and interval of valence and arousal, and of how many subjects."""
    curves: list[tuple[Floats, Floats]] = []
    for name, table in _loaded(paths, on_event):
        if panels.has(table, *panels.DIMENSIONS):
            values = table.numbers(*panels.DIMENSIONS).astype(np.float64)
            curves.append((table.times, values))
        else:
            on_event(Notice(f"'{plain(name, 60)}' has no valence and arousal: left out", True))
    if len(curves) < 2:
        raise UsageError(
            "fewer than two of the subjects have valence and arousal", "predict them with task va"
        )
    found = band_of(curves)
    figure = _figure(7.2, 5.4)
    axes = figure.subplots(3, 1, sharex=True, height_ratios=(2.2, 2.2, 0.8))
    for at, (name, colour) in enumerate(zip(panels.DIMENSIONS, panels.VA_COLOURS, strict=True)):
        panels.band(axes[at], found, at, colour, name)
    axes[0].set_title(f"mean of {len(curves)} subjects", loc="left")
    axes[2].step(found.times, found.counts[:, 0], where="mid", color="0.3", linewidth=1)
    axes[2].set_ylim(0, len(curves) * 1.1)
    axes[2].yaxis.get_major_locator().set_params(integer=True)
    axes[2].set_ylabel("subjects\nwith a value")
    axes[2].set_xlabel(panels.TIME)
    axes[2].set_xlim(0, 2 * found.times[-1] - found.times[-2] if len(found.times) > 1 else 1)
    figure.align_ylabels()
    return figure


def _figure(width: float, height: float) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _span(axes: Axes, table: Table) -> None:
    """The whole video, also where nothing is known at its ends."""
    axes.set_xlim(0, float(table.times[-1]) or 1.0)
