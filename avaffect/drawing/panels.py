"""The parts of a figure: curves, bands of expressions, the heat map of units."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from avaffect.drawing.curves import Band, Floats, edges_of, thinned
from avaffect.drawing.subjects import COLOURS, Table
from avaffect.labels import ACTION_UNITS, EXPRESSIONS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DIMENSIONS = ("valence", "arousal")
# Blue and vermilion of Okabe and Ito's, which differ in print too.
VA_COLOURS = ("#0072B2", "#D55E00")
MISSING = "#d9d9d9"
# Neutral is grey; the others as far from each other as eight can be.
_NEUTRAL, _OTHER = "#bbbbbb", "#000000"
TIME = "time since the first frame (s)"


def values_of(table: Table, *names: str) -> tuple[Floats, Floats]:
    """Times and the columns ``names`` of a table, thinned."""
    return thinned(table.times, table.numbers(*names).astype(np.float64))


def has(table: Table, *names: str) -> bool:
    """Whether any of the columns has a value."""
    return bool(np.isfinite(table.numbers(*names)).any())


def class_colours() -> list[Any]:
    """A colour a class of `EXPRESSIONS`."""
    rest = [tuple(part / 255 for part in COLOURS[at]) for at in (5, 2, 4, 3, 6, 0)]
    return [_NEUTRAL, *rest, _OTHER]


def both(axes: Axes, table: Table) -> None:
    """Valence and arousal as two curves; gaps where the table has no value."""
    for name, colour in zip(DIMENSIONS, VA_COLOURS, strict=True):
        times, values = values_of(table, name)
        curve(axes, times, values[:, 0], colour, name)
    value_axis(axes)


def dimension(axes: Axes, table: Table, name: str) -> None:
    """Valence or arousal, with its interval where the table has one."""
    colour = VA_COLOURS[DIMENSIONS.index(name)]
    times, values = values_of(table, name, f"{name}_low", f"{name}_high")
    curve(axes, times, values[:, 0], colour, name)
    if np.isfinite(values[:, 1] + values[:, 2]).any():
        axes.fill_between(times, values[:, 1], values[:, 2], color=colour, alpha=0.2, linewidth=0,
                          label="interval")  # fmt: skip
    value_axis(axes)
    axes.set_ylabel(f"{name}\n(−1 to 1)")
    if not np.isfinite(values[:, 0]).any():
        axes.text(0.5, 0.6, "no value in any frame", transform=axes.transAxes, ha="center")
    beside(axes)


def curve(axes: Axes, times: Floats, values: Floats, colour: str, label: str) -> None:
    """A line, with dots where a value has no neighbours and a line would not show it."""
    axes.plot(times, values, color=colour, linewidth=1.2, label=label)
    known: NDArray[np.bool_] = np.isfinite(values)
    around = np.concatenate([[False], known, [False]])
    alone = known & ~around[:-2] & ~around[2:]
    axes.plot(times[alone], values[alone], ".", color=colour, markersize=4)


def value_axis(axes: Axes) -> None:
    """From -1 to 1, with 0 marked."""
    axes.axhline(0, color="0.6", linewidth=0.6, zorder=0)
    axes.set_ylim(-1.05, 1.05)
    axes.set_yticks([-1, -0.5, 0, 0.5, 1])


def expressions(axes: Axes, table: Table) -> None:
    """The probabilities of the classes, one upon the other; grey where there are none."""
    times, shares = values_of(table, *(f"p_{name}" for name in EXPRESSIONS))
    sums = shares.sum(axis=1, keepdims=True)
    shares = shares / np.where(sums > 0, sums, np.nan)
    tops = np.cumsum(shares, axis=1)
    edges = edges_of(times)
    axes.set_facecolor(MISSING)
    for at, (name, colour) in enumerate(zip(EXPRESSIONS, class_colours(), strict=True)):
        # Steps from edge to edge, so that a frame alone has its width too.
        axes.stairs(tops[:, at], edges, baseline=tops[:, at] - shares[:, at], fill=True,
                    color=colour, linewidth=0, label=name, rasterized=True)  # fmt: skip
    axes.set_ylim(0, 1)
    axes.set_ylabel("probability of\nthe expression")
    beside(axes)


def units(axes: Axes, table: Table) -> None:
    """A row a unit, the darker the higher its score; grey where there is none."""
    from matplotlib import colormaps

    times, scores = values_of(table, *(f"{name}_p" for name in ACTION_UNITS))
    colours = colormaps["Blues"].with_extremes(bad=MISSING)
    mesh = axes.pcolormesh(
        edges_of(times),
        np.arange(len(ACTION_UNITS) + 1),
        np.ma.masked_invalid(scores.T),
        cmap=colours,
        vmin=0,
        vmax=1,
        rasterized=True,
    )
    axes.set_yticks(np.arange(len(ACTION_UNITS)) + 0.5, ACTION_UNITS)
    axes.tick_params(axis="y", length=0, labelsize=8)
    axes.invert_yaxis()
    axes.set_ylabel("action unit")
    place = axes.inset_axes((1.02, 0.1, 0.018, 0.8))
    bar = axes.figure.colorbar(mesh, cax=place)
    bar.set_label("score (0 to 1)")


def band(axes: Axes, found: Band, column: int, colour: str, label: str) -> None:
    """A mean and its interval."""
    curve(axes, found.times, found.mean[:, column], colour, label)
    axes.fill_between(found.times, found.low[:, column], found.high[:, column], color=colour,
                      alpha=0.2, linewidth=0, label="95 % confidence of the mean")  # fmt: skip
    value_axis(axes)
    axes.set_ylabel(f"{label}\n(−1 to 1)")
    beside(axes)


def beside(axes: Axes) -> None:
    """The legend, right of the axes, where no curve is."""
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, fontsize=8,
                handlelength=1.2)  # fmt: skip
