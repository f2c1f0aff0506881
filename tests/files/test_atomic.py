import errno
import json
from pathlib import Path

import pytest

from avaffect.errors import DiskFullError, OutputError
from avaffect.files.atomic import atomic_path, write_bytes, write_json, write_text


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_complete_file_appears_under_its_name_only_at_the_end(tmp_path: Path) -> None:
    target = tmp_path / "a" / "b" / "x.parquet"
    with atomic_path(target) as temporary:
        assert temporary.parent == target.parent
        assert temporary.suffix == ".parquet"
        assert temporary.name.startswith(".x.parquet.")
        temporary.write_text("new")
        assert not target.exists()
    assert target.read_text() == "new"
    assert names(target.parent) == ["x.parquet"]


@pytest.mark.parametrize("error", [ValueError("bad"), KeyboardInterrupt()])
def test_failure_keeps_the_old_file_and_leaves_nothing(
    tmp_path: Path, error: BaseException
) -> None:
    target = tmp_path / "x.txt"
    target.write_text("old")
    with pytest.raises(type(error)), atomic_path(target) as temporary:
        temporary.write_text("half")
        raise error
    assert target.read_text() == "old"
    assert names(tmp_path) == ["x.txt"]


@pytest.mark.parametrize(
    ("code", "kind"),
    [(errno.ENOSPC, DiskFullError), (errno.EDQUOT, DiskFullError), (errno.EIO, OutputError)],
)
def test_os_errors_become_output_errors(
    tmp_path: Path, code: int, kind: type[OutputError]
) -> None:
    target = tmp_path / "x.txt"
    with pytest.raises(kind) as caught, atomic_path(target) as temporary:
        temporary.write_text("half")
        raise OSError(code, "no")
    assert str(target) in caught.value.problem
    assert names(tmp_path) == []


def test_parent_that_is_a_file_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        write_text(tmp_path / "file" / "x.txt", "text")


@pytest.mark.parametrize("make", [Path.mkdir, lambda path: __import__("os").mkfifo(path)])
def test_only_files_are_replaced(tmp_path: Path, make) -> None:
    target = tmp_path / "thing"
    make(target)
    with pytest.raises(OutputError):
        write_bytes(target, b"data")
    assert names(tmp_path) == ["thing"]
    assert not target.is_file()


def test_longest_legal_name(tmp_path: Path) -> None:
    target = tmp_path / ("ü" * 125 + ".txt")
    write_text(target, "text")
    assert target.read_text() == "text"


def test_text_and_json_arrive_unchanged(tmp_path: Path) -> None:
    write_text(tmp_path / "t.txt", "a\nb\r\nü")
    assert (tmp_path / "t.txt").read_bytes() == "a\nb\r\nü".encode()
    write_json(tmp_path / "t.json", {"naïve": [1, 0.5, None]})
    assert json.loads((tmp_path / "t.json").read_text("utf-8")) == {"naïve": [1, 0.5, None]}
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "t.json", float("nan"))
    assert json.loads((tmp_path / "t.json").read_text("utf-8")) == {"naïve": [1, 0.5, None]}
