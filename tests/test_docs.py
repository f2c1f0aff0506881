"""What the pages say of tables is so."""

import re
from pathlib import Path

import numpy as np
import pytest

from avaffect.files.table import write_table
from avaffect.predictions.prediction import Prediction

DOCS = Path(__file__).parents[1] / "docs"


def full(times: np.ndarray, seen: np.ndarray) -> Prediction:
    """Valence 1 to 0.5 s, then -1; everything else is the same in all frames."""
    n = len(times)
    va = np.where(times < 0.5, 1.0, -1.0)[:, None] * np.ones(2)
    values = {"va": va, "expr": np.full((n, 8), 1 / 8), "au": np.ones((n, 12)),
              "au_intensity": np.ones((n, 12)), "geometry": np.ones((n, 17)),
              "eyes": np.ones((n, 6)), "speaking": np.ones((n, 2))}  # fmt: skip
    for column in values.values():
        column[~seen] = np.nan
    interval = np.stack([va, va], axis=2)
    return Prediction("a", "m", times, seen, np.where(seen, 1, np.nan), va_interval=interval,
                      **values)  # fmt: skip


def test_formats_names_every_column() -> None:
    page = (DOCS / "formats.md").read_text("utf-8")
    table = page.split("| column | type | meaning |")[1].split("\n\n")[0]
    named = set(re.findall(r"`([\w…]+)`", table))
    for column in full(np.zeros(1), np.ones(1, bool)).columns():
        # A row may name the first and the last of many.
        kind = column if column.startswith("AU45") else re.sub(r"^AU\d+", "AU1", column)
        kind = "p_Neutral" if column.startswith("p_") else kind
        short = re.sub(r"(nose|mouth_left|mouth_right|right_eye)_[xy]$", r"\1_…", kind)
        assert {kind, short} & named, column


@pytest.mark.parametrize("clock", [0.0, 1.48])
def test_the_mean_over_time_in_reading_is_one(
    clock: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The second half has four times the frames of the first; a fifth of the time nobody is seen.
    times = np.concatenate([np.arange(0, 0.5, 0.1), np.arange(0.5, 1, 0.025)])
    seen = (times < 0.299) | (times >= 0.5)
    table = full(times + 0, seen).columns() | {"time": times + clock}
    write_table(tmp_path / "out/tables/video.parquet", table, {})
    page = (DOCS / "reading.md").read_text("utf-8")
    code = page.split("```python\n")[1].split("```")[0]
    monkeypatch.chdir(tmp_path)
    found: dict = {}
    exec(code, found)  # noqa: S102 - our own page
    assert found["mean"] == pytest.approx((0.3 - 0.5) / 0.8)
    assert found["share"] == pytest.approx(0.8)
    assert np.nanmean(table["valence"]) < -0.7  # that of frames is another
