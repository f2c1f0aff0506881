"""Where weights lie, and the check that every file passes before its use.

Packaged weights are installed with avaffect. All others are in the cache, which is
``$AVAFFECT_CACHE``, or else the user's cache folder (``~/.cache/avaffect`` on
Linux). It is flat: a file copied into it by hand under its name in the zoo is as good as a
fetched one.

Of a few files only the first digits of the SHA-256 are known, and those can be forged. The full
hash of such a file is recorded at its first use, as its seal (``files.seal``), and from then on no
other file is taken, whatever its first digits are.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from enum import StrEnum
from importlib import resources
from pathlib import Path

from platformdirs import user_cache_dir

from avaffect.errors import BusyError, DiskFullError, ModelDamagedError, OutputError
from avaffect.files.hashing import known_sha256
from avaffect.files.lock import alone
from avaffect.files.seal import read_seal, seal_of, write_seal
from avaffect.files.temporaries import remove_abandoned
from avaffect.models.zoo import ModelFile
from avaffect.progress import EventCallback, Notice, ignore_events

LOCKS = ".locks"
_FOR_EVER = -1.0
# How much of a hash a message shows.
_SHOWN = 12


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


def pinned_hash(model: ModelFile) -> str | None:
    """The SHA-256 that the file had at its first use, where the zoo does not know all of it."""
    return read_seal(cached_path(model)) if model.check.weak else None


def damage(model: ModelFile, path: Path) -> str:
    """What is wrong with the file at ``path`` as ``model``, one phrase; empty if it is right.

    A file is not read again by this process as long as its size, time and inode stay. What is
    loaded comes from `read`.

    Raises:
        FileNotFoundError, NotADirectoryError: there is no such file.
    """
    try:
        size = path.stat().st_size
        if not path.is_file():
            return "is not a file"
        if model.bytes is not None and size != model.bytes:
            return f"has {size} bytes instead of {model.bytes}"
        return _other_hash(model, known_sha256(path))
    except (FileNotFoundError, NotADirectoryError):
        raise
    except OSError as error:
        return f"cannot be read ({error.strerror or error})"


def _other_hash(model: ModelFile, digest: str) -> str:
    has = f"has the SHA-256 {digest[:_SHOWN]} instead of"
    if not digest.startswith(model.check.digest):
        return f"{has} {model.check.digest[:_SHOWN]}"
    pinned = pinned_hash(model)
    if pinned is not None and pinned != digest:
        seal = seal_of(cached_path(model))
        return f"{has} {pinned[:_SHOWN]}, which it had at its first use, as '{seal}' says"
    return ""


def read(model: ModelFile, path: Path) -> tuple[bytes, str]:
    """The content of ``path`` and its SHA-256, if it is ``model``.

    The bytes that are returned are those that were hashed: nobody can exchange the file between
    the check and its use.

    Raises:
        FileNotFoundError, NotADirectoryError: there is no such file.
        ModelDamagedError: it is not ``model``: what is wrong with it, one phrase.
    """
    try:
        path.stat()
        if not path.is_file():
            raise ModelDamagedError("is not a file")
        with path.open("rb") as file:
            data = file.read(model.most_bytes + 1)
    except (FileNotFoundError, NotADirectoryError):
        raise
    except OSError as error:
        raise ModelDamagedError(f"cannot be read ({error.strerror or error})") from error
    if len(data) > model.most_bytes:
        raise ModelDamagedError(f"has more than {model.most_bytes} bytes")
    if model.bytes is not None and len(data) != model.bytes:
        raise ModelDamagedError(f"has {len(data)} bytes instead of {model.bytes}")
    digest = hashlib.sha256(data).hexdigest()
    if problem := _other_hash(model, digest):
        raise ModelDamagedError(problem)
    return data, digest


def pin(model: ModelFile, digest: str, on_event: EventCallback = ignore_events) -> None:
    """Take no other file as ``model`` from now on, where the zoo does not know its full hash."""
    if not model.check.weak or pinned_hash(model) is not None:
        return
    path = cached_path(model)
    known = f"of the SHA-256 of model '{model.name}' only the first digits are known"
    try:
        write_seal(path, digest)
    except OutputError as error:
        on_event(Notice(f"{known}, and the whole cannot be recorded ({error.problem})", True))
    else:
        on_event(Notice(f"{known}; no other file than {digest} is taken from now on"))


def state(model: ModelFile) -> tuple[CacheState, str]:
    """What is here of ``model``, and what is wrong with it (empty if nothing is)."""
    try:
        problem = damage(model, place(model))
    except (FileNotFoundError, NotADirectoryError):
        return CacheState.ABSENT, ""
    if problem:
        return CacheState.DAMAGED, problem
    return (CacheState.CACHED if model.packaged is None else CacheState.PACKAGED), ""


def put(model: ModelFile, file: Path, on_event: EventCallback = ignore_events) -> Path:
    """Move ``file``, which lies on the cache's own disk, into the cache if it is right.

    What was there under its name is moved aside to ``<name>.damaged``.

    Raises:
        ModelDamagedError: ``file`` is not ``model``; it is deleted.
    """
    problem = damage(model, file)
    if problem:
        file.unlink(missing_ok=True)
        raise ModelDamagedError(f"the file {problem}")
    pin(model, known_sha256(file), on_event)
    path = cached_path(model)
    if path.exists():
        path.replace(path.with_name(f"{path.name}.damaged"))
    return file.replace(path)


def tidy() -> None:
    """Remove what killed processes left in the cache: copies, and locks that nobody holds."""
    folder = cache_folder()
    remove_abandoned(folder)
    with suppress(OSError):
        for lock in [*(folder / LOCKS).iterdir()]:
            with suppress(OutputError), alone(lock, folder):
                pass
        (folder / LOCKS).rmdir()


@contextmanager
def cache_access(model: ModelFile, on_event: EventCallback = ignore_events) -> Iterator[None]:
    """The right to write ``model`` to the cache, for one thread of one process at a time.

    Raises:
        OutputError: the cache cannot be written, by this function or within the block.
    """
    folder = cache_folder()
    tidy()
    lock = folder / LOCKS / model.file
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
