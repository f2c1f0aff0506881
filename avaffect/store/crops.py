"""The aligned faces beside a preprocessed folder's feature store, as arrays of its subjects."""

from __future__ import annotations

from collections.abc import Sequence

from avaffect.errors import FeatureError
from avaffect.store.folder import Folder
from avaffect.store.pictures import FACES, WithPictures
from avaffect.store.subject import StoredSubject


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
        nobody = not subject.present.any()
        if FACES not in found.specs or (record.get("crops") is None and not nobody):
            raise FeatureError(
                f"'{folder.root}' lacks pictures of the aligned faces",
                "preprocess the video again, into the same folder",
            )
        pictured.append(found)
    return pictured
