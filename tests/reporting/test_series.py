"""Tables in few bytes: what is kept of them."""

import base64
from collections.abc import Callable
from typing import Any

import numpy as np

from avaffect.drawing.subjects import Table
from avaffect.reporting.series import BUDGET, Cells, bits, cells_for, pack_table, unit_bytes

TYPES = {"f4": "<f4", "i2": "<i2", "u2": "<u2", "u1": "u1"}


def unpacked(value: dict[str, str]) -> np.ndarray[Any, Any]:
    return np.frombuffer(base64.b64decode(value["data"]), TYPES[value["type"]])


def test_a_short_table_is_whole(made: Callable[..., Table]) -> None:
    table = made(50, unseen=[3])
    found = pack_table(table, cells_for(50, 1))
    assert (found["frames"], found["rows"], found["end"]) == (1, 50, 2.0)
    valence = unpacked(found["valence_min"])
    assert valence[3] == -32768
    known = np.delete(np.arange(50), 3)
    assert np.abs(valence[known] / 32000 - table.columns["valence"][known]).max() < 1e-4
    assert (unpacked(found["valence_max"]) == valence).all()
    units = unpacked(found["units"]).reshape(12, 50)
    assert units[0, 3] == 255
    assert abs(units[6, 0] / 254 - table.columns["AU12_p"][0]) < 0.003
    assert unpacked(found["active"])[0] >> 6 & 1 == table.columns["AU12"][0]
    assert unpacked(found["seen"]).tolist() == [254] * 3 + [0] + [254] * 46


def test_peaks_outlive_thinning(made: Callable[..., Table]) -> None:
    table = made(1000)
    table.columns["valence"][:] = 0
    table.columns["valence"][501:503] = 1, -1
    found = pack_table(table, Cells.of(1000, 10))
    least, most = unpacked(found["valence_min"]), unpacked(found["valence_max"])
    assert (least[5], most[5]) == (-32000, 32000)
    assert not least[[*range(5), *range(6, 10)]].any()


def test_cells_cover_every_row_once() -> None:
    for rows, most in ((1, 10), (10, 10), (11, 10), (108_000, 17_000)):
        cells = Cells.of(rows, most)
        assert len(cells.starts) <= most
        assert cells.counts.sum() == rows
        assert (cells.counts > 0).all()


def test_gaps_within_a_cell_do_not_spread() -> None:
    cells = Cells.of(4, 2)
    values = np.array([np.nan, 0.5, np.nan, np.nan])
    assert cells.mean(values).tolist()[0] == cells.lowest(values)[0] == 0.5
    assert np.isnan(cells.mean(values)[1]) and np.isnan(cells.highest(values)[1])


def test_many_people_share_the_page(made: Callable[..., Table]) -> None:
    table = made(20_000)
    size = sum(len(v["data"]) for v in pack_table(table, cells_for(20_000, 8)).values()
              if isinstance(v, dict))  # fmt: skip
    assert 8 * size < BUDGET * 4 / 3


def test_values_out_of_range_stay_in_their_bytes() -> None:
    assert unpacked(unit_bytes(np.array([-1, 0, 1, 9, np.nan, np.inf]))).tolist() == [
        0, 0, 254, 254, 255, 255,
    ]  # fmt: skip
    assert bits(np.array([[True] + [False] * 10 + [True]])).tolist() == [1 + 2**11]
