"""What a reader of a public set gives: samples, what it left out, and what is wrong."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from avaffect.arrays import ArrayRecord
from avaffect.errors import FormatError, InputNotFoundError
from avaffect.files.outside import MOST_ROWS, lines, reading
from avaffect.labels import ACTION_UNITS, EXPRESSIONS

Kind = Literal["pictures", "frames", "videos", "sounds"]
LEFT_OUT = ""
"""What a label becomes that none of ours means."""
_LONGEST_LINE = 1 << 16
_MOST_FAULTS = 1000
_DEEPEST = 4
_PICTURES = (".jpg", ".png", ".jpeg", ".JPG", ".PNG", ".JPEG")
_POINTER = b"version https://git-lfs"
_POINTER_BYTES = 1024


@dataclass(frozen=True, eq=False, repr=False)
class Sample(ArrayRecord):
    """One thing that is labelled: a picture, the frames of a video, a video, or a sound.

    Attributes:
        name: unique in its set; what feature stores of it may be called too, see
            `stores.store_of`.
        files: the picture; a picture a labelled frame; or the video or sound.
        labels: by task, coded as in a ``datasets.clip.Clip``; a row for each of ``files`` of
            pictures, and of a video or sound a row a frame, or one row that holds for the whole.
        group: what folds must keep together: the person, as far as that is known.
        split: ``train``, ``val``, ``test``, or empty if the set has no official ones.
        cut: whether pictures show the face alone; others are aligned first.
        box: of a whole picture the face that is meant, left, top, width and height in pixels.
    """

    name: str
    files: tuple[Path, ...]
    labels: Mapping[str, NDArray[Any]]
    group: str
    split: str = ""
    cut: bool = True
    box: tuple[float, float, float, float] | None = None


class Log:
    """What a reader tells beside its samples.

    Args:
        strict: whether the first fault is raised; otherwise they are kept.

    Attributes:
        left_out: by reason, how many samples (of files of frames: frames) it did not take.
        faults: what is wrong, a line each, at most ``_MOST_FAULTS``.
    """

    def __init__(self, strict: bool = True) -> None:
        self.strict = strict
        self.left_out: Counter[str] = Counter()
        self.faults: list[str] = []

    def leave_out(self, why: str, count: int = 1) -> None:
        """Count what is not taken."""
        self.left_out[why] += count

    def wrong(self, problem: str, hint: str = "correct it, or fetch the set again") -> None:
        """Tell of a fault.

        Raises:
            FormatError: where the first fault ends all.
        """
        if self.strict or len(self.faults) >= _MOST_FAULTS:
            raise FormatError(problem, hint)
        self.faults.append(problem)


@dataclass(frozen=True)
class PublicSet:
    """A set of labelled faces or voices that others give out, and how it is read.

    Attributes:
        name: what it is called where it is asked for, as ``NAME=DIR``.
        title: its own name.
        kind: ``pictures`` (each for itself), ``frames`` (pictures of videos), ``videos`` or
            ``sounds``; features of the last two come from the feature store.
        layout: the files that are looked for, as the set is given out.
        source: who made it, and where its layout and labels are described.
        mapping: pairs of a label of theirs and what it becomes here; empty: it is left out.
        groups: who the subjects are.
        splits: its official splits.
        read: the samples under a folder; tells faults and what is left out to a `Log`.
    """

    name: str
    title: str
    kind: Kind
    layout: str
    source: str
    mapping: tuple[tuple[str, str], ...]
    groups: str
    splits: str
    read: Callable[[Path, Log], Iterator[Sample]] = field(repr=False)


def expression(name: str) -> NDArray[Any]:
    """An expression as labels of one row; ``Neutral`` ... or empty for none."""
    return np.array([EXPRESSIONS.index(name) if name else -1], np.int64)


def values(valence: float, arousal: float) -> NDArray[Any]:
    """Valence and arousal as labels of one row; NaN for none."""
    return np.array([[valence, arousal]], np.float32)


def no_units(rows: int) -> NDArray[np.int8]:
    """Labels of units, none of which is known."""
    return np.full((rows, len(ACTION_UNITS)), -1, np.int8)


def require_folder(root: Path, *parts: str) -> Path:
    """A folder of the layout.

    Raises:
        InputNotFoundError: it is not there.
    """
    folder = root.joinpath(*parts)
    if not folder.is_dir():
        raise InputNotFoundError(
            f"there is no folder '{folder}'",
            "give the folder of the set as it is given out: `avaffect data sets NAME` shows it",
        )
    return folder


def file_in(folder: Path, name: str) -> Path | None:
    """The file that a text of the set names in a folder; None if there is none.

    Names that lead out of the folder, or that no file can have, are those of no file.
    """
    if not name or ".." in PurePath(name).parts or PurePath(name).is_absolute():
        return None
    try:
        return path if (path := folder / name).is_file() else None
    except OSError:  # far too long
        return None


def below(root: Path, *names: str) -> Path:
    """``root``, or the folder of one of these names in it, which unpacking may have made; also
    one in another, as in ``aligned/aligned``."""
    for _ in range(_DEEPEST):
        root, before = next((root / name for name in names if (root / name).is_dir()), root), root
        if root == before:
            break
    return root


def picture_in(folder: Path, stem: str) -> Path | None:
    """The picture of this name without its ending; None if there is none, see `file_in`."""
    found = (file_in(folder, stem + ending) for ending in _PICTURES)
    return next((path for path in found if path is not None), None)


def comes_again(name: str, path: Path, seen: dict[str, Path], log: Log) -> bool:
    """Whether ``name`` was ``seen``; the first file of a name is kept.

    Archives hold some sets twice: a copy is left out. Two files of one name that differ in size
    are a fault.
    """
    first = seen.setdefault(name, path)
    if first is path:
        return False
    if first.stat().st_size == path.stat().st_size:
        log.leave_out("there twice: one copy is taken")
    else:
        log.wrong(f"'{path}' is there twice, see '{first}'", "keep one of them")
    return True


def require_fetched(path: Path) -> None:
    """Refuse what a clone without Git LFS has in place of a file.

    Raises:
        FormatError: it is such a pointer.
    """
    if 0 < path.stat().st_size <= _POINTER_BYTES:
        with path.open("rb") as file:
            if file.read(len(_POINTER)) == _POINTER:
                raise FormatError(
                    f"'{path}' is a pointer of Git LFS, not the file itself",
                    "run `git lfs pull` in the folder of the set",
                )


def text_lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a text file that hold anything, with their numbers, from 1 on.

    Bounds: `outside.MOST_ROWS` lines of ``_LONGEST_LINE`` bytes.

    Raises:
        InputNotFoundError: there is no such file.
        FormatError: it is no UTF-8 text, or too long.
    """
    with reading(path, FormatError, "cannot be read", "fetch it again"), path.open("rb") as file:
        for number, line in enumerate(lines(file, _LONGEST_LINE), start=1):
            text = line.decode("utf-8-sig" if number == 1 else "utf-8").strip()
            if text:
                yield number, text


def files_under(folder: Path, endings: Iterable[str]) -> Iterator[Path]:
    """The files below ``folder`` with such endings (small letters), sorted within each folder;
    hidden ones are left out.

    Raises:
        FormatError: there are more than `outside.MOST_ROWS`.
    """
    wanted, count = tuple(endings), 0
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if name.startswith(".") or not name.lower().endswith(wanted):
                continue
            count += 1
            if count > MOST_ROWS:
                raise FormatError(f"'{folder}' holds more than {MOST_ROWS:,} files", "split it")
            yield Path(parent, name)
