"""Single pictures become predictions, a row a face.

A picture is no video of one frame: nobody is followed from one to the next, no resting face is
taken off, nothing is smoothed and nothing filled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from avaffect.arrays import ArrayRecord
from avaffect.config import PredictConfig
from avaffect.errors import AvaffectError, UsageError, boundary, need
from avaffect.faces.encoders import encoder_spec
from avaffect.faces.face import Face
from avaffect.faces.face_pose import SIZE as FACE_POSE_SIZE
from avaffect.faces.search import Search
from avaffect.faces.track import Tracker
from avaffect.files.npy import ArraySpec
from avaffect.media.still_picture import StillPicture, read_still, split_stills
from avaffect.models.device import choose_device
from avaffect.predicting.settings import parse_tasks, require_licences, with_features
from avaffect.predicting.sources import find_sources
from avaffect.predicting.still_face import StillFace
from avaffect.predictors.build import build_predictor
from avaffect.predictors.interface import Predictor, require_pictures
from avaffect.preprocessing.face_reader import FaceReader
from avaffect.preprocessing.names import relative_names
from avaffect.preprocessing.run import NetsLoader
from avaffect.progress import EventCallback, Notice, Progress, ignore_events

if TYPE_CHECKING:
    import pandas as pd

# Of a prediction's columns, those that a picture has none of.
_OF_VIDEO = ("frame", "time", "heard", "filled")


@dataclass(frozen=True, eq=False, repr=False)
class PictureResult(ArrayRecord):
    """The predictions for single pictures.

    Attributes:
        columns: by name, arrays [N], a row a face, or one without values for a picture without a
            face: ``picture`` (text, the file's name below the folder that was given), ``face``
            (1 the largest face, 2 the next ...; of equal ones the left one first; 0 nobody was
            found), ``faces`` (in this picture), ``width``, ``height`` (pixels of the upright
            picture), then those of `Prediction.columns` that do not need a video.
        pictures: how many were looked at.
        faces: how many faces were found.
        faceless: in how many pictures nobody was found.
        failed: by name of those that could not be read, why.
        notes: what a reader of the predictions must know.
        model: the model's name.
    """

    columns: Mapping[str, NDArray[Any]]
    pictures: int
    faces: int
    faceless: int
    failed: Mapping[str, AvaffectError]
    notes: tuple[str, ...]
    model: str

    def __repr__(self) -> str:
        return f"PictureResult({self.pictures} pictures, {self.faces} faces)"

    def __len__(self) -> int:
        """The number of rows."""
        return len(self.columns["picture"])

    def to_frame(self) -> pd.DataFrame:
        """``columns`` as a pandas DataFrame."""
        need("pandas")
        import pandas as pd

        return pd.DataFrame(dict(self.columns))


@boundary()
def predict_pictures(
    pictures: Path | str | Sequence[Path | str],
    task: str | Sequence[str] = "all",
    *,
    recursive: bool = False,
    model: str | None = None,
    config: PredictConfig | None = None,
    device: str = "auto",
    on_event: EventCallback = ignore_events,
) -> PictureResult:
    """Predict the faces in single pictures, each for itself.

    >>> result = predict_pictures("photos/", task="va,expr")  # doctest: +SKIP
    >>> result.to_frame()  # a row a face, as a pandas DataFrame  # doctest: +SKIP

    Args:
        pictures: a folder, a file, a glob, or several of them.
        task: see `predict`.
        recursive: search folders in folders too.
        model: a built-in model, ``starter-2`` by default.
        config: all settings; those of time and sound do not matter.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        on_event: progress in pictures, and notices.

    Returns:
        The rows. Pictures that cannot be read are in ``failed``; the others go on.

    Raises:
        UsageError: for a task, model or path that does not exist, no picture there, or a model
            that needs sequences.
        ModelError: if weights are not to be had or damaged.
    """
    given = [pictures] if isinstance(pictures, Path | str) else list(pictures)
    names = [str(each) for each in given]
    stills, _ = split_stills(find_sources(names, recursive, on_event))
    if not stills:
        raise UsageError(f"there are no pictures in {', '.join(names)}", "use predict for videos")
    config = replace(config or PredictConfig(), tasks=parse_tasks(task))
    if model is not None:
        config = replace(config, model=model)
    device = choose_device(device).name
    config = for_pictures(config)
    predictor = build_predictor(config, device)
    nets = NetsLoader(config.analysis, device)
    return judge_pictures(relative_names(stills, names), config, predictor, nets, on_event)


def for_pictures(config: PredictConfig) -> PredictConfig:
    """``config`` without sound, and with the encoders that its model reads.

    Raises:
        UsageError: a net that the settings exclude by its licence.
    """
    config = with_features(config)
    config = replace(config, analysis=replace(config.analysis, audio=None, voice=None))
    require_licences(config)
    return config


def judge_pictures(
    pictures: Mapping[Path, str],
    config: PredictConfig,
    predictor: Predictor,
    nets: NetsLoader,
    on_event: EventCallback = ignore_events,
) -> PictureResult:
    """See `predict_pictures`. Memory does not grow but by the rows, some 0.5 kB a face.

    Args:
        pictures: by file, its name in the table.
        config: see `for_pictures`.
        predictor: built for it.
        nets: loads the nets of ``config.analysis``.
        on_event: progress in pictures, and notices.

    Raises:
        UsageError: a model that needs sequences.
    """
    require_pictures(predictor)
    judge = _Judge(config, predictor, nets, on_event)
    rows = _Rows()
    failed: dict[str, AvaffectError] = {}
    faces = faceless = 0
    moving: list[str] = []
    crowded: list[str] = []
    for done, (path, raw) in enumerate(pictures.items(), start=1):
        # A name that is no Unicode is legal on disk but in no table.
        name = raw.encode(errors="surrogateescape").decode(errors="replace")
        try:
            still = read_still(path, config.analysis.media)
        except AvaffectError as error:
            failed[name] = error
        else:
            found, full = judge(still)
            rows.add(name, still, found)
            count = len(found) if found[0]["present"][0] else 0
            faces, faceless = faces + count, faceless + (not count)
            moving += [name] * still.moves
            crowded += [name] * full
            if still.damage is not None:
                on_event(Notice(f"'{name}' is damaged ({still.damage}): look at it", warning=True))
        on_event(Progress("pictures", done, len(pictures), "pictures", done == len(pictures)))
    if moving:
        on_event(Notice(f"{_some(moving)} hold several pictures: the first one counts"))
    if crowded:
        most = config.analysis.faces.max_faces
        text = f"{_some(crowded)} show more than {most} faces, of which the largest are judged"
        on_event(Notice(f"{text}: use max_faces=N for more", warning=True))
    seen = len(pictures) - len(failed)
    columns = rows.columns()
    return PictureResult(columns, seen, faces, faceless, failed, predictor.notes, predictor.name)


def _some(names: Sequence[str]) -> str:
    return f"{len(names)} files ('{names[0]}' ...)" if len(names) > 1 else f"'{names[0]}'"


class _Judge:
    """Finds the faces of a picture and predicts each."""

    def __init__(
        self,
        config: PredictConfig,
        predictor: Predictor,
        nets: NetsLoader,
        on_event: EventCallback,
    ) -> None:
        self._faces, self._tasks = config.analysis.faces, config.tasks
        self._predictor = predictor
        self._nets = nets(on_event)
        self._read = FaceReader(self._nets.encoders, self._nets.shapes)
        self._arrays = {"face_pose": ArraySpec((FACE_POSE_SIZE,), "float32")}
        for name in config.analysis.encoders:
            spec = encoder_spec(name)
            self._arrays[name] = ArraySpec((spec.size,), spec.dtype)

    def __call__(self, still: StillPicture) -> tuple[list[dict[str, NDArray[Any]]], bool]:
        """Columns of one row for each face, or for nobody; and whether some were left out."""
        nets, frame = self._nets, still.frame
        search = Search(nets.detector, nets.second)
        tracker = Tracker(nets.detector, nets.landmarker, self._faces, search)
        found = [tracked.face for tracked in tracker.update(frame)]
        found.sort(key=lambda face: (-_side(face), float(face.box[0])))
        if nets.aligner is not None:
            found = [replace(face, points=nets.aligner(frame.image, face.box)) for face in found]
        read = self._read([(frame, face) for face in found])
        subjects = [StillFace(face, self._arrays) for face in read or (None,)]
        rows = [self._predictor.predict(each, self._tasks).columns() for each in subjects]
        return rows, tracker.limits.crowded_s is not None


def _side(face: Face) -> float:
    return float(max(face.box[2] - face.box[0], face.box[3] - face.box[1]))


class _Rows:
    """Rows of the table; the values of each are one small array."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._numbers: list[tuple[int, ...]] = []
        self._texts: dict[str, list[str | None]] = {}
        self._values: list[NDArray[np.float32]] = []
        self._order: list[str] = []

    def add(self, name: str, still: StillPicture, found: list[dict[str, NDArray[Any]]]) -> None:
        """A picture's faces, in their order."""
        count = len(found) if found[0]["present"][0] else 0
        for number, columns in enumerate(found, start=min(count, 1)):
            self._order = [column for column in columns if column not in _OF_VIDEO]
            texts = {column for column in self._order if columns[column].dtype == object}
            self._names.append(name)
            self._numbers.append((number, count, still.width, still.height))
            for column in texts:
                self._texts.setdefault(column, []).append(columns[column][0])
            values = [columns[column][0] for column in self._order if column not in texts]
            self._values.append(np.array(values, np.float32))

    def columns(self) -> dict[str, NDArray[Any]]:
        """All, by name."""
        numbers = np.array(self._numbers, np.int64).reshape(-1, 4).T
        made: dict[str, NDArray[Any]] = {"picture": np.array(self._names, object)}
        made |= dict(zip(("face", "faces", "width", "height"), numbers, strict=True))
        values = iter(np.array(self._values, np.float32).T)
        for column in self._order:
            if column in self._texts:
                made[column] = np.array(self._texts[column], object)
            else:
                value = next(values)
                made[column] = value > 0 if column == "present" else value
        return made
