from pathlib import Path

import numpy as np

from avaffect.challenge.known import known_subjects, mark_of, ways
from avaffect.files.table import write_table


def test_a_subject_is_known_by_its_video() -> None:
    clips = {"trained": ["a_left", "b"], "validated": ["c"], "tuned": ()}
    assert ways("a_right", clips) == ways("a", clips) == ways("b", clips) == ["trained"]
    assert ways("c", clips) == ["validated"]
    assert ways("d", clips) == ways("a", {}) == []


def test_a_video_is_known_by_its_content_under_another_name() -> None:
    clips = {"trained": ["a", mark_of("1f")], "validated": [mark_of("2e")]}
    assert ways("copy", clips, "1f") == ["trained"]
    assert ways("copy", clips, "2e") == ["validated"]
    assert ways("copy", clips, "3d") == ways("copy", clips) == []


def test_tables_say_who_is_known(tmp_path: Path) -> None:
    column = {"frame": np.arange(2)}
    write_table(tmp_path / "a.parquet", column, {"known": {"a": ["tuned", "validated", "x"]}})
    write_table(tmp_path / "b.parquet", column, {})
    (tmp_path / "c.parquet").write_bytes(b"no table")
    for at, odd in enumerate(([], {"h0": 1}, {"h2": {"tuned": 1}}, {"h3": [[], {}]}, None)):
        write_table(tmp_path / f"h{at}.parquet", column, {"known": odd})
    odd = [f"h{at}" for at in range(5)]
    events = []
    found = known_subjects(tmp_path, ["a", "b", "nobody", *odd], events.append)
    assert found == {"tuned": ["a"], "validated": ["a"]}
    assert not events


def test_tables_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    write_table(tmp_path / "a.parquet", {"frame": np.arange(2)}, {"known": {"a": ["trained"]}})
    for name in "bc":
        (tmp_path / f"{name}.parquet").write_bytes(b"no table")
    events = []
    assert known_subjects(tmp_path, "abc", events.append) == {"trained": ["a"]}
    (notice,) = events
    assert notice.warning
    assert f"2 tables of '{tmp_path}' cannot be read" in notice.text
    # Those that nobody asks for do not matter.
    known_subjects(tmp_path, "a", events.append)
    assert len(events) == 1
    assert known_subjects(tmp_path / "nowhere", ["a"]) == {}
