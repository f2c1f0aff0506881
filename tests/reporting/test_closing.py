"""What `predict` leaves to look at."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from avaffect.drawing import subjects
from avaffect.files.table import read_table
from avaffect.progress import Event, Notice
from avaffect.reporting import report
from avaffect.reporting.closing import close, is_closed

Write = Callable[..., Path]


def notices(events: list[Event]) -> list[str]:
    return [event.text for event in events if isinstance(event, Notice) and event.warning]


def test_both_are_written_and_written_again(write: Write, tmp_path: Path) -> None:
    out = write(tmp_path, "anna")
    assert not is_closed(out)
    assert close(out) == (out / "summary.csv", out / "report.html")
    assert is_closed(out)
    write(tmp_path, "bert", seed=1)
    close(out, decimal="comma")
    lines = (out / "summary.csv").read_text("utf-8-sig").splitlines()
    assert [line.split(";")[0] for line in lines] == ["subject", "anna", "bert"]
    assert "bert" in (out / "report.html").read_text("utf-8")


def test_each_table_is_read_once(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("anna", "bert"):
        out = write(tmp_path, name)
    read: list[str] = []

    def counted(path: Path) -> Any:
        read.append(path.stem)
        return read_table(path)

    monkeypatch.setattr(subjects, "read_table", counted)
    assert len(close(out)) == 2
    assert sorted(read) == ["anna", "bert"]


@pytest.mark.parametrize("most", [1, 2])
def test_the_summary_has_those_whom_the_report_leaves_out(
    most: int, write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("carl", "anna", "bert"):
        out = write(tmp_path, name)
    monkeypatch.setattr(report, "MOST_PEOPLE", most)
    close(out)
    lines = (out / "summary.csv").read_text("utf-8-sig").splitlines()
    assert [line.split(",")[0] for line in lines] == ["subject", "anna", "bert", "carl"]


def test_files_of_others_stay(write: Write, tmp_path: Path) -> None:
    out = write(tmp_path, "anna")
    for name in ("summary.csv", "report.html"):
        (out / name).write_text("mine")
    events: list[Event] = []
    assert close(out, on_event=events.append) == ()
    assert (out / "summary.csv").read_text() == (out / "report.html").read_text() == "mine"
    assert [text.split(":")[0] for text in notices(events)] == [
        "no report was written",
        "no summary was written",
    ]


def test_what_fails_is_said(tmp_path: Path) -> None:
    events: list[Event] = []
    assert close(tmp_path, on_event=events.append) == ()
    assert all("there are no tables" in text for text in notices(events))
    # What nobody foresaw, too.
    assert close(tmp_path, videos=3, on_event=events.append) == ()
    assert len(notices(events)) == 4
