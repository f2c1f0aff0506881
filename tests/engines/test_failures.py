from __future__ import annotations

import json
from pathlib import Path

import pytest

from avaffect.engines.failures import write_failures
from avaffect.engines.item import Item, Outcome
from avaffect.errors import ForeignFileError, MediaError
from avaffect.files.names import FAILURES

FINE = Outcome(Item("a.mp4"), "ok")
FAILED: Outcome[str] = Outcome(
    Item("b.mp4"), None, MediaError("it is no video", "convert it"), 3, ("its process ended",) * 2
)


def test_what_failed_is_told_with_how_often_it_was_tried(tmp_path: Path) -> None:
    path = write_failures(tmp_path, [FINE, FAILED])
    assert path == tmp_path / FAILURES
    told = json.loads(path.read_text("utf-8"))
    assert told["inputs"] == 2
    assert told["failures"] == [
        {
            "source": "b.mp4",
            "kind": "MediaError",
            "problem": "it is no video",
            "hint": "convert it",
            "attempts": 3,
            "retried": ["its process ended"] * 2,
        }
    ]


def test_a_run_without_failures_removes_those_of_the_run_before(tmp_path: Path) -> None:
    write_failures(tmp_path, [FAILED])
    assert write_failures(tmp_path, [FINE]) is None
    assert [*tmp_path.iterdir()] == []


def test_a_file_of_somebody_else_is_left(tmp_path: Path) -> None:
    (tmp_path / FAILURES).write_text("{}")
    with pytest.raises(ForeignFileError):
        write_failures(tmp_path, [FAILED])
    assert (tmp_path / FAILURES).read_text() == "{}"
