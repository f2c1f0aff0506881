"""Where weights lie, and the check that every file passes before its first use.

Packaged weights are installed with avaffect. All others are in the cache, which is
``$AVAFFECT_CACHE``, or else the user's cache folder (``~/.cache/avaffect`` on
Linux). It is flat: a file copied into it by hand under its name in the zoo is as good as a
fetched one.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from enum import StrEnum
from importlib import resources
from pathlib import Path

from platformdirs import user_cache_dir

from avaffect.errors import BusyError, DiskFullError, ModelDamagedError, OutputError
from avaffect.files.hashing import file_sha256
from avaffect.files.lock import alone
from avaffect.models.zoo import ModelFile
from avaffect.progress import EventCallback, Notice, ignore_events

_FOR_EVER = -1.0
# Files that passed, as (disk, inode, size, mtime in ns, digest): a process reads each once.
_passed: set[tuple[int, int, int, int, str]] = set()


class CacheState(StrEnum):
    """What is here of a model."""

    PACKAGED = "packaged"
    CACHED = "cached"
    DAMAGED = "damaged"
    ABSENT = "not here"


def cache_folder() -> Path:
    """The folder that weights are kept in; it need not exist."""
    chosen = os.environ.get("AVAFFECT_CACHE")
    return Path(chosen).expanduser().absolute() if chosen else Path(user_cache_dir("avaffect"))


def cached_path(model: ModelFile) -> Path:
    """Where the cache keeps ``model``, whether it is there or not."""
    return cache_folder() / model.file


def place(model: ModelFile) -> Path:
    """Where ``model`` lies, in the package or the cache, whether it is there or not."""
    if model.packaged is None:
        return cached_path(model)
    return Path(str(resources.files("avaffect.models").joinpath(model.packaged.member)))


def git_blob_sha1(path: Path) -> str:
    """What git calls the file: the SHA-1 of ``blob <length>``, a zero byte and the content."""
    with path.open("rb") as file:
        header = b"blob %d\0" % os.fstat(file.fileno()).st_size
        return hashlib.file_digest(
            file, lambda: hashlib.sha1(header, usedforsecurity=False)
        ).hexdigest()


_DIGESTS = {"sha256": file_sha256, "git-sha1": git_blob_sha1}


def damage(model: ModelFile, path: Path) -> str:
    """What is wrong with the file at ``path`` as ``model``, one phrase; empty if it is right.

    A file that passed is not read again by this process as long as its size, time and inode stay.

    Raises:
        FileNotFoundError, NotADirectoryError: there is no such file.
    """
    try:
        status = path.stat()
        file = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
        key = (*file, model.check.digest)
        if key in _passed:
            return ""
        if not path.is_file():
            return "is not a file"
        if model.bytes is not None and status.st_size != model.bytes:
            return f"has {status.st_size} bytes instead of {model.bytes}"
        found = _DIGESTS[model.check.kind](path)
    except (FileNotFoundError, NotADirectoryError):
        raise
    except OSError as error:
        return f"cannot be read ({error.strerror or error})"
    if not found.startswith(model.check.digest):
        return f"has the {model.check.kind} {found[:12]} instead of {model.check.digest[:12]}"
    _passed.add(key)
    return ""


def state(model: ModelFile) -> tuple[CacheState, str]:
    """What is here of ``model``, and what is wrong with it (empty if nothing is)."""
    try:
        problem = damage(model, place(model))
    except (FileNotFoundError, NotADirectoryError):
        return CacheState.ABSENT, ""
    if problem:
        return CacheState.DAMAGED, problem
    return (CacheState.CACHED if model.packaged is None else CacheState.PACKAGED), ""


def put(model: ModelFile, file: Path) -> Path:
    """Move ``file``, which lies on the cache's own disk, into the cache if it is right.

    What was there under its name is moved aside to ``<name>.damaged``.

    Raises:
        ModelDamagedError: ``file`` is not ``model``; it is deleted.
    """
    problem = damage(model, file)
    if problem:
        file.unlink(missing_ok=True)
        raise ModelDamagedError(f"the file {problem}")
    path = cached_path(model)
    if path.exists():
        path.replace(path.with_name(f"{path.name}.damaged"))
    return file.replace(path)


@contextmanager
def cache_access(model: ModelFile, on_event: EventCallback = ignore_events) -> Iterator[None]:
    """The right to write ``model`` to the cache, for one thread of one process at a time.

    Raises:
        OutputError: the cache cannot be written, by this function or within the block.
    """
    folder = cache_folder()
    lock = folder / ".locks" / model.file
    try:
        with ExitStack() as stack:
            try:
                stack.enter_context(alone(lock, folder))
            except BusyError:
                waiting = f"waiting for another process that is fetching model '{model.name}'"
                on_event(Notice(waiting))
                stack.enter_context(alone(lock, folder, wait=_FOR_EVER))
            yield
    except (OSError, OutputError) as failure:
        error = failure if isinstance(failure, OSError) else failure.__cause__
        if not isinstance(error, OSError):
            raise
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFullError(
                f"the disk is full while writing to the model cache '{folder}'",
                "free some space, or set AVAFFECT_CACHE to a folder on another disk",
            ) from error
        raise OutputError(
            f"cannot write to the model cache '{folder}' ({error.strerror or error})",
            "set AVAFFECT_CACHE to a folder that you can write to",
        ) from error
