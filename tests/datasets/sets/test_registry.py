"""All public sets: what each says of itself holds, and damage anywhere is one line."""

from __future__ import annotations

from pathlib import Path

import pytest
from fixtures.pages import ROOT
from fixtures.public_sets import MAKERS

from avaffect.datasets.clip import Clip
from avaffect.datasets.sets.registry import SETS, named_data, set_named
from avaffect.datasets.sets.sample import Log, Sample
from avaffect.errors import AvaffectError, InputNotFoundError, UnknownNameError, UsageError
from avaffect.labels import EXPRESSIONS, SPLITS
from avaffect.store.pictures import PictureFiles


def read(name: str, root: Path, log: Log | None = None) -> list[Sample]:
    return [*SETS[name].read(root, log or Log())]


def test_every_set_has_a_maker() -> None:
    assert set(MAKERS) == set(SETS)


@pytest.mark.parametrize("name", SETS)
def test_samples_are_what_a_clip_takes(name: str, tmp_path: Path) -> None:
    samples = read(name, MAKERS[name](tmp_path))
    assert samples
    names = [sample.name for sample in samples]
    assert len(set(names)) == len(names)
    for sample in samples:
        assert sample.files
        assert all(file.is_file() for file in sample.files)
        assert sample.split in ("", *SPLITS)
        rows = {len(labels) for labels in sample.labels.values()}
        assert len(rows) == 1
        # The constructor checks types, shapes and ranges.
        frames = PictureFiles([sample.files[0]] * rows.pop())
        clip = Clip(sample.name, sample.group, frames, sample.labels, sample.split)
        assert any(clip.valid(task).any() for task in sample.labels)


@pytest.mark.parametrize("name", SETS)
def test_classes_of_the_mapping_are_ours(name: str) -> None:
    """The printed table says what the reader does: where it names a class, that class exists."""
    assert SETS[name].mapping
    for _, ours in SETS[name].mapping:
        word = ours.split(",")[0]
        assert not ours or word in EXPRESSIONS or word.startswith(("AU", "valence", "arousal"))


@pytest.mark.parametrize("name", SETS)
def test_an_empty_folder_is_none_of_them(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputNotFoundError) as caught:
        read(name, tmp_path)
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("damage", [b"", b"\xff\xfe\x00", b"{", b"1,2\n3\n", b"a" * 70_000])
def test_damaged_labels_are_one_line(name: str, damage: bytes, tmp_path: Path) -> None:
    """Whatever stands in a file of labels, what comes out is samples or an error of ours."""
    root = MAKERS[name](tmp_path)
    endings = (".csv", ".txt", ".json", ".npy", ".tsv")
    for path in [path for path in root.rglob("*") if path.name.endswith(endings)]:
        before = path.read_bytes()
        path.write_bytes(damage)
        log = Log(strict=False)
        try:
            read(name, root, log)
        except AvaffectError as error:
            log.faults.append(str(error))
        assert all("\n" not in fault for fault in log.faults)
        path.write_bytes(before)


def test_names_of_data() -> None:
    assert named_data("rafdb=some/dir") == ("rafdb", "some/dir")
    assert named_data("crema-d=a=b") == ("crema-d", "a=b")
    assert named_data("some/dir") == ("", "some/dir")
    assert named_data("some/dir=x") == ("", "some/dir=x")


def test_a_folder_with_an_equals_sign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run=1").mkdir()
    assert named_data("run=1") == ("", "run=1")


def test_unknown_sets() -> None:
    with pytest.raises(UnknownNameError, match="affectnet"):
        named_data("afectnet=DIR")
    with pytest.raises(UnknownNameError):
        set_named("ck+")
    with pytest.raises(UsageError, match="names no folder"):
        named_data("rafdb=")


@pytest.mark.parametrize("name", SETS)
def test_the_page_names_every_set(name: str) -> None:
    page = (ROOT / "docs/public_sets.md").read_text(encoding="utf-8")
    assert f"| `{name}` |" in page
