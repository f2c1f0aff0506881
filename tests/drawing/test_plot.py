"""Figures of one subject, of several, and of their mean."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fixtures.tables import columns_of
from PIL import Image

from avaffect import plot
from avaffect.drawing import plot as plotting
from avaffect.drawing.panels import MISSING
from avaffect.errors import (
    ForeignFileError,
    FormatError,
    InputNotFoundError,
    UnknownNameError,
    UsageError,
)
from avaffect.files.table import write_table
from avaffect.labels import EXPRESSIONS
from avaffect.progress import Notice

MAGIC = {".png": b"\x89PNG", ".pdf": b"%PDF", ".svg": b"<?xml"}


@pytest.fixture
def folder(tmp_path: Path):
    """Writes tables of given columns, by subject, and returns their folder."""

    def make(**subjects):
        for name, columns in subjects.items():
            path = tmp_path / "predictions/tables" / f"{name}.parquet"
            write_table(path, columns, {"subject": name})
        return tmp_path / "predictions"

    return make


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch):
    """The axes of the figures that are drawn."""
    found = []
    make = plotting._figure

    def remembered(*size):
        found.append(make(*size))
        return found[-1]

    monkeypatch.setattr(plotting, "_figure", remembered)
    return found


def colours_of(path):
    with Image.open(path) as picture:
        return {colour for _, colour in picture.convert("RGB").getcolors(1 << 24)}


TIMES = np.arange(100) / 25


def one_panel():
    """Columns of which a figure is drawn in less time than of all."""
    return {name: columns_of(TIMES)[name] for name in ("frame", "time", "valence")}


@pytest.mark.no_cover
@pytest.mark.parametrize(
    ("ending", "group"), [*((ending, False) for ending in MAGIC), (".svg", True)]
)
def test_every_form_the_same_each_time(ending, group: bool, folder, tmp_path: Path) -> None:
    made = folder(a=columns_of(TIMES), b=columns_of(TIMES, seed=3))
    files = [tmp_path / f"{name}{ending}" for name in "xy"]
    for file in files:
        assert plot(made, file, group=group).subjects == ("a", "b")
    first, second = (file.read_bytes() for file in files)
    assert first.startswith(MAGIC[ending])
    assert first == second


def test_one_subject_has_all_panels(folder, drawn, tmp_path: Path) -> None:
    made = folder(a=columns_of(TIMES, unseen=range(30, 60)))
    plot(made, tmp_path / "a.png")
    labels = [axes.get_ylabel().replace("\n", " ") for axes in drawn[0].axes]
    assert labels[:4] == ["valence (−1 to 1)", "arousal (−1 to 1)",
                          "probability of the expression", "action unit"]  # fmt: skip
    assert drawn[0].axes[3].get_xlabel() == "time since the first frame (s)"
    # The gap is a gap.
    line = drawn[0].axes[0].lines[0]
    assert np.isnan(line.get_ydata()[30:60]).all()
    assert np.isfinite(line.get_ydata()[:30]).all()
    assert tuple(bytes.fromhex(MISSING[1:])) in colours_of(tmp_path / "a.png")


def test_what_was_not_predicted_has_no_panel(folder, drawn, tmp_path: Path) -> None:
    columns = {name: values for name, values in columns_of(TIMES).items()
               if name in ("frame", "time", "present", "valence", "arousal")}  # fmt: skip
    plot(folder(a=columns), tmp_path / "a.png")
    assert len(drawn[0].axes) == 2


def test_a_frame_alone_is_seen(folder, drawn, tmp_path: Path) -> None:
    columns = columns_of(TIMES, unseen=[*range(50), *range(51, 100)])
    plot(folder(a=columns), tmp_path / "a.png")
    dots = drawn[0].axes[0].lines[1]
    assert dots.get_xdata().tolist() == [2.0]
    values = [patch.get_data().values for patch in drawn[0].axes[2].patches]
    assert len(values) == len(EXPRESSIONS)
    assert all(np.flatnonzero(np.isfinite(each)).tolist() == [50] for each in values)


@pytest.mark.no_cover
@pytest.mark.parametrize("frames", [1, 2, 10_000])
def test_any_length(frames: int, folder, drawn, tmp_path: Path) -> None:
    plot(folder(a=columns_of(np.arange(frames) / 30)), tmp_path / "a.svg")
    assert (tmp_path / "a.svg").stat().st_size < 3 << 20


def test_nobody_seen_is_said(folder, drawn, tmp_path: Path) -> None:
    plot(folder(a=columns_of(TIMES, unseen=range(100))), tmp_path / "a.png")
    assert [text.get_text() for text in drawn[0].axes[0].texts] == ["no value in any frame"]


def test_several_have_an_axes_each(folder, drawn, tmp_path: Path) -> None:
    made = folder(**{f"s{at}": columns_of(TIMES, seed=at) for at in range(5)})
    plot(made, tmp_path / "a.png")
    shown = [axes.get_title() for axes in drawn[0].axes if axes.get_visible()]
    assert shown == ["s0", "s1", "s2", "s3", "s4"]


def test_more_than_fit_are_told(folder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(plotting, "MOST_SUBJECTS", 2)
    made = folder(**{f"s{at}": columns_of(TIMES) for at in range(3)})
    events = []
    done = plot(made, tmp_path / "a.png", on_event=events.append)
    assert done.subjects == ("s0", "s1")
    assert "first 2 of 3" in next(event.text for event in events if isinstance(event, Notice))


@pytest.mark.no_cover
def test_hostile_names(tmp_path: Path) -> None:
    for at, name in enumerate(["$x_{", "<script>alert(1)</script>"[:20], "映\u202e", "%s\\frac{"]):
        place = tmp_path / f"{at}" / "tables"
        write_table(place / f"{name.replace('/', '')}.parquet", one_panel(), {})
        plot(place.parent, tmp_path / f"{at}.svg")
        assert b"<script" not in (tmp_path / f"{at}.svg").read_bytes()


def test_what_is_there_is_not_replaced_unasked(folder, tmp_path: Path) -> None:
    made = folder(a=one_panel())
    for ending in MAGIC:
        out = tmp_path / f"out{ending}"
        plot(made, out)
        with pytest.raises(UsageError, match="overwrite=True"):
            plot(made, out)
        plot(made, out, overwrite=True)
        out.write_bytes(MAGIC[ending] + b" of somebody else's")
        with pytest.raises(ForeignFileError):
            plot(made, out, overwrite=True)
        assert out.read_bytes().endswith(b"else's")


def test_wrong_use(folder, tmp_path: Path) -> None:
    made = folder(a=columns_of(TIMES))
    out = tmp_path / "a.png"
    with pytest.raises(UsageError, match=r"\.svg"):
        plot(made, tmp_path / "a.jpg")
    with pytest.raises(UsageError, match="no group"):
        plot(made, out, group=True)
    with pytest.raises(UnknownNameError):
        plot(made, out, subjects=["b"])
    with pytest.raises(InputNotFoundError):
        plot(tmp_path / "nothing", out)
    backwards = columns_of(TIMES) | {"time": TIMES[::-1].copy()}
    with pytest.raises(FormatError, match="do not increase"):
        plot(folder(a=backwards), out)
    with pytest.raises(FormatError, match="nothing that can be drawn"):
        plot(folder(a={"frame": np.arange(3), "time": np.arange(3.0)}), out)
    assert not out.exists()
