"""The curve that a notebook shows: whole, small, and harmless."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from avaffect.predictions.curve import POINTS, curve_html
from avaffect.predictions.prediction import Prediction

SVG = "{http://www.w3.org/2000/svg}"


def made(frames: int, subject: str = "a", missing: slice = slice(0, 0), **kept: Any) -> Prediction:
    va = np.tile([[0.5, -0.25]], (frames, 1))
    expr = np.tile(np.eye(8)[4], (frames, 1))
    expr[frames // 2 :] = np.eye(8)[3]
    va[missing], expr[missing] = np.nan, np.nan
    values = {"va": va, "expr": expr} | kept
    return Prediction(
        subject, "m", np.arange(frames) / 25, np.ones(frames, bool), np.ones(frames), **values
    )


def drawing(prediction: Prediction) -> ElementTree.Element:
    html = curve_html(prediction)
    return ElementTree.fromstring(html.replace("&#183;", ".").replace("&#9632;", ""))  # noqa: S314


def test_values_lie_where_they_are() -> None:
    svg = drawing(made(51)).find(f"{SVG}svg")
    assert svg is not None
    valence, arousal = (
        [tuple(map(float, dot.split(","))) for dot in line.attrib["points"].split()]
        for line in svg.iter(f"{SVG}polyline")
    )
    assert len(valence) == 51
    assert {y for _, y in valence} == {34.0}  # a quarter of the way from 1 to -1
    assert {y for _, y in arousal} == {79.0}
    assert (valence[0][0], valence[-1][0]) == (34, 640)
    first, second = svg.iter(f"{SVG}rect")
    assert (first[0].text, second[0].text) == ("Happiness", "Fear")
    assert float(first.attrib["x"]) + float(first.attrib["width"]) == pytest.approx(337, abs=7)


def test_gaps_stay_gaps() -> None:
    svg = drawing(made(50, missing=slice(20, 30)))
    assert len(list(svg.iter(f"{SVG}polyline"))) == 4
    assert len(list(svg.iter(f"{SVG}rect"))) == 2


def test_a_long_video_is_as_small_as_a_short_one() -> None:
    html = curve_html(made(100_000))
    assert len(html) < 40_000
    (line, _) = drawing(made(100_000)).iter(f"{SVG}polyline")
    assert len(line.attrib["points"].split()) == POINTS


@pytest.mark.parametrize(
    "prediction",
    [made(0), made(1), made(3, missing=slice(0, 3)), made(3, va=None), made(3, expr=None)],
)
def test_little_is_drawn_as_well(prediction: Prediction) -> None:
    assert drawing(prediction).find(f"{SVG}svg") is not None
    assert "nan" not in curve_html(prediction)
    assert prediction._repr_html_() == curve_html(prediction)


def test_names_are_harmless() -> None:
    name = "<script>alert(1)</script>\"'&" + "x" * 200
    html = curve_html(made(3, subject=name))
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    assert "x" * 100 not in html
