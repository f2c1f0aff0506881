"""safetensors files: both ways with the library, in slices, mapped, and damaged."""

import json
import resource

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from avaffect.errors import FeatureError
from avaffect.files import tensors
from avaffect.files.tensors import ArraySpec, TensorFile, TensorWriter

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


def write(path, arrays, step=7, metadata=None):
    rows = len(arrays["flag"])
    with TensorWriter(path, rows, SPECS, metadata or {}) as writer:
        for start in range(0, rows, step):
            for name, array in arrays.items():
                writer.write(name, array[start : start + step])


@settings(max_examples=15, deadline=None)
@given(rows=st.integers(0, 40), step=st.integers(1, 50))
def test_the_library_reads_it(tmp_path_factory, rows, step):
    path = tmp_path_factory.mktemp("t") / "a.safetensors"
    arrays = values(rows)
    write(path, arrays, step, {"note": 'é "quoted"'})
    loaded = load_file(path)
    assert loaded.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(loaded[name], array)
        assert loaded[name].dtype == array.dtype
    with safe_open(path, "numpy") as file:
        assert file.metadata() == {"note": 'é "quoted"'}


def test_it_reads_the_library(tmp_path):
    arrays = values(20)
    save_file(arrays, tmp_path / "a.safetensors", {"note": "x"})
    for mapped in (False, True):
        file = TensorFile(tmp_path / "a.safetensors", mapped=mapped)
        assert file.specs == SPECS
        assert (file.rows, file.metadata) == (20, {"note": "x"})
        for name, array in arrays.items():
            np.testing.assert_array_equal(file.read(name), array)


@settings(max_examples=50, deadline=None)
@given(start=st.integers(-30, 30), stop=st.none() | st.integers(-30, 30), mapped=st.booleans())
def test_slices_are_python_slices(tmp_path_factory, start, stop, mapped):
    path = tmp_path_factory.getbasetemp() / "slices.safetensors"
    arrays = values(20)
    if not path.exists():
        write(path, arrays)
    for name, array in arrays.items():
        read = TensorFile(path, mapped=mapped).read(name, start, stop)
        np.testing.assert_array_equal(read, array[start:stop])
        assert read.dtype == array.dtype


def test_values_are_cast_to_the_arrays_dtype(tmp_path):
    wide = np.linspace(-3, 3, 10).reshape(2, 5)
    with TensorWriter(tmp_path / "a", 2, {"half": SPECS["half"]}, {}) as writer:
        writer.write("half", wide[:, ::-1])
    np.testing.assert_array_equal(
        TensorFile(tmp_path / "a").read("half"), wide[:, ::-1].astype("f2")
    )


def test_rows_are_checked(tmp_path):
    specs = {"half": SPECS["half"]}
    for rows in (np.zeros((1, 4)), np.zeros((3, 5)), np.zeros(5)):
        with (
            pytest.raises(ValueError, match="half"),
            TensorWriter(tmp_path / "a", 2, specs, {}) as writer,
        ):
            writer.write("half", rows)
    with (
        pytest.raises(ValueError, match="not written: half"),
        TensorWriter(tmp_path / "a", 2, specs, {}) as writer,
    ):
        writer.write("half", np.zeros((1, 5)))


def test_missing_rows():
    missing = SPECS["half"].missing(3)
    assert missing.shape == (3, 5)
    assert missing.dtype == np.float16
    assert np.isnan(missing).all()
    assert SPECS["count"].missing(2).tolist() == [[0, 0], [0, 0]]
    assert SPECS["flag"].missing(2).tolist() == [False, False]


@pytest.mark.parametrize(("shape", "dtype"), [((3,), "complex64"), ((3,), "O"), ((0,), "float32")])
def test_specs_are_checked(shape, dtype):
    with pytest.raises(ValueError):
        ArraySpec(shape, dtype)


def entry(**change):
    return {"a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24], **change}}


@pytest.mark.parametrize(
    "header",
    [
        [],
        {"a": 3},
        {"a": {}},
        {"__metadata__": 3},
        entry(dtype="BF16"),
        entry(shape=[]),
        entry(shape=[2, 4]),
        entry(shape=[-2, -3]),
        entry(data_offsets=[8, 32]),
        entry(data_offsets=[-8, 16]),
        entry(data_offsets=[24, 0]),
        entry(shape=[2**62, 2**62]),
        entry() | {"b": {"dtype": "U8", "shape": [3], "data_offsets": [0, 3]}},
    ],
)
def test_damaged_headers(tmp_path, header):
    text = json.dumps(header).encode()
    (tmp_path / "a").write_bytes(len(text).to_bytes(8, "little") + text + bytes(24))
    with pytest.raises(FeatureError, match="damaged"):
        TensorFile(tmp_path / "a")


def test_damaged_files(tmp_path):
    path = tmp_path / "a"
    write(path, values(20))
    whole = path.read_bytes()
    for data in (b"", b"short", whole[:50], whole[:-1], b"\xff" * 8 + whole[8:], b"x" + whole[1:]):
        path.write_bytes(data)
        for mapped in (False, True):
            with pytest.raises(FeatureError, match="damaged"):
                TensorFile(path, mapped=mapped)
    with pytest.raises(FeatureError, match="missing"):
        TensorFile(tmp_path / "b")


def test_a_file_cut_short_after_it_was_opened(tmp_path):
    path = tmp_path / "a"
    write(path, values(20))
    file = TensorFile(path)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(FeatureError, match="damaged"):
        file.read("byte")


# Mapped.


def test_mapped_slices_are_views_that_cannot_be_written(tmp_path):
    write(tmp_path / "a", values(20))
    file = TensorFile(tmp_path / "a", mapped=True)
    first, second = file.read("mesh", 3, 9), file.read("mesh", 5, 7)
    assert np.shares_memory(first, second)
    assert not first.flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        first[0] = 0
    copied = TensorFile(tmp_path / "a").read("mesh", 3, 9)
    copied[0] = 0
    np.testing.assert_array_equal(first, values(20)["mesh"][3:9])


def test_mapped_arrays_at_any_place(tmp_path):
    """Other writers need not put arrays at multiples of their item size."""
    data = np.arange(6, dtype="<f8")
    text = json.dumps(
        {
            "flag": {"dtype": "BOOL", "shape": [3], "data_offsets": [0, 3]},
            "wide": {"dtype": "F64", "shape": [3, 2], "data_offsets": [3, 51]},
        }
    ).encode()
    text += b" " * (-len(text) % 8)
    path = tmp_path / "a"
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"\1\0\1" + data.tobytes())
    for mapped in (True, False):
        file = TensorFile(path, mapped=mapped)
        np.testing.assert_array_equal(file.read("wide", 1), data.reshape(3, 2)[1:])
        assert file.read("flag").tolist() == [True, False, True]


def test_mapped_files_without_rows_or_arrays(tmp_path):
    write(tmp_path / "a", values(0))
    read = TensorFile(tmp_path / "a", mapped=True).read("mesh")
    assert (read.shape, read.dtype) == ((0, 4, 3), np.float32)
    with TensorWriter(tmp_path / "b", 5, {}, {}):
        pass
    assert TensorFile(tmp_path / "b", mapped=True).rows == 0


def test_a_mapped_file_that_is_replaced(tmp_path):
    """What was mapped stays as it was, what was not is never read in the other's places."""
    path, other = tmp_path / "a", tmp_path / "b"
    old = values(20)
    write(path, old)
    early, late = TensorFile(path, mapped=True), TensorFile(path, mapped=True)
    view = early.read("mesh")
    new = {name: array[::-1] for name, array in old.items()}
    write(other, new)
    other.replace(path)
    np.testing.assert_array_equal(view, old["mesh"])
    np.testing.assert_array_equal(early.read("half"), old["half"])
    np.testing.assert_array_equal(TensorFile(path, mapped=True).read("mesh"), new["mesh"])
    tensors._file_map.cache_clear()
    with pytest.raises(FeatureError, match="damaged"):
        late.read("mesh")
    np.testing.assert_array_equal(view, old["mesh"])


def test_a_mapped_file_that_is_cut_short_or_gone(tmp_path):
    path = tmp_path / "a"
    write(path, values(20))
    short, gone = TensorFile(path, mapped=True), TensorFile(path, mapped=True)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(FeatureError, match="damaged"):
        short.read("byte")
    path.unlink()
    with pytest.raises(FeatureError, match="missing"):
        gone.read("byte")


def test_more_mapped_files_than_a_process_may_open(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    specs = {"x": ArraySpec((2,), "float32")}
    files = []
    for i in range(700):
        with TensorWriter(tmp_path / str(i), 3, specs, {}) as writer:
            writer.write("x", np.full((3, 2), i))
        files.append(TensorFile(tmp_path / str(i), mapped=True))
    resource.setrlimit(resource.RLIMIT_NOFILE, (600, hard))
    try:
        for _ in range(2):
            for i, file in enumerate(files):
                assert (file.read("x", 1, 3) == i).all()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("mapped", [False, True])
@settings(max_examples=20, deadline=None)
@given(rows=st.integers(1, 60), step=st.integers(1, 70), data=st.data())
def test_only_the_blocks_that_are_touched_are_checked(tmp_path_factory, mapped, rows, step, data):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tensors, "BLOCK_BYTES", 100)
        path = tmp_path_factory.mktemp("t") / "a.safetensors"
        spec = {"a": ArraySpec((5,), "float32")}  # five rows a block
        array = np.random.default_rng(rows).normal(size=(rows, 5)).astype("f4")
        with TensorWriter(path, rows, spec, {}) as writer:
            for start in range(0, rows, step):
                writer.write("a", array[start : start + step])
        hashes = writer.hashes()
        assert len(hashes["a"]) == -(-rows // 5)
        bad = data.draw(st.integers(0, rows - 1), label="row")
        content = bytearray(path.read_bytes())
        content[len(content) - 20 * rows + 20 * bad + 3] ^= 64
        path.write_bytes(content)
        start = data.draw(st.integers(0, rows - 1), label="start")
        stop = data.draw(st.integers(start + 1, rows), label="stop")
        file = TensorFile(path, mapped=mapped, hashes=hashes)
        if start // 5 <= bad // 5 <= (stop - 1) // 5:
            with pytest.raises(FeatureError, match="is damaged"):
                file.read("a", start, stop)
        else:
            np.testing.assert_array_equal(file.read("a", start, stop), array[start:stop])
        assert len(TensorFile(path).read("a")) == rows
