"""Where the challenge puts its annotations.

``<annotations>/<task>/<split>/<subject>.txt``, in the spellings that the editions and the code
around them use: ``annotations/VA_Set/Training_Set`` (ABAW1, 2), ``Third ABAW
Annotations/VA_Estimation_Challenge/Train_Set`` (ABAW3 on), sometimes with split and task the
other way round. The multi-task track has one file a split: ``MTL_Challenge/train_set.txt``
(ABAW3), ``training_set_annotations.txt`` (ABAW4 on).

Folders are known by the words in their names, whatever the case and whatever stands between the
words.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from avaffect.challenge.editions import edition_named
from avaffect.errors import InputNotFoundError, UsageError, boundary
from avaffect.files.names import RECORD, RECORDS, RUN
from avaffect.labels import SPLITS
from avaffect.tasks.registry import AU, EXPR, TASKS, VA, task_named

_SPLIT_WORDS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "validate": "val",
    "test": "test",
    "testing": "test",
}
_TASK_WORDS = {
    ("valence", "arousal"): VA.name,
    ("expression",): EXPR.name,
    ("expressions",): EXPR.name,
    ("aus",): AU.name,
    ("action", "unit"): AU.name,
    ("action", "units"): AU.name,
    ("mtl",): "mtl",
    ("multi", "task"): "mtl",
}
# What may stand behind the name of the task or the split.
_MORE_WORDS = {
    *("set", "sets", "split", "data", "challenge", "track", "annotation", "annotations"),
    *("estimation", "classification", "recognition", "detection", "learning"),
}
# Folders of pictures, videos and features: many files, and no annotations.
_NEVER = re.compile(r"[._].*|cropped.*|crops?|images?|frames?|videos?|batch\d*|features?", re.I)
_SPEAKS = re.compile(r"abaw|annot|aff.?wild", re.I)
# Lists and templates of the organisers, submissions, and texts about all that.
_LISTS = re.compile(
    r"predictions|.*_predictions|.*test_set_(release|sample|examples?)|.*number_of_frames"
    r"|(train|training|val|validation|test)_set.*|names_of_videos.*|read_?me.*|licen[cs]e.*",
    re.I,
)
# What marks the folders that `train`, `predict` and `preprocess` write: no annotations.
_OUTPUTS = (RUN, RECORDS, RECORD)
_TYPICAL = "annotations/VA_Set/Training_Set or annotations/VA_Estimation_Challenge/Train_Set"


@dataclass(frozen=True)
class SplitFolder:
    """A folder that holds one task's files of one split.

    Attributes:
        task: ``va``, ``expr`` or ``au``.
        split: ``train``, ``val`` or ``test``.
        path: where it is.
        set_path: the folder of the whole task: ``path`` without the part that names the split.
    """

    task: str
    split: str
    path: Path
    set_path: Path

    def files(self) -> dict[str, Path]:
        """The annotation files, by subject."""
        return {path.stem: path for path in _visible_files(self.path) if is_annotation(path)}

    def odd_files(self) -> list[Path]:
        """What else is there."""
        return [path for path in _visible_files(self.path) if not is_annotation(path)]


def is_annotation(path: Path) -> bool:
    """Whether a file of a split's folder is, by its name, the annotation of a subject."""
    return path.suffix.lower() == ".txt" and _LISTS.fullmatch(path.stem) is None


def source_video(subject: str) -> str:
    """The video that a subject was seen in.

    >>> [source_video(name) for name in ("a_left", "a_right", "a_main", "a")]
    ['a', 'a', 'a', 'a']
    """
    for suffix in ("_left", "_right", "_main"):
        if subject.endswith(suffix) and subject != suffix:
            return subject.removesuffix(suffix)
    return subject


@boundary()
def split_folders(root: Path) -> list[SplitFolder]:
    """The folders of annotations that hold at least one, sorted by path.

    Args:
        root: the data set, its annotations, or the folder of a task.

    Raises:
        InputNotFoundError: ``root`` is no folder.
    """
    root = _folder(root)
    found = []
    for path, parts in _walk(root):
        tasks = [at for at, (task, _) in enumerate(parts) if task]
        splits = [at for at, (_, split) in enumerate(parts) if split]
        last = len(parts) - 1
        # The files lie in the inner one of the two.
        if not tasks or not splits or last not in (tasks[-1], splits[-1]):
            continue
        task, split = parts[tasks[-1]][0], parts[splits[-1]][1]
        if task in TASKS and split:
            # parts[0] is root's own name.
            below = path.relative_to(root).parts
            named = splits[-1] - 1
            folder = SplitFolder(
                task, split, path, root.joinpath(*below[:named], *below[named + 1 :])
            )
            if folder.files():
                found.append(folder)
    return sorted(found, key=lambda folder: folder.path)


@boundary()
def annotation_files(root: Path, task: str, edition: str) -> dict[str, dict[str, Path]]:
    """The annotation files of a task.

    Args:
        root: the data set, its annotations, or the folder of the task.
        task: ``va``, ``expr`` or ``au``.
        edition: an edition of ``challenge.editions``. It fixes what the files hold; the folders
            may be called as in any other edition.

    Returns:
        by split (``train``, ``val``, ``test``; those that are there), by subject.

    Raises:
        InputNotFoundError: there are none.
        UsageError: it is not clear which ones are meant: two folders of one split, of two editions
            for example, or a subject in two splits.
    """
    edition_named(edition)
    task_named(task)
    folders = [folder for folder in split_folders(root) if folder.task == task]
    if not folders:
        raise InputNotFoundError(
            f"there are no annotations of task '{task}' in '{root}'",
            f"give the folder that holds, for example, {_TYPICAL}",
        )
    for other in folders[1:]:
        if other.set_path != folders[0].set_path:
            raise _ambiguous(task, folders[0].set_path, other.set_path)
    by_split: dict[str, SplitFolder] = {}
    for folder in folders:
        if by_split.setdefault(folder.split, folder) is not folder:
            raise _ambiguous(task, by_split[folder.split].path, folder.path)
    found = {split: by_split[split].files() for split in SPLITS if split in by_split}
    owner: dict[str, Path] = {}
    for files in found.values():
        for subject, path in files.items():
            if subject in owner:
                raise UsageError(
                    f"'{subject}' is annotated twice: '{owner[subject]}' and '{path}'",
                    "a subject belongs to one split: remove one of the files",
                )
            owner[subject] = path
    return found


@boundary()
def mtl_files(root: Path) -> dict[str, Path]:
    """The files of the multi-task track, by split (``train``, ``val``, ``test``).

    They are ``train_set.txt``, ``training_set_annotations.txt`` and the like in ``MTL_Challenge``
    (or a folder that is called like it), in ``root`` itself, or in a folder whose name speaks of
    annotations.

    Args:
        root: the data set, its annotations, or the folder of the multi-task track.

    Raises:
        InputNotFoundError: there are none.
        UsageError: two files of one split.
    """
    root = _folder(root)
    found: dict[str, Path] = {}
    for folder, parts in _walk(root):
        # Those of ABAW4 on lie in the folder of the annotations itself.
        plain = not any(parts[-1]) and _SPEAKS.search(folder.name)
        if folder != root and parts[-1][0] != "mtl" and not plain:
            continue
        for path in _visible_files(folder):
            split = _mtl_split(path)
            if split and found.setdefault(split, path) != path:
                raise _ambiguous("mtl", found[split], path)
    if not found:
        raise InputNotFoundError(
            f"there are no multi-task annotations in '{root}'",
            "give the folder that holds MTL_Challenge/train_set.txt, or "
            "training_set_annotations.txt",
        )
    return {split: found[split] for split in SPLITS if split in found}


def _mtl_split(path: Path) -> str | None:
    """The split of ``train_set.txt``, ``MTL_validation_set_annotations.txt`` ..."""
    if path.suffix.lower() != ".txt":
        return None
    words = _words(path.stem)
    while words and (words[0] in _MORE_WORDS or words[0] in ("mtl", "multi", "task")):
        words = words[1:]
    if len(words) < 2 or words[1] != "set" or not set(words[2:]) <= _MORE_WORDS:
        return None
    return _SPLIT_WORDS.get(words[0])


_Part = tuple[str | None, str | None]


def _walk(root: Path) -> Iterator[tuple[Path, tuple[_Part, ...]]]:
    """``root`` and the folders in it that may lead to annotations.

    With each, the task and the split by the names in its path, ``root``'s own name first.
    Below the first level only folders are looked into whose names speak of annotations, so that
    the hundreds of folders of pictures cost nothing. What avaffect itself has written is left out.
    """
    # A symbolic link may lead where the walk has been.
    seen: set[str] = set()
    todo: list[tuple[Path, tuple[_Part, ...]]] = [(root, ((_task(_own_name(root)), None),))]
    while todo:
        folder, parts = todo.pop()
        real = os.path.realpath(folder)
        if real in seen:
            continue
        seen.add(real)
        yield folder, parts
        for child in _visible_folders(folder):
            if any((child / mark).exists() for mark in _OUTPUTS):
                continue
            part = _task(child.name), _split(child.name)
            speaks = any(part) or _SPEAKS.search(child.name)
            if speaks or (folder == root and not _NEVER.fullmatch(child.name)):
                todo.append((child, (*parts, part)))


def _task(name: str) -> str | None:
    words = _words(name)
    for first, task in ({_words(task): task for task in TASKS} | _TASK_WORDS).items():
        if words[: len(first)] == first and set(words[len(first) :]) <= _MORE_WORDS:
            return task
    return None


def _split(name: str) -> str | None:
    words = _words(name)
    return _SPLIT_WORDS.get(words[0]) if words and set(words[1:]) <= _MORE_WORDS else None


def _words(name: str) -> tuple[str, ...]:
    return tuple(re.findall(r"[a-z0-9]+", name.lower()))


def _own_name(root: Path) -> str:
    """The name of ``root``, also where it is given as ``.`` or ends in ``..``."""
    return Path(os.path.abspath(root)).name  # noqa: PTH100  (symbolic links keep their names)


def _folder(root: Path) -> Path:
    root = Path(root)
    if not root.is_dir():
        raise InputNotFoundError(f"there is no folder '{root}'", "check the path")
    return root


def _visible_folders(folder: Path) -> list[Path]:
    return [Path(entry.path) for entry in _entries(folder) if entry.is_dir()]


def _visible_files(folder: Path) -> list[Path]:
    return [Path(entry.path) for entry in _entries(folder) if entry.is_file()]


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            visible = [entry for entry in entries if not entry.name.startswith((".", "__MACOSX"))]
    except OSError as error:
        raise InputNotFoundError(
            f"'{folder}' cannot be read ({error.strerror})", "check the permissions"
        ) from error
    return sorted(visible, key=lambda entry: entry.name)


def _ambiguous(task: str, first: Path, second: Path) -> UsageError:
    return UsageError(
        f"task '{task}' has annotations in both '{first}' and '{second}'",
        "give the folder that is meant, or move the other one away",
    )
