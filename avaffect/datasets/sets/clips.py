"""Public sets as a dataset: a clip a sample, with the labels that the set has.

Pictures of faces are read as they are given out, or aligned (``sets.aligned``); frames of videos
are aligned always. Videos and sounds have the features that ``preprocess`` made of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avaffect.challenge.places import joined
from avaffect.datasets.clip import Clip, Dataset, FeatureSource
from avaffect.datasets.feature_folders import find_stores
from avaffect.datasets.folds import make_folds
from avaffect.datasets.own_files import note
from avaffect.datasets.sets.aligned import aligned_of, place_of
from avaffect.datasets.sets.registry import named_data, set_named
from avaffect.datasets.sets.sample import Log, PublicSet, Sample
from avaffect.errors import FeatureError, UsageError, boundary
from avaffect.progress import EventCallback, Notice, Progress, ignore_events
from avaffect.store.pictures import PictureFiles, Pictures, open_features, side_of
from avaffect.tasks.registry import TASKS

HELD_OUT = 5  # one part in so many validates, of a set without an official part for it


class FramePictures(Pictures):
    """A clip whose frames are these pictures, in this order; None where no face was found."""

    def __init__(self, files: Sequence[Path | None], side: int | None = None) -> None:
        super().__init__(side)
        self.files = tuple(files)

    @property
    def frames(self) -> int:
        return len(self.files)

    @property
    def exist(self) -> bool:
        return any(file is not None for file in self.files)

    def _first(self) -> Path:
        return next(file for file in self.files if file is not None)

    def _files(self, start: int, stop: int) -> list[Path | None]:
        return list(self.files[start:stop])

    def _there(self, start: int, stop: int) -> NDArray[np.bool_]:
        return np.array([file is not None for file in self.files[start:stop]], bool)


@boundary()
def load_sets(
    sets: Sequence[str],
    features: Sequence[str] = (),
    *,
    side: int | None = None,
    on_event: EventCallback = ignore_events,
) -> Dataset:
    """One dataset out of several public sets.

    Labels that a set does not have are absent from its clips. Test parts are left alone. Of a set
    without an official validation part a fifth of the groups is held out, always the same.

    Args:
        sets: ``NAME=DIR``, each name once.
        features: ``NAME=DIR`` is of one set, ``DIR`` of all: the folder of aligned faces, or of
            videos and sounds what ``preprocess`` wrote.
        side: that pictures are brought to; None for that of the first one.
        on_event: progress, and a notice a set.

    Raises:
        UnknownNameError: there is no such set.
        UsageError: a set given twice, features of none of them, or too few groups.
        InputNotFoundError, FormatError: a set is not what it should be; names file and line.
        FeatureError: features that are missing or damaged.
    """
    named = [named_data(text) for text in sets]
    names = [name for name, _ in named]
    if twice := {name for name in names if names.count(name) > 1}:
        raise UsageError(f"the set '{min(twice)}' is given twice", "give each once")
    folders, general = _folders(features, names)
    parts: list[Dataset] = []
    for name, root in named:
        given = folders.get(name)
        part, side = _load(set_named(name), Path(root), given or general, side, on_event)
        if given is not None and not part.about["features"]:
            raise FeatureError(
                f"'{given}' holds no aligned faces of {set_named(name).title}",
                "give the folder that `avaffect data align` wrote for it, or leave it out",
            )
        parts.append(part)
    if general is not None and not any(
        part.about["features"] for part in parts if part.about["set"] not in folders
    ):
        raise FeatureError(
            f"'{general}' holds features of none of the sets", "leave it out, or name another"
        )
    return join(parts)


def join(parts: Sequence[Dataset]) -> Dataset:
    """Several datasets as one.

    Raises:
        UsageError: they have clips of one name, or other targets of the same task.
    """
    if len(parts) == 1:
        return parts[0]
    targets: dict[str, tuple[str, ...]] = {}
    for part in parts:
        for task, names in part.targets.items():
            if targets.setdefault(task, tuple(names)) != tuple(names):
                raise UsageError(
                    f"the data have different labels of '{task}': {', '.join(targets[task])} and "
                    f"{', '.join(names)}",
                    "train them apart, or choose another edition of the annotations",
                )
    return Dataset(
        tuple(clip for part in parts for clip in part.clips),
        {task: targets[task] for task in TASKS if task in targets},
        per_clip=all(part.per_clip for part in parts),
        about={"kind": "joined", "parts": [dict(part.about) for part in parts]},
        notes=tuple(line for part in parts for line in part.notes),
    )


def _folders(features: Sequence[str], names: Sequence[str]) -> tuple[dict[str, Path], Path | None]:
    """The folders of features that are named as a set's, and the one of all others."""
    found: dict[str, Path] = {}
    for text in features:
        name, _, folder = text.partition("=")
        if name in names and folder:
            found[name] = Path(folder)
    every = [text for text in features if text.partition("=")[0] not in names]
    if len(every) > 1:
        raise UsageError(
            f"'{every[0]}' and '{every[1]}' are features of the same sets",
            f"say of which, as {names[0]}=DIR",
        )
    return found, Path(every[0]) if every else None


def _load(
    entry: PublicSet,
    root: Path,
    features: Path | None,
    side: int | None,
    on_event: EventCallback,
) -> tuple[Dataset, int | None]:
    log = Log()
    samples = [*entry.read(root, log)]
    kept = [sample for sample in samples if sample.split != "test"]
    sources = _Sources(entry, root, features, side)
    clips, bare = [], []
    for done, sample in enumerate(kept, start=1):
        if (clip := sources.clip(sample)) is None:
            bare.append(sample.name)
        else:
            clips.append(clip)
        if done % 1000 == 0 or done == len(kept):
            on_event(Progress(entry.name, done, len(kept), "clips", done == len(kept)))
    if not clips:
        raise FeatureError(
            f"no sample of {entry.title} in '{root}' has features in '{features}'",
            sources.hint,
        )
    clips = _with_validation(clips)
    of = {split: sum(clip.split == split for clip in clips) for split in ("train", "val")}
    left = sum(log.left_out.values())
    on_event(
        Notice(
            f"{entry.title}: {of['train']:,} clips to train with, {of['val']:,} to validate"
            + (f", {len(samples) - len(kept):,} of the test part left alone" * (kept != samples))
            + (f", {left:,} left out (`avaffect data check {entry.name}=DIR`)" * bool(left))
        )
    )
    notes = tuple(note("{} of " + entry.title + " without features left out: {}", bare))
    for line in notes:
        on_event(Notice(line))
    tasks = {task for clip in clips for task in clip.labels}
    about = {
        "kind": "set",
        "set": entry.name,
        "root": str(root),
        "features": str(features) if sources.used else None,
        "left_out": dict(log.left_out),
    }
    dataset = Dataset(
        tuple(clips),
        {task: ours.targets for task, ours in TASKS.items() if task in tasks},
        per_clip=sources.per_clip,
        about=about,
        notes=notes,
    )
    return dataset, sources.side


class _Sources:
    """Opens the features of a set's samples, all pictures in one size.

    Attributes:
        side: of the pictures, once one was opened.
        per_clip: whether every sample so far has one label.
        hint: what to do where a sample has no features.
        used: whether the folder of features is read.
    """

    def __init__(
        self, entry: PublicSet, root: Path, features: Path | None, side: int | None
    ) -> None:
        self._entry, self._root, self.side = entry, root, side
        self.per_clip = True
        self._faces: Path | None = None
        self._stores: dict[str, Path] = {}
        self._taken: dict[str, str] = {}
        pictures = entry.kind in ("pictures", "frames")
        self.hint = (
            "align them first by `avaffect data align`, and give the folder that it wrote as "
            f'features="{entry.name}=DIR"'
            if pictures
            else "run `avaffect preprocess` on it (recursive=True), and give the folder that it "
            "wrote as features=..."
        )
        if pictures:
            if features is not None and aligned_of(features) == entry.name:
                self._faces = features
            self.used = self._faces is not None
        elif features is None:
            raise UsageError(f"{entry.title} holds {entry.kind}, which want features", self.hint)
        else:
            self._stores = find_stores(features)
            self.used = True

    def clip(self, sample: Sample) -> Clip | None:
        """The clip of a sample; None if it has no features."""
        source = self._open(sample)
        if source is None:
            return None
        labels, whole = _lasting(sample.labels, source.frames)
        self.per_clip &= whole
        name, group = f"{self._entry.name}_{sample.name}", f"{self._entry.name}_{sample.group}"
        return Clip(name, group, source, labels, sample.split)

    def _open(self, sample: Sample) -> FeatureSource | None:
        source: Pictures | Any
        if self._entry.kind in ("videos", "sounds"):
            name = self._store(sample)
            if name is None:
                return None
            source = open_features(self._stores[name], self.side)
        elif self._faces is None:
            if not sample.cut:
                raise UsageError(
                    f"the pictures of {self._entry.title} show more than the face", self.hint
                )
            source = PictureFiles(sample.files, self.side)
        else:
            places = [self._faces / place_of(file, self._root) for file in sample.files]
            source = FramePictures(
                [file if file.is_file() else None for file in places], self.side
            )
            if not source.exist:
                return None
        if self.side is None:
            self.side = side_of(source)
            if isinstance(source, PictureFiles | FramePictures):
                source._given = self.side
        return source

    def _store(self, sample: Sample) -> str | None:
        """The subject in the store: called as the file with the most folders that are known."""
        parts = sample.files[0].relative_to(self._root).with_suffix("").parts
        for start in range(len(parts)):
            name = joined(PurePath(*parts[start:]))
            if name not in self._stores:
                continue
            if self._taken.setdefault(name, sample.name) != sample.name:
                raise FeatureError(
                    f"'{self._stores[name]}' could be of both '{self._taken[name]}' and "
                    f"'{sample.name}'",
                    "preprocess all files of the set in one run, so that names have folders",
                )
            return name
        return None


def _lasting(
    labels: Mapping[str, NDArray[Any]], frames: int
) -> tuple[dict[str, NDArray[Any]], bool]:
    """Labels of ``frames`` frames, and whether they are one for the whole clip.

    Of more labels than frames the first ones count; frames without one have none.
    """
    whole = all(len(rows) == 1 for rows in labels.values())
    found: dict[str, NDArray[Any]] = {}
    for task, rows in labels.items():
        if whole:
            found[task] = np.repeat(rows, frames, axis=0)
            continue
        ours = TASKS[task]
        lasting = ours.no_labels(frames, len(ours.targets))
        count = min(frames, len(rows))
        lasting[:count] = rows[:count]
        found[task] = lasting
    return found, whole


def _with_validation(clips: list[Clip]) -> list[Clip]:
    """The same with a fifth of the groups as ``val``, if there is no such part and they are
    enough."""
    few = len({clip.group for clip in clips}) < HELD_OUT
    if few or any(clip.split == "val" for clip in clips):
        return [replace(clip, split=clip.split or "train") for clip in clips]
    held = make_folds(clips, HELD_OUT).held(0)
    return [replace(clip, split="val" if clip.name in held else "train") for clip in clips]
