"""A prepared folder: opened once, and what in it is ours."""

import json
from pathlib import Path

import pytest

from avaffect.errors import FeatureError, ForeignFileError, UsageError
from avaffect.files import names
from avaffect.preprocessing.names import names_of
from avaffect.store import record as module
from avaffect.store.prepared import Prepared, is_preprocessed, prepared_in, source_name
from avaffect.store.record import Record, Video

VIDEO = Video(name="a.mp4", sha256="0")
RECORD = Record(video=VIDEO, made_with="k", frames=1, faces=1, subjects=["a"])


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch):
    """The records that were read."""
    found = []

    def counted(path, *arguments, call=module.read_json, **options):
        found.append(path)
        return call(path, *arguments, **options)

    monkeypatch.setattr(module, "read_json", counted)
    return found


def test_the_record_is_read_once(tmp_path: Path, reads) -> None:
    RECORD.write(tmp_path / "preprocess.json")
    folder = Prepared(tmp_path)
    assert folder.video == {"name": "a.mp4", "sha256": "0"}
    assert (folder.media, folder.sound, folder.ours()) == ({}, None, {"features/a"})
    folder.update(crops="k")
    assert folder.record.crops == "k"
    assert reads == [tmp_path / "preprocess.json"]


def test_what_another_process_wrote_is_read_before_work_begins(tmp_path: Path, reads) -> None:
    folder, other = Prepared(tmp_path), Prepared(tmp_path)
    folder.write(RECORD)
    assert other.record.crops is None
    folder.update(crops="k")
    with other.alone():
        assert other.record.crops == "k"
        other.update(wav="w")
    assert Prepared(tmp_path).record.to_dict() == {**RECORD.to_dict(), "crops": "k", "wav": "w",
                                                   "files": []}  # fmt: skip


def test_names_are_known_to_the_folder(tmp_path: Path) -> None:
    folder = Prepared(tmp_path)
    inside = [folder.path, folder.crops("a"), folder.features("a"), folder.wav]
    assert [path.relative_to(tmp_path).parts[0] for path in inside] == [
        names.RECORD, names.CROPS, names.FEATURES, names.WAV]  # fmt: skip


def test_a_damaged_record_of_ours_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "preprocess.json"
    path.write_text(json.dumps({**RECORD.to_dict(), "later": 1}))
    before = path.read_bytes()
    for work in (
        lambda: Prepared(tmp_path).update(crops=None),
        lambda: Prepared(tmp_path).require_free_for("b.mp4", "1"),
        lambda: Prepared(tmp_path).subjects(),
    ):
        with pytest.raises(FeatureError, match="there is no field 'later'"):
            work()
    assert path.read_bytes() == before
    # It does not stop what is done with other folders.
    assert {name.name for name in names_of([tmp_path]).values()} == {tmp_path.name}


@pytest.mark.parametrize("text", ["theirs", "{}", '{"scripts": {}}'])
def test_another_program_s_file_is_theirs(text: str, tmp_path: Path) -> None:
    path = tmp_path / "preprocess.json"
    path.write_text(text)
    for work in (
        lambda: Prepared(tmp_path).write(RECORD),
        lambda: Prepared(tmp_path).require_free_for("b.mp4", "1"),
        lambda: Prepared(tmp_path).claim([tmp_path / "audio.wav"]),
    ):
        with pytest.raises(ForeignFileError, match="no record of avaffect's"):
            work()
    assert path.read_text() == text


def test_another_video_has_no_place(tmp_path: Path) -> None:
    Prepared(tmp_path).write(RECORD)
    with pytest.raises(UsageError, match=r"holds the results of 'a\.mp4'"):
        Prepared(tmp_path).require_free_for("b.mp4", "1")
    # One that was renamed, and one that changed, are the same.
    Prepared(tmp_path).require_free_for("b.mp4", "0")
    Prepared(tmp_path).require_free_for("a.mp4", "1")


def test_folders_are_found_and_called_by_their_video(tmp_path: Path) -> None:
    for place, name in (("x", None), ("deep/y", "deep_y"), ("x/features/z", None)):
        Prepared(tmp_path / place).write(RECORD if name is None else RECORD.but(name=name))
    assert prepared_in(tmp_path) == [tmp_path / "deep/y", tmp_path / "x"]
    assert not is_preprocessed(tmp_path)
    assert [source_name(folder) for folder in prepared_in(tmp_path)] == ["deep_y", "a"]
