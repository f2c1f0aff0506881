"""CSV, read back by pandas and by R's rules."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas
from fixtures.recordings import FORMULA, write_person

from avaffect.converting.run import convert


def test_it_is_the_table(tmp_path: Path) -> None:
    table = pandas.read_parquet(write_person(tmp_path, "P01/talk", unseen=[3]))
    (path,) = convert(tmp_path, "csv").files
    assert path == tmp_path / "converted/csv/P01/talk.csv"
    back = pandas.read_csv(path)
    pandas.testing.assert_frame_equal(
        back, table.astype(dict.fromkeys(("present",), int)), check_dtype=False
    )
    assert path.read_text().splitlines()[4].startswith("4,0.12,0,,")


def test_decimal_comma_and_formulas(tmp_path: Path) -> None:
    said = np.full(10, FORMULA, object)
    write_person(tmp_path, expression=said, valence=np.full(10, 0.5))
    (path,) = convert(tmp_path, "csv", decimal="comma").files
    back = pandas.read_csv(path, sep=";", decimal=",", encoding="utf-8-sig")
    assert back["valence"].tolist() == [0.5] * 10
    assert set(back["expression"]) == {f"'{FORMULA}"}
