"""``convert``: which files it writes, and which it never touches."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from fixtures.recordings import FORMULA, HOSTILE, write_person

from avaffect.converting.form import Choices
from avaffect.converting.forms.registry import FORMS
from avaffect.converting.run import convert
from avaffect.errors import AvaffectError, ForeignFileError, OutputError, UsageError
from avaffect.files.names import CONVERSIONS
from avaffect.progress import Progress


@pytest.mark.parametrize("form", FORMS)
def test_whatever_is_in_a_table_it_is_converted(tmp_path: Path, form: str) -> None:
    text = f"{FORMULA}{HOSTILE}\x00\r\n\ud7ff"
    odd = {
        "AU12": np.full(10, 7.0),
        "yaw": np.full(10, np.inf),
        "valence": np.full(10, "x", object),
        "expression": np.full(10, text, object),
        "AU4": np.full(10, None, object),
        "present": np.full(10, np.nan),
    }
    write_person(tmp_path, about={"subject": text}, video=text, **odd)
    write_person(tmp_path, "one", [0.0], about={"video": 7, "media": None})
    done = convert(tmp_path, form)
    assert (done.people, done.folders) == (2, (tmp_path / "converted" / form,))
    assert {*done.files} == {
        path for path in done.folders[0].rglob("*") if path.is_file() and path.name != CONVERSIONS
    }


@pytest.mark.parametrize("form", FORMS)
def test_a_damaged_table_is_one_line(tmp_path: Path, form: str) -> None:
    path = write_person(tmp_path)
    whole = path.read_bytes()
    for at in range(200, len(whole) - 4000, 1500):
        path.write_bytes(whole[:at] + bytes(40) + whole[at + 40 :])
        try:
            convert(path, form, tmp_path / "out")
        except AvaffectError as error:
            assert "\n" not in str(error)


def test_it_is_written_again_unless_somebody_has_changed_it(tmp_path: Path) -> None:
    write_person(tmp_path)
    (path,) = convert(tmp_path, "eaf").files
    first = path.read_bytes()
    write_person(tmp_path, expression=np.full(10, "Fear", object))
    convert(tmp_path, "eaf")
    second = path.read_bytes()
    assert first != second
    path.write_bytes(first)
    with pytest.raises(ForeignFileError, match="somebody has changed"):
        convert(tmp_path, "eaf")
    assert path.read_bytes() == first


def test_other_files_are_not_touched(tmp_path: Path) -> None:
    write_person(tmp_path)
    out = tmp_path / "mine"
    out.mkdir()
    (out / "talk.csv").write_text("mine")
    with pytest.raises(ForeignFileError, match="no record of avaffect"):
        convert(tmp_path, "csv", out)
    assert (out / "talk.csv").read_text() == "mine"
    convert(tmp_path, "jsonl", out)
    with pytest.raises(ForeignFileError):
        convert(tmp_path, "openface", out)
    (out / CONVERSIONS).write_text("mine")
    with pytest.raises(ForeignFileError):
        convert(tmp_path, "vtt", out)
    assert (out / CONVERSIONS).read_text() == "mine"


def test_two_forms_of_one_name_do_not_replace_each_other(tmp_path: Path) -> None:
    write_person(tmp_path)
    convert(tmp_path, "csv", tmp_path / "both")
    with pytest.raises(ForeignFileError, match="of the form 'csv'"):
        convert(tmp_path, "openface", tmp_path / "both")


def test_a_run_that_was_stopped_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_person(tmp_path, "talk")
    write_person(tmp_path, "walk", video="walk.mp4")
    written: list[Path] = []

    def fail(path: Path) -> None:
        if written:
            raise OutputError("no room")
        path.write_text("half a run", encoding="utf-8")
        written.append(path)

    def build(recording, choices: Choices):
        return [(recording.name.with_suffix(".vtt"), fail)]

    with monkeypatch.context() as patch:
        patch.setattr("avaffect.converting.forms.webvtt.files", build)
        with pytest.raises(OutputError, match="no room"):
            convert(tmp_path, "vtt")
    (path,) = written
    assert path.read_text() == "half a run"
    assert len(convert(tmp_path, "vtt").files) == 2
    assert path.read_text().startswith("WEBVTT")
    record = json.loads((path.parent / CONVERSIONS).read_text())
    assert {each["form"] for each in record["files"].values()} == {"vtt"}
    assert all(each["sha256"] for each in record["files"].values())


def test_several_folders(tmp_path: Path) -> None:
    for name in "ab":
        write_person(tmp_path / name)
    events: list[Progress] = []
    done = convert([tmp_path / "a", tmp_path / "b"], "csv", on_event=events.append)
    assert done.folders == (tmp_path / "a/converted/csv", tmp_path / "b/converted/csv")
    assert [(each.done, each.total, each.finished) for each in events] == [
        (1, 2, False),
        (2, 2, True),
    ]
    with pytest.raises(UsageError, match="two of the predictions would be written to"):
        convert([tmp_path / "a", tmp_path / "b"], "csv", tmp_path / "one")
    assert not (tmp_path / "one").exists()


def test_a_single_table_goes_beside_its_tables(tmp_path: Path) -> None:
    path = write_person(tmp_path, "P01/talk")
    assert convert(path, "csv").files == (tmp_path / "converted/csv/P01/talk.csv",)


def test_a_rate_is_for_forms_without_times(tmp_path: Path) -> None:
    write_person(tmp_path)
    with pytest.raises(UsageError, match="'eaf' has the frames' own times, and no rate"):
        convert(tmp_path, "eaf", rate=10)
    with pytest.raises(UsageError, match="samples a second are none"):
        convert(tmp_path, "bids", rate=0)
