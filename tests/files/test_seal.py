from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from avaffect.files.hashing import file_sha256
from avaffect.files.seal import read_seal, seal_of, write_seal

DIGEST = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a net.onnx"
    path.write_bytes(b"abc")
    return path


def test_a_seal_is_read_as_it_was_written(file: Path) -> None:
    assert read_seal(file) is None
    write_seal(file, file_sha256(file))
    assert read_seal(file) == DIGEST
    assert seal_of(file).name == "a net.onnx.sha256"


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="no sha256sum here")
def test_sha256sum_reads_it(file: Path) -> None:
    write_seal(file, DIGEST)
    command = ["sha256sum", "--check", "--strict", seal_of(file).name]
    done = subprocess.run(command, cwd=file.parent, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    file.write_bytes(b"abd")
    assert subprocess.run(command, cwd=file.parent, capture_output=True).returncode == 1


@pytest.mark.parametrize("text", [f"{DIGEST}\n", f"{DIGEST} *a net.onnx\r\n", DIGEST])
def test_other_ways_to_write_it_are_read(file: Path, text: str) -> None:
    seal_of(file).write_bytes(text.encode())
    assert read_seal(file) == DIGEST


@pytest.mark.parametrize(
    "text", ["", "0" * 63, "g" * 64, f"{DIGEST}0", f"{DIGEST}\n{DIGEST}\n", DIGEST + " " * 1000]
)
def test_what_is_no_seal_is_none(file: Path, text: str) -> None:
    seal_of(file).write_bytes(text.encode())
    assert read_seal(file) is None


def test_a_folder_is_no_seal(file: Path) -> None:
    seal_of(file).mkdir()
    assert read_seal(file) is None
