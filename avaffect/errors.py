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
    +- TrainingError              training that cannot go on, such as a loss that is no number
    +- OutputError                results cannot be written
    |  +- DiskFullError           no space left
    |  +- BusyError               another process is working there

Every message is one line: what is wrong, then what to do about it.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable
from pathlib import Path


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


class UsageError(AvaffectError):
    """Wrong use: bad option, path or name."""

    exit_code = 2


class UnknownNameError(UsageError):
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


class TrainingError(AvaffectError):
    """Training that cannot go on, such as a loss that is no number."""


class OutputError(AvaffectError):
    """Results cannot be written."""


class DiskFullError(OutputError):
    """No space left on the disk."""


class BusyError(OutputError):
    """Another process is working there."""


def output_error(path: Path, error: OSError) -> OutputError:
    """The error to raise when writing ``path`` failed with ``error``."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFullError(
            f"the disk is full while writing '{path}'",
            "free some space and run the same command again; what was finished is kept",
        )
    reason = error.strerror or str(error)
    return OutputError(f"cannot write '{path}' ({reason})", "choose another folder with -o")
