"""Every reader of outside data: whatever the bytes, a result or an AvaffectError of one line.

The corpus (`corpus/`) holds what once was found, by reader: it is read again each time. `fuzz.py`
goes on for as long as it is told.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hostile.corpus import kept
from hostile.mutations import changed
from hostile.readers import READERS, Reader
from hostile.watch import watched
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from avaffect.errors import AvaffectError
from avaffect.recipes.library import change_recipe, load_recipe

EXAMPLES = 25
IDS = [reader.name for reader in READERS]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Reader], tuple[Path, bytes]]:
    """The path of a reader's file in a fresh folder, and its valid content."""
    known: dict[str, tuple[Path, bytes]] = {}

    def make(reader: Reader) -> tuple[Path, bytes]:
        if reader.name not in known:
            known[reader.name] = reader.made_in(tmp_path_factory.mktemp("reader"))
        return known[reader.name]

    return make


@pytest.mark.parametrize("reader", READERS, ids=IDS)
def test_only_our_errors_come_out(reader: Reader, made: Any) -> None:
    path, data = made(reader)

    @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck), database=None)
    @seed(0)
    @given(changed(data, path.name))
    def check(content: bytes) -> None:
        path.write_bytes(content)
        with watched(reader.root(path)):
            reader.read(path)

    try:
        check()
    finally:
        path.write_bytes(data)


@pytest.mark.parametrize("reader", [each for each in READERS if kept(each.name)], ids=str)
def test_what_was_found_once(reader: Reader, made: Any) -> None:
    path, data = made(reader)
    try:
        for found in kept(reader.name):
            path.write_bytes(found.read_bytes())
            with watched(reader.root(path)):
                reader.read(path)
    finally:
        path.write_bytes(data)


@pytest.mark.parametrize("reader", READERS, ids=IDS)
def test_what_is_no_file(reader: Reader, made: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    path, data = made(reader)

    def read() -> None:
        with watched(reader.root(path)):
            reader.read(path)

    path.unlink()
    try:
        read()
        path.mkdir()
        read()
        path.rmdir()
        path.symlink_to(path)
        read()
        path.unlink()
    finally:
        path.write_bytes(data)

    def forbidden(*arguments: Any, **options: Any) -> Any:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", forbidden)
    read()
    monkeypatch.undo()


def test_a_valid_file_of_each_is_read(made: Any) -> None:
    """Else the mutations would start from nothing."""
    # Nets are too large to be made here; some records want more than is beside them.
    partial = ("a.mp4", "head.pb", "net.onnx", "net.tflite", "torch/net.tflite", "th.json",
               "folds.json", "preprocess.json", "checkpoint.json",
               "network.safetensors")  # fmt: skip
    for reader in READERS:
        if reader.name not in partial:
            reader.read(made(reader)[0])


@settings(max_examples=40)
@given(st.text(max_size=40))
def test_any_change_of_a_recipe(value: str) -> None:
    recipe = load_recipe("speech-gru")
    try:
        change_recipe(recipe, [f"train.lr={value}", f"name={value}"])
    except AvaffectError as error:
        assert "\n" not in str(error)
