"""Looks on while a file is read: what a reader must not do, and what it may take.

Python tells of each file, socket and program that it opens by its audit events; what a library
does by itself is not seen here but held by the limits of `media`'s processes.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from avaffect.errors import AvaffectError

# Seconds of processor time, not of the clock: the machine may be busy. Readers take milliseconds.
MOST_CPU_S = 60
# A table may have 1 GiB of values (`outside.MOST_VALUES_BYTES`), and be held twice for a moment.
MOST_BYTES = 3 << 30
_FORBIDDEN = ("socket.", "subprocess.", "os.system", "os.exec", "os.fork", "os.posix_spawn",
              "os.link", "os.symlink", "webbrowser.", "urllib.", "pickle.find_class")  # fmt: skip
# Asked now: within the hook it would wait for itself.
_TEMPORARY = str(Path(tempfile.gettempdir(), "avaffect"))
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_CHANGING = ("os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.chmod", "os.truncate")


class _Looking:
    """What is looked for now; there is one audit hook a process, and it stays."""

    inside: Path | None = None
    met: list[str]
    hooked = False


def _hook(event: str, given: tuple[Any, ...]) -> None:
    inside = _Looking.inside
    if inside is None:
        return
    if event == "open":
        path, mode, flags = given
        writes = any(letter in mode for letter in "wax+") if mode else flags & _WRITING
        if writes and not _allowed(path, inside):
            _Looking.met.append(f"writes {path!r}")
    elif event in _CHANGING:
        if not _allowed(given[0], inside):
            _Looking.met.append(f"{event} {given[0]!r}")
    elif event.startswith(_FORBIDDEN) and not _cached(event, given):
        _Looking.met.append(f"{event} {given!r}"[:200])


def _cached(event: str, given: tuple[Any, ...]) -> bool:
    """Whether numba reads its own cache of compiled functions, which librosa brings."""
    return event == "pickle.find_class" and "numba.core.caching" in sys.modules


def _allowed(path: object, inside: Path) -> bool:
    if not isinstance(path, str | bytes | os.PathLike):
        return True  # an open handle
    text = os.path.abspath(os.fsdecode(path))  # noqa: PTH100
    own = (str(inside), _TEMPORARY, os.devnull)
    return text.startswith(own) or "__pycache__" in text


@contextmanager
def watched(inside: Path, untrusted: bool = False) -> Iterator[None]:
    """A block that reads what is in the folder ``inside``: a result, or one line of an error.

    Args:
        inside: where files may be written.
        untrusted: the reader has a process of its own, which it starts.

    Raises:
        AssertionError: it wrote elsewhere, opened a socket, ran a program, unpickled, did not
            come to an end or took too much memory; or the error has several lines.
        Exception: what is no AvaffectError comes out.
    """
    if not _Looking.hooked:
        sys.addaudithook(_hook)
        _Looking.hooked = True
    _Looking.inside, _Looking.met = inside, []
    try:
        with _bounded():
            yield
    except AvaffectError as error:
        assert "\n" not in str(error)
        assert error.problem
    finally:
        _Looking.inside = None
    met = [each for each in _Looking.met if not (untrusted and each.startswith("subprocess"))]
    assert not met, met


@contextmanager
def _bounded() -> Iterator[None]:
    """A block within bounds of time and memory, where the system can tell (not on Windows)."""
    if os.name == "nt":
        yield
        return
    import resource

    def late(number: int, frame: object) -> None:
        raise AssertionError(f"more than {MOST_CPU_S} s of processor time")

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    old = signal.signal(signal.SIGPROF, late)
    signal.setitimer(signal.ITIMER_PROF, MOST_CPU_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, old)
    # macOS counts bytes, where others count KiB.
    unit = 1 if sys.platform == "darwin" else 1024
    more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * unit
    assert more < MOST_BYTES, f"{more / 1e9:.1f} GB"
