"""Folds: which clips are held out together, saved so that every run holds out the same."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
    """Each clip's fold. Clips of a group are in one fold.

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

        Raises:
            UsageError: there is no such fold, or the folds are not those of ``clips``.
        """
        if number not in self.numbers:
            raise UsageError(
                f"there is no fold {number}", f"choose of {', '.join(map(str, self.numbers))}"
            )
        self.check(clips)
        ours = [clip for clip in clips if clip.name in self.folds]
        return (
            tuple(clip for clip in ours if self.folds[clip.name] != number),
            tuple(clip for clip in ours if self.folds[clip.name] == number),
        )

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
        aside = k_fold(learned, min(self.inner, groups), self.seed)
        return (*aside.split(learned, 0), held)

    def held(self, number: int) -> frozenset[str]:
        """The names of the clips of fold ``number``."""
        return frozenset(name for name, fold in self.folds.items() if fold == number)

    def check(self, clips: Sequence[Clip]) -> None:
        """Raise UsageError unless these are folds of ``clips`` that part no group."""
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
            if clip.name not in self.folds:
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


def make_folds(clips: Sequence[Clip], k: int | None, *, by: str = "group", seed: int = 0) -> Folds:
    """Folds of clips, whatever order these come in.

    Args:
        clips: the clips.
        k: how many folds of about as many frames; None makes a fold of each group. Not looked at
            where the data give the folds.
        by: ``group``, or ``fold`` for the folds that the data give.
        seed: shuffles the groups for ``k`` folds.

    Raises:
        UnknownNameError: another ``by``.
        UsageError: fewer groups than folds, or given folds that are missing or part a group.
    """
    if by not in BY:
        raise UnknownNameError("way to make folds", by, BY)
    if by == "fold":
        return given_folds(clips)
    return leave_one_out(clips) if k is None else k_fold(clips, k, seed)


def k_fold(clips: Sequence[Clip], k: int, seed: int = 0) -> Folds:
    """``k`` folds of whole groups; no two differ by more frames than the largest group has.

    The shuffled groups go one after the other into the fold with the fewest frames so far.
    """
    frames = _group_frames(clips)
    if not 2 <= k <= len(frames):
        raise UsageError(
            f"{len(frames)} groups cannot make {k} folds", f"choose from 2 to {len(frames)} folds"
        )
    names = list(frames)
    held = [(0, 0, number) for number in range(k)]
    fold_of: dict[str, int] = {}
    for place in np.random.default_rng(seed).permutation(len(names)):
        # By number of groups too, so that no fold stays empty.
        total, groups, number = min(held)
        fold_of[names[place]] = number
        held[number] = (total + frames[names[place]], groups + 1, number)
    return _of_groups(clips, fold_of, "k-fold", seed)


def leave_one_out(clips: Sequence[Clip]) -> Folds:
    """A fold a group, in the order of their names (2 before 10)."""
    names = list(_group_frames(clips))
    if len(names) < 2:
        raise UsageError(
            f"{len(names)} group cannot be left out of itself", "name a group column with more"
        )
    return _of_groups(clips, {name: place for place, name in enumerate(names)}, "leave-one-out", 0)


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
    frames = dict.fromkeys(sorted({clip.group for clip in clips}, key=_natural), 0)
    for clip in clips:
        frames[clip.group] += clip.frames
    return frames


def _natural(name: str) -> tuple[list[tuple[int, str]], str]:
    parts = re.findall("([0-9]*)([^0-9]*)", name)
    return [(int(digits or -1), text) for digits, text in parts], name


def _of_groups(clips: Sequence[Clip], fold_of: Mapping[str, int], method: str, seed: int) -> Folds:
    ordered = sorted(clips, key=lambda clip: clip.name)
    return Folds({clip.name: fold_of[clip.group] for clip in ordered}, method, seed)
