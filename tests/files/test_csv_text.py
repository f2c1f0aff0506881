"""CSV: every value comes back, whoever reads it, and no text is run as a formula."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pandas
import pytest

from avaffect.errors import UnknownNameError
from avaffect.files import csv_text
from avaffect.files.csv_text import DECIMALS, harmless, write_csv

NAMES = ["a", None, 'x;y,"z"', "zwei\nZeilen", "Zoë", "=1+1", "  b"]
COLUMNS = {
    "frame": np.arange(1, 8),
    "time": np.array([0, 1 / 30, 1e-9, 3.5, 1e22, 0.1, -0.0]),
    "seen": np.array([True, False] * 3 + [True]),
    "value": np.array([0.1, np.nan, -1, 1 / 3, 1e-7, 0, 5e-5], np.float32),
    "name": np.array(NAMES, object),
}


@pytest.mark.parametrize("decimal", DECIMALS)
def test_every_value_comes_back(
    decimal: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_text, "_CHUNK", 3)
    path = tmp_path / "a.csv"
    write_csv(path, COLUMNS, decimal)
    raw = path.read_bytes()
    comma = decimal == "comma"
    assert raw.startswith(b"\xef\xbb\xbfframe;time;" if comma else b"frame,time,")
    read = pandas.read_csv(
        path,
        sep=";" if comma else ",",
        decimal="," if comma else ".",
        encoding="utf-8-sig",
        dtype={"value": np.float32},
    )
    assert list(read) == list(COLUMNS)
    for name in ("frame", "time", "seen", "value"):
        np.testing.assert_array_equal(read[name].to_numpy(), COLUMNS[name], err_msg=name)
    expected = ["'=1+1" if name == "=1+1" else name for name in NAMES]
    assert [None if name != name else name for name in read["name"]] == expected


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1"])
def test_a_formula_is_text(text: str, tmp_path: Path) -> None:
    assert harmless(text) == f"'{text}"
    write_csv(tmp_path / "a.csv", {"name": np.array([text], object)})
    with (tmp_path / "a.csv").open(newline="", encoding="utf-8") as file:
        assert list(csv.reader(file)) == [["name"], [f"'{text}"]]


def test_no_rows_no_columns_and_other_decimals(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", {"a": np.zeros(0), "b": np.zeros(0, object)})
    assert (tmp_path / "a.csv").read_text() == "a,b\n"
    with pytest.raises(UnknownNameError, match="comma"):
        write_csv(tmp_path / "a.csv", {}, "coma")
