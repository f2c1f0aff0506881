"""Which tables are of one video, and what its files are called."""

from __future__ import annotations

from pathlib import Path

import pytest
from fixtures.recordings import write_person

from avaffect.converting.recording import _shared, find_recordings


def test_people_of_a_video_go_together(tmp_path: Path) -> None:
    for name in ("P01/talk_right", "P01/talk_left", "P02/talk"):
        write_person(tmp_path, name)
    write_person(tmp_path, "P01/walk", video="walk.mov")
    found = {str(each.name): each for each in find_recordings(tmp_path)}
    assert [*found] == ["P01/talk", "P01/walk", "P02/talk"]
    assert found["P01/talk"].video == "P01/talk.mp4"
    assert [(rows.subject, rows.number) for rows in found["P01/talk"].people] == [
        ("talk_left", 0),
        ("talk_right", 1),
    ]
    assert found["P02/talk"].people[0].place.as_posix() == "P02/talk"


def test_a_single_table(tmp_path: Path) -> None:
    (found,) = find_recordings(write_person(tmp_path, "P01/talk_left"))
    assert found.name.as_posix() == "P01/talk_left"
    (moved,) = find_recordings(write_person(tmp_path, "x").rename(tmp_path / "y.parquet"))
    assert moved.name.as_posix() == "y"


@pytest.mark.parametrize(
    ("stems", "name"),
    [
        (["a_left", "a_right"], "a"),
        (["a", "a_10", "a_2"], "a"),
        (["a_left", "a_right", "a_3"], "a"),
        (["two_people_left", "two_people_right"], "two_people"),
        (["a_left", "b"], ""),
    ],
)
def test_what_they_share(stems: list[str], name: str) -> None:
    assert _shared(stems) == name
