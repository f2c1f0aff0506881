"""Files made from checked weights: made once, and never loaded when damaged."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from avaffect.errors import ModelUnavailableError
from avaffect.models.content import Content
from avaffect.models.derived import Derived, derived_content, derived_files
from avaffect.models.zoo import ZOO, Check, ModelFile

WEIGHTS = b"weights"


@pytest.fixture
def weights(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of ``any``, a model that lies in the cache."""
    cache.mkdir()
    put_model(WEIGHTS, cache, monkeypatch)
    monkeypatch.setenv("AVAFFECT_OFFLINE", "1")
    return cache / "any.bin"


def put_model(data: bytes, cache: Path, monkeypatch: pytest.MonkeyPatch, digits: int = 64) -> None:
    check = Check(hashlib.sha256(data).hexdigest()[:digits])
    model = ModelFile("any", "any.bin", len(data), check, "MIT", "a test", ())
    monkeypatch.setitem(ZOO, "any", model)
    (cache / "any.bin").write_bytes(data)


class Maker:
    """Writes the weights and a word; counts how often."""

    def __init__(self) -> None:
        self.made = 0

    def __call__(self, weights: Content, target: Path) -> None:
        self.made += 1
        target.write_bytes(weights.data + b" derived")


@pytest.fixture
def make() -> Maker:
    return Maker()


def test_it_is_made_once(weights: Path, make: Maker) -> None:
    first = derived_content("any", "net.onnx", make)
    assert first.data == first.path.read_bytes() == b"weights derived"
    assert derived_content("any", "net.onnx", make) == first
    assert make.made == 1
    assert sorted(path.name for path in first.path.parent.iterdir()) == [
        "net.onnx",
        "net.onnx.sha256",
    ]


def test_a_damaged_one_is_made_again(weights: Path, make: Maker) -> None:
    path = derived_content("any", "net.onnx", make).path
    path.write_bytes(b"something else")
    assert derived_content("any", "net.onnx", make).data == b"weights derived"
    assert make.made == 2


@pytest.mark.parametrize("seal", [b"\xff\xfe", b"", b"0" * 64])
def test_one_whose_seal_is_damaged_is_made_again(seal: bytes, weights: Path, make: Maker) -> None:
    path = derived_content("any", "net.onnx", make).path
    path.with_name("net.onnx.sha256").write_bytes(seal)
    derived_content("any", "net.onnx", make)
    assert make.made == 2


def test_a_seal_of_before_is_read(weights: Path, make: Maker) -> None:
    """It was the digits alone."""
    path = derived_content("any", "net.onnx", make).path
    digest = hashlib.sha256(b"weights derived").hexdigest()
    path.with_name("net.onnx.sha256").write_text(f"{digest}\n")
    derived_content("any", "net.onnx", make)
    assert make.made == 1


def test_weights_are_not_read_for_what_is_there(weights: Path, make: Maker) -> None:
    first = derived_content("any", "net.onnx", make)
    weights.unlink()
    assert derived_content("any", "net.onnx", make) == first


def test_other_weights_give_another_file(
    weights: Path, cache: Path, make: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = derived_content("any", "net.onnx", make)
    put_model(b"newer weights", cache, monkeypatch)
    second = derived_content("any", "net.onnx", make)
    assert second.path != first.path
    assert second.data == b"newer weights derived"


def test_of_a_weak_check_the_whole_hash_counts(
    weights: Path, cache: Path, make: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = derived_content("any", "net.onnx", make)
    put_model(WEIGHTS, cache, monkeypatch, digits=8)
    assert derived_content("any", "net.onnx", make) == whole
    assert derived_content("any", "net.onnx", make) == whole
    assert make.made == 1


def test_a_failure_leaves_nothing_behind(weights: Path, make: Maker) -> None:
    def fail(source: Content, target: Path) -> None:
        target.write_bytes(b"half")
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        derived_content("any", "net.onnx", fail)
    assert list(derived_files()) == []
    assert derived_content("any", "net.onnx", make).data == b"weights derived"


def test_without_weights_nothing_is_made(
    monkeypatch: pytest.MonkeyPatch, cache: Path, make: Maker
) -> None:
    monkeypatch.setenv("AVAFFECT_OFFLINE", "1")
    with pytest.raises(ModelUnavailableError):
        derived_content("fer", "net.onnx", make)
    assert make.made == 0


def test_all_of_them_are_found_and_checked(
    weights: Path, cache: Path, make: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = derived_content("any", "net.onnx", make).path
    (path.parent / ".net.onnx.1-2.tmp").touch()
    assert list(derived_files()) == [Derived(path, "any", "")]
    path.write_bytes(b"tampered")
    assert [each.problem for each in derived_files()] == [
        "has another SHA-256 than when it was made"
    ]
    path.with_name("net.onnx.sha256").unlink()
    assert "has no seal ('net.onnx.sha256')" in next(derived_files()).problem
    model = ZOO["any"]
    monkeypatch.setitem(ZOO, "any", replace(model, check=Check("0" * 64)))
    assert next(derived_files()).model is None
