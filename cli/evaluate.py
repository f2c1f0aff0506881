"""``avaffect evaluate``."""

from __future__ import annotations

from dataclasses import asdict
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from avaffect.challenge.editions import (
    DEFAULT_EDITION,
    EDITIONS,
    MTL_EDITIONS,
    edition_for,
)
from avaffect.cli.options import NameChoice
from avaffect.errors import UsageError
from avaffect.tasks.registry import TASKS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from avaffect.metrics.evaluation import Comparison, Evaluation, Pair
    from avaffect.metrics.pairs import Pairs

_FEW = "fewer than ten say too little for"
OPTIMISTIC = "tuned on the very annotations they are scored on: optimistic, no figure to report"


@click.command()
@click.argument("predictions", type=click.Path())
@click.argument("annotations", type=click.Path())
@click.option(
    "-t",
    "--task",
    type=NameChoice((*TASKS, "mtl"), "task"),
    required=True,
    help="What is scored; mtl is the sum of all three.",
)
@click.option(
    "--edition",
    type=NameChoice(list(EDITIONS), "edition"),
    help="Whose official score; ABAW1 and 2 weight F1 and accuracy.  "
    f"[default: {DEFAULT_EDITION}, for mtl {MTL_EDITIONS[-1]}]",
)
@click.option(
    "--split",
    type=NameChoice(("train", "val", "test", "all"), "split"),
    help="Which annotations to take.  [default: val if they have splits]",
)
@click.option("--against", type=click.Path(), help="Other predictions to compare with, paired.")
@click.option("--partial", is_flag=True, help="Leave out annotated subjects without prediction.")
@click.option(
    "--resamples",
    type=click.IntRange(100),
    default=2000,
    show_default=True,
    help="Bootstrap draws of videos for the 95 % interval (from ten videos on).",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the draws.")
@click.option(
    "--tune-thresholds",
    is_flag=True,
    help="Also tune a threshold for each action unit on ANNOTATIONS (optimistic).",
)
@click.option("--per-video", is_flag=True, help="Print a row a subject.")
@click.option("--json", "json_path", type=click.Path(dir_okay=False), help="Write all as JSON.")
@click.option("--plot", type=click.Path(dir_okay=False), help="Write a picture (PNG).")
def evaluate(
    predictions: str,
    annotations: str,
    task: str,
    edition: str | None,
    split: str | None,
    against: str | None,
    partial: bool,
    resamples: int,
    seed: int,
    tune_thresholds: bool,
    per_video: bool,
    json_path: str | None,
    plot: str | None,
) -> None:
    """Score PREDICTIONS against ANNOTATIONS with the challenge's official metric.

    PREDICTIONS are a folder that `avaffect predict` has written, a folder of SUBJECT.txt, one such
    file, or a predictions.txt (for mtl MTL_predictions.txt). ANNOTATIONS are the same, or the
    challenge's annotations as they come: the folder of everything, of a task or of a split. Frames
    annotated as invalid are left out; all valid frames of all videos are taken together, as the
    organisers do.

    An interval, and the p of --against, take ten videos or more: of fewer they would promise more
    than so few can tell. A column's name in a file's first line counts: known names in another
    order are put in order, or refused.

    With --tune-thresholds the scores of action units are read from the tables that `avaffect
    predict` writes beside its files. Thresholds that predictions follow are chosen by `avaffect
    tune`.

    \b
    Examples:
      avaffect evaluate out/ annotations/ --task va
      avaffect evaluate new/ annotations/ --task expr --split train --against old/ --plot expr.png
      avaffect evaluate predictions.txt val/ --task au --per-video --json au.json
      avaffect evaluate MTL_predictions.txt validation_set.txt --task mtl
    """
    from avaffect.challenge.editions import edition_named
    from avaffect.challenge.known import known_subjects
    from avaffect.cli.terminal import Reporter
    from avaffect.metrics.evaluation import compare, score_pairs
    from avaffect.metrics.pairs import read_pairs
    from avaffect.metrics.thresholds import (
        apply,
        tables_beside,
        tune,
        with_probabilities,
    )

    edition = edition_for(task, edition)
    if tune_thresholds and task != "au":
        raise UsageError(
            f"task '{task}' is not scored with thresholds", "they are for --task au alone"
        )

    def read(path: str) -> Pairs:
        return read_pairs(
            Path(path), Path(annotations), task, edition, split=split, partial=partial
        )

    def scored(pairs: Sequence[Pair]) -> Evaluation:
        return score_pairs(pairs, task, edition, resamples=resamples, seed=seed)

    found = read(predictions)
    report: dict[str, Any] = {
        "predictions": predictions,
        "annotations": annotations,
        "split": found.split or None,
        "left_out": list(found.left_out),
        "known": known_subjects(
            tables_beside(Path(predictions), edition_named(edition)),
            [pair.subject for pair in found.pairs],
            Reporter(),
        ),
    }
    mine = scored(found.pairs)
    report |= _facts(mine)
    _print(mine, report, per_video)

    tuned = None
    if tune_thresholds:
        probabilities = with_probabilities(Path(predictions), found.pairs, edition)
        best = tune(probabilities, edition)
        tuned = scored(apply(best, probabilities, edition))
        report["tuned"] = _facts(tuned) | {"thresholds": best, "note": OPTIMISTIC}
        _print_tuned(mine, tuned, best)
    if against is not None:
        other = scored(read(against).pairs)
        comparison = compare(mine, other, resamples=resamples, seed=seed)
        report["comparison"] = {"against": against, "score": other.score} | asdict(comparison)
        _print_comparison(against, other, comparison)
    if json_path is not None:
        from avaffect.files.atomic import write_json
        from avaffect.files.ours import holds, require_own_file

        require_own_file(Path(json_path), holds(b'"predictions"', b'"annotations"', b'"score"'))
        write_json(Path(json_path), _clean(report))
    if plot is not None:
        from avaffect.metrics.chart import draw

        draw(mine, Path(plot), title=predictions, tuned=tuned)


def _print(evaluation: Evaluation, report: dict[str, Any], per_video: bool) -> None:
    from avaffect.challenge.known import WAYS
    from avaffect.cli.terminal import Reporter, print_table

    reporter = Reporter()
    if report["left_out"]:
        reporter.say(f"left out, without prediction: {', '.join(report['left_out'])}")
    if report["split"]:
        click.echo(f"split: {report['split']}")
    for way, names in report["known"].items():
        what = f"warning: {len(names)} of {len(evaluation.subjects)} subjects are clips that"
        reporter.say(f"{what} {WAYS[way]}")
    subjects = evaluation.subjects
    score = f"{evaluation.task} ({evaluation.edition}): {evaluation.score:.4f}"
    click.echo(f"{score}  {_interval(evaluation)}")
    click.echo(f"{report['frames']} frames scored, {report['invalid']} annotated as invalid")
    if report["unpredicted"]:
        reporter.say(
            f"warning: {report['unpredicted']} valid frames have no prediction and were left out; "
            "the challenge would count them as wrong (predict with --missing linear)"
        )
    longer = [subject for subject in subjects if subject.rows]
    if longer:
        reporter.say(f"{len(longer)} subjects have more or fewer rows than annotated")
    click.echo("")
    print_table(
        reporter,
        ("part", "value", ""),
        [
            (name, f"{value:.4f}", "absent" if name in evaluation.absent else "")
            for name, value in evaluation.parts.items()
        ],
    )
    if evaluation.absent:
        click.echo(
            "absent: no frame is annotated with it (or all with the same value); it says nothing "
            "of the predictions, and counts in the challenge's score all the same"
        )
    if evaluation.confusion is not None:
        click.echo("\nframes by annotated class (rows) and predicted class (columns)")
        names = report["classes"]
        rows = zip(names, evaluation.confusion.tolist(), strict=True)
        print_table(reporter, ("", *names), [(name, *map(str, row)) for name, row in rows])
    if per_video:
        click.echo("")
        print_table(
            reporter,
            ("subject", "frames", "invalid", "unpredicted", "rows +-", "score"),
            [
                (
                    subject.subject,
                    str(subject.frames),
                    str(subject.invalid),
                    str(subject.unpredicted),
                    f"{subject.rows:+d}",
                    f"{subject.score:.4f}",
                )
                for subject in subjects
            ],
        )


def _print_tuned(mine: Evaluation, tuned: Evaluation, best: Mapping[str, float]) -> None:
    from avaffect.cli.terminal import Reporter, print_table

    click.echo(
        f"\nwith tuned thresholds: {tuned.score:.4f} instead of {mine.score:.4f}; {OPTIMISTIC}\n"
        f"tuned: {_interval(tuned)}"
    )
    print_table(
        Reporter(),
        ("unit", "threshold", "F1 tuned", "F1 as predicted"),
        [
            (
                name,
                f"{limit:.4f}",
                f"{tuned.parts[f'F1 {name}']:.4f}",
                f"{mine.parts[f'F1 {name}']:.4f}",
            )
            for name, limit in best.items()
        ],
    )


def _print_comparison(against: str, other: Evaluation, comparison: Comparison) -> None:
    from avaffect.cli.terminal import printable

    line = f"\nagainst {printable(against)} ({other.score:.4f}): {comparison.difference:+.4f} "
    if isfinite(comparison.p):
        line += (
            f"[{comparison.low:+.4f}, {comparison.high:+.4f}], p = {comparison.p:.3f} (paired "
            "bootstrap over videos)"
        )
    else:
        line += f"({_videos(len(other.videos))}, {_FEW} an interval or p)"
    click.echo(line)
    click.echo(f"{printable(against)}: {_interval(other)}")


def _interval(evaluation: Evaluation) -> str:
    from avaffect.metrics.bootstrap import MIN_VIDEOS

    videos = len(evaluation.videos)
    if videos < MIN_VIDEOS:
        return f"{_videos(videos)}, {_FEW} an interval"
    return f"95 % interval [{evaluation.low:.4f}, {evaluation.high:.4f}] over {videos} videos"


def _videos(count: int) -> str:
    return f"{count} video{'s' if count > 1 else ''}"


def _facts(evaluation: Evaluation) -> dict[str, Any]:
    """An evaluation as JSON holds it."""
    subjects = [asdict(subject) for subject in evaluation.subjects]
    facts = {
        "task": evaluation.task,
        "edition": evaluation.edition,
        "score": evaluation.score,
        "low": evaluation.low,
        "high": evaluation.high,
        "videos": len(evaluation.videos),
        "frames": evaluation.frames,
        "invalid": sum(subject["invalid"] for subject in subjects),
        "unpredicted": sum(subject["unpredicted"] for subject in subjects),
        "parts": evaluation.parts,
        "absent": list(evaluation.absent),
        "subjects": subjects,
    }
    if evaluation.confusion is not None:
        facts["classes"] = list(EDITIONS[evaluation.edition].expressions)
        facts["confusion"] = evaluation.confusion.tolist()
    return facts


def _clean(value: Any) -> Any:
    """JSON has no NaN: a score that does not exist is null."""
    if isinstance(value, dict):
        return {key: _clean(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_clean(item) for item in value]
    return None if isinstance(value, float) and not isfinite(value) else value
