"""safetensors files: both ways with the library, in slices, and damaged."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from avaffect.errors import FeatureError
from avaffect.features.tensors import ArraySpec, TensorFile, TensorWriter

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
    file = TensorFile(tmp_path / "a.safetensors")
    assert file.specs == SPECS
    assert (file.rows, file.metadata) == (20, {"note": "x"})
    for name, array in arrays.items():
        np.testing.assert_array_equal(file.read(name), array)


@settings(max_examples=50, deadline=None)
@given(start=st.integers(-30, 30), stop=st.none() | st.integers(-30, 30))
def test_slices_are_python_slices(tmp_path_factory, start, stop):
    path = tmp_path_factory.getbasetemp() / "slices.safetensors"
    arrays = values(20)
    if not path.exists():
        write(path, arrays)
    for name, array in arrays.items():
        read = TensorFile(path).read(name, start, stop)
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
        with pytest.raises(FeatureError, match="damaged"):
            TensorFile(path)
    with pytest.raises(FeatureError, match="missing"):
        TensorFile(tmp_path / "b")


def test_a_file_cut_short_after_it_was_opened(tmp_path):
    path = tmp_path / "a"
    write(path, values(20))
    file = TensorFile(path)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(FeatureError, match="damaged"):
        file.read("byte")
