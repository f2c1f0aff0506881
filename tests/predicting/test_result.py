"""What can be done with a result: tables, a figure, a page, and what a notebook shows."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from avaffect.errors import UsageError
from avaffect.predicting.result import MOST_SHOWN, Result
from avaffect.predictions.prediction import Prediction


def made(names: list[str], frames: int = 30) -> Result:
    predictions = tuple(
        Prediction(
            name, "m", np.arange(frames) / 25, np.ones(frames, bool), np.ones(frames),
            va=np.full((frames, 2), 0.5), expr=np.eye(8)[[4] * frames], au=np.zeros((frames, 12)),
            au_thresholds=np.full(12, 0.25),
        )
        for name in names
    )  # fmt: skip
    about: dict[str, object] = {
        "video": {"name": "gone.mp4", "sha256": ""}, "model": "m", "notes": [],
    }  # fmt: skip
    return Result(Path("gone.mp4"), predictions, (), about, frames, frames)


def test_one_csv_holds_all_subjects(tmp_path: Path) -> None:
    path = made(["a", "=b"]).to_csv(tmp_path / "all.csv")
    with path.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 60
    assert [rows[0]["subject"], rows[-1]["subject"]] == ["a", "'=b"]
    assert rows[-1]["valence"] == "0.5"
    comma = made(["a"]).to_csv(tmp_path / "comma.csv", decimal="comma")
    assert "0,5;" in comma.read_text("utf-8")
    alone = made(["a"]).predictions[0].to_csv(tmp_path / "alone.csv")
    assert alone.read_text("utf-8").startswith("frame,time,")


def test_a_figure_is_shown_or_written(tmp_path: Path) -> None:
    result = made(["a", "b"])
    shown = result.plot()
    assert shown._repr_png_().startswith(b"\x89PNG")
    assert "PNG" in repr(shown)
    result.plot(tmp_path / "all.svg", subjects=["a"])
    assert (tmp_path / "all.svg").is_file()
    with pytest.raises(UsageError):
        result.plot(tmp_path / "all.svg")
    result.plot(tmp_path / "all.svg", overwrite=True)


def test_a_page_is_written(tmp_path: Path) -> None:
    page = made(["a"]).report(tmp_path / "page.html")
    assert page == tmp_path / "page.html"
    assert "gone.mp4" in page.read_text("utf-8")
    with pytest.raises(UsageError):
        made(["a"]).report(page)
    made(["a"]).report(page, overwrite=True)


def test_a_notebook_shows_the_first_subjects() -> None:
    html = made([f"s{number}" for number in range(MOST_SHOWN + 2)])._repr_html_()
    assert html.count("<svg") == MOST_SHOWN
    assert "and 2 more" in html
