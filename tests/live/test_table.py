"""The table that grows: readable before its end, with its name at the end."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pytest

from avaffect.errors import ForeignFileError, OutputError, UsageError
from avaffect.live.session import FramePrediction
from avaffect.live.table import LiveTable

Made = Callable[..., FramePrediction]


def test_rows_come_while_it_runs_and_the_name_at_the_end(tmp_path: Path, made_up: Made) -> None:
    table = LiveTable(tmp_path / "a/live.csv")
    table.add([made_up(number, number / 25, 1 + number % 2) for number in range(30)])
    part = tmp_path / "a/live.csv.part"
    assert len(part.read_text("utf-8").splitlines()) == 31
    assert not table.path.exists()
    table.add([made_up(30, 1.2)])
    table.close()
    table.close()
    assert not part.exists()
    with table.path.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 31
    assert (rows[3]["frame"], rows[3]["time"], rows[3]["person"]) == ("4", "0.12", "2")
    assert (rows[3]["valence"], rows[3]["expression"]) == ("0.25", "Fear")
    assert "filled" not in rows[0]


def test_what_is_there_is_kept(tmp_path: Path, made_up: Made) -> None:
    path = tmp_path / "live.csv"
    LiveTable(path).close()
    assert path.read_text("utf-8") == "frame,time,person\n"
    with pytest.raises(UsageError, match="already"):
        LiveTable(path)
    again = LiveTable(path, overwrite=True)
    again.add([made_up(0, 0.0)])
    again.close()
    assert len(path.read_text("utf-8").splitlines()) == 2
    path.write_text("mine,and,not,yours\n", encoding="utf-8")
    with pytest.raises(ForeignFileError):
        LiveTable(path, overwrite=True)
    (tmp_path / "b.csv").mkdir()
    with pytest.raises(ForeignFileError):
        LiveTable(tmp_path / "b.csv", overwrite=True)
    with pytest.raises(UsageError, match=r"\.csv"):
        LiveTable(tmp_path / "live.txt")


def test_what_a_killed_run_left_is_replaced(tmp_path: Path, made_up: Made) -> None:
    killed = LiveTable(tmp_path / "live.csv")
    killed.add([made_up(0, 0.0)])
    killed.flush()
    table = LiveTable(tmp_path / "live.csv")
    table.close()
    assert table.path.read_text("utf-8") == "frame,time,person\n"
    foreign = tmp_path / "other.csv.part"
    foreign.write_text("mine", encoding="utf-8")
    with pytest.raises(ForeignFileError):
        LiveTable(tmp_path / "other.csv")
    assert foreign.read_text("utf-8") == "mine"


def test_no_folder_can_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(OutputError):
        LiveTable(tmp_path / "file/live.csv")
