"""What `predict` leaves to look at."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from avaffect.progress import Event, Notice
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


def test_files_of_others_stay(write: Write, tmp_path: Path) -> None:
    out = write(tmp_path, "anna")
    for name in ("summary.csv", "report.html"):
        (out / name).write_text("mine")
    events: list[Event] = []
    assert close(out, on_event=events.append) == ()
    assert (out / "summary.csv").read_text() == (out / "report.html").read_text() == "mine"
    assert [text.split(":")[0] for text in notices(events)] == [
        "no summary was written",
        "no report was written",
    ]


def test_what_fails_is_said(tmp_path: Path) -> None:
    events: list[Event] = []
    assert close(tmp_path, on_event=events.append) == ()
    assert all("there are no tables" in text for text in notices(events))
    # What nobody foresaw, too.
    assert close(tmp_path, videos=3, on_event=events.append) == ()  # type: ignore[arg-type]
    assert len(notices(events)) == 4
