"""The index of file, start and end, read back by audformat and by pandas."""

from __future__ import annotations

from pathlib import Path

import audformat
import numpy as np
import pandas
from fixtures.recordings import FORMULA, write_person

from avaffect.converting.run import convert


def test_audformat_finds_its_index(tmp_path: Path) -> None:
    about = {"media": {"first_time_s": 0.5}}
    table = pandas.read_parquet(
        write_person(tmp_path, "P01/talk", [0, 0.04, 0.1], [1], about=about)
    )
    (path,) = convert(tmp_path, "index").files
    back = audformat.utils.read_csv(path)
    seconds = pandas.to_timedelta([500, 540, 600, 650], unit="ms")
    expected = audformat.segmented_index(["P01/talk.mp4"] * 3, seconds[:3], seconds[1:])
    assert audformat.is_segmented_index(back.index)
    pandas.testing.assert_index_equal(back.index, expected, exact=False)
    assert back["subject"].tolist() == ["talk"] * 3
    np.testing.assert_allclose(back["valence"], table["valence"], rtol=1e-6)
    assert np.isnan(back["valence"].iloc[1])


def test_days_and_times_before_zero(tmp_path: Path) -> None:
    write_person(tmp_path, times=[-0.25, 100_000.0])
    (path,) = convert(tmp_path, "index").files
    back = pandas.read_csv(path)
    starts, ends = (
        pandas.to_timedelta(back[name]).dt.total_seconds() for name in ("start", "end")
    )
    assert (starts.tolist(), ends.tolist()) == ([0, 100_000], [0.75, 100_001])


def test_a_video_that_is_called_like_a_formula(tmp_path: Path) -> None:
    write_person(tmp_path, video=f"{FORMULA}.mp4")
    (path,) = convert(tmp_path, "index").files
    assert path.read_text().splitlines()[1].startswith(f"'{FORMULA}.mp4,")
