"""The files beside the annotations of a data set: videos, crops, features.

Each function looks at one of them, gives the frames that it found, what it counted, and tells
``warn`` what should be looked at.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from avaffect.challenge.layout import source_video
from avaffect.datasets.affwild import some
from avaffect.datasets.feature_folders import find_stores, store_for
from avaffect.errors import FeatureError, InputNotFoundError, MediaError
from avaffect.files.names import CROPS
from avaffect.media.inputs import expand_inputs
from avaffect.media.probe import probe
from avaffect.progress import EventCallback, Progress
from avaffect.store.pictures import PictureFolder, open_features

Warn = Callable[[str], None]
WORST = 5
_IMAGE = re.compile(r"([0-9]{1,9})\.(?:jpg|jpeg|png)", re.ASCII | re.I)
_WHOLE = 1e-3


@dataclass(frozen=True)
class VideoCheck:
    """The videos.

    Attributes:
        folder: where they are.
        videos: how many could be read.
        unreadable: which could not, and why.
        fps: lowest and highest frame rate in the headers, Hz.
        not_whole: videos whose frame rate is no whole number.
        seconds: shortest, longest, and all together.
        missing: annotated videos that are not there.
        unannotated: videos without annotation.
    """

    folder: str
    videos: int
    unreadable: tuple[str, ...]
    fps: tuple[float, float] | None
    not_whole: int
    seconds: tuple[float, float, float] | None
    missing: tuple[str, ...]
    unannotated: tuple[str, ...]


@dataclass(frozen=True)
class CropCheck:
    """The aligned pictures; gaps are where no face was found.

    Attributes:
        folder: where they are.
        tracks: annotated subjects with pictures.
        without: annotated subjects without.
        images: pictures in the labelled range.
        gaps: labelled frames without picture.
        worst: the subjects with the most gaps: name, gaps, frames.
        odd: files that are no numbered pictures, or pictures of a frame that has one already.
    """

    folder: str
    tracks: int
    without: tuple[str, ...]
    images: int
    gaps: int
    worst: tuple[tuple[str, int, int], ...]
    odd: int


@dataclass(frozen=True)
class FeatureCheck:
    """The feature stores.

    Attributes:
        folder: where they are.
        found: annotated subjects with whole features.
        missing: annotated subjects without.
        damaged: annotated subjects whose features are unfinished or damaged.
        stand_ins: annotated subjects that get the features of their video's only person.
        unfinished: videos in whose midst preprocessing was interrupted.
        unused: stored subjects that are not annotated.
        arrays: by names of arrays, how many subjects have exactly these.
    """

    folder: str
    found: int
    missing: tuple[str, ...]
    damaged: tuple[str, ...]
    stand_ins: tuple[str, ...]
    unfinished: tuple[str, ...]
    unused: tuple[str, ...]
    arrays: Mapping[str, int]


def check_features(
    folder: Path, annotated: Collection[str], warn: Warn, on_event: EventCallback
) -> tuple[dict[str, int], FeatureCheck]:
    """Look at the feature stores in ``folder``.

    Returns:
        the frames of each annotated subject with features (of pictures alone, nobody knows), and
        what was found.

    Raises:
        InputNotFoundError: there is no such folder.
        FeatureError: there is no store, or a subject has two.
    """
    stores = find_stores(folder)
    frames: dict[str, int] = {}
    used, missing, damaged, stand_ins = set(), [], [], []
    arrays: Counter[str] = Counter()
    for at, subject in enumerate(sorted(annotated)):
        on_event(Progress("features", at, len(annotated), "subjects"))
        name = store_for(subject, stores, annotated)
        if name is None:
            missing.append(subject)
            continue
        used.add(name)
        try:
            found = open_features(stores[name])
            arrays[", ".join(sorted(found.specs))] += 1
        except FeatureError:
            damaged.append(subject)
            continue
        if not isinstance(found, PictureFolder):
            frames[subject] = found.frames
        if name != subject:
            stand_ins.append(subject)
    on_event(Progress("features", len(annotated), len(annotated), "subjects", finished=True))
    for what, names in (("no features", missing), ("damaged features", damaged)):
        if names:
            warn(f"{len(names)} of {len(annotated)} subjects have {what}: {some(names)}")
    if len(arrays) > 1:
        warn(
            "not all subjects have the same features; preprocess them alike: "
            + "; ".join(f"{count} have {names or 'none'}" for names, count in arrays.items())
        )
    return frames, FeatureCheck(
        str(folder),
        arrays.total(),
        tuple(missing),
        tuple(damaged),
        tuple(stand_ins),
        tuple(sorted(path.parent.name for path in folder.glob("*/.work"))),
        tuple(sorted(stores.keys() - used)),
        dict(arrays),
    )


def check_videos(
    root: Path, annotated: Collection[str], warn: Warn, on_event: EventCallback
) -> tuple[dict[str, int], VideoCheck | None]:
    """Look at the headers of the videos in ``root/videos`` and the folders in it.

    Returns:
        the frames of each annotated subject as the header of its video has them, and what was
        found; nothing if there is no such folder.
    """
    folder = _child(root, "videos")
    if folder is None:
        return {}, None
    try:
        paths = expand_inputs([str(folder)], recursive=True)
    except InputNotFoundError:
        paths = []
    by_name: dict[str, Path] = {}
    for path in paths:
        if by_name.setdefault(path.stem, path) != path:
            warn(f"two videos are called '{path.stem}': '{by_name[path.stem]}' and '{path}'")
    infos, unreadable = {}, []
    for at, (name, path) in enumerate(by_name.items()):
        on_event(Progress("videos", at, len(by_name), "videos"))
        try:
            infos[name] = probe(path)
        except MediaError as error:
            unreadable.append(error.problem)
    on_event(Progress("videos", len(by_name), len(by_name), "videos", finished=True))
    if unreadable:
        warn(f"{len(unreadable)} videos cannot be read: {some(unreadable)}")
    video_of = {
        name: name if name in by_name else source_video(name) for name in sorted(annotated)
    }
    missing = sorted({video for video in video_of.values() if video not in by_name})
    if missing:
        warn(f"{len(missing)} annotated videos are missing: {some(missing)}")
    rates = [info.video.fps for info in infos.values() if info.video.fps]
    lengths = [info.duration_s for info in infos.values() if info.duration_s]
    hints = {video: info.frames_hint for video, info in infos.items()}
    frames = {name: hint for name, video in video_of.items() if (hint := hints.get(video))}
    return frames, VideoCheck(
        str(folder),
        len(infos),
        tuple(unreadable),
        (min(rates), max(rates)) if rates else None,
        sum(abs(rate - round(rate)) > _WHOLE for rate in rates),
        (min(lengths), max(lengths), sum(lengths)) if lengths else None,
        tuple(missing),
        tuple(sorted(by_name.keys() - set(video_of.values()))),
    )


def check_crops(
    root: Path,
    annotated: Collection[str],
    labelled: Mapping[str, int],
    warn: Warn,
    on_event: EventCallback,
) -> CropCheck | None:
    """Look at the pictures in ``root/cropped_aligned/<subject>``.

    Args:
        labelled: how many frames of a subject are labelled, from the first on; gaps are counted
            only where this is known.

    Returns:
        None if there is no such folder.
    """
    folder = _child(root, CROPS)
    if folder is None:
        return None
    without, gaps, images, odd = [], [], 0, 0
    for at, subject in enumerate(sorted(annotated)):
        on_event(Progress("crops", at, len(annotated), "subjects"))
        numbers, strange = _images(folder / subject)
        odd += strange
        if not numbers:
            without.append(subject)
        elif subject in labelled:
            last = labelled[subject]
            there = sum(1 <= number <= last for number in numbers)
            images += there
            gaps.append((subject, last - there, last))
    on_event(Progress("crops", len(annotated), len(annotated), "subjects", finished=True))
    if without:
        warn(f"{len(without)} subjects have no crops: {some(without)}")
    gaps.sort(key=lambda gap: (-gap[1], gap[0]))
    return CropCheck(
        str(folder),
        len(annotated) - len(without),
        tuple(without),
        images,
        sum(missing for _, missing, _ in gaps),
        tuple(gap for gap in gaps[:WORST] if gap[1]),
        odd,
    )


def _child(root: Path, name: str) -> Path | None:
    """The folder in ``root`` of this name, whatever its case."""
    return next((child for child in sorted(root.iterdir()) if child.name.lower() == name), None)


def _images(folder: Path) -> tuple[set[int], int]:
    """The numbers of the pictures in a folder, and how many other files there are."""
    numbers: set[int] = set()
    odd = 0
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                match = _IMAGE.fullmatch(entry.name)
                if match is None or int(match[1]) in numbers:
                    odd += not entry.name.startswith(".")
                else:
                    numbers.add(int(match[1]))
    except OSError:
        return set(), 0
    return numbers, odd
