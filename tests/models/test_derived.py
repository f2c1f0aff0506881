"""Files made from checked weights: made once, and never loaded when damaged."""

from __future__ import annotations

from pathlib import Path

import pytest

from avaffect.errors import ModelUnavailableError
from avaffect.models import derived
from avaffect.models.cache import file_sha256


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A file that stands for some model's checked weights."""
    path = tmp_path / "weights.bin"
    path.write_bytes(b"weights")
    monkeypatch.setenv("AVAFFECT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(derived, "model_path", lambda name: path)
    return path


@pytest.fixture
def made():
    """How often the file was made."""
    return []


@pytest.fixture
def make(made):
    def write(source, target):
        made.append(source)
        target.write_bytes(source.read_bytes() + b" derived")

    return write


def test_it_is_made_once(weights, make, made) -> None:
    first = derived.derived_file("any", "net.onnx", make)
    assert first.read_bytes() == b"weights derived"
    assert derived.derived_file("any", "net.onnx", make) == first
    assert made == [weights]


def test_a_damaged_one_is_made_again(weights, make, made) -> None:
    path = derived.derived_file("any", "net.onnx", make)
    path.write_bytes(b"something else")
    assert derived.derived_file("any", "net.onnx", make).read_bytes() == b"weights derived"
    assert len(made) == 2


@pytest.mark.parametrize("seal", [b"\xff\xfe", b"", b"0" * 64])
def test_one_whose_hash_is_damaged_is_made_again(seal, weights, make, made) -> None:
    path = derived.derived_file("any", "net.onnx", make)
    path.with_name("net.onnx.sha256").write_bytes(seal)
    derived.derived_file("any", "net.onnx", make)
    assert len(made) == 2
    assert sorted(path.name for path in path.parent.iterdir()) == ["net.onnx", "net.onnx.sha256"]


def test_other_weights_give_another_file(weights, make) -> None:
    first = derived.derived_file("any", "net.onnx", make)
    weights.write_bytes(b"newer weights")
    second = derived.derived_file("any", "net.onnx", make)
    assert second != first
    assert second.read_bytes() == b"newer weights derived"


def test_a_failure_leaves_nothing_behind(weights, make) -> None:
    def fail(source, target):
        target.write_bytes(b"half")
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        derived.derived_file("any", "net.onnx", fail)
    assert derived.derived_file("any", "net.onnx", make).read_bytes() == b"weights derived"


def test_without_weights_nothing_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make, made
) -> None:
    monkeypatch.setenv("AVAFFECT_CACHE", str(tmp_path))
    monkeypatch.setenv("AVAFFECT_OFFLINE", "1")
    with pytest.raises(ModelUnavailableError):
        derived.derived_file("fer", "net.onnx", make)
    assert made == []


def test_a_seal_is_short(tmp_path: Path) -> None:
    """What grew to gigabytes is no hash, and is not read whole to find that out."""
    file, seal = tmp_path / "net", tmp_path / "net.sha256"
    file.write_bytes(b"net")
    seal.write_text(file_sha256(file) + "\n")
    assert derived._is_sealed(file, seal)
    seal.write_text(file_sha256(file) + " " * 10_000)
    assert not derived._is_sealed(file, seal)
