"""Streams of NOVA, by a reader of our own: DISCOVER's wants a database and numba."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas
from fixtures.recordings import HOSTILE, write_person

from avaffect.converting.forms.nova import STREAMS
from avaffect.converting.run import convert


def read(path: Path) -> tuple[float, np.ndarray]:
    facts = dict(re.findall(r'(\w+)="([^"]*)"', path.read_text(encoding="utf-8")))
    assert (facts["ftype"], facts["byte"]) == ("BINARY", "0")
    assert 'byte="4" type="FLOAT"' in path.read_text(encoding="utf-8")
    values = np.fromfile(f"{path}~", np.float32).reshape(-1, int(facts["dim"]))
    rate = float(facts["sr"])
    assert len(values) == int(facts["num"])
    assert float(facts["to"]) == np.float64(f"{len(values) / rate:.6f}")
    return rate, values


def test_streams_of_each_person(tmp_path: Path) -> None:
    table = pandas.read_parquet(write_person(tmp_path, "P01/talk_left", unseen=[3]))
    write_person(tmp_path, "P01/talk_right")
    done = convert(tmp_path, "nova")
    assert len(done.files) == 2 * 2 * len(STREAMS)
    folder = tmp_path / "converted/nova/P01/talk"
    for stream, columns in STREAMS.items():
        rate, values = read(folder / f"talk_left.{stream}.stream")
        assert rate == 25
        np.testing.assert_array_equal(values, table[list(columns)].astype(np.float32))


def test_it_begins_at_the_videos_zero(tmp_path: Path) -> None:
    write_person(
        tmp_path, times=[0, 0.1, 0.2], confidence=[0.5, 0.25, 0.75],
        about={"media": {"first_time_s": 0.9}},
    )  # fmt: skip
    convert(tmp_path, "nova")
    rate, values = read(tmp_path / "converted/nova/talk/talk.face.stream")
    assert (rate, len(values)) == (10, 12)
    assert np.isnan(values[:4]).all()
    assert values[8:, 0].tolist() == [0.5, 0.5, 0.25, 0.75]


def test_a_role_has_no_dots(tmp_path: Path) -> None:
    write_person(tmp_path, "talk.v2", about={"subject": HOSTILE})
    convert(tmp_path, "nova")
    assert read(tmp_path / "converted/nova/talk.v2/talk_v2.head.stream")[0] == 25
