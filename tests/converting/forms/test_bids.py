"""BIDS: names by bids-validator, content by pandas."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas
import pytest
from bids_validator import BIDSValidator
from fixtures.recordings import write_person

from avaffect.converting.run import convert
from avaffect.errors import UsageError


def read(folder: Path) -> tuple[dict, pandas.DataFrame]:
    (head,) = folder.rglob("*_physio.json")
    facts = json.loads(head.read_text())
    values = pandas.read_csv(
        head.with_suffix(".tsv.gz"), sep="\t", header=None, names=facts["Columns"],
        na_values=["n/a"], keep_default_na=False,
    )  # fmt: skip
    return facts, values


def test_names_and_values(tmp_path: Path) -> None:
    table = pandas.read_parquet(write_person(tmp_path, "P01/talk_1", unseen=[3]))
    done = convert(tmp_path, "bids")
    names = [f"/{path.relative_to(done.folders[0]).as_posix()}" for path in done.files]
    assert names[0].startswith("/sub-P01talk1/beh/sub-P01talk1_task-video_recording-face_physio")
    assert all(BIDSValidator().is_bids(name) for name in names)
    facts, values = read(done.folders[0])
    assert (facts["SamplingFrequency"], facts["StartTime"]) == (25, 0)
    assert facts["yaw"]["Units"] == "deg"
    assert {*facts["Columns"]} == {*facts} - {"SamplingFrequency", "StartTime", "Columns"}
    np.testing.assert_allclose(values, table[facts["Columns"]].astype(float), rtol=1e-6)
    assert np.isnan(values["valence"][3])
    assert values["present"][3] == 0


def test_a_variable_rate_and_one_that_is_chosen(tmp_path: Path) -> None:
    times = 2 + np.array([0, 0.02, 0.08, 0.1, 0.16])
    write_person(tmp_path, times=times, valence=[0.1, 0.2, 0.3, 0.4, 0.5])
    facts, values = read(convert(tmp_path, "bids").folders[0])
    assert (facts["SamplingFrequency"], facts["StartTime"]) == (25, 2)
    assert values["valence"].tolist() == [0.1, 0.2, 0.3, 0.4, 0.5]
    facts, values = read(convert(tmp_path, "bids", rate=50).folders[0])
    assert facts["SamplingFrequency"] == 50
    assert values["valence"].tolist() == [0.1, 0.2, 0.2, 0.3, 0.3, 0.4, 0.4, 0.5, 0.5]


def test_the_same_table_gives_the_same_bytes(tmp_path: Path) -> None:
    write_person(tmp_path)
    first, second = (
        convert(tmp_path, "bids", tmp_path / name).files[0].read_bytes() for name in "ab"
    )
    assert first == second


def test_a_name_without_letters(tmp_path: Path) -> None:
    write_person(tmp_path, "---")
    with pytest.raises(UsageError, match="no letter of A to Z"):
        convert(tmp_path, "bids")
    for name in ("a_1", "a-1"):
        write_person(tmp_path / "two", name)
    with pytest.raises(UsageError, match="two of the predictions would be written to"):
        convert(tmp_path / "two", "bids")
