"""Weights carried to a machine without a network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from avaffect.errors import (
    InputNotFoundError,
    ModelDamagedError,
    ModelUnavailableError,
    OutputError,
    UnknownNameError,
)
from avaffect.files.seal import read_seal
from avaffect.models.cache import CacheState, pinned_hash, state
from avaffect.models.content import model_content
from avaffect.models.transfer import Carried, export_models, import_models
from avaffect.models.zoo import ZOO, Check, ModelFile


@pytest.fixture
def exported(tiny: ModelFile, site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the file of ``tiny``, and an empty cache without a network."""
    folder = tmp_path / "usb"
    (carried,) = export_models(["tiny"], folder)
    assert carried == Carried("tiny", folder / "tiny.bin", new=True)
    monkeypatch.setenv("AVAFFECT_CACHE", str(tmp_path / "lab"))
    monkeypatch.setenv("AVAFFECT_OFFLINE", "1")
    monkeypatch.delenv("AVAFFECT_MODEL_MIRROR")
    site.files.clear()
    return folder


def test_there_and_back(exported: Path, tiny: ModelFile, tmp_path: Path) -> None:
    content = (exported / "tiny.bin").read_bytes()
    assert read_seal(exported / "tiny.bin") == tiny.check.digest
    assert state(tiny)[0] is CacheState.ABSENT
    lab = tmp_path / "lab/tiny.bin"
    assert list(import_models(exported)) == [Carried("tiny", lab, new=True)]
    assert model_content("tiny").data == lab.read_bytes() == content
    assert list(import_models(exported)) == [Carried("tiny", lab, new=False)]


def test_the_folder_is_a_mirror(exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AVAFFECT_MODEL_MIRROR", str(exported))
    assert model_content("tiny").data == (exported / "tiny.bin").read_bytes()


def test_what_comes_with_avaffect_is_not_carried(shipped: Path, tmp_path: Path) -> None:
    assert list(export_models(["shipped"], tmp_path / "usb")) == []


def test_one_that_fails_does_not_stop_the_others(tiny: ModelFile, tmp_path: Path, site) -> None:
    missing = ZOO["fer"]
    failed, carried = export_models([missing.name, "tiny"], tmp_path / "usb")
    assert isinstance(failed.error, ModelUnavailableError)
    assert carried.error is None
    assert sorted(path.name for path in (tmp_path / "usb").iterdir()) == [
        "tiny.bin",
        "tiny.bin.sha256",
    ]


def test_a_file_that_is_there_and_right_stays(tiny: ModelFile, tmp_path: Path) -> None:
    list(export_models(["tiny"], tmp_path))
    before = (tmp_path / "tiny.bin").stat()
    (tmp_path / "tiny.bin.sha256").write_text("damaged")
    (carried,) = export_models(["tiny"], tmp_path)
    assert not carried.new
    assert (tmp_path / "tiny.bin").stat().st_ino == before.st_ino
    assert read_seal(tmp_path / "tiny.bin") == tiny.check.digest


def test_another_file_is_not_replaced_and_a_link_not_followed(
    tiny: ModelFile, tmp_path: Path
) -> None:
    folder, victim = tmp_path / "usb", tmp_path / "victim"
    folder.mkdir()
    (folder / "tiny.bin").write_bytes(b"mine")
    with pytest.raises(OutputError, match="is there, and is not the file"):
        list(export_models(["tiny"], folder))
    assert (folder / "tiny.bin").read_bytes() == b"mine"
    (folder / "tiny.bin").unlink()
    (folder / "tiny.bin").symlink_to(victim)
    with pytest.raises(OutputError):
        list(export_models(["tiny"], folder))
    assert not victim.exists()


@pytest.mark.parametrize("size", [0, 1, 307_199])
def test_a_partial_copy_does_not_come_in(exported: Path, tmp_path: Path, size: int) -> None:
    file = exported / "tiny.bin"
    file.write_bytes(file.read_bytes()[:size])
    (carried,) = import_models(exported)
    assert isinstance(carried.error, ModelDamagedError)
    assert not (tmp_path / "lab/tiny.bin").exists()


def test_a_tampered_file_does_not_come_in_even_with_its_seal(
    exported: Path, tmp_path: Path
) -> None:
    file = exported / "tiny.bin"
    file.write_bytes(file.read_bytes()[:-1] + b"!")
    (carried,) = import_models(exported)
    assert isinstance(carried.error, ModelDamagedError)
    (exported / "tiny.bin.sha256").unlink()
    (carried,) = import_models(exported)
    assert isinstance(carried.error, ModelDamagedError)
    assert not (tmp_path / "lab/tiny.bin").exists()


def test_of_a_weak_check_the_seal_counts(
    exported: Path, tiny: ModelFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("avaffect.models.zoo.MIN_DIGITS", 0)
    monkeypatch.setitem(ZOO, "tiny", replace(tiny, bytes=None, check=Check("")))
    good = (exported / "tiny.bin").read_bytes()
    (exported / "tiny.bin").write_bytes(b"forged")
    (carried,) = import_models(exported)
    assert "its seal gives another SHA-256" in str(carried.error)
    (exported / "tiny.bin").write_bytes(good)
    assert next(import_models(exported)).error is None
    assert pinned_hash(ZOO["tiny"]) == tiny.check.digest
    # Another file with a seal of its own does not replace what is pinned.
    (carried,) = import_models(exported)
    assert not carried.new


def test_a_link_is_read_and_the_file_behind_it_copied(exported: Path, tmp_path: Path) -> None:
    real = (exported / "tiny.bin").rename(tmp_path / "elsewhere")
    (exported / "tiny.bin").symlink_to(real)
    (carried,) = import_models(exported)
    assert carried.new
    assert not carried.path.is_symlink()
    real.unlink()
    assert model_content("tiny").path == carried.path


@pytest.mark.parametrize("names", [(), ("tiny",)])
def test_a_link_to_nowhere_is_one_failure(exported: Path, names: tuple[str, ...]) -> None:
    (exported / "tiny.bin").unlink()
    (exported / "tiny.bin").symlink_to(exported / "nowhere")
    (carried,) = import_models(exported, names)
    assert isinstance(carried.error, ModelUnavailableError)


def test_what_is_wrong_with_the_request(tiny: ModelFile, tmp_path: Path) -> None:
    with pytest.raises(InputNotFoundError, match="no folder"):
        list(import_models(tmp_path / "none"))
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty/notes.txt").touch()
    with pytest.raises(InputNotFoundError, match="holds no weights"):
        list(import_models(tmp_path / "empty"))
    for function in (
        lambda: export_models(["tyni"], tmp_path),
        lambda: import_models(tmp_path, ["tyni"]),
    ):
        with pytest.raises(UnknownNameError, match="tiny"):
            list(function())
