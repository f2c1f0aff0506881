"""Whether a data set in the layout of Aff-Wild2 is whole, and what is odd about it.

Nothing is raised for what is wrong with the data: all of it is collected in a `Report`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avaffect.challenge.editions import DEFAULT_EDITION, EDITIONS, TRACKS, edition_named
from avaffect.challenge.layout import annotation_files, mtl_files, source_video, split_folders
from avaffect.challenge.mtl import read_mtl
from avaffect.challenge.text import read_annotations
from avaffect.datasets.affwild import ARTIFICIAL, coded, far_off, is_artificial, leaking, some
from avaffect.datasets.clip import is_valid
from avaffect.datasets.inventory import (
    WORST,
    FeatureCheck,
    check_crops,
    check_features,
    check_videos,
)
from avaffect.datasets.report import BINS, Part, Report, RowCheck
from avaffect.errors import (
    AvaffectError,
    FormatError,
    InputNotFoundError,
    UnknownNameError,
    boundary,
    setting,
)
from avaffect.progress import EventCallback, Progress, ignore_events
from avaffect.tasks.kinds import Values
from avaffect.tasks.registry import TASKS

KINDS = (*TASKS, "mtl")
_ERRORS_A_FILE = 100


@boundary()
def check(
    root: Path,
    edition: str = DEFAULT_EDITION,
    features: Path | None = None,
    tasks: Sequence[str] = (),
    on_event: EventCallback = ignore_events,
) -> Report:
    """Look at everything in a data set.

    Args:
        root: the data set, with ``videos`` and ``cropped_aligned`` if they are to be checked too.
        edition: an edition of ``challenge.editions``, as which label files are read.
        features: the output folder of ``avaffect preprocess``, if that is to be checked too.
        tasks: some of ``KINDS``; none takes all that are there.
        on_event: progress.

    Raises:
        InputNotFoundError: there is no folder ``root``.
        UnknownNameError: no such edition or task.
    """
    edition_named(edition)
    for kind in tasks:
        if kind not in KINDS:
            raise UnknownNameError("task", kind, KINDS)
    root = Path(root)
    survey = _Survey(root, edition, on_event)
    folders = split_folders(root)
    for kind in tasks or KINDS:
        try:
            if kind == "mtl":
                survey.read_mtl(mtl_files(root))
            else:
                survey.read_files(kind, annotation_files(root, kind, edition))
        except InputNotFoundError as error:
            if tasks:
                survey.reasons.append(str(error))
        except AvaffectError as error:
            survey.reasons.append(str(error))
    odd = [
        str(path.relative_to(root))
        for folder in folders
        if folder.task in (tasks or TASKS)
        for path in folder.odd_files()
    ]
    if odd:
        survey.remarks.append(f"{len(odd)} files among the annotations are none: {some(odd)}")
    return survey.report(features)


class _WrongLines:
    """Counts the lines of a file that do not fit, and keeps the first."""

    def __init__(self) -> None:
        self.count = 0
        self.first: list[str] = []

    def __call__(self, error: FormatError) -> None:
        self.count += 1
        if self.count <= _ERRORS_A_FILE:
            self.first.append(error.problem)


class _Survey:
    """The findings while looking at a data set; the fields are those of `Report`."""

    def __init__(self, root: Path, edition: str, on_event: EventCallback) -> None:
        self.reasons: list[str] = []
        self.warnings: list[str] = []
        self.remarks: list[str] = []
        self._root = root
        self._edition = edition
        self._on_event = on_event
        self._parts: list[Part] = []
        self._errors: list[str] = []
        self._wrong = 0
        # Of each kind, the split of each subject.
        self._splits: dict[str, dict[str, str]] = {}
        # Of each label file its subject and rows; of a multi-task file its subjects' last images.
        self._files: list[tuple[str, str, int]] = []
        self._listed: dict[str, int] = {}

    def read_files(self, task: str, found: Mapping[str, Mapping[str, Path]]) -> None:
        """Read all label files of a task."""
        total, at = sum(map(len, found.values())), 0
        headers: Counter[str] = Counter()
        for split, files in found.items():
            labels = []
            for subject, path in files.items():
                self._on_event(Progress(f"{task} labels", at, total, "files"))
                at += 1
                wrong = _WrongLines()
                try:
                    rows = read_annotations(path, task, self._edition, wrong)
                except FormatError as error:
                    wrong(error)
                    continue
                finally:
                    self._wrong += wrong.count
                    self._errors += wrong.first
                headers[_header(path)] += 1
                labels.append(coded(rows, task))
                self._files.append((str(path.relative_to(self._root)), subject, len(rows)))
                if not len(rows):
                    self.warnings.append(f"'{path}' has no rows")
            self._add(task, task, split, list(files), labels)
        self._on_event(Progress(f"{task} labels", total, total, "files", finished=True))
        self._splits[task] = {name: split for split, files in found.items() for name in files}
        self._judge(task)
        self._judge_headers(task, headers)

    def read_mtl(self, found: Mapping[str, Path]) -> None:
        """Read the files of the multi-task track."""
        splits: dict[str, str] = {}
        for split, path in found.items():
            try:
                subjects = read_mtl(path)
            except FormatError as error:
                self._wrong += 1
                self._errors.append(error.problem)
                continue
            for task in TRACKS:
                labels = [coded(getattr(subject, task), task) for subject in subjects.values()]
                self._add("mtl", task, split, list(subjects), labels)
            repeated = sum(subject.repeated for subject in subjects.values())
            if repeated:
                self.remarks.append(
                    f"'{path}' lists {repeated} images twice, with the same labels"
                )
            for name, subject in subjects.items():
                self._listed[name] = int(subject.frames[-1])
                if splits.setdefault(name, split) != split:
                    self.reasons.append(f"'{name}' is listed for both {splits[name]} and {split}")
        self._splits["mtl"] = splits
        self._judge("mtl")

    def report(self, features: Path | None) -> Report:
        """Look at everything but the labels, and sum up."""
        annotated = {name for splits in self._splits.values() for name in splits}
        if not annotated and not self.reasons and not self._errors:
            self.reasons.append(f"there are no annotations in '{self._root}'")
        if is_artificial(self._root):
            self.warnings.insert(0, ARTIFICIAL)
        self._judge_sides(annotated)
        self._judge_conflicts()
        warn, on_event = self.warnings.append, self._on_event
        stored: dict[str, int] = {}
        feature_check = None
        if features is None:
            self.remarks.append("features were not checked: name their folder with features=...")
        else:
            try:
                stored, feature_check = check_features(features, annotated, warn, on_event)
                self._judge_features(feature_check)
            except AvaffectError as error:
                self.reasons.append(str(error))
        header, video_check = check_videos(self._root, annotated, warn, on_event)
        frames = stored or header
        rows = self._check_rows(frames, "features" if stored else "video headers")
        crops = check_crops(self._root, annotated, self._labelled(frames), warn, on_event)
        if self._errors:
            self.reasons.insert(0, f"{self._wrong} lines of labels cannot be read")
        return Report(
            str(self._root),
            self._edition,
            tuple(self._parts),
            rows,
            video_check,
            crops,
            feature_check,
            tuple(self._errors),
            tuple(self.reasons),
            tuple(self.warnings),
            tuple(self.remarks),
        )

    def _add(
        self, kind: str, task: str, split: str, names: Sequence[str], labels: list[NDArray[Any]]
    ) -> None:
        edition = edition_named("abaw7" if kind == "mtl" else self._edition)
        targets = edition.targets(task)
        whole = np.concatenate(labels) if labels else coded(np.zeros((0, len(targets))), task)
        known = is_valid(task, whole)
        valid = known if known.ndim == 1 else known.any(axis=1)
        self._parts.append(
            Part(
                kind,
                task,
                split,
                len(names),
                len({source_video(name) for name in names}),
                int(valid.sum()),
                int((~valid).sum()),
                _values(whole, task, targets),
            )
        )

    def _judge(self, kind: str) -> None:
        """Whether the labels of one kind are enough to start training."""
        parts = {(part.task, part.split): part for part in self._parts if part.kind == kind}
        for task in dict.fromkeys(task for task, _ in parts):
            what = task if kind == task else f"{kind} {task}"
            train = parts.get((task, "train"))
            if train is None:
                self.reasons.append(f"{what}: nothing is annotated for training")
            elif not train.labelled:
                self.reasons.append(f"{what}: no frame for training has a label")
            elif not isinstance(TASKS[task], Values):
                absent = [name for name, of in train.values.items() if not of["count"]]
                if absent:
                    self.warnings.append(f"{what}: never seen in training: {', '.join(absent)}")
            if (task, "val") not in parts or not parts[task, "val"].labelled:
                self.warnings.append(f"{what}: nothing to validate on: train with folds")
        leaks = leaking(self._splits[kind])
        if leaks:
            self.warnings.append(
                f"{kind}: LEAKAGE: {len(leaks)} videos have subjects in train and in another "
                f"split: {some(leaks)}"
            )

    def _judge_headers(self, task: str, headers: Mapping[str, int]) -> None:
        """Tell where the first line is that of another edition."""
        mine = edition_named(self._edition).header(task).lower()
        for header, count in headers.items():
            others = [n for n, year in EDITIONS.items() if year.header(task).lower() == header]
            if header != mine and others:
                self.warnings.append(
                    f"{task}: {count} files have the header of another edition, but are "
                    f"read as {self._edition}: choose {setting('edition', others)}"
                )

    def _judge_sides(self, annotated: Collection[str]) -> None:
        for side, other in (("_left", "_right"), ("_right", "_left")):
            alone = sorted(
                name
                for name in annotated
                if name.endswith(side) and name.removesuffix(side) + other not in annotated
            )
            if alone:
                self.remarks.append(f"{len(alone)} {side} without {other}: {some(alone)}")

    def _judge_features(self, check: FeatureCheck) -> None:
        without = {*check.missing, *check.damaged}
        for kind, splits in self._splits.items():
            train = [name for name, split in splits.items() if split == "train"]
            if train and without.issuperset(train):
                self.reasons.append(f"{kind}: no subject for training has features")

    def _judge_conflicts(self) -> None:
        """Tell which subjects are in different splits for different tasks."""
        of: dict[str, set[str]] = {}
        for task in TASKS:
            for name, split in self._splits.get(task, {}).items():
                of.setdefault(name, set()).add(split)
        between = sorted(name for name, splits in of.items() if len(splits) > 1)
        if between:
            self.warnings.append(
                f"{len(between)} subjects are in different splits for different tasks (matters "
                f"if those are trained together): {some(between)}"
            )

    def _labelled(self, frames: Mapping[str, int]) -> dict[str, int]:
        """Of how many frames there are labels; a row behind the last frame is of none."""
        rows: dict[str, int] = {}
        for _, subject, count in self._files:
            rows[subject] = max(count, rows.get(subject, 0))
        return {name: min(count, frames.get(name, count)) for name, count in rows.items()}

    def _check_rows(self, frames: Mapping[str, int], against: str) -> RowCheck | None:
        off = [
            (path, rows - frames[subject], far_off(rows, frames[subject]))
            for path, subject, rows in self._files
            if subject in frames
        ]
        beyond = [name for name, last in self._listed.items() if last > frames.get(name, last)]
        if beyond:
            self.warnings.append(
                f"{len(beyond)} subjects of the multi-task file have images behind the last "
                f"frame: {some(beyond)}"
            )
        if not off:
            return None
        counts = dict.fromkeys(BINS, 0)
        for _, by, _ in off:
            counts["fewer" if by < -1 else "more" if by > 2 else f"{by:+d}" if by else "0"] += 1
        far = [f"{path} ({by:+d})" for path, by, strange in off if strange]
        if far:
            self.warnings.append(
                f"{len(far)} label files are far from their number of frames: {some(far)}"
            )
        # A row more or less is usual.
        worst = sorted((row for row in off if abs(row[1]) > 1), key=lambda x: (-abs(x[1]), x[0]))
        return RowCheck(against, counts, tuple((path, by) for path, by, _ in worst[:WORST]))


def _values(
    labels: NDArray[Any], task: str, targets: Iterable[str]
) -> dict[str, dict[str, float | None]]:
    """The figures of each target, see `Part`; ``labels`` are coded as in a `Clip`."""
    found: dict[str, dict[str, float | None]] = {}
    for at, target in enumerate(targets):
        flat = TASKS[task].flat
        values = labels if flat else labels[:, at]
        if isinstance(TASKS[task], Values):
            known = values[~np.isnan(values)].astype(np.float64)
            found[target] = dict.fromkeys(("mean", "sd", "min", "max"))
            if len(known):
                found[target] = {
                    "mean": float(known.mean()),
                    "sd": float(known.std()),
                    "min": float(known.min()),
                    "max": float(known.max()),
                }
        else:
            whole = int((values >= 0).sum())
            count = int((values == (at if flat else 1)).sum())
            found[target] = {"count": count, "share": count / whole if whole else None}
    return found


def _header(path: Path) -> str:
    """The first line of a file, in lower case without blanks."""
    with path.open("rb") as file:
        line = file.readline(1024).decode("utf-8-sig", errors="replace")
    return ",".join(part.strip().lower() for part in line.split(","))
