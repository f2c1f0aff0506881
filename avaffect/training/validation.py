"""A trained network's predictions for its validation clips, written as ``predict`` would.

<run>/validation/<the edition's folder>/<clip>.txt   challenge files, ready for ``evaluate``; only
                                                     if the targets are those of the edition
<run>/validation/MTL_Challenge/MTL_predictions.txt   likewise, all three tasks in one file, for the
                                                     editions that have it
<run>/validation/tables/<clip>.parquet               a row a frame: every target's value, which
                                                     modalities were there, the labels
<run>/validation/clips.csv                           a row a clip, where whole clips are labelled
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avaffect.challenge.editions import DEFAULT_EDITION, TRACKS, edition_named
from avaffect.challenge.text import (
    SingleFileWriter,
    open_single,
    single_path,
    subject_file_name,
    write_challenge,
)
from avaffect.datasets.clip import Clip, Dataset
from avaffect.datasets.overlap import video_hash
from avaffect.errors import UsageError
from avaffect.files.atomic import write_text
from avaffect.files.names import CLIPS, TABLES
from avaffect.files.table import write_table
from avaffect.metrics.arrays import score_arrays
from avaffect.metrics.by_video import Interval, by_video, clip_tally, interval_of, kind_of
from avaffect.models.device import choose_device
from avaffect.networks.apply import ClipPrediction, apply_network
from avaffect.networks.checkpoint import load_checkpoint
from avaffect.predictions.missing import DEFAULT_POLICY, fill
from avaffect.predictions.prediction import Prediction
from avaffect.progress import EventCallback, Notice, Progress, ignore_events
from avaffect.tasks.kinds import Classes
from avaffect.tasks.registry import EXPR, TASKS
from avaffect.training.loop import Trained
from avaffect.training.processes import Processes
from avaffect.training.score import decisions, mean_prediction, pair_of
from avaffect.windows.reader import whole_clips

FOLDER = "validation"
Pairs = dict[str, list[tuple[NDArray[Any], NDArray[Any]]]]


def write_validation(
    run: Path,
    trained: Trained,
    dataset: Dataset,
    clips: Sequence[Clip],
    edition: str,
    device: str = "auto",
    on_event: EventCallback = ignore_events,
    group: Processes | None = None,
) -> Pairs:
    """Write the predictions for ``clips`` into ``run``.

    Frames that no modality sees are filled as ``predict`` does by default. Of several processes
    each looks at its share of the clips, and the first one writes.

    Args:
        run: the run's folder.
        trained: the run's result.
        dataset: of the clips; it names the targets.
        clips: of the dataset.
        edition: of ``challenge.editions``, for the challenge files; one that has the multi-task
            file only gets the files of the default edition too, which hold the same.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        on_event: progress in clips.
        group: the run's processes, all of which come here, on their devices; None for this one.

    Returns:
        by task, decisions and labels of each clip in the order of ``clips``, see
        ``training.score.pair_of``; nothing in processes behind the first.

    Raises:
        OutputError: files cannot be written.
    """
    import torch

    checkpoint, network = load_checkpoint(trained.folder)
    where = torch.device(choose_device(device).name) if group is None else group.device
    reader = whole_clips(clips, checkpoint.recipe, {})
    predictions: Iterable[ClipPrediction]
    if group is None or group.world == 1:
        predictions = apply_network(network.to(where), reader, where)
    else:
        mine = range(group.rank, len(clips), group.world)
        shares = group.gather([*apply_network(network.to(where), reader, where, clips=mine)])
        if not group.first:
            return {}
        every = (each for some in shares for each in some)
        predictions = sorted(every, key=lambda each: each.clip)
    name, targets = checkpoint.recipe.name, checkpoint.targets
    return write_predictions(run, predictions, name, targets, dataset, clips, edition, on_event)


def write_predictions(
    run: Path,
    predictions: Iterable[ClipPrediction],
    model: str,
    targets: Mapping[str, tuple[str, ...]],
    dataset: Dataset,
    clips: Sequence[Clip],
    edition: str,
    on_event: EventCallback = ignore_events,
) -> Pairs:
    """Write predictions, one a clip, into ``run``; see :func:`write_validation`.

    Args:
        run: the run's folder.
        predictions: of ``clips``, in any order.
        model: the name of the model that made them.
        targets: by task, the names of what is predicted.
        dataset: of the clips; it names the targets.
        clips: of the dataset.
        edition: see :func:`write_validation`.
        on_event: progress in clips.
    """
    out, rows = run / FOLDER, []
    whole = edition if "files" in edition_named(edition).formats else DEFAULT_EDITION
    tasks = [
        task
        for task in targets
        if not dataset.per_clip and is_challenge(task, targets[task], whole)
    ]
    skipped = 0
    numbered: dict[str, dict[int, tuple[NDArray[Any], NDArray[Any]]]] = {t: {} for t in targets}
    with ExitStack() as stack:
        mtl: SingleFileWriter | None = None
        if set(tasks) == set(TRACKS) and "mtl" in edition_named(edition).formats:
            path = single_path(out, "mtl", edition)
            mtl = stack.enter_context(open_single(path, "mtl", edition))
        for done, predicted in enumerate(predictions, start=1):
            clip = clips[predicted.clip]
            for task in targets:
                if task in clip.labels:
                    labels = clip.labels[task]
                    pair = pair_of(task, predicted, labels, per_clip=dataset.per_clip)
                    numbered[task][predicted.clip] = pair
            try:
                table = out / TABLES / f"{subject_file_name(clip.name)[:-4]}.parquet"
            except UsageError:  # a name of the user's own that no file can have
                skipped += 1
                continue
            columns = _columns(predicted, clip, targets)
            about = {
                "clip": clip.name,
                "group": clip.group,
                "model": model,
                "known": {clip.name: ["validated"]},
                "sha256": video_hash(clip),
                "missing": DEFAULT_POLICY,  # of the text files; the table has empty rows
            }
            write_table(table, columns, about)
            if tasks:
                prediction = fill(_prediction(predicted, clip, model, tasks), DEFAULT_POLICY)
                for task in tasks:
                    write_challenge(prediction, task, out, whole)
                if mtl is not None:
                    mtl.add(prediction)
            if dataset.per_clip:
                rows.append(_clip_row(predicted, clip, targets))
            on_event(
                Progress(
                    "validation files", done, len(clips), "clips", finished=done == len(clips)
                )
            )
    if rows:
        text = io.StringIO()
        writer = csv.DictWriter(text, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_text(out / CLIPS, text.getvalue())
    if skipped:
        on_event(Notice(f"{skipped} clips have names that no file can have", warning=True))
    return {task: [pair for _, pair in sorted(some.items())] for task, some in numbered.items()}


def intervals_of(
    pairs: Pairs, clips: Sequence[Clip], targets: Mapping[str, Sequence[str]]
) -> dict[str, Interval]:
    """By task, how sure its score is, by a bootstrap over the clips' groups (their videos).

    Args:
        pairs: of all ``clips`` that are labelled for the task, in their order.
        clips: the clips.
        targets: by task, the names of what is predicted.
    """
    found = {}
    of = kind_of((clip.name, clip.group, clip.frames) for clip in clips)
    for task, some in pairs.items():
        groups = [clip.group for clip in clips if task in clip.labels]
        videos = by_video((clip_tally(task, pair, targets[task]) for pair in some), groups)
        found[task] = interval_of(videos, task, targets[task], of=of)
    return found


def scores_of(pairs: Pairs, targets: Mapping[str, Sequence[str]]) -> dict[str, float]:
    """By task its score, and its parts as ``<task> <part>``, over all clips together."""
    scores: dict[str, float] = {}
    for task, some in pairs.items():
        scores[task], parts = score_arrays(task, some, targets[task])
        scores |= {f"{task} {name}": value for name, value in parts.items()}
    return scores


def is_challenge(task: str, targets: Sequence[str], edition: str) -> bool:
    """Whether ``targets`` are exactly what the edition's files of ``task`` hold, and can be
    written from a `Prediction`."""
    chosen = edition_named(edition)
    wanted = chosen.targets(task)
    writable = "files" in chosen.formats and "AU20" not in wanted
    return writable and tuple(targets) == wanted


def _prediction(
    predicted: ClipPrediction, clip: Clip, model: str, tasks: Sequence[str]
) -> Prediction:
    seen = np.any(list(predicted.seen.values()), axis=0)
    values: dict[str, Any] = {task: predicted.values[task] for task in tasks}
    for task, some in values.items():
        if isinstance(TASKS[task], Classes) and some.shape[1] < len(TASKS[task].targets):
            # Editions of seven classes have no Other.
            more = len(TASKS[task].targets) - some.shape[1]
            values[task] = np.pad(some, ((0, 0), (0, more)))
            values[task][~seen] = np.nan
    return Prediction(
        subject=clip.name,
        model=model,
        times=np.arange(clip.frames, dtype=np.float64),
        present=seen,
        confidence=np.full(clip.frames, np.nan, np.float32),
        **values,
    )


def _columns(predicted: ClipPrediction, clip: Clip, targets: Any) -> dict[str, NDArray[Any]]:
    columns: dict[str, NDArray[Any]] = {"frame": np.arange(1, clip.frames + 1)}
    # Features in tables of the user's own may have no times.
    if (times := getattr(clip.features, "times", None)) is not None:
        columns["time"] = np.asarray(times, np.float64)
    columns |= {f"seen_{branch}": seen for branch, seen in predicted.seen.items()}
    for task, names in targets.items():
        for i, name in enumerate(names):
            columns[TASKS[task].value_column(name)] = predicted.values[task][:, i]
        if task in clip.labels:
            columns |= TASKS[task].label_table(clip.labels[task], names)
    return columns


def _clip_row(predicted: ClipPrediction, clip: Clip, targets: Any) -> dict[str, Any]:
    row: dict[str, Any] = {"clip": clip.name, "group": clip.group}
    for task, names in targets.items():
        average = mean_prediction(predicted.values[task])
        if TASKS[task].flat:
            suffix = "" if task == EXPR.name else f"_{task}"
            number = int(decisions(task, average, ~np.isnan(average[:, 0]))[0])
            row[f"predicted{suffix}"] = names[number] if number >= 0 else ""
            label = int(clip.labels[task][0]) if task in clip.labels else -1
            row[f"label{suffix}"] = names[label] if label >= 0 else ""
        for i, name in enumerate(names):
            row[TASKS[task].value_column(name)] = round(float(average[0, i]), 5)
    return row
