"""CSV: the table's columns, and nothing lost on the way."""

from __future__ import annotations

import csv
from pathlib import Path, PurePath

import numpy as np
import pytest

from avaffect.labels import ACTION_UNITS
from avaffect.predicting.writers.csv_table import CsvTable
from avaffect.predicting.writers.writer import Ready
from avaffect.predictions.missing import fill
from avaffect.predictions.prediction import Prediction

FRAMES = 7


@pytest.fixture
def ready() -> Ready:
    rng = np.random.default_rng(0)
    seen = np.arange(FRAMES) != 2
    values = {
        "va": rng.uniform(-1, 1, (FRAMES, 2)),
        "expr": rng.dirichlet(np.ones(8), FRAMES),
        "au": rng.random((FRAMES, 12)),
    }
    for value in values.values():
        value[~seen] = np.nan
    confidence = np.where(seen, 0.1, np.nan)
    made = Prediction("a, b", "m", np.arange(FRAMES) / 30, seen, confidence, **values)
    return Ready(made, fill(made), {}, PurePath("P01/a, b"))


def test_the_columns_and_values_are_those_of_the_table(ready: Ready, tmp_path: Path) -> None:
    (path,) = CsvTable(tmp_path).write(ready)
    assert path == tmp_path / "tables/P01/a, b.csv"
    with path.open(newline="") as file:
        names, *rows = csv.reader(file)
    columns = ready.prediction.columns()
    assert names == list(columns)
    for name, texts in zip(names, zip(*rows, strict=True), strict=True):
        values = columns[name]
        if values.dtype == object:
            assert [text or None for text in texts] == list(values)
        else:
            numbers = [float(text) if text else np.nan for text in texts]
            np.testing.assert_array_equal(np.array(numbers, values.dtype), values, err_msg=name)


def test_what_is_unknown_is_empty_and_yes_is_1(ready: Ready, tmp_path: Path) -> None:
    (path,) = CsvTable(tmp_path).write(ready)
    raw = path.read_bytes()
    assert b"\r" not in raw
    assert raw.startswith(b"frame,time,present,heard,filled,confidence,valence,arousal,")
    first, _, unseen, *_ = raw.decode().splitlines()[1:]
    assert first.startswith("1,0,1,0,0,0.1,")
    # The text files of the challenge are filled, a table is not.
    assert unseen.startswith("3,0.06666666666666667,0,0,0,,,,,")
    assert unseen.count(",") == first.count(",") == len(ready.prediction.columns()) - 1
    assert len(ACTION_UNITS) * 2 < first.count(",")
