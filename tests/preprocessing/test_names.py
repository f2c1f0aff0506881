"""Names of results: stems, and the folders below the input where stems are not enough."""

import json
from pathlib import Path, PurePath

import pytest

from avaffect.challenge.places import joined
from avaffect.errors import UsageError
from avaffect.preprocessing.names import names_of
from avaffect.store.prepared import prepared_in


@pytest.fixture
def study(tmp_path: Path):
    """A study of two participants, each with two sessions, and one of a pilot."""
    for name in ("P01/s1.mp4", "P01/s2.mp4", "P02/s1.mp4", "P02/s2.mp4", "pilot.mp4"):
        path = tmp_path / "study" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return tmp_path / "study"


def files(folder):
    return sorted(folder.rglob("*.mp4"))


def test_names_have_the_folders_below_the_input(study, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = [PurePath(path) for path in ("P01/s1", "P01/s2", "P02/s1", "P02/s2", "pilot")]
    assert list(names_of(files(study), [str(study)]).values()) == wanted
    assert joined(wanted[0]) == "P01_s1"
    # However the input is written.
    monkeypatch.chdir(study)
    here = sorted(path.relative_to(study) for path in files(study))
    assert list(names_of(here, ["."]).values()) == wanted
    above = names_of(files(study), [str(study.parent)])
    assert above[study / "P01/s1.mp4"] == PurePath("study/P01/s1")
    # Files one by one: where their folders begin to differ.
    some = [study / "P01/s1.mp4", study / "P02/s1.mp4"]
    assert [joined(path) for path in names_of(some, map(str, some)).values()] == [
        "P01_s1",
        "P02_s1",
    ]


def test_no_name_leads_out_of_the_folder(study, monkeypatch: pytest.MonkeyPatch) -> None:
    """The results would be written outside of the output folder."""
    monkeypatch.chdir(study / "P01")
    for given in (["../P02/s1.mp4", "s1.mp4"], ["..", "s1.mp4"]):
        some = [Path("../P02/s1.mp4"), Path("s1.mp4")]
        parts = [part for path in names_of(some, given).values() for part in path.parts]
        assert ".." not in parts
        assert {"P01", "P02"} & set(parts)


def test_where_stems_are_enough_names_stay_as_they_are(study) -> None:
    for unlike in ("P02/s1.mp4", "P02/s2.mp4"):
        (study / unlike).unlink()
    assert {joined(path) for path in names_of(files(study), [str(study)]).values()} == {
        "s1", "s2", "pilot"
    }  # fmt: skip


@pytest.mark.parametrize("extra", ["P01/s1.mov", "P01_s1.mp4"])
def test_names_that_clash_all_the_same_are_refused(extra: str, study) -> None:
    (study / extra).write_bytes(b"")
    given = [*files(study), study / extra]
    with pytest.raises(UsageError, match="both be called 'P01_s1'"):
        names_of(sorted(set(given)), [str(study)])


def test_preprocessed_folders_keep_their_names(tmp_path: Path) -> None:
    for place, record in (("P01/s1", {"name": "P01_s1"}), ("P02/s1", {"name": "P02_s1"})):
        (tmp_path / place).mkdir(parents=True)
        facts = {"video": {"name": "s1.mp4", "sha256": "0"}, **record}
        (tmp_path / place / "preprocess.json").write_text(json.dumps(facts))
    found = prepared_in(tmp_path)
    wanted = [PurePath("P01/s1"), PurePath("P02/s1")]
    assert list(names_of(found, [str(tmp_path)]).values()) == wanted
    assert list(names_of(found[:1], [str(found[0])]).values()) == wanted[:1]
    # Brought elsewhere, the name is what is left.
    moved = (tmp_path / "P01/s1").rename(tmp_path / "moved")
    assert list(names_of([moved]).values()) == [PurePath("P01_s1")]


def test_prepared_folders_lie_however_deep_and_not_in_each_others_features(tmp_path: Path) -> None:
    for place in ("a", "a/b", "c/d/e", "a/features/x", "features/y", ".hidden/z"):
        (tmp_path / place).mkdir(parents=True, exist_ok=True)
        (tmp_path / place / "preprocess.json").write_text("{}")
    found = [path.relative_to(tmp_path).as_posix() for path in prepared_in(tmp_path)]
    assert found == ["a", "a/b", "c/d/e", "features/y"]
