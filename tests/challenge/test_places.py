"""Files of subjects in folders: written there, found there, and never outside."""

from pathlib import Path, PurePath

import pytest

from avaffect.challenge import places
from avaffect.challenge.places import (
    annotations_in,
    checked,
    files_in,
    joined,
    mirrored,
    place_of,
    remove_empty,
    subject_files,
)
from avaffect.errors import UsageError


@pytest.mark.parametrize(
    ("subject", "source", "place"),
    [("P01_s1", "P01/s1", "P01/s1"), ("P01_s1_left", "P01/s1", "P01/s1_left"),
     ("a_b_s1_2", "a/b/s1", "a/b/s1_2"), ("s1", "s1", "s1"),
     # What is not called by the folders is not put into them: its name would be another there.
     ("s1", "P01/s1", "s1"), ("P01_", "P01/s1", "P01_")],
)  # fmt: skip
def test_a_subject_lies_where_its_name_says(subject: str, source: str, place: str) -> None:
    found = place_of(subject, PurePath(source))
    assert found == PurePath(place)
    assert joined(found) == subject


def test_the_end_of_a_path_that_is_called_so() -> None:
    path = Path("/x/P01/s1")
    assert mirrored(path, "P01_s1") == PurePath("P01/s1")
    assert mirrored(path, "s1") == PurePath("s1")
    assert mirrored(Path("/x/P01_s1"), "P01_s1") == PurePath("P01_s1")
    assert mirrored(path, "P02_s1") == PurePath("P02_s1")


@pytest.mark.parametrize(
    "name", ["../x", "/etc/x", "a/../../x", "a/..", "a/b\0c", "con/a", "a/nul", "", "a\\b/c",
             "a/" * 130 + "a"],
)  # fmt: skip
def test_a_name_does_not_leave_the_folder(name) -> None:
    with pytest.raises(UsageError, match="cannot be called"):
        checked(name)
    assert checked("P01/day 2/s.1") == PurePath("P01/day 2/s.1")


def test_files_are_found_however_deep_but_not_hidden_ones(tmp_path: Path) -> None:
    for name in ("b.txt", "P01/s1.txt", "P01/a.b/s1.TXT", "P01/s1.csv", ".h/x.txt", "P01/.x.txt",
                 "predictions.txt"):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / "round").symlink_to(tmp_path)
    wanted = {"b", "P01_s1", "P01_a.b_s1", "predictions"}
    assert subject_files(tmp_path, ".txt").keys() == wanted
    assert annotations_in(tmp_path).keys() == wanted - {"predictions"}
    assert annotations_in(tmp_path, deep=False).keys() == {"b"}
    assert subject_files(tmp_path / "none", ".txt") == {}
    (tmp_path / "P01_s1.txt").write_text("")
    with pytest.raises(UsageError, match="of the same subject"):
        subject_files(tmp_path, ".txt")


def test_folders_without_end_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a/b/c").mkdir(parents=True)
    monkeypatch.setattr(places, "MOST_SUBJECTS", 2)
    with pytest.raises(UsageError, match="more than 2 folders"):
        list(files_in(tmp_path))


def test_empty_folders_go_up_to_the_root(tmp_path: Path) -> None:
    (tmp_path / "a/b/c").mkdir(parents=True)
    (tmp_path / "a/file").write_text("")
    remove_empty(tmp_path / "a/b/c", tmp_path)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a", "file"]
    (tmp_path / "a/file").unlink()
    remove_empty(tmp_path / "a", tmp_path)
    assert tmp_path.is_dir()
    assert not list(tmp_path.iterdir())
