"""The smoothing that an ensemble's recipe names: kept beside it, and scored as it will be used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from avaffect.ensemble.member_predictions import Scores
from avaffect.metrics.by_video import Intervals, scored
from avaffect.networks.checkpoint import Checkpoint
from avaffect.predicting.read_back import table_files
from avaffect.predicting.validated import read_validated
from avaffect.predictions.postprocess import Postprocess, load_postprocess
from avaffect.predictions.smooth import parse_smoothing
from avaffect.predictors.joined import Joined
from avaffect.recipes.ensemble_recipe import EnsembleRecipe


def keep_smoothing(recipe: EnsembleRecipe, whole: Joined, out: Path) -> None:
    """Write ``postprocess.json`` beside an ensemble whose recipe smooths.

    What `avaffect tune` chose for the very same ensemble stays.

    Raises:
        ForeignFileError: a file of that name is there that avaffect did not write.
        OutputError: it cannot be written.
    """
    if recipe.smooth == "off":
        return
    found = load_postprocess(out)
    if found is None or found.weights != whole.fingerprint:
        about = {"recipe": recipe.name}
        Postprocess(recipe.smooth, {}, whole.fingerprint, about).save(out)


def own_intervals(model: Path, checkpoint: Checkpoint) -> Intervals:
    """By task, how sure a model's own validation score is; empty where that is none of frames.

    Args:
        model: the folder of its run or fold.
        checkpoint: what it has learnt.

    Raises:
        FormatError: a table is damaged.
    """
    if checkpoint.per_clip or not table_files(model):
        return {}
    return smoothed_scores(model, "off", checkpoint.targets)[1]


def smoothed_scores(
    out: Path, smooth: str, targets: Mapping[str, Sequence[str]]
) -> tuple[Scores, Intervals]:
    """Scores of the validation tables in ``out``, smoothed, and by task how sure they are.

    Raises:
        FormatError: a table is damaged.
    """
    how = parse_smoothing(smooth)
    clips = [read_validated(name, path, targets) for name, path in table_files(out).items()]
    scores: Scores = {}
    intervals: Intervals = {}
    for task, names in targets.items():
        mine = [clip for clip in clips if task in clip.labels]
        if not mine:
            continue
        each = [clip.tally(task, names, how.of(task)) for clip in mine]
        found = scored(each, [clip.facts for clip in mine], task, names)
        scores[task], intervals[task] = found.score, found.interval
        scores |= {f"{task} {name}": value for name, value in found.parts.items()}
    return scores, intervals
