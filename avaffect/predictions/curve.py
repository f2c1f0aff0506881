"""A prediction as a small picture for a notebook: SVG within HTML, without scripts.

It imports no `Prediction`, which shows itself by it.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from avaffect.labels import EXPRESSIONS

# Pixels; of more frames than points each is a mean.
WIDTH, HIGH, LEFT, STRIP = 640, 120, 34, 14
POINTS = 600
_LONGEST_NAME = 80
# Okabe and Ito's colours, which people with any colour vision can tell apart.
_VA = (("valence", "#0072b2"), ("arousal", "#d55e00"))
_COLOURS = dict(
    zip(
        EXPRESSIONS,
        ("#bbbbbb", "#d55e00", "#009e73", "#cc79a7", "#f0e442", "#0072b2", "#e69f00", "#666666"),
        strict=True,
    )
)


class Predicted(Protocol):
    """What is drawn of a `Prediction`."""

    @property
    def subject(self) -> str: ...
    @property
    def times(self) -> NDArray[np.float64]: ...
    @property
    def present(self) -> NDArray[np.bool_]: ...
    @property
    def va(self) -> NDArray[np.float32] | None: ...
    @property
    def expr(self) -> NDArray[np.float32] | None: ...
    def expression_ids(self) -> NDArray[np.int64]:
        """int64 [N], the likeliest of ``EXPRESSIONS``, -1 without a value."""
        ...


def curve_html(prediction: Predicted) -> str:
    """Valence and arousal over time, and below them the likeliest expression.

    Where there is no value there is a gap. A few kilobytes, however long the video.
    """
    name = prediction.subject
    name = name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}…"
    frames, seen = len(prediction.times), int(prediction.present.sum())
    parts, key = [], []
    bottom = 4.0
    if prediction.va is not None:
        parts.append(_axis(bottom))
        for column, (word, colour) in enumerate(_VA):
            points = _thinned(prediction.times, prediction.va[:, column])
            parts += [_line(run, colour, bottom) for run in _runs(points)]
            key.append((word, colour))
        bottom += HIGH + 6
    if prediction.expr is not None:
        ids = prediction.expression_ids()
        parts += _strip(prediction.times, ids, bottom)
        key += [(EXPRESSIONS[at], _COLOURS[EXPRESSIONS[at]]) for at in np.unique(ids[ids >= 0])]
        bottom += STRIP + 4
    end = float(prediction.times[-1]) if frames else 0.0
    parts.append(_text(LEFT, bottom + 10, "0 s"))
    parts.append(_text(WIDTH, bottom + 10, f"{end:.1f} s", "end"))
    words = " ".join(
        f"{_tag('span', '&#9632;', style=f'color:{colour}')} {escape(word)}"
        for word, colour in key
    )
    drawn = _tag(
        "svg",
        "".join(parts),
        xmlns="http://www.w3.org/2000/svg",
        width=WIDTH,
        height=f"{bottom + 14:g}",
        viewBox=f"0 0 {WIDTH} {bottom + 14:g}",
        role="img",
        aria_label="valence, arousal and expression over time",
    )
    title = f"<b>{escape(name)}</b> &#183; {frames} frames, {seen} with a face"
    below = _tag("div", words, style="font-size:85%")
    return _tag("div", f"{_tag('div', title)}{drawn}{below}")


Run = Sequence[tuple[float, float]]


def _thinned(
    times: NDArray[np.float64], values: NDArray[np.float32]
) -> list[tuple[float, float | None]]:
    """Place (0..1) and value of each point; None where there is none. At most `POINTS`."""
    end = float(times[-1]) if len(times) else 0.0
    found: list[tuple[float, float | None]] = []
    for rows in np.array_split(np.arange(len(times)), min(len(times), POINTS) or 1):
        some = values[rows]
        known = some[~np.isnan(some)]
        if len(rows):
            place = float(times[rows].mean()) / end if end else 0.0
            found.append((place, float(known.mean()) if len(known) else None))
    return found


def _runs(points: Sequence[tuple[float, float | None]]) -> list[Run]:
    """The stretches without a gap."""
    runs: list[list[tuple[float, float]]] = [[]]
    for place, value in points:
        if value is None:
            runs.append([])
        else:
            runs[-1].append((place, value))
    return [run for run in runs if run]


def _axis(top: float) -> str:
    lines = []
    for value in (-1, 0, 1):
        y = _height(value, top)
        lines.append(
            _tag(
                "line",
                x1=LEFT,
                x2=WIDTH,
                y1=f"{y:.1f}",
                y2=f"{y:.1f}",
                stroke="currentColor",
                stroke_opacity=0.4 if value == 0 else 0.15,
            )
        )
        lines.append(_text(LEFT - 4, y + 4, f"{value:+d}" if value else "0", "end"))
    return "".join(lines)


def _line(run: Run, colour: str, top: float) -> str:
    dots = " ".join(f"{_across(place):.1f},{_height(value, top):.1f}" for place, value in run)
    if len(run) == 1:
        x, y = dots.split(",")
        return _tag("circle", cx=x, cy=y, r=1.5, fill=colour)
    return _tag("polyline", points=dots, fill="none", stroke=colour, stroke_width=1.5)


def _strip(times: NDArray[np.float64], ids: NDArray[np.int64], top: float) -> list[str]:
    """A rectangle for each stretch of one expression, in at most `POINTS` steps."""
    if not len(times):
        return []
    end = float(times[-1]) or 1.0
    some = np.unique(np.linspace(0, len(ids) - 1, min(len(ids), POINTS)).round().astype(int))
    steps = np.flatnonzero(np.diff(ids[some])) + 1
    parts = []
    for rows in np.split(some, steps):
        if ids[rows[0]] < 0:
            continue
        after = min(rows[-1] + 1, len(times) - 1)
        x, stop = _across(float(times[rows[0]]) / end), _across(float(times[after]) / end)
        colour = _COLOURS[EXPRESSIONS[ids[rows[0]]]]
        parts.append(
            _tag(
                "rect",
                _tag("title", EXPRESSIONS[ids[rows[0]]]),
                x=f"{x:.1f}",
                y=f"{top:g}",
                width=f"{max(stop - x, 1):.1f}",
                height=STRIP,
                fill=colour,
            )
        )
    return parts


def _text(x: float, y: float, text: str, anchor: str = "start") -> str:
    place = {"x": f"{x:g}", "y": f"{y:.1f}", "text_anchor": anchor}
    return _tag("text", escape(text), font_size=10, fill="currentColor", **place)


def _tag(name: str, inside: str = "", **attributes: object) -> str:
    """An element; a ``_`` in an attribute stands for ``-``."""
    given = "".join(
        f' {key.replace("_", "-")}="{escape(str(value))}"' for key, value in attributes.items()
    )
    return f"<{name}{given}>{inside}</{name}>"


def _across(place: float) -> float:
    return LEFT + place * (WIDTH - LEFT)


def _height(value: float, top: float) -> float:
    return top + (1 - value) / 2 * HIGH
