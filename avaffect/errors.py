"""The error tree.

    AvaffectError                 work failed (exit code 1)
    +- UsageError                 wrong use: bad option, path or name (exit code 2)
    |  +- UnknownNameError        a task, model, detector ... that does not exist
    |  +- InputNotFoundError      a file or folder that does not exist, or a glob without a match
    |  +- ForeignFileError        a file is in the way that avaffect did not write
    +- MediaError                 the file cannot be used as a video
    |  +- NotMediaError           empty, or no container that the decoder knows
    |  +- NoVideoStreamError      a readable container without a (chosen) video stream
    |  +- NoFramesError           a video stream of which no frame could be decoded
    +- NoFaceError                a video without a face in any frame
    +- ModelError                 a model's weights cannot be used
    |  +- ModelUnavailableError   not in the cache and from no source
    |  +- ModelDamagedError       wrong size or hash: never loaded
    |  +- CheckpointError         a trained model that cannot be used, or not with these features
    +- FormatError                a label file or table that is not what it should be
    +- FeatureError               a feature store that is missing, unfinished or does not fit
    +- MissingPackageError        a package of an extra that is not installed
    +- TrainingError              training that cannot go on, such as a loss that is no number
    +- RemoteError                an object store that does not give or take what it should
    +- OutputError                results cannot be written
    |  +- DiskFullError           no space left
    |  +- BusyError               another process is working there

Every message is one line: what is wrong, then what to do about it. A wrong value (`UsageError`) is
a ``ValueError`` too and an unknown name a ``KeyError``, so that Python's own words work as well.
What the system refuses (memory, permission, a name that is too long) becomes one of these by
`explained`: in ``files.outside``, which all readers use, and by `boundary`, in which the
functions stand that callers call.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from avaffect.extras import EXTRAS, extra_of, is_installed

_FULL = (errno.ENOSPC, errno.EDQUOT)
_VANISHED = (errno.ENOENT, errno.ENOTDIR)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)
# The messages of torch, OpenCV and ONNX Runtime, which have no error of their own for it.
_MEMORY_WORDS = ("can't allocate memory", "insufficient memory", "bad_alloc", "bad allocation",
                 "failed to allocate", "cannot allocate memory", "out of memory",
                 "can't start new thread", "failed to map segment")  # fmt: skip


class AvaffectError(Exception):
    """Base of every error that avaffect raises on purpose.

    Args:
        problem: what is wrong, one line.
        hint: what to do about it, one line.
    """

    exit_code = 1

    def __init__(self, problem: str, hint: str = "") -> None:
        self.problem = " ".join(problem.split())
        self.hint = " ".join(hint.split())
        super().__init__(f"{self.problem}: {self.hint}" if self.hint else self.problem)

    def __str__(self) -> str:
        # KeyError would quote it.
        return Exception.__str__(self)

    def __reduce__(self) -> tuple[Any, ...]:
        # As it is: the arguments of some are others than the message. Processes send each other
        # errors.
        return _again, (type(self), str(self), self.__dict__)


def _again(kind: type[AvaffectError], text: str, about: dict[str, Any]) -> AvaffectError:
    error = kind.__new__(kind, text)
    error.__dict__.update(about)
    return error


class UsageError(AvaffectError, ValueError):
    """Wrong use: bad option, path, name or value."""

    exit_code = 2


class UnknownNameError(UsageError, KeyError):
    """A name that is in no registry.

    Args:
        kind: what was named, e.g. ``"model"``.
        name: the unknown name.
        known: the names that exist.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        import difflib

        known = sorted(known)
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean '{close[0]}'?" if close else f"choose one of {', '.join(known)}"
        super().__init__(f"no {kind} is called '{name}'", hint)


class InputNotFoundError(UsageError):
    """A file or folder that does not exist, or a glob without a match."""


class ForeignFileError(UsageError):
    """A file or folder is in the way that avaffect did not write; it is never touched."""


class MediaError(AvaffectError):
    """The file cannot be used as a video."""


class NotMediaError(MediaError):
    """Empty, or no container that the decoder knows."""


class NoVideoStreamError(MediaError):
    """A readable container without a (chosen) video stream."""


class NoFramesError(MediaError):
    """A video stream of which no frame could be decoded."""


class NoFaceError(AvaffectError):
    """A video without a face in any frame."""


class ModelError(AvaffectError):
    """A model's weights cannot be used."""


class ModelUnavailableError(ModelError):
    """Not in the cache and to be had from no source."""


class ModelDamagedError(ModelError):
    """Wrong size or hash: the file is never loaded."""


class CheckpointError(ModelError):
    """A trained model that cannot be used, or not with these features."""


class FormatError(AvaffectError):
    """A label file or table that is not what it should be; the message names file and line."""


class FeatureError(AvaffectError):
    """A feature store that is missing, unfinished or does not fit what is asked of it."""


class MissingPackageError(AvaffectError):
    """A package of an extra that is not installed.

    Args:
        module: the package's module.
        extra: a key of `extras.EXTRAS` that brings it.
        purpose: what needs it, as the subject of a sentence; empty for what the extra is for.
    """

    def __init__(self, module: str, extra: str, purpose: str = "") -> None:
        self.module, self.extra = module, extra
        super().__init__(
            f"{purpose or EXTRAS[extra].purpose} needs {module}, which is not installed",
            f"run `pip install 'avaffect[{extra}]'`",
        )


class TrainingError(AvaffectError):
    """Training that cannot go on, such as a loss that is no number."""


class RemoteError(AvaffectError):
    """An object store that does not give or take what it should."""


class OutputError(AvaffectError):
    """Results cannot be written."""


class DiskFullError(OutputError):
    """No space left on the disk."""


class BusyError(OutputError):
    """Another process is working there."""


def setting(name: str, values: Iterable[str]) -> str:
    """How a caller gives a setting one of some values, such as ``form="files" or form="mtl"``.

    All messages write settings as Python takes them; `cli.words` makes options of them.
    """
    return " or ".join(f'{name}="{value}"' for value in values)


def output_error(path: Path, error: OSError) -> OutputError:
    """The error to raise when writing ``path`` failed with ``error``."""
    if error.errno in _FULL:
        return DiskFullError(
            f"the disk is full while writing '{path}'",
            "free some space and run the same command again; what was finished is kept",
        )
    reason = error.strerror or str(error)
    if error.errno in _VANISHED:
        hint = "somebody has removed or replaced its folder: run the same command again"
    elif error.errno == errno.EFBIG:
        hint = "allow larger files (`ulimit -f unlimited`), or write to another disk"
    else:
        hint = "choose another output folder"
    return OutputError(f"cannot write '{path}' ({reason})", hint)


def explained(
    error: Exception,
    path: Path | str | None = None,
    kind: type[AvaffectError] = AvaffectError,
) -> AvaffectError | None:
    """What the system refused, as one of ours; None if ``error`` does not come from the system.

    A package that is not installed counts as refused.

    Args:
        error: what was raised.
        path: of the file that was read; None for the one that ``error`` names.
        kind: the class of error for a file that cannot be read.
    """
    if isinstance(error, ModuleNotFoundError):
        extra = extra_of(error.name or "")
        top = (error.name or "").partition(".")[0]
        return None if extra is None else MissingPackageError(top, extra)
    if isinstance(error, MemoryError) or _speaks_of_memory(error):
        what = "" if path is None else f" for '{path}'"
        if "cuda" in str(error).lower():
            hint = 'close other programs that use it, or set device="cpu"'
            return kind(f"there is not enough memory on the GPU{what}", hint)
        return kind(
            f"there is not enough memory{what}", "close other programs, or allow this one more"
        )
    if isinstance(error, UnicodeEncodeError):
        return UsageError(f"the name {error.object[:80]!a} is not UTF-8", "rename it")
    if not isinstance(error, OSError):
        return None
    done = "used" if path is None else "read"
    named = path if path is not None else error.filename
    file = os.fsdecode(named)[:200] if isinstance(named, str | bytes | os.PathLike) else ""
    if error.errno in _FULL:
        return output_error(Path(file or "what is printed"), error)
    if error.errno == errno.ENAMETOOLONG:
        return UsageError(f"the name '{file[:60]}...' is too long", "choose a shorter one")
    if error.errno in _FORBIDDEN:
        return kind(f"'{file}' cannot be {done} ({_reason(error)})", "check its permissions")
    if error.errno == errno.ENOENT and "temporary directory" in str(error):
        return AvaffectError(
            "there is no folder for temporary files that can be written",
            "set TMPDIR to one, or free some space",
        )
    # Libraries raise OSError without a number for what is in a file.
    if error.errno is None:
        return None
    return kind(f"'{file}' cannot be {done} ({_reason(error)})", "check the path")


def need(extra: str, *modules: str, purpose: str = "") -> None:
    """Raise MissingPackageError unless packages of an extra are installed.

    For what takes long before it comes to them, and for those that several extras bring.

    Args:
        extra: a key of `extras.EXTRAS`.
        modules: which of it; all without any.
        purpose: see `MissingPackageError`.
    """
    for module in modules or EXTRAS[extra].modules:
        if not is_installed(module):
            raise MissingPackageError(module, extra, purpose)


@contextmanager
def boundary() -> Iterator[None]:
    """Within, what the system refuses comes out as an `AvaffectError`; a decorator as well.

    What else is raised is a fault of avaffect's own, and comes out as it is.
    """
    try:
        yield
    except AvaffectError:
        raise
    except Exception as error:
        if (ours := explained(error)) is None:
            raise
        raise ours from error


def lacks_memory(error: BaseException | None) -> bool:
    """Whether ``error`` comes of too little memory, be it by way of others."""
    while error is not None:
        if isinstance(error, MemoryError):
            return True
        if isinstance(error, Exception) and _speaks_of_memory(error):
            return True
        error = error.__cause__
    return False


def _speaks_of_memory(error: Exception) -> bool:
    # These are all RuntimeErrors or errors of their library, which is not loaded here.
    text = str(error).lower() if not isinstance(error, OSError) else (error.strerror or "").lower()
    return any(word in text for word in _MEMORY_WORDS)


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
