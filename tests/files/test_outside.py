"""Reading what came from outside: one error, and bounds."""

import errno
import json
from pathlib import Path

import pytest

from avaffect.errors import (
    AvaffectError,
    CheckpointError,
    FormatError,
    InputNotFoundError,
    UnknownNameError,
    UsageError,
)
from avaffect.files import outside
from avaffect.files.outside import (
    fits,
    lines,
    parse_json,
    parse_yaml,
    read_end,
    read_json,
    read_kept,
    read_yaml,
    reading,
    require_rows,
)


@pytest.mark.parametrize(
    ("raised", "message"),
    [
        (RecursionError("maximum recursion depth"), "(it is nested too deeply)"),
        (KeyError("a"), "(there is no 'a')"),
        (TypeError("unhashable"), "'f' is damaged: check"),
        (OverflowError("int too large"), "(int too large)"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"), "(it is not UTF-8 text)"),
        (UsageError("the value is 7"), "(the value is 7)"),
        (UnknownNameError("task", "x", ["va"]), "(no task is called 'x')"),
        (OSError("Corrupt snappy"), "(Corrupt snappy)"),
        (MemoryError(), "there is not enough memory for 'f'"),
        (PermissionError(errno.EACCES, "Permission denied"),
         "'f' cannot be read (permission denied): check its permissions"),
        (IsADirectoryError(errno.EISDIR, "Is a directory"), "(is a directory)"),
        (StopIteration(), "'f' is damaged"),
    ],
)  # fmt: skip
def test_whatever_is_raised_is_the_files_fault(raised, message: str) -> None:
    with pytest.raises(CheckpointError) as caught, reading("f", CheckpointError):
        raise raised
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_not_the_files_fault() -> None:
    with pytest.raises(InputNotFoundError, match="there is no file 'f'"), reading("f"):
        raise FileNotFoundError
    gone = CheckpointError("gone")
    with pytest.raises(CheckpointError, match="gone"), reading("f", missing=gone):
        raise NotADirectoryError
    for kind in (KeyboardInterrupt, SystemExit):
        with pytest.raises(kind), reading("f"):
            raise kind
    ours = FormatError("'f' line 3: no", "mend it")
    with pytest.raises(FormatError) as caught, reading("f"):
        raise ours
    assert caught.value is ours


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, '{"a":' * 50_000, "1" * 1_000_000, "NaN", "-Infinity", "1e999", "", "{", "\0"],
)
def test_json_that_is_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(FormatError):
        read_json(path, object)
    assert read_kept(path) is None


def test_json_within_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"a": [1, 2.5]}))
    assert read_json(path, {"a": [float]}) == {"a": [1, 2.5]}
    assert parse_json("123456789012345678901234567890") == 123456789012345678901234567890
    monkeypatch.setattr(outside.read_bytes, "__defaults__", (10,))
    with pytest.raises(FormatError, match="more than 10 bytes"):
        read_json(path)


@pytest.mark.parametrize(
    ("value", "shape", "yes"),
    [
        (1, int, True), (True, int, False), (True, bool, True), (1, float, True),
        ("1", float, False), (None, (str, None), True), (None, str, False), (0, None, False),
        ([1, "a"], [int], False), ({"a": 1}, {"a": int, "b?": str}, True),
        ({"a": 1, "b": 2}, {"a": int, "b?": str}, False), ({}, {"a": int}, False),
        ({"x": 1, "y": 2}, {str: int}, True), ({"x": None}, {str: int}, False), ([], dict, False),
        (True, object, True), (None, object, False),
    ],
)  # fmt: skip
def test_shapes(value, shape, yes: bool) -> None:
    assert fits(value, shape) is yes


def test_yaml_with_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert parse_yaml("a: &x [1, 2]\nb: [*x, *x]") == {"a": [1, 2], "b": [[1, 2], [1, 2]]}
    assert parse_yaml("") is None
    path = tmp_path / "a.yaml"
    bomb = "a: &a [1,1,1,1,1,1,1,1,1,1]\n" + "".join(
        f"{new}: &{new} [{','.join([f'*{old}'] * 10)}]\n"
        for old, new in zip("abcdefgh", "bcdefghi", strict=True)
    )
    for text in (bomb, "a: &a [*a]", "[" * 20_000, "x: " + "y" * 300_000, "a: b: c", "!!python/x"):
        path.write_text(text)
        with pytest.raises(FormatError, match=r"a\.yaml' cannot be read"):
            read_yaml(path)


def test_lines_within_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"ab\n\ncd")
    with path.open("rb") as file:
        assert list(lines(file)) == [b"ab\n", b"\n", b"cd"]
    with path.open("rb") as file, pytest.raises(UsageError, match="longer than 2"):
        list(lines(file, longest=2))
    monkeypatch.setattr(outside, "MOST_ROWS", 2)
    with path.open("rb") as file, pytest.raises(UsageError, match="more than 2 lines"):
        list(lines(file))


def test_rows_within_bounds() -> None:
    require_rows(outside.MOST_ROWS)
    require_rows(1_000_000, 8_000, file_bytes=500_000_000)
    for claim in ((outside.MOST_ROWS + 1,), (-1,), (1_000_000, 8_000, 1000)):
        with pytest.raises(UsageError, match="it claims"):
            require_rows(*claim)


def test_every_error_is_ours() -> None:
    with pytest.raises(AvaffectError), reading("f"):
        raise Exception("anything")


def test_the_end_of_a_long_file_is_read_alone(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"x" * 10_000 + b"end")
    assert read_end(path, 5) == b"xxend"
    assert read_end(path, 20_000) == path.read_bytes()
