"""The aligned faces beside a preprocessed folder's feature store, as arrays of its subjects."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from avaffect.errors import FeatureError
from avaffect.features.pictures import FACES, HAS_FACE, LARGEST_SIDE, WithPictures
from avaffect.features.store import StoredSubject, SubjectFeatures
from avaffect.features.tensors import Array, ArraySpec
from avaffect.pipeline.folder import Folder


def with_pictures(folder: Folder, subjects: Sequence[StoredSubject]) -> list[WithPictures]:
    """The subjects of a folder with their pictures, as the arrays ``faces`` and ``has_face``.

    A frame whose picture was deleted counts as one without a face.

    Args:
        folder: what ``preprocess`` wrote.
        subjects: those stored in it.

    Raises:
        FeatureError: the pictures are not finished, or a subject's are gone.
    """
    record = folder.record()
    pictured = []
    for subject in subjects:
        found = WithPictures(subject, folder.crops(subject.name))
        gone = FACES not in found.specs
        if gone and not subject.present.any():
            side = int(record["configuration"]["faces"]["crop_size"])
            found = _Nobody(subject, folder.crops(subject.name), min(side, LARGEST_SIDE))
        elif gone or record.get("crops") is None:
            raise FeatureError(
                f"'{folder.root}' lacks pictures of the aligned faces",
                f"run `avaffect preprocess VIDEO -o {folder.root}` again, with the video",
            )
        pictured.append(found)
    return pictured


class _Nobody(WithPictures):
    """A subject who is in no frame of the video: that there are no pictures is right."""

    def __init__(self, subject: SubjectFeatures, folder: Path, side: int) -> None:
        super().__init__(subject, folder, side)
        self._shape = (side, side, 3)

    @property
    def specs(self) -> dict[str, ArraySpec]:
        pictures = {FACES: ArraySpec(self._shape, "uint8"), HAS_FACE: ArraySpec((), "bool")}
        return self._subject.specs | pictures

    def _slice(self, name: str, start: int, stop: int) -> Array:
        return self.specs[name].missing(stop - start)
