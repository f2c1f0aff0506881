"""Which clips are trained with and which validate, where no folds are asked for."""

from __future__ import annotations

from collections.abc import Sequence

from avaffect.datasets.clip import Clip, Dataset
from avaffect.datasets.folds import Folds, make_folds
from avaffect.errors import FeatureError, UsageError
from avaffect.labels import SPLITS
from avaffect.progress import EventCallback, Notice, ignore_events

HELD_OUT = 5  # one part in so many is held out where the data has no validation split


def labelled_clips(
    dataset: Dataset, tasks: Sequence[str], on_event: EventCallback = ignore_events
) -> tuple[Clip, ...]:
    """The clips with a valid label of any of ``tasks``, in their order."""
    labelled = tuple(
        clip
        for clip in dataset.clips
        if any(task in clip.labels and clip.valid(task).any() for task in tasks)
    )
    if bare := len(dataset.clips) - len(labelled):
        on_event(Notice(f"{bare} clips without any valid label are left out"))
    return labelled


def own_split(
    dataset: Dataset,
    clips: Sequence[Clip],
    seed: int,
    *,
    own: bool,
    on_event: EventCallback = ignore_events,
) -> tuple[tuple[Clip, ...], tuple[Clip, ...], Folds | None]:
    """The data's own split, or without one some groups held out; test clips are in neither part.

    Args:
        dataset: where ``clips`` come from.
        clips: those that can be used.
        seed: of the groups that are held out.
        own: whether it is data of the user's own, for messages.
        on_event: notices.

    Returns:
        the clips to train with, those to validate with, and the folds of which the first is held
        out, None for the data's own split.

    Raises:
        FeatureError: nothing of the validation split has features.
        UsageError: no validation split, and stimuli or too few groups to hold some out.
    """
    train_clips, val_clips, test_clips = (
        tuple(clip for clip in clips if clip.split == split) for split in SPLITS
    )
    if test_clips:
        on_event(Notice(f"{len(test_clips)} clips of the test split are left alone"))
    if train_clips and val_clips:
        return train_clips, val_clips, None
    if train_clips and not own and dataset.about.get("left_out"):
        raise FeatureError(
            f"no clip of the validation split has features in '{dataset.about['features']}'",
            "preprocess its videos too, or use folds=...",
        )
    rest = tuple(clip for clip in clips if clip.split != "test")
    if any(clip.stimulus for clip in rest):
        raise UsageError(
            "the data has stimuli to keep apart and no validation split",
            'ask for folds, as folds="5x5" or folds="leave-one-out"',
        )
    if len({clip.group for clip in rest}) < HELD_OUT:
        raise UsageError(
            "the data has no validation split, and too few groups to hold some out",
            'use folds="leave-one-out"' + (", or add a column for the split" if own else ""),
        )
    folds = make_folds(rest, HELD_OUT, seed=seed)
    train_clips, val_clips = folds.split(rest, 0)
    on_event(
        Notice(
            f"the data has no validation split: {len(val_clips)} of {len(rest)} clips are held "
            "out, whole groups of them"
        )
    )
    return train_clips, val_clips, folds
