"""JSON lines, read back by json and by pandas."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas
from fixtures.recordings import HOSTILE, write_person

from avaffect.converting.run import convert


def test_it_is_the_table(tmp_path: Path) -> None:
    table = pandas.read_parquet(write_person(tmp_path, unseen=[3], times=np.arange(9000) / 50))
    (path,) = convert(tmp_path, "jsonl").files
    back = pandas.DataFrame([json.loads(line) for line in path.read_text().splitlines()])
    assert back.pop("subject").unique().tolist() == ["talk"]
    pandas.testing.assert_frame_equal(back, table, check_dtype=False, rtol=1e-6)
    fourth = json.loads(path.read_text().splitlines()[3])
    assert (fourth["present"], fourth["valence"], fourth["expression"]) == (False, None, None)


def test_hostile_texts_and_numbers(tmp_path: Path) -> None:
    text = f'{HOSTILE}\n"}}\u2028é'
    write_person(
        tmp_path, expression=np.full(10, text, object), valence=np.full(10, np.inf),
        arousal=np.full(10, 1e-7), about={"subject": text},
    )  # fmt: skip
    (path,) = convert(tmp_path, "jsonl").files
    lines = [json.loads(line) for line in path.read_bytes().split(b"\n")[:-1]]
    assert len(lines) == 10
    assert {(line["subject"], line["expression"]) for line in lines} == {(text, text)}
    assert {(line["valence"], line["arousal"]) for line in lines} == {(None, 1e-7)}
