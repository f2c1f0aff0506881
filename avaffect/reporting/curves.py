"""Lines and strips as a page draws them without a script: points of SVG in a box, 600 by 120."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from avaffect.reporting.series import Cells
from avaffect.reporting.summary import runs

WIDTH, HEIGHT = 600.0, 120.0
# A line of more points is drawn by the means of neighbours, which an eye cannot tell apart.
MOST_POINTS = 600

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Line:
    """A line, in pieces where values are missing.

    Attributes:
        kind: what it is drawn as, a class of the style sheet.
        pieces: points as SVG wants them; a piece of one point is a dot.
    """

    kind: str
    pieces: tuple[str, ...]


@dataclass(frozen=True)
class Chart:
    """Lines over one axis.

    Attributes:
        title: in words.
        low, high: what lies at the bottom and on top, as text.
        first, last: what lies at the left and right ends, as text.
        lines: the lines.
        mark: where a vertical line stands, in the box; None for none.
    """

    title: str
    low: str
    high: str
    first: str
    last: str
    lines: tuple[Line, ...]
    mark: str | None = None


@dataclass(frozen=True)
class Strip:
    """Stretches of time in a row.

    Attributes:
        name: in words.
        boxes: of each, the number of its colour, where it begins and how wide it is, in the box.
    """

    name: str
    boxes: tuple[tuple[int, str, str], ...]


def chart_of(
    title: str,
    x: ArrayLike,
    lines: Sequence[tuple[str, ArrayLike]],
    ends: tuple[str, str],
    span: tuple[float, float] | None = None,
    mark: float | None = None,
) -> Chart:
    """Lines over the same places.

    Args:
        title: in words.
        x: [N] places that rise.
        lines: of each its kind and [N] values, NaN for none.
        ends: what the first and last place are called.
        span: what lies at the bottom and on top; None takes the least and greatest value.
        mark: a place to be marked.
    """
    places = np.asarray(x, np.float64)
    values = [(kind, np.asarray(each, np.float64)) for kind, each in lines]
    low, high = span or _span([each for _, each in values])
    drawn = tuple(_line(kind, places, each, low, high) for kind, each in values)
    at = None if mark is None else f"{_across(np.array([mark]), places)[0]:.1f}"
    return Chart(title, f"{low:.3g}", f"{high:.3g}", *ends, drawn, at)


def strip_of(name: str, values: NDArray[np.int64]) -> Strip:
    """Stretches of equal numbers; below 0 is nothing."""
    count = max(1, len(values))
    boxes = []
    for number in np.unique(values[values >= 0]):
        for start, end in runs(np.asarray(values == number)):
            left, width = WIDTH * start / count, WIDTH * (end - start) / count
            boxes.append((int(number), f"{left:.2f}", f"{max(width, 0.5):.2f}"))
    return Strip(name, tuple(boxes))


def _span(values: Sequence[Floats]) -> tuple[float, float]:
    every = np.concatenate([each[np.isfinite(each)] for each in values] or [np.empty(0)])
    if not len(every):
        return 0.0, 1.0
    low, high = float(every.min()), float(every.max())
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _across(x: Floats, places: Floats) -> Floats:
    width = float(places[-1] - places[0]) if len(places) > 1 else 0.0
    return (x - places[0]) / width * WIDTH if width > 0 else np.full(len(x), WIDTH / 2)


def _line(kind: str, places: Floats, values: Floats, low: float, high: float) -> Line:
    if not len(values):
        return Line(kind, ())
    cells = Cells.of(len(values), MOST_POINTS)
    x, y = _across(cells.mean(places), places), cells.mean(values)
    down = HEIGHT * (1 - np.clip((y - low) / (high - low), 0, 1))
    return Line(kind, tuple(_pieces(x, down)))


def _pieces(x: Floats, y: Floats) -> Iterator[str]:
    for start, end in runs(np.isfinite(y)):
        points = zip(x[start:end], y[start:end], strict=True)
        text = " ".join(f"{across:.1f},{down:.1f}" for across, down in points)
        # A line of one point is not drawn; two in one place are a dot.
        yield text if end - start > 1 else f"{text} {text}"
