"""A source and its results: is it done, bring it, keep what was made, let it go."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from fixtures.stores import Store

from avaffect.errors import FormatError, MediaError, UsageError
from avaffect.remote.address import Address
from avaffect.remote.receipt import read_receipt
from avaffect.remote.stage import Stage, Unit, split_inputs

ABOUT = {"frames": "3"}


def unit_of(s3: Store, scratch: Path, out: str | None = None) -> tuple[Stage, Unit]:
    s3.asked.clear()
    _, stage = split_inputs([s3("v/a.mp4")], Stage.open(out or s3("out"), str(scratch)))
    stage.ready()
    (path,) = stage.sources
    return stage, stage.unit(path, stage.out, "predict/a.json", ["record.json"])


def work(unit: Unit, settings: str = "one") -> None:
    with unit.here() as origin:
        unit.folder.mkdir(parents=True, exist_ok=True)
        (unit.folder / "record.json").write_text(unit.path.read_text())
        unit.keep(origin, settings, ["record.json"], ABOUT)


@pytest.mark.parametrize("where", ["store", "disk"])
def test_what_is_done_is_not_read_again(s3: Store, tmp_path: Path, where: str) -> None:
    s3.put("v/a.mp4", b"video")
    out = None if where == "store" else str(tmp_path / "results")
    stage, unit = unit_of(s3, tmp_path, out)
    assert unit.finished("one") is None
    work(unit)
    assert s3.reads("v/a.mp4") == 1
    assert not unit.path.exists()
    stage.close()
    assert [path.name for path in tmp_path.iterdir()] == ([] if out is None else ["results"])
    _, unit = unit_of(s3, tmp_path, out)
    known = unit.finished("one")
    assert known is not None
    assert known.about == ABOUT
    assert unit.finished("other settings") is None
    assert s3.reads("v/a.mp4") == 0
    s3.put("v/a.mp4", b"another video")
    assert unit.finished("one") is None


def test_results_that_somebody_removed_are_made_again(s3: Store, tmp_path: Path) -> None:
    s3.put("v/a.mp4", b"video")
    _, unit = unit_of(s3, tmp_path)
    work(unit)
    s3.client.delete_object(Bucket=s3.bucket, Key="out/record.json")
    assert unit.finished("one") is None


def test_what_fails_lets_its_video_go_and_what_is_interrupted_keeps_it(
    s3: Store, tmp_path: Path
) -> None:
    s3.put("v/a.mp4", b"video")
    _, unit = unit_of(s3, tmp_path)
    with pytest.raises(KeyboardInterrupt), unit.here():
        raise KeyboardInterrupt
    assert unit.path.read_bytes() == b"video"
    with pytest.raises(MediaError), unit.here():
        raise MediaError("poison")
    assert not unit.path.exists()
    # The second block found it here.
    assert s3.reads("v/a.mp4") == 1
    assert s3.names() == ["v/a.mp4"]


def test_earlier_results_are_here_when_settings_change(s3: Store, tmp_path: Path) -> None:
    s3.put("v/a.mp4", b"video")
    stage, unit = unit_of(s3, tmp_path)
    work(unit)
    stage.close()
    _, unit = unit_of(s3, tmp_path)
    with unit.here():
        assert (unit.folder / "record.json").read_bytes() == b"video"


def test_a_damaged_receipt_is_one_line(s3: Store, tmp_path: Path) -> None:
    s3.put("v/a.mp4", b"video")
    _, unit = unit_of(s3, tmp_path)
    for text in (b"{", b"[]", b'{"done": true}', b"\xff"):
        s3.put("out/receipts/predict/a.json", text)
        with pytest.raises(FormatError, match=r"a.json' is"):
            unit.finished("one")


def test_a_receipt_cannot_name_what_lies_elsewhere(s3: Store, tmp_path: Path) -> None:
    s3.put("v/a.mp4", b"video")
    _, unit = unit_of(s3, tmp_path)
    work(unit)
    name = "out/receipts/predict/a.json"
    s3.put(name, s3.get(name).replace(b'"record.json"', b'"../v/a.mp4"'))
    with pytest.raises(FormatError):
        read_receipt(Address.of(s3(name)))


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="needs owners")
def test_a_folder_in_other_hands_is_refused(tmp_path: Path) -> None:
    stage = Stage.open("memory://out", str(tmp_path))
    stage.root.symlink_to(tmp_path)
    with pytest.raises(UsageError, match="is not yours"):
        stage.ready()
