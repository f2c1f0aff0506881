"""Arrays in .npy files: both ways with NumPy, in slices, mapped, and damaged."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avaffect.errors import DiskFullError, FeatureError
from avaffect.files import npy
from avaffect.files.npy import ArraySpec, NpyFile, NpyWriter, write_arrays

SPECS = {
    "flag": ArraySpec((), "bool"),
    "half": ArraySpec((5,), "float16"),
    "byte": ArraySpec((3,), "uint8"),
    "wide": ArraySpec((), "float64"),
    "mesh": ArraySpec((4, 3), "float32"),
    "count": ArraySpec((2,), "int32"),
    "long": ArraySpec((1,), "int64"),
}


def values(rows):
    seed = np.random.default_rng(rows)
    return {
        name: (seed.normal(size=(rows, *spec.shape)) * 50).astype(spec.dtype)
        for name, spec in SPECS.items()
    }


def write(folder, arrays, step=7):
    """By name, the files of the arrays; and their hashes."""
    rows = len(arrays["flag"])
    files = {name: folder / f"{name}.npy" for name in SPECS}
    chunks = (
        {name: array[at : at + step] for name, array in arrays.items()}
        for at in range(0, rows, step)
    )
    return files, write_arrays(files, rows, SPECS, chunks)


@pytest.fixture
def mesh(tmp_path: Path):
    """A file of 20 rows, and what is in it."""
    arrays = values(20)
    files, _ = write(tmp_path, arrays)
    return files["mesh"], arrays["mesh"]


@settings(max_examples=15, deadline=None)
@given(rows=st.integers(0, 40), step=st.integers(1, 50))
def test_numpy_reads_it(tmp_path_factory: pytest.TempPathFactory, rows, step) -> None:
    arrays = values(rows)
    files, hashes = write(tmp_path_factory.mktemp("t"), arrays, step)
    for name, array in arrays.items():
        loaded = np.load(files[name], allow_pickle=False)
        np.testing.assert_array_equal(loaded, array)
        assert loaded.dtype == array.dtype
        assert len(hashes[name]) == 1


@pytest.mark.parametrize("mapped", [False, True])
def test_it_reads_numpy(tmp_path: Path, mapped: bool) -> None:
    for name, array in values(20).items():
        np.save(tmp_path / "a.npy", array)
        file = NpyFile(tmp_path / "a.npy", mapped=mapped)
        assert (file.rows, file.spec) == (20, SPECS[name])
        np.testing.assert_array_equal(file.read(), array)


@settings(max_examples=50, deadline=None)
@given(start=st.integers(-30, 30), stop=st.none() | st.integers(-30, 30), mapped=st.booleans())
def test_slices_are_python_slices(
    tmp_path_factory: pytest.TempPathFactory, start, stop, mapped
) -> None:
    folder = tmp_path_factory.getbasetemp() / "slices"
    arrays = values(20)
    if not folder.exists():
        write(folder, arrays)
    for name, array in arrays.items():
        read = NpyFile(folder / f"{name}.npy", mapped=mapped).read(start, stop)
        np.testing.assert_array_equal(read, array[start:stop])
        assert read.dtype == array.dtype


def test_values_are_cast_to_the_arrays_dtype(tmp_path: Path) -> None:
    wide = np.linspace(-3, 3, 10).reshape(2, 5)
    with NpyWriter(tmp_path / "a", 2, SPECS["half"]) as writer:
        writer.write(wide[:, ::-1])
    np.testing.assert_array_equal(NpyFile(tmp_path / "a").read(), wide[:, ::-1].astype("f2"))


def test_rows_are_checked(tmp_path: Path) -> None:
    for rows in (np.zeros((1, 4)), np.zeros((3, 5)), np.zeros(5)):
        with (
            pytest.raises(ValueError, match="cannot write"),
            NpyWriter(tmp_path / "a", 2, SPECS["half"]) as writer,
        ):
            writer.write(rows)
    with (
        pytest.raises(ValueError, match="1 of 2 rows were not written"),
        NpyWriter(tmp_path / "a", 2, SPECS["half"]) as writer,
    ):
        writer.write(np.zeros((1, 5)))


def test_arrays_that_cannot_be_written_leave_the_earlier_ones(tmp_path: Path) -> None:
    files, _ = write(tmp_path, values(20))
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}

    def chunks(error):
        yield {name: array[:5] for name, array in values(30).items()}
        if error is not None:
            raise error

    with pytest.raises(DiskFullError):
        write_arrays(files, 30, SPECS, chunks(OSError(28, "No space left on device")))
    # Even where the last of them alone is short.
    with pytest.raises(ValueError, match="25 of 30 rows were not written"):
        write_arrays(files, 30, SPECS, chunks(None))
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_missing_rows() -> None:
    missing = SPECS["half"].missing(3)
    assert missing.shape == (3, 5)
    assert missing.dtype == np.float16
    assert np.isnan(missing).all()
    assert SPECS["count"].missing(2).tolist() == [[0, 0], [0, 0]]
    assert SPECS["flag"].missing(2).tolist() == [False, False]


@pytest.mark.parametrize(("shape", "dtype"), [((3,), "complex64"), ((3,), "O"), ((0,), "float32")])
def test_specs_are_checked(shape, dtype: str) -> None:
    with pytest.raises(ValueError):
        ArraySpec(shape, dtype)


def headed(path, header, data=bytes(24), version=b"\1\0"):
    """A file with any header."""
    text = repr(header).encode() if not isinstance(header, bytes) else header
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    path.write_bytes(b"\x93NUMPY" + version + len(text).to_bytes(2, "little") + text + data)
    return path


def header(**change):
    return {"descr": "<f4", "fortran_order": False, "shape": (2, 3), **change}


def test_a_header_as_it_should_be(tmp_path: Path) -> None:
    assert NpyFile(headed(tmp_path / "a", header())).read().shape == (2, 3)


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        [],
        b"",
        b"(" * 3000,
        b"9" * 9000,
        b"__import__('os').getpid()",
        header(descr="|O"),
        header(descr=">f4"),
        header(descr="<c8"),
        header(descr="<U6"),
        header(descr=[("a", "<f4")]),
        header(descr="<m8[s]", shape=(3,)),
        header(descr="<i2", shape=(4, 3)),
        header(fortran_order=True),
        header(shape=()),
        header(shape=(2, 4)),
        header(shape=(-2, -3)),
        header(shape=(-1, 3)),
        header(shape=(6, 0)),
        header(shape=(2, 3.0)),
        header(shape=(2**62, 4)),
        header(shape=(2**70, 2**70)),
        header(shape=(10**9, 10**6)),
        header(shape=(24, 1), descr="|S1"),
        header(more=1),
    ],
    ids=repr,
)
def test_headers_that_lie(tmp_path: Path, wrong) -> None:
    for mapped in (False, True):
        with pytest.raises(FeatureError, match="is damaged"):
            NpyFile(headed(tmp_path / "a", wrong), mapped=mapped).read()


def test_what_is_no_array(tmp_path: Path, mesh) -> None:
    path = tmp_path / "a.npy"
    whole = mesh[0].read_bytes()
    np.savez(tmp_path / "b.npz", np.zeros(3))
    archive = (tmp_path / "b.npz").read_bytes()
    longer = headed(tmp_path / "c", header(), version=b"\2\0").read_bytes()
    for data in (b"", b"short", whole[:50], whole[:-1], whole + b"x", b"x" + whole[1:], archive,
                 longer):  # fmt: skip
        path.write_bytes(data)
        with pytest.raises(FeatureError, match="is damaged"):
            NpyFile(path)
    with pytest.raises(FeatureError, match="missing"):
        NpyFile(tmp_path / "d")


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    """An array of objects would run what it likes."""

    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "sprung"),)

    np.save(tmp_path / "a.npy", np.array([Trap()], object), allow_pickle=True)
    with pytest.raises(FeatureError, match="is damaged"):
        NpyFile(tmp_path / "a.npy")
    assert not (tmp_path / "sprung").exists()


def test_a_file_cut_short_after_it_was_opened(mesh) -> None:
    path, _ = mesh
    file = NpyFile(path)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(FeatureError, match="damaged"):
        file.read()


# Mapped.


def test_mapped_slices_are_views_that_cannot_be_written(mesh) -> None:
    path, array = mesh
    file = NpyFile(path, mapped=True)
    first, second = file.read(3, 9), file.read(5, 7)
    assert np.shares_memory(first, second)
    assert not first.flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        first[0] = 0
    copied = NpyFile(path).read(3, 9)
    copied[0] = 0
    np.testing.assert_array_equal(first, array[3:9])


def test_mapped_arrays_at_any_place(tmp_path: Path) -> None:
    """Other writers need not end a header at a multiple of an item's size."""
    text = repr(header()).encode() + b" \n"
    start = b"\x93NUMPY\1\0" + len(text).to_bytes(2, "little") + text
    assert len(start) % 4
    (tmp_path / "a").write_bytes(start + np.arange(6, dtype="<f4").tobytes())
    for mapped in (True, False):
        file = NpyFile(tmp_path / "a", mapped=mapped)
        assert file.read().tolist() == [[0, 1, 2], [3, 4, 5]]


def test_mapped_files_without_rows(tmp_path: Path) -> None:
    files, _ = write(tmp_path, values(0))
    read = NpyFile(files["mesh"], mapped=True).read()
    assert (read.shape, read.dtype) == ((0, 4, 3), np.float32)


def test_a_mapped_file_that_is_replaced(mesh, tmp_path: Path) -> None:
    """What was mapped stays as it was, what was not is never read in the other's places."""
    path, old = mesh
    early, late = NpyFile(path, mapped=True), NpyFile(path, mapped=True)
    view = early.read()
    np.save(tmp_path / "other.npy", old[::-1])
    (tmp_path / "other.npy").replace(path)
    np.testing.assert_array_equal(view, old)
    np.testing.assert_array_equal(early.read(2), old[2:])
    np.testing.assert_array_equal(NpyFile(path, mapped=True).read(), old[::-1])
    npy._file_map.cache_clear()
    with pytest.raises(FeatureError, match="damaged"):
        late.read()
    np.testing.assert_array_equal(view, old)


def test_a_mapped_file_that_is_cut_short_or_gone(mesh) -> None:
    path, _ = mesh
    short, gone = NpyFile(path, mapped=True), NpyFile(path, mapped=True)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(FeatureError, match="damaged"):
        short.read()
    path.unlink()
    with pytest.raises(FeatureError, match="missing"):
        gone.read()


MANY = """
import sys
from pathlib import Path
import numpy as np
from avaffect.files.npy import NpyFile
files = [NpyFile(Path(sys.argv[1], f"{i}.npy"), mapped=True) for i in range(300)]
for _ in range(2):
    for i, file in enumerate(files):
        assert (file.read(1, 3) == i).all()
"""


def test_more_mapped_files_than_a_process_may_open(tmp_path: Path) -> None:
    for i in range(300):
        np.save(tmp_path / f"{i}.npy", np.full((3, 2), i, "f4"))
    subprocess.run(
        [sys.executable, "-c", MANY, str(tmp_path)],
        check=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200)),
    )


@pytest.mark.parametrize("mapped", [False, True])
@settings(max_examples=20, deadline=None)
@given(rows=st.integers(1, 60), step=st.integers(1, 70), data=st.data())
def test_only_the_blocks_that_are_touched_are_checked(
    tmp_path_factory: pytest.TempPathFactory, mapped: bool, rows, step, data
) -> None:
    """And the first one, in which the header is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(npy, "BLOCK_BYTES", 128)  # the header, then 6.4 rows a block
        path = tmp_path_factory.mktemp("t") / "a.npy"
        array = np.random.default_rng(rows).normal(size=(rows, 5)).astype("f4")
        with NpyWriter(path, rows, ArraySpec((5,), "float32")) as writer:
            for start in range(0, rows, step):
                writer.write(array[start : start + step])
        hashes = writer.hashes()
        content = bytearray(path.read_bytes())
        assert len(hashes) == -(-len(content) // 128)
        at = data.draw(st.integers(0, len(content) - 1), label="byte")
        content[at] ^= 64
        path.write_bytes(content)
        start = data.draw(st.integers(0, rows - 1), label="start")
        stop = data.draw(st.integers(start + 1, rows), label="stop")
        first, last = (128 + 20 * start) // 128, (127 + 20 * stop) // 128
        if at < 128 or first <= at // 128 <= last:
            with pytest.raises(FeatureError, match="is damaged"):
                NpyFile(path, mapped=mapped, hashes=hashes).read(start, stop)
        else:
            read = NpyFile(path, mapped=mapped, hashes=hashes).read(start, stop)
            np.testing.assert_array_equal(read, array[start:stop])
        if at >= 128:
            assert len(NpyFile(path).read()) == rows
