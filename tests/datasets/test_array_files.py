"""Arrays in npy, npz and safetensors: what is written comes back; what is hostile is one line."""

import io
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from avaffect.datasets import array_files
from avaffect.datasets.array_files import ArrayFile
from avaffect.errors import FormatError

VALUES = np.arange(12, dtype=np.float32).reshape(4, 3)
TIMES = np.arange(4) / 10


def save_npy(path: Path, **arrays: Any) -> None:
    (array,) = arrays.values()
    np.save(path, array)


WAYS: dict[str, tuple[str, Callable[..., Any]]] = {
    "npy": ("a.npy", save_npy),
    "npz": ("a.npz", np.savez),
    "packed": ("a.npz", np.savez_compressed),
    "safetensors": ("a.safetensors", lambda path, **arrays: save_file(arrays, path)),
}


@pytest.mark.parametrize("way", WAYS)
def test_one_array(way: str, tmp_path: Path) -> None:
    name, save = WAYS[way]
    save(tmp_path / name, features=VALUES)
    file = ArrayFile(tmp_path / name)
    assert (tuple(file), file.rows, file.dtype) == (("0", "1", "2"), 4, np.float32)
    np.testing.assert_array_equal(file.read(("2", "0"), 1, 3), VALUES[1:3, [2, 0]])
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(file))["1"], VALUES[:, 1])  # noqa: S301


@pytest.mark.parametrize("way", ["npz", "packed", "safetensors"])
def test_several_arrays(way: str, tmp_path: Path) -> None:
    name, save = WAYS[way]
    save(tmp_path / name, au=VALUES, times=TIMES, fps=np.array(30.0))
    file = ArrayFile(tmp_path / name)
    assert sorted(file) == ["au.0", "au.1", "au.2", "times"]
    np.testing.assert_allclose(file.read(("times", "au.1"))[:, 0], TIMES)
    np.testing.assert_array_equal(file.read(("times", "au.1"))[:, 1], VALUES[:, 1])


def test_arrays_by_columns(tmp_path: Path) -> None:
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "a.npz", x=np.asfortranarray(VALUES))
        np.testing.assert_array_equal(ArrayFile(tmp_path / "a.npz").read(("0", "1", "2")), VALUES)


def test_an_unpacked_archive_is_not_read_whole(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=VALUES)
    assert isinstance(ArrayFile(tmp_path / "a.npz")["0"].base, np.ndarray)
    assert not ArrayFile(tmp_path / "a.npz")["0"].flags.writeable


def test_arrays_of_other_lengths(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=VALUES, y=TIMES[:2])
    with pytest.raises(FormatError, match="'x' has 4 rows, 'y' has 2"):
        ArrayFile(tmp_path / "a.npz")


def member(shape: str, data: bytes = b"") -> bytes:
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}"
    header = header.ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + data


def bomb(path: Path) -> None:
    """A few kilobytes that claim as many megabytes, more than are allowed here."""
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("x.npy", "w", force_zip64=True) as file,
    ):
        file.write(member("(8388608,)", bytes(1 << 25)))


def objects(path: Path) -> None:
    np.savez(path, x=np.array([{"a": 1}], object))


def larger(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", member("(1000000, 1000)", bytes(16)))


def many(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(1001):
            archive.writestr(f"{number}.npy", b"")


def no_archive(path: Path) -> None:
    path.write_bytes(b"PK\x03\x04" + bytes(40))


def empty(path: Path) -> None:
    np.savez(path)


@pytest.mark.parametrize("make", [bomb, objects, larger, many, no_archive, empty])
def test_hostile_archives(
    make: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(array_files, "MOST_VALUES_BYTES", 1 << 24)
    path = tmp_path / "a.npz"
    make(path)
    assert path.stat().st_size < 1 << 20
    with pytest.raises(FormatError) as refused:
        ArrayFile(path)
    assert "\n" not in str(refused.value)


def test_a_safetensors_file_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    for content in (b"", (1 << 40).to_bytes(8, "little") + b"{}", b"\x02" + bytes(7) + b"[]"):
        path.write_bytes(content)
        with pytest.raises(FormatError):
            ArrayFile(path)


def test_an_object_array_alone_is_never_unpickled(tmp_path: Path) -> None:
    stream = io.BytesIO()
    np.save(stream, np.array([{"a": 1}], object), allow_pickle=True)
    (tmp_path / "a.npy").write_bytes(stream.getvalue())
    with pytest.raises(FormatError):
        ArrayFile(tmp_path / "a.npy")
