"""Aligned faces as an array of a clip, decoded from picture files when they are asked for.

``faces`` is uint8 [N, S, S, 3] RGB, zeros where there is no picture; its companion ``has_face``,
bool [N], is true where there is one. Pictures of other sizes are brought to S.
"""

from __future__ import annotations

import os
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from avaffect.errors import FeatureError, UnknownNameError, UsageError
from avaffect.files.names import CROPS, PROVENANCE
from avaffect.files.npy import Array, ArraySpec
from avaffect.files.outside import MOST_ROWS
from avaffect.files.picture_file import picture_size, read_picture
from avaffect.recipes.pictures import FACE_PICTURES
from avaffect.store.subject import SubjectFeatures

if TYPE_CHECKING:
    import pandas as pd

HAS_FACE = "has_face"
# Frames are numbered up to 9,999,999: a file name alone must not ask for gigabytes.
_NUMBERED = re.compile(r"(0{0,5}[0-9]{1,7})\.(?:jpg|jpeg|png)", re.ASCII | re.I)
# No encoder takes larger faces.
LARGEST_SIDE = 512


class Pictures(ABC):
    """Pictures as a ``datasets.clip.FeatureSource`` with the arrays ``faces`` and ``has_face``.

    Args:
        side: S; None takes the longer side of the first picture, 512 at most.
    """

    def __init__(self, side: int | None) -> None:
        self._given = side

    @property
    @abstractmethod
    def frames(self) -> int:
        """N, the number of frames."""

    @property
    @abstractmethod
    def exist(self) -> bool:
        """Whether there is a picture at all."""

    @abstractmethod
    def _first(self) -> Path:
        """The first of them."""

    @abstractmethod
    def _files(self, start: int, stop: int) -> list[Path | None]:
        """The picture of each frame, None where there is none."""

    @abstractmethod
    def _there(self, start: int, stop: int) -> NDArray[np.bool_]: ...

    @property
    def specs(self) -> dict[str, ArraySpec]:
        """``faces`` and ``has_face``; nothing if there is no picture.

        Raises:
            FeatureError: the first picture cannot be read.
        """
        return self._specs

    @cached_property
    def _specs(self) -> dict[str, ArraySpec]:
        if not self.exist:
            return {}
        side = self._given or min(max(picture_size(self._first())), LARGEST_SIDE)
        return _specs_of(side)

    def array(self, name: str, start: int = 0, stop: int | None = None) -> Array:
        """Rows ``start`` to ``stop`` (0-based, as Python slices); only these are decoded.

        Raises:
            UnknownNameError: there is no such array.
            FeatureError: a picture that cannot be decoded.
        """
        if name not in self.specs:
            raise UnknownNameError("array of pictures", name, (FACE_PICTURES, HAS_FACE))
        start, stop, _ = slice(start, stop).indices(self.frames)
        stop = max(start, stop)
        if name == HAS_FACE:
            return self._there(start, stop)
        spec = self.specs[FACE_PICTURES]
        faces = spec.missing(stop - start)
        for row, path in enumerate(self._files(start, stop)):
            if path is not None:
                faces[row] = read_picture(path, spec.shape[0])
        return faces


class PictureFiles(Pictures):
    """A clip whose frames are these files, in this order.

    Args:
        files: a picture a frame, at least one.
        side: see :class:`Pictures`.
    """

    def __init__(self, files: Sequence[Path], side: int | None = None) -> None:
        super().__init__(side)
        if not files:
            raise UsageError("no files")
        self.files = tuple(files)

    @property
    def frames(self) -> int:
        return len(self.files)

    @property
    def exist(self) -> bool:
        return True

    def _first(self) -> Path:
        return self.files[0]

    def _files(self, start: int, stop: int) -> list[Path | None]:
        return list(self.files[start:stop])

    def _there(self, start: int, stop: int) -> NDArray[np.bool_]:
        return np.ones(stop - start, bool)


class PictureFolder(Pictures):
    """A folder of pictures called by their frames' numbers, from ``00001.jpg`` on.

    As ``preprocess`` and the organisers of the challenge write them, a frame without a face has no
    picture. The folder is listed once, when that is first needed.

    Args:
        folder: the folder; it may be missing, and then there are no pictures.
        frames: N; None takes the last picture's number.
        side: see :class:`Pictures`.
    """

    def __init__(self, folder: Path, frames: int | None = None, side: int | None = None) -> None:
        super().__init__(side)
        self.folder = folder
        self._frames = frames

    @property
    def frames(self) -> int:
        return self.last if self._frames is None else self._frames

    @property
    def last(self) -> int:
        """The number of the last picture, 0 if there is none."""
        numbers, _ = self._listed
        return int(numbers[-1]) if len(numbers) else 0

    def lasting(self, frames: int) -> PictureFolder:
        """The same for ``frames`` frames, or more if there are pictures of later ones."""
        longer = copy(self)
        longer._frames = max(frames, self.last)
        return longer

    @cached_property
    def _listed(self) -> tuple[NDArray[np.int32], NDArray[np.bytes_]]:
        """The pictures' numbers, rising, and names; a dozen bytes a picture."""
        # By name: which of 00001.jpg and 00001.png counts must not depend on the file system.
        listed = np.array(sorted(name.encode() for name in self._names()), "S")
        numbers = np.array([int(name.partition(b".")[0]) for name in listed], np.int32)
        numbers, at = np.unique(numbers, return_index=True)
        return numbers, listed[at]

    def _names(self) -> Iterator[str]:
        """The names of its pictures, as they come."""
        try:
            with os.scandir(self.folder) as entries:
                for entry in entries:
                    if is_numbered(entry.name) and entry.is_file():
                        yield entry.name
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            raise FeatureError(f"'{self.folder}' cannot be read", "check the folder") from error

    @cached_property
    def exist(self) -> bool:
        return next(self._names(), None) is not None

    def _first(self) -> Path:
        _, names = self._listed
        return self.folder / names[0].decode()

    def _span(self, start: int, stop: int) -> slice:
        """Which of the listed pictures are of frames ``start`` to ``stop``."""
        numbers, _ = self._listed
        return slice(*np.searchsorted(numbers, (start + 1, stop + 1)))

    def _files(self, start: int, stop: int) -> list[Path | None]:
        numbers, names = self._listed
        span = self._span(start, stop)
        files: list[Path | None] = [None] * (stop - start)
        for number, name in zip(numbers[span].tolist(), names[span].tolist(), strict=True):
            files[number - 1 - start] = self.folder / name.decode()
        return files

    def _there(self, start: int, stop: int) -> NDArray[np.bool_]:
        there = np.zeros(stop - start, bool)
        there[self._listed[0][self._span(start, stop)] - 1 - start] = True
        return there


class WithPictures(SubjectFeatures):
    """A subject's features and its pictures, as one.

    ``chunks`` are those of the features alone: pictures are decoded only where ``array`` is asked
    for them. Of a subject who is in no frame there are no pictures, and that is right: all frames
    are then without a face.

    Args:
        subject: the features.
        folder: of its pictures, see :class:`PictureFolder`; it may be missing.
        side: see :class:`Pictures`.
    """

    def __init__(self, subject: SubjectFeatures, folder: Path, side: int | None = None) -> None:
        self._subject = subject
        self._given = side
        self._pictures = PictureFolder(folder, subject.frames, side)

    @property
    def name(self) -> str:
        return self._subject.name

    @property
    def frames(self) -> int:
        return self._subject.frames

    @property
    def times(self) -> NDArray[np.float64]:
        return self._subject.times

    @property
    def present(self) -> NDArray[np.bool_]:
        return self._subject.present

    @property
    def confidence(self) -> NDArray[np.float32]:
        return self._subject.confidence

    @property
    def geometry(self) -> NDArray[np.float32] | None:
        return self._subject.geometry

    @property
    def presence(self) -> NDArray[np.float32]:
        return self._subject.presence

    @property
    def seen(self) -> NDArray[np.float32]:
        return self._subject.seen

    @property
    def specs(self) -> dict[str, ArraySpec]:
        return self._subject.specs | (self._pictures.specs or self._nobody)

    @cached_property
    def _nobody(self) -> dict[str, ArraySpec]:
        """The arrays of a subject without pictures who is in no frame; else nothing."""
        faces = self.provenance.get("configuration", {}).get("faces", {})
        side = self._given or faces.get("crop_size")
        if side is None or self.present.any():
            return {}
        return _specs_of(min(side, LARGEST_SIDE))

    @property
    def provenance(self) -> Mapping[str, Any]:
        """What the features were made with; empty if they are not from a store."""
        return getattr(self._subject, "provenance", {})

    def table(self) -> pd.DataFrame:
        return self._subject.table()

    def chunks(self) -> Iterator[dict[str, Array]]:
        return self._subject.chunks()

    def array(self, name: str, start: int = 0, stop: int | None = None) -> Array:
        if name in (FACE_PICTURES, HAS_FACE):
            return super().array(name, start, stop)
        return self._subject.array(name, start, stop)

    def _slice(self, name: str, start: int, stop: int) -> Array:
        if not self._pictures.exist:
            return self.specs[name].missing(stop - start)
        return self._pictures.array(name, start, stop)


def _specs_of(side: int) -> dict[str, ArraySpec]:
    return {FACE_PICTURES: ArraySpec((side, side, 3), "uint8"), HAS_FACE: ArraySpec((), "bool")}


class HasSpecs(Protocol):
    """Anything with arrays."""

    @property
    def specs(self) -> dict[str, ArraySpec]:
        """The arrays there are, by name."""
        ...


def open_features(folder: Path, side: int | None = None) -> WithPictures | PictureFolder:
    """What is in a folder: a subject's features and pictures, or pictures alone.

    Args:
        folder: ``<video>/features/<subject>``, beside whose ``features`` the pictures lie in
            ``cropped_aligned/<subject>``; or a folder of pictures.
        side: see :class:`Pictures`.

    Raises:
        FeatureError: there is neither, or a store that is unfinished or damaged.
    """
    if not (folder / PROVENANCE).is_file():
        pictures = PictureFolder(folder, side=side)
        if pictures.exist:
            return pictures
    crops = folder.parent.parent / CROPS / folder.name
    return WithPictures(SubjectFeatures.open(folder, mapped=True), crops, side)


def side_of(features: HasSpecs) -> int | None:
    """S, None where there are no pictures."""
    spec = features.specs.get(FACE_PICTURES)
    return None if spec is None else spec.shape[0]


def is_numbered(name: str) -> bool:
    """Whether a file of that name should be the picture of a frame."""
    match = _NUMBERED.fullmatch(name)
    return match is not None and 0 < int(match[1]) <= MOST_ROWS
