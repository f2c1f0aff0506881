"""A table, read in blocks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
from fixtures.recordings import rows_of, write_person

from avaffect.converting.rows import numbers, texts
from avaffect.errors import FormatError, InputNotFoundError


def test_blocks_are_the_table(tmp_path: Path) -> None:
    rows = rows_of(tmp_path, times=np.arange(20_000) / 25, unseen=[5, 9_000])
    whole = pandas.read_parquet(rows.path)
    blocks = [*rows.blocks()]
    assert max(len(block["frame"]) for block in blocks) < 10_000
    found = np.concatenate([numbers(block, ["valence", "AU12"]) for block in blocks])
    np.testing.assert_array_equal(found, whole[["valence", "AU12"]].to_numpy(np.float64))
    said = [text for block in blocks for text in texts(block, "expression")]
    assert said[4:6] == [whole["expression"][4], None]
    assert [*blocks[0]] == [*whole.columns]
    assert rows.video == "talk.mp4"


def test_a_column_that_is_not_there_is_unknown(tmp_path: Path) -> None:
    (block,) = rows_of(tmp_path).blocks(["AU99"])
    assert np.isnan(numbers(block, ["AU99"])).shape == (10, 1)
    assert np.isnan(numbers(block, ["AU99"])).all()


@pytest.mark.parametrize(
    "value", [np.array(["x"] * 10, object), np.full(10, np.inf), np.array([None] * 10, object)]
)
def test_what_is_no_finite_number_is_unknown(tmp_path: Path, value: Any) -> None:
    (block,) = rows_of(tmp_path, valence=value).blocks(["valence"])
    assert np.isnan(numbers(block, ["valence"])).all()


@pytest.mark.parametrize(
    ("clock", "first", "starts"), [("frame", 0.5, 0.5), ("media", 0.5, 0.0), ("frame", 0, 0)]
)
def test_the_files_own_clock(tmp_path: Path, clock: str, first: float, starts: float) -> None:
    about = {"clock": clock, "media": {"first_time_s": first}}
    assert rows_of(tmp_path, about=about).media_times[0] == starts


def test_a_frame_stands_for_a_second_at_most(tmp_path: Path) -> None:
    rows = rows_of(tmp_path, times=[0, 0.04, 0.08, 5.0, 5.5])
    np.testing.assert_allclose(rows.steps(), [0.04, 0.04, 1.0, 0.5, 0.27])
    assert rows_of(tmp_path, times=[3.0]).steps().tolist() == [0.04]


@pytest.mark.parametrize(
    "times", [[0, 0.04, 0.04], [0.04, 0], [0, np.nan], [0, np.inf], [0, 1e300], []]
)
def test_times_that_are_none_are_refused(tmp_path: Path, times: list[float]) -> None:
    with pytest.raises(FormatError, match="is no table that can be converted"):
        _ = rows_of(tmp_path, times=times).times


def test_other_files_are_refused_in_one_line(tmp_path: Path) -> None:
    other = write_person(tmp_path, about={"media": {"first_time_s": "soon"}})
    with pytest.raises(FormatError, match="no table that can be converted"):
        _ = rows_of(tmp_path, about={"media": {"first_time_s": "soon"}}).media_times
    other.write_bytes(other.read_bytes()[:2000])
    from avaffect.converting.recording import find_recordings

    with pytest.raises(FormatError, match="is no table of avaffect"):
        find_recordings(other)
    with pytest.raises(InputNotFoundError, match="no tables of predictions"):
        find_recordings(tmp_path / "nowhere")
