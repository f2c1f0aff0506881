"""Locks: no two processes at work on the same thing.

A lock is the operating system's, on a file: it ends with the process that holds it, however that
ends, and a file that was left behind locks nothing.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from itertools import takewhile
from pathlib import Path

from filelock import FileLock, Timeout

from avaffect.errors import BusyError, output_error

LOCK = ".lock"
# Raised on file systems without locks, e.g. some network ones.
_NO_LOCKS = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}
# The folder may be removed by a process that is done with it, between being made and used.
_TRIES = 20
_PAUSE_S = 0.01


@contextmanager
def alone(file: Path, what: Path, *, wait: float = 0.0) -> Iterator[None]:
    """A block in which no other process, and no other block of this one, is at work on ``what``.

    Args:
        file: the lock's; it and its folders are made, and removed in the end, the folders if
            nothing came into them.
        what: what is worked on, for the message.
        wait: seconds to wait for another one to end; 0 refuses at once, below 0 is for ever.

    Raises:
        BusyError: another one is at work.
        OutputError: the file cannot be made.
    """
    lock = FileLock(file, timeout=wait)
    place = file.absolute().parent
    made = list(takewhile(lambda folder: not folder.exists(), file.absolute().parents))
    if not made and place.name.startswith("."):
        made = [place]  # a hidden one is avaffect's, left by a process that was killed
    held = _acquire(lock, file, what)
    try:
        yield
    finally:
        if held:
            # Before it is released: whoever waits for this very file finds it gone and begins
            # anew with another one.
            with suppress(OSError):
                file.unlink(missing_ok=True)
            lock.release()
        with suppress(OSError):  # something came into it
            for folder in made:
                folder.rmdir()


def alone_in(folder: Path, *, wait: float = 0.0) -> AbstractContextManager[None]:
    """:func:`alone` in a folder."""
    return alone(folder / LOCK, folder, wait=wait)


def _acquire(lock: FileLock, file: Path, what: Path) -> bool:
    """Take the lock; False where there are none."""
    tries = 0
    while True:
        tries += 1
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            lock.acquire()
            return True
        except Timeout as error:
            raise BusyError(
                f"another avaffect is working on '{what}'", "wait for it, or stop it with Ctrl-C"
            ) from error
        except (FileNotFoundError, FileExistsError) as error:
            if tries == _TRIES:
                raise output_error(file, error) from error
            time.sleep(_PAUSE_S)
        except OSError as error:
            if error.errno in _NO_LOCKS:
                return False
            raise output_error(file, error) from error
