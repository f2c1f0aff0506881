"""Lines and strips as SVG wants them."""

from __future__ import annotations

import numpy as np
import pytest

from avaffect.reporting.curves import MOST_POINTS, chart_of, strip_of


def test_a_line_goes_from_corner_to_corner() -> None:
    chart = chart_of("loss", [1, 2, 3], [("losses", [0.0, 1.0, 2.0])], ("first", "last"), mark=2)
    (line,) = chart.lines
    assert line.pieces == ("0.0,120.0 300.0,60.0 600.0,0.0",)
    assert (chart.low, chart.high, chart.mark) == ("0", "2", "300.0")


def test_gaps_part_a_line_and_lone_points_are_dots() -> None:
    values = [np.nan, -1.0, np.nan, 0.0, 1.0, np.inf]
    chart = chart_of("valence", range(6), [("truth", values)], ("", ""), (-1, 1))
    dot, piece = chart.lines[0].pieces
    assert dot == "120.0,120.0 120.0,120.0"
    assert piece == "360.0,60.0 480.0,0.0"


@pytest.mark.parametrize("values", [[], [np.nan], [np.nan, np.nan]])
def test_nothing_known_is_nothing_drawn(values: list[float]) -> None:
    chart = chart_of("loss", range(len(values)), [("losses", values)], ("", ""))
    assert [line.pieces for line in chart.lines] == [()]


def test_one_epoch_and_one_value_are_drawn() -> None:
    chart = chart_of("loss", [1], [("losses", [3.0])], ("", ""))
    assert chart.lines[0].pieces == ("300.0,60.0 300.0,60.0",)


def test_a_long_line_has_few_points() -> None:
    frames = 100_000
    line = chart_of("v", np.arange(frames), [("truth", np.ones(frames))], ("", "")).lines[0]
    assert len(line.pieces[0].split()) <= MOST_POINTS


def test_strips_are_stretches_of_equal_numbers() -> None:
    strip = strip_of("label", np.array([2, 2, -1, 0]))
    assert strip.boxes == ((0, "450.00", "150.00"), (2, "0.00", "300.00"))
    assert strip_of("label", np.empty(0, np.int64)).boxes == ()
