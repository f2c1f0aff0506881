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


def test_a_message_is_one_line_with_a_hint() -> None:
    error = errors.AvaffectError("it is\n  broken", "mend\tit")
    assert str(error) == "it is broken: mend it"
    assert str(errors.AvaffectError("it is broken")) == "it is broken"


def test_wrong_use_exits_with_2_and_failed_work_with_1() -> None:
    for kind in subclasses(errors.AvaffectError):
        assert kind.exit_code == (2 if issubclass(kind, errors.UsageError) else 1)


def test_an_unknown_name_gets_the_nearest_or_all() -> None:
    near = errors.UnknownNameError("task", "var", ["va", "expr", "au"])
    assert "did you mean 'va'?" in str(near)
    far = errors.UnknownNameError("task", "zzz", ["va", "expr", "au"])
    assert "choose one of au, expr, va" in str(far)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_has_an_error_of_its_own(code) -> None:
    error = errors.output_error(Path("out/a.txt"), OSError(code, "No space left on device"))
    assert isinstance(error, errors.DiskFullError)
    assert "out/a.txt" in str(error)


def test_other_write_errors_name_file_and_reason() -> None:
    error = errors.output_error(Path("out/a.txt"), PermissionError(errno.EACCES, "not allowed"))
    assert type(error) is errors.OutputError
    assert "'out/a.txt' (not allowed)" in str(error)


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    named = {word for word in (errors.__doc__ or "").split() if word.endswith("Error")}
    kinds = {k for k in subclasses(errors.AvaffectError) if k.__module__ == errors.__name__}
    assert named == {kind.__name__ for kind in kinds} | {"AvaffectError"}


def test_a_wrong_value_is_a_value_error_too_and_an_unknown_name_a_key_error() -> None:
    assert issubclass(errors.UsageError, ValueError)
    assert issubclass(errors.UnknownNameError, KeyError)
    # Which would be quoted by KeyError.
    assert str(errors.UnknownNameError("task", "var", ["va"])).startswith("no task is called")


@pytest.mark.parametrize(
    ("raised", "kind", "says"),
    [
        (MemoryError(), errors.AvaffectError, "not enough memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), errors.AvaffectError,
         "not enough memory"),
        (RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB."), errors.AvaffectError,
         'memory on the GPU: close other programs that use it, or set device="cpu"'),
        (PermissionError(errno.EACCES, "Permission denied", "a/b"), errors.AvaffectError,
         "'a/b' cannot be used (permission denied): check its permissions"),
        (OSError(errno.ENAMETOOLONG, "File name too long", "x" * 300), errors.UsageError,
         "is too long: choose a shorter one"),
        (OSError(errno.ENOSPC, "No space left on device", "a"), errors.DiskFullError, "disk is"),
        (OSError(errno.EINVAL, "Invalid", "a"), errors.AvaffectError, "'a' cannot be used (inv"),
        (UnicodeEncodeError("utf-8", "a\udcff", 1, 2, "surrogates"), errors.UsageError,
         r"'a\udcff' is not UTF-8: rename it"),
        (FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/x']"),
         errors.AvaffectError, "set TMPDIR"),
    ],
)  # fmt: skip
def test_what_the_system_refuses_becomes_one_of_ours(raised, kind, says: str) -> None:
    @errors.boundary()
    def refused():
        raise raised

    with pytest.raises(errors.AvaffectError) as caught:
        refused()
    assert isinstance(caught.value, kind)
    assert says in str(caught.value)
    assert caught.value.__cause__ is raised


def test_a_fault_of_our_own_is_not_hidden() -> None:
    with pytest.raises(TypeError), errors.boundary():
        len(None)
