"""Data sets in the layout of Aff-Wild2: the challenge's annotations, and features of its videos.

The features are what ``preprocess`` has written of ``ROOT/videos``. They stay on
disk; only labels are held in memory.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avaffect.challenge.editions import DEFAULT_EDITION, TRACKS, Edition, edition_named
from avaffect.challenge.layout import annotation_files, mtl_files, source_video
from avaffect.challenge.mtl import MtlSubject, read_mtl
from avaffect.challenge.text import read_annotations
from avaffect.datasets.clip import Clip, Dataset
from avaffect.datasets.feature_folders import PREPROCESS, FeatureFolders, Features, find_stores
from avaffect.errors import FeatureError, UsageError, boundary
from avaffect.labels import SPLITS
from avaffect.progress import EventCallback, Notice, Progress, ignore_events
from avaffect.store.pictures import PictureFolder, side_of
from avaffect.tasks.registry import TASKS

Labels = NDArray[Any]
ARTIFICIAL = "this set is ARTIFICIAL (made by `avaffect data synth`): for tests and demonstrations"
_MTL_EDITION = "abaw7"
_NAMED = 10


def is_artificial(root: Path) -> bool:
    """Whether ``avaffect data synth`` has made the set that ``root`` is, or is a part of."""
    here = Path(root).absolute()
    return any((place / "synthetic.json").is_file() for place in (here, *here.parents[:2]))


def coded(rows: Labels, task: str) -> Labels:
    """Labels of a challenge file as a `Clip` holds them.

    Args:
        rows: as `read_annotations` gives them.
        task: ``va``, ``expr`` or ``au``.

    Returns:
        va: float32 [N, 2], NaN in both where one is -5; expr: int64 [N]; au: int8 [N, K].
    """
    return TASKS[task].from_rows(rows)


def fitted(labels: Labels, frames: int) -> Labels:
    """``labels`` with a row for each of ``frames`` frames: cut, or continued as invalid."""
    labels = labels[:frames]
    out = _invalid(labels, frames)
    out[: len(labels)] = labels
    return out


def far_off(rows: int, frames: int) -> bool:
    """Whether there are so many more or fewer label rows than frames that something is wrong."""
    return abs(rows - frames) > max(2.0, 0.01 * frames)


def targets_of(edition: Edition, tasks: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """The targets of each task, see `Dataset`."""
    return {task: edition.targets(task) for task in tasks}


def one_split(splits: Iterable[str]) -> str:
    """The split of a subject that is in different ones for different tasks.

    What is validated or tested on for one task is never trained on for another.
    """
    return max(splits, key=SPLITS.index)


@boundary()
def load_affwild(
    root: Path,
    features: Path | Callable[[], FeatureFolders],
    tasks: Sequence[str],
    edition: str = DEFAULT_EDITION,
    on_event: EventCallback = ignore_events,
) -> Dataset:
    """A data set in the layout of Aff-Wild2.

    Row *i* of a label file is frame *i*. Rows behind the last frame are dropped; frames without a
    row are invalid. Annotated subjects without features are left out. All this is counted in the
    notes of the data set, which ``on_event`` gets too. Of pictures alone nobody knows how many
    frames the video has: there are as many as rows, or as the last picture's number tells; of own
    tables alone as many as the longest has rows.

    Args:
        root: the data set, or its annotations; see `challenge.layout.annotation_files`.
        features: the output folder of ``avaffect preprocess``, see `feature_folders.find_stores`;
            or what finds them, called when the annotations are known.
        tasks: some of ``va``, ``expr`` and ``au``.
        edition: an edition of ``challenge.editions``, which fixes what the label files hold.
        on_event: progress and notices.

    Returns:
        clips by name; a clip's group is its video, its split the folder of its labels. A subject
        that is in different splits for different tasks is in the later of train, val and test,
        without the labels of the others.

    Raises:
        InputNotFoundError: no annotations, or no features folder.
        UsageError: not clear which annotations are meant, or no task.
        FormatError: a line in a label file that does not fit; the message names file and line.
        FeatureError: no annotated subject has features.
    """
    whole = edition_named(edition)
    tasks = tuple(dict.fromkeys(tasks))
    if not tasks:
        raise UsageError("no task is given", f"choose some of {', '.join(TASKS)}")
    files: dict[str, dict[str, tuple[str, Path]]] = {}
    for task in tasks:
        for split, found in annotation_files(root, task, edition).items():
            for subject, path in found.items():
                files.setdefault(subject, {})[task] = split, path
    splits = {name: one_split(split for split, _ in of.values()) for name, of in files.items()}
    loader = _Loader(splits, features, on_event)

    def labels(subject: str, features: Features) -> tuple[Features, dict[str, Labels]]:
        rows = {}
        for task, (split, path) in files[subject].items():
            if split != splits[subject]:
                loader.conflicts[f"{task}, {split}"] += 1
                continue
            rows[task] = read_annotations(path, task, edition)
        if isinstance(features, PictureFolder):
            features = features.lasting(max(map(len, rows.values())))
        for task, found in rows.items():
            loader.count_rows(str(files[subject][task][1]), len(found), features.frames)
        return features, {
            task: fitted(coded(found, task), features.frames) for task, found in rows.items()
        }

    about = {"layout": "affwild2", "tasks": list(tasks), "edition": edition}
    return loader.load(labels, targets_of(whole, tasks), about, root)


def load_mtl(
    root: Path,
    features: Path | Callable[[], FeatureFolders],
    on_event: EventCallback = ignore_events,
) -> Dataset:
    """A data set of the multi-task track: all three tasks on the frames that are listed.

    The other frames are invalid. Of pictures alone the last one is the last frame. For the
    arguments, what is returned and what is raised see `load_affwild`; the annotations are those of
    `challenge.layout.mtl_files`.
    """
    subjects: dict[str, MtlSubject] = {}
    splits: dict[str, str] = {}
    for split, path in mtl_files(root).items():
        for subject, listed in read_mtl(path).items():
            if subject in subjects:
                raise UsageError(
                    f"'{subject}' is listed for both {splits[subject]} and {split} ('{path}')",
                    "a subject belongs to one split: take it out of one of the files",
                )
            subjects[subject], splits[subject] = listed, split
    loader = _Loader(splits, features, on_event)

    def labels(subject: str, features: Features) -> tuple[Features, dict[str, Labels]]:
        listed = subjects[subject]
        there = listed.frames <= features.frames
        loader.beyond += int((~there).sum())
        found = {}
        for task in TRACKS:
            values = coded(getattr(listed, task), task)[there]
            found[task] = _invalid(values, features.frames)
            found[task][listed.frames[there] - 1] = values
        return features, found

    about = {"layout": "mtl", "tasks": list(TRACKS), "edition": _MTL_EDITION}
    return loader.load(labels, targets_of(edition_named(_MTL_EDITION), TRACKS), about, root)


class _Loader:
    """Brings annotated subjects and features together, and keeps count of what does not fit.

    Args:
        splits: the split of each annotated subject.
        features: see `load_affwild`.
        on_event: progress and notices.
    """

    def __init__(
        self,
        splits: Mapping[str, str],
        features: Path | Callable[[], FeatureFolders],
        on_event: EventCallback,
    ) -> None:
        self.conflicts: Counter[str] = Counter()
        self.beyond = 0
        self._splits = splits
        if isinstance(features, Path):
            self._folders = FeatureFolders(str(features), find_stores(features))
        else:
            self._folders = features()
        self._on_event = on_event
        self._rows: Counter[int] = Counter()
        self._notes: list[str] = []

    def count_rows(self, name: str, rows: int, frames: int) -> None:
        """Take down how many label rows there are for how many frames."""
        self._rows[rows - frames] += 1
        if far_off(rows, frames):
            self._note(
                f"'{name}' has {rows} rows for {frames} frames: is it of this video?", loud=True
            )

    def load(
        self,
        labels: Callable[[str, Features], tuple[Features, dict[str, Labels]]],
        targets: Mapping[str, tuple[str, ...]],
        about: Mapping[str, Any],
        root: Path,
    ) -> Dataset:
        """The data set; ``labels`` gives a subject's labels for the frames of its features."""
        clips: list[Clip] = []
        missing: list[str] = []
        damaged: list[str] = []
        side: int | None = None
        for at, subject in enumerate(sorted(self._splits)):
            self._on_event(Progress("labels", at, len(self._splits), "subjects"))
            try:
                features = self._folders.open(subject, self._splits, side)
            except FeatureError:
                damaged.append(subject)
                continue
            if features is None:
                missing.append(subject)
                continue
            side = side or side_of(features)
            features, found = labels(subject, features)
            split = self._splits[subject]
            clips.append(Clip(subject, source_video(subject), features, found, split))
        total = len(self._splits)
        self._on_event(Progress("labels", total, total, "subjects", finished=True))
        if not clips:
            raise FeatureError(
                f"none of the {total} annotated subjects has features in '{self._folders.where}'",
                PREPROCESS,
            )
        if is_artificial(root):
            self._note(ARTIFICIAL, loud=True)
        self._tell(clips, missing, damaged)
        tables = self._folders.tables
        return Dataset(
            tuple(clips),
            targets,
            about={
                **about,
                "root": str(root),
                "features": self._folders.where,
                **({} if tables is None else {"own_tables": tables.about}),
                "left_out": [*missing, *damaged],
                "fingerprint": _fingerprint(clips),
            },
            notes=tuple(self._notes),
        )

    def _tell(
        self,
        clips: Sequence[Clip],
        missing: Sequence[str],
        damaged: Sequence[str],
    ) -> None:
        stand_ins = self._folders.stand_ins
        longer = {by: count for by, count in sorted(self._rows.items()) if by > 0}
        shorter = {by: count for by, count in sorted(self._rows.items()) if by < 0}
        files = self._rows.total()
        if longer:
            self._note(
                f"{sum(longer.values())} of {files} label files have more rows than there are "
                f"frames ({_histogram(longer)}): the rows behind the last frame are dropped"
            )
        if shorter:
            self._note(
                f"{sum(shorter.values())} of {files} label files have fewer rows than there are "
                f"frames ({_histogram(shorter)}): frames without a row are invalid"
            )
        if self.beyond:
            self._note(f"{self.beyond} listed images are behind the last frame and are dropped")
        if stand_ins:
            self._note(
                f"{len(stand_ins)} subjects have no features under their own name and get those "
                f"of the only person of their video: {some(stand_ins)}"
            )
        for text in [] if self._folders.tables is None else self._folders.tables.told():
            self._note(text)
        for what, names in (("no features", missing), ("unfinished or damaged features", damaged)):
            if names:
                self._note(
                    f"{len(names)} of {len(self._splits)} annotated subjects have {what} and are "
                    f"left out: {some(names)}",
                    loud=True,
                )
        for where, count in self.conflicts.items():
            self._note(
                f"{count} subjects are in a later split for another task: their labels for "
                f"{where} are left out",
                loud=True,
            )
        leaks = leaking({clip.name: clip.split for clip in clips})
        if leaks:
            self._note(
                f"videos with subjects in train and in another split: {some(leaks)}", loud=True
            )

    def _note(self, text: str, loud: bool = False) -> None:
        self._notes.append(f"warning: {text}" if loud else text)
        self._on_event(Notice(text, warning=loud))


def leaking(splits: Mapping[str, str]) -> list[str]:
    """The videos with subjects both in train and elsewhere, sorted.

    Args:
        splits: the split of each subject.
    """
    of: dict[str, set[str]] = {}
    for subject, split in splits.items():
        of.setdefault(source_video(subject), set()).add(split)
    return sorted(video for video, found in of.items() if "train" in found and len(found) > 1)


def some(names: Sequence[str]) -> str:
    """The first few of many names."""
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _invalid(like: Labels, frames: int) -> Labels:
    """Labels of ``frames`` frames that are all invalid."""
    nothing = np.nan if like.dtype.kind == "f" else -1
    return np.full((frames, *like.shape[1:]), nothing, like.dtype)


def _histogram(counts: Mapping[int, int]) -> str:
    return ", ".join(f"{by:+d}: {count}" for by, count in counts.items())


def _fingerprint(clips: Sequence[Clip]) -> str:
    """SHA-256 of all the clips' labels, 64 hexadecimal digits."""
    digest = hashlib.sha256()
    for clip in clips:
        digest.update(repr((clip.name, clip.split, clip.frames)).encode(errors="replace"))
        for task, labels in sorted(clip.labels.items()):
            digest.update(task.encode() + labels.tobytes())
    return digest.hexdigest()
