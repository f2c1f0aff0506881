"""Folds: which clips are held out together, saved so that every run holds out the same.

Where people all hear the same stories, a model that is tested on new people may still have learned
the stories. Clips of such data name their stimulus: a fold then holds out clips of some people who
heard some stories, and what shares either with them is left out of its training.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from avaffect.datasets.clip import Clip
from avaffect.errors import FormatError, UnknownNameError, UsageError
from avaffect.files.atomic import write_json
from avaffect.files.outside import read_json, reading

METHODS = ("k-fold", "leave-one-out", "given")
BY = ("group", "fold")
_VERSION = 1
_SHAPE = {"version": int, "method": str, "seed": int, "folds": {str: int}, "apart?": [str],
          "inner?": int}  # fmt: skip


@dataclass(frozen=True)
class Folds:
    """Each clip's fold. Clips of a group are in one fold, unless they name a stimulus.

    Attributes:
        folds: clip name to fold number, 0 or more, in the order of names.
        method: ``k-fold``, ``leave-one-out`` (a fold a group) or ``given`` (by the data).
        seed: what the groups were shuffled with; it matters to ``k-fold`` only.
        apart: names of clips that are in no fold: never trained with, never validated on.
        inner: one part in so many of a fold's training clips, whole groups, is what its model
            chooses its epoch on; 0 leaves that to the held-out part. See :meth:`parts`.

    Raises:
        UsageError: an unknown method, a negative number, fewer than two folds, an inner part of
            all clips, or a clip that is both in a fold and apart.
    """

    folds: Mapping[str, int]
    method: str
    seed: int = 0
    apart: tuple[str, ...] = ()
    inner: int = 0

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise UsageError(f"method '{self.method}' is none of {', '.join(METHODS)}")
        if len(self.numbers) < 2 or self.numbers[0] < 0:
            raise UsageError(f"folds {self.numbers}, expected two or more, counted from 0")
        if self.inner < 0 or self.inner == 1:
            raise UsageError(f"inner is {self.inner}", "give 0, or a number from 2 on")
        if both := self.folds.keys() & set(self.apart):
            raise UsageError(f"'{min(both)}' is both in a fold and apart")

    @property
    def numbers(self) -> tuple[int, ...]:
        """The numbers of the folds, in order."""
        return tuple(sorted(set(self.folds.values())))

    def split(
        self, clips: Sequence[Clip], number: int
    ) -> tuple[tuple[Clip, ...], tuple[Clip, ...]]:
        """The clips to train with and those of fold ``number`` to validate with, in their order.

        Clips that share a group or a stimulus with the fold are in neither.

        Raises:
            UsageError: there is no such fold, the folds are not those of ``clips``, or nothing is
                left to train with.
        """
        if number not in self.numbers:
            raise UsageError(
                f"there is no fold {number}", f"choose of {', '.join(map(str, self.numbers))}"
            )
        self.check(clips)
        held = tuple(clip for clip in clips if self.folds.get(clip.name) == number)
        groups, stimuli = {clip.group for clip in held}, {clip.stimulus for clip in held} - {""}
        learned = tuple(
            clip
            for clip in clips
            if clip.name in self.folds
            and clip.group not in groups
            and clip.stimulus not in stimuli
        )
        if not learned:
            raise UsageError(
                f"every clip shares a group or a stimulus with fold {number}: none is left to "
                "train with",
                "make more folds",
            )
        return learned, held

    def parts(
        self, clips: Sequence[Clip], number: int
    ) -> tuple[tuple[Clip, ...], tuple[Clip, ...], tuple[Clip, ...]]:
        """The clips to train with, those to choose the epoch on, and those of fold ``number``.

        The second are taken from the training clips where there is an inner part, so that a model
        whose predictions for the held-out clips are learned from has chosen nothing by them;
        without one they are the held-out clips.

        Raises:
            UsageError: as :meth:`split`; or the training clips are of one group only.
        """
        learned, held = self.split(clips, number)
        if not self.inner:
            return learned, held, held
        groups = len({clip.group for clip in learned})
        if groups < 2:
            raise UsageError(
                f"without fold {number} one group is left: none can be set aside to choose the "
                "epoch on",
                "make more folds, or set inner to 0",
            )
        # Whether a stimulus is known matters to the held-out clips alone.
        alone = [replace(clip, stimulus="") for clip in learned]
        aside = k_fold(alone, min(self.inner, groups), self.seed).held(0)
        return (
            tuple(clip for clip in learned if clip.name not in aside),
            tuple(clip for clip in learned if clip.name in aside),
            held,
        )

    def held(self, number: int) -> frozenset[str]:
        """The names of the clips of fold ``number``."""
        return frozenset(name for name, fold in self.folds.items() if fold == number)

    def check(self, clips: Sequence[Clip]) -> None:
        """Raise UsageError unless these are folds of ``clips`` that part no group.

        Of clips with a stimulus a group may be in several folds: see :meth:`split`.
        """
        names = {clip.name for clip in clips}
        ours = self.folds.keys() | set(self.apart)
        for found, text in (
            (names - ours, "the clip '{}' is in no fold"),
            (ours - names, "the folds name the clip '{}', which the data lack"),
        ):
            if found:
                raise UsageError(text.format(min(found)), "make the folds anew for these data")
        first: dict[str, Clip] = {}
        for clip in clips:
            if clip.name not in self.folds or clip.stimulus:
                continue
            other = first.setdefault(clip.group, clip)
            if self.folds[other.name] != self.folds[clip.name]:
                raise UsageError(
                    f"'{other.name}' and '{clip.name}' of the group '{clip.group}' are in "
                    "different folds, so what is trained with would be known in validation",
                    "make the folds anew, or name another group column",
                )

    def save(self, path: Path) -> None:
        """Write the folds as JSON.

        Raises:
            OutputError: the file cannot be written.
        """
        value = {"version": _VERSION, "method": self.method, "seed": self.seed}
        more: dict[str, object] = {"apart": list(self.apart)} if self.apart else {}
        if self.inner:
            more["inner"] = self.inner
        write_json(path, {**value, **more, "folds": dict(self.folds)})

    @classmethod
    def load(cls, path: Path, clips: Sequence[Clip]) -> Folds:
        """Read what :meth:`save` wrote; bounds as in `outside.read_json`.

        Raises:
            InputNotFoundError: there is no such file.
            FormatError: it holds no folds.
            UsageError: they are not folds of ``clips``, or part a group; see :meth:`check`.
        """
        found = read_json(path, _SHAPE, FormatError, "holds no folds", "make them anew")
        with reading(path, FormatError, "holds no folds", "make them anew"):
            if found["version"] != _VERSION:
                raise UsageError(f"it is of version {found['version']}")
            apart = tuple(found.get("apart", ()))
            inner = found.get("inner", 0)
            folds = cls(found["folds"], found["method"], found["seed"], apart, inner)
        folds.check(clips)
        return folds


def counts(text: str) -> int | tuple[int, int]:
    """How many folds ``5`` or ``5x4`` (of groups and of stimuli) asks for.

    Raises:
        UsageError: it asks for none, or for one.
    """
    found = re.fullmatch("([0-9]{1,9})(?:x([0-9]{1,9}))?", text)
    asked = [int(part) for part in found.groups() if part] if found else []
    if not asked or min(asked) < 2:
        raise UsageError(
            f"'{text}' is no way to make folds",
            "give a number from 2 on, two as 5x4 (parts of the groups and of the stimuli), "
            "leave-one-out, given, none, or another run's folds.json",
        )
    return (asked[0], asked[1]) if len(asked) == 2 else asked[0]


def make_folds(
    clips: Sequence[Clip], k: int | tuple[int, int] | None, *, by: str = "group", seed: int = 0
) -> Folds:
    """Folds of clips, whatever order these come in.

    Args:
        clips: the clips.
        k: how many folds of about as many frames; None makes a fold of each group. Of clips with
            a stimulus two numbers: so many parts of the groups times so many of the stimuli; None
            makes a fold of each group with each stimulus. Not looked at where the data give the
            folds.
        by: ``group``, or ``fold`` for the folds that the data give.
        seed: shuffles the groups (and stimuli) for ``k`` folds.

    Raises:
        UnknownNameError: another ``by``.
        UsageError: fewer groups or stimuli than folds, given folds that are missing or part a
            group, or one number where clips have stimuli or two where they have none.
    """
    if by not in BY:
        raise UnknownNameError("way to make folds", by, BY)
    if by == "fold":
        return given_folds(clips)
    return leave_one_out(clips) if k is None else k_fold(clips, k, seed)


def k_fold(clips: Sequence[Clip], k: int | tuple[int, int], seed: int = 0) -> Folds:
    """``k`` folds of whole groups; no two differ by more frames than the largest group has.

    The shuffled groups go one after the other into the fold with the fewest frames so far. With
    two numbers groups and stimuli are dealt out so, and a fold is what a part of the groups has of
    a part of the stimuli.
    """
    crossed = any(clip.stimulus for clip in clips)
    if isinstance(k, int):
        if crossed:
            raise UsageError(
                "the clips name stimuli, which folds of groups would train with and validate on",
                f'ask for folds of both, as folds="{k}x{k}", or map no stimulus',
            )
        return _of_parts(
            clips, _dealt(_group_frames(clips), k, seed, "groups"), {}, "k-fold", seed
        )
    if not crossed:
        raise UsageError(
            "no clip names a stimulus to make folds of",
            "name its column, as stimulus=story, or give one number of folds",
        )
    groups = _dealt(_group_frames(clips), k[0], seed, "groups")
    stimuli = _dealt(_stimulus_frames(clips), k[1], seed, "stimuli")
    return _of_parts(clips, groups, stimuli, "k-fold", seed)


def leave_one_out(clips: Sequence[Clip]) -> Folds:
    """A fold a group, or a fold a group and stimulus, in the order of names (2 before 10)."""
    groups, stimuli = list(_group_frames(clips)), list(_stimulus_frames(clips))
    if len(groups) < 2:
        raise UsageError(
            f"{len(groups)} group cannot be left out of itself", "name a group column with more"
        )
    each = {name: place for place, name in enumerate(groups)}
    heard = {name: place for place, name in enumerate(stimuli)}
    return _of_parts(clips, each, heard, "leave-one-out", 0)


def given_folds(clips: Sequence[Clip]) -> Folds:
    """The folds that the data put the clips in."""
    found: dict[str, int] = {}
    for clip in sorted(clips, key=lambda clip: clip.name):
        if clip.fold is None:
            raise UsageError(
                f"the data put the clip '{clip.name}' in no fold",
                "name the column, as fold=fold5, or make folds by group",
            )
        found[clip.name] = clip.fold
    if len(set(found.values())) < 2:
        raise UsageError("the data give one fold only", "make folds by group")
    folds = Folds(found, "given")
    folds.check(clips)
    return folds


def _group_frames(clips: Sequence[Clip]) -> dict[str, int]:
    """Frames of each group, in natural order of the groups' names."""
    return _frames((clip.group, clip.frames) for clip in clips)


def _stimulus_frames(clips: Sequence[Clip]) -> dict[str, int]:
    """Frames of each stimulus; that without a name is of clips that name none."""
    return _frames((clip.stimulus, clip.frames) for clip in clips)


def _frames(named: Iterable[tuple[str, int]]) -> dict[str, int]:
    frames: dict[str, int] = {}
    for name, count in named:
        frames[name] = frames.get(name, 0) + count
    return {name: frames[name] for name in sorted(frames, key=_natural)}


def _dealt(frames: Mapping[str, int], k: int, seed: int, what: str) -> dict[str, int]:
    """The part of each name; the shuffled ones go into the part with the fewest frames so far."""
    if not 2 <= k <= len(frames):
        raise UsageError(
            f"{len(frames)} {what} cannot make {k} folds", f"choose from 2 to {len(frames)} folds"
        )
    names = list(frames)
    held = [(0, 0, number) for number in range(k)]
    part_of: dict[str, int] = {}
    for place in np.random.default_rng(seed).permutation(len(names)):
        # By number of names too, so that no part stays empty.
        total, some, number = min(held)
        part_of[names[place]] = number
        held[number] = (total + frames[names[place]], some + 1, number)
    return part_of


def _natural(name: str) -> tuple[list[tuple[int, str]], str]:
    parts = re.findall("([0-9]*)([^0-9]*)", name)
    return [(int(digits or -1), text) for digits, text in parts], name


def _of_parts(
    clips: Sequence[Clip],
    groups: Mapping[str, int],
    stimuli: Mapping[str, int],
    method: str,
    seed: int,
) -> Folds:
    """A fold of each part of the groups with each part of the stimuli that has a clip."""
    ordered = sorted(clips, key=lambda clip: clip.name)
    cells = {clip.name: (groups[clip.group], stimuli.get(clip.stimulus, 0)) for clip in ordered}
    numbers = {cell: number for number, cell in enumerate(sorted(set(cells.values())))}
    return Folds({name: numbers[cell] for name, cell in cells.items()}, method, seed)
