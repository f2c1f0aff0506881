"""The error tree: one line, what to do, the right exit code."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from avaffect import errors


def subclasses(kind):
    for child in kind.__subclasses__():
        yield child
        yield from subclasses(child)


def test_a_message_is_one_line_with_a_hint():
    error = errors.AvaffectError("it is\n  broken", "mend\tit")
    assert str(error) == "it is broken: mend it"
    assert str(errors.AvaffectError("it is broken")) == "it is broken"


def test_wrong_use_exits_with_2_and_failed_work_with_1():
    for kind in subclasses(errors.AvaffectError):
        assert kind.exit_code == (2 if issubclass(kind, errors.UsageError) else 1)


def test_an_unknown_name_gets_the_nearest_or_all():
    near = errors.UnknownNameError("task", "var", ["va", "expr", "au"])
    assert "did you mean 'va'?" in str(near)
    far = errors.UnknownNameError("task", "zzz", ["va", "expr", "au"])
    assert "choose one of au, expr, va" in str(far)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_has_an_error_of_its_own(code):
    error = errors.output_error(Path("out/a.txt"), OSError(code, "No space left on device"))
    assert isinstance(error, errors.DiskFullError)
    assert "out/a.txt" in str(error)


def test_other_write_errors_name_file_and_reason():
    error = errors.output_error(Path("out/a.txt"), PermissionError(errno.EACCES, "not allowed"))
    assert type(error) is errors.OutputError
    assert "'out/a.txt' (not allowed)" in str(error)


def test_the_tree_in_the_docstring_is_the_tree():
    named = {word for word in (errors.__doc__ or "").split() if word.endswith("Error")}
    assert named == {kind.__name__ for kind in subclasses(errors.AvaffectError)} | {
        "AvaffectError"
    }
