"""TextGrids, read back by praatio and by textgrid."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import textgrid
from fixtures.recordings import HOSTILE, write_person
from praatio import textgrid as praatio

from avaffect.converting.run import convert


def test_both_readers_read_it(tmp_path: Path) -> None:
    said = np.array(["Fear", "Fear", None, "Anger"], object)
    write_person(tmp_path, "talk_left", [0, 0.04, 0.08, 0.12], [2], expression=said)
    write_person(tmp_path, "talk_right", [0, 0.04, 0.08, 0.12, 0.16])
    (path,) = convert(tmp_path, "textgrid").files
    expected = [(0, 0.08, "Fear"), (0.08, 0.12, ""), (0.12, 0.16, "Anger"), (0.16, 0.2, "")]
    grid = praatio.openTextgrid(str(path), includeEmptyIntervals=True)
    assert (grid.minTimestamp, grid.maxTimestamp) == (0, 0.2)
    tier = grid.getTier("expression@talk_left")
    assert [tuple(entry) for entry in tier.entries] == expected
    assert len(grid.tierNames) == 2 * (2 + 13 + 1 + 1)
    other = textgrid.TextGrid.fromFile(str(path))
    (found,) = [tier for tier in other.tiers if tier.name == "expression@talk_left"]
    assert [(each.minTime, each.maxTime, each.mark) for each in found] == expected


@pytest.mark.parametrize("text", ['"', '""', HOSTILE, 'say "hi"\n    xmin = 7', "é 😀"])
def test_quotes_and_lines_are_harmless(tmp_path: Path, text: str) -> None:
    said = np.array([text, text, "Fear"], object)
    write_person(tmp_path, times=[0, 0.04, 0.08], expression=said, about={"subject": text})
    (path,) = convert(tmp_path, "textgrid").files
    one_line = text.replace("\n", " ")
    grid = praatio.openTextgrid(str(path), includeEmptyIntervals=False)
    tier = grid.getTier(f"expression@{one_line}")
    assert [entry.label for entry in tier.entries] == [one_line, "Fear"]
    other = textgrid.TextGrid.fromFile(str(path))
    assert [each.mark for each in other.tiers[0]] == [one_line, "Fear"]


def test_every_interval_joins_the_next(tmp_path: Path) -> None:
    times = np.cumsum(np.random.default_rng(0).uniform(1e-7, 0.08, 300))
    about = {"media": {"first_time_s": 1e-5}}
    write_person(tmp_path, times=times, unseen=range(40, 60), about=about)
    (path,) = convert(tmp_path, "textgrid").files
    for tier in textgrid.TextGrid.fromFile(str(path)).tiers:
        ends = [0.0, *(each.maxTime for each in tier)]
        assert [each.minTime for each in tier] == ends[:-1]
        assert ends[-1] == tier.maxTime
