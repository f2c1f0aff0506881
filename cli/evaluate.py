"""``avaffect evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from avaffect.cli.options import NameChoice
from avaffect.files.editions import DEFAULT_EDITION, EDITIONS, TASKS

if TYPE_CHECKING:
    from avaffect.metrics.evaluation import Comparison, Evaluation


@click.command()
@click.argument("predictions", type=click.Path())
@click.argument("annotations", type=click.Path())
@click.option(
    "-t", "--task", type=NameChoice(TASKS, "task"), required=True, help="What is scored."
)
@click.option(
    "--edition",
    type=NameChoice(list(EDITIONS), "edition"),
    default=DEFAULT_EDITION,
    show_default=True,
    help="Whose official score; ABAW1 and 2 weight F1 and accuracy.",
)
@click.option("--against", type=click.Path(), help="Other predictions to compare with, paired.")
@click.option("--partial", is_flag=True, help="Leave out annotated subjects without prediction.")
@click.option(
    "--resamples",
    type=click.IntRange(100),
    default=2000,
    show_default=True,
    help="Bootstrap draws of videos for the 95 % interval.",
)
@click.option("--per-video", is_flag=True, help="Print a row a subject.")
@click.option("--json", "json_path", type=click.Path(dir_okay=False), help="Write all as JSON.")
@click.option("--plot", type=click.Path(dir_okay=False), help="Write a picture (PNG).")
def evaluate(
    predictions: str,
    annotations: str,
    task: str,
    edition: str,
    against: str | None,
    partial: bool,
    resamples: int,
    per_video: bool,
    json_path: str | None,
    plot: str | None,
) -> None:
    """Score PREDICTIONS against ANNOTATIONS with the challenge's official metric.

    Both are a folder of SUBJECT.txt, a folder that holds the edition's folder of the task (as
    `avaffect predict` writes it), or a single file. Frames annotated as invalid are left out; all
    valid frames of all videos are taken together, as the organisers do.

    \b
    Examples:
      avaffect evaluate out/ annotations/VA_Estimation_Challenge/Validation_Set --task va
      avaffect evaluate new/ val/ --task expr --against old/ --plot expr.png
      avaffect evaluate out/ val/ --task au --per-video --json au.json
    """
    from avaffect.files.atomic import write_json
    from avaffect.metrics.chart import draw
    from avaffect.metrics.evaluation import compare
    from avaffect.metrics.evaluation import evaluate as score
    from avaffect.metrics.pairs import read_pairs

    def scored(path: str) -> Evaluation:
        pairs, left_out = read_pairs(Path(path), Path(annotations), task, edition, partial=partial)
        if left_out:
            click.echo(f"left out, without prediction: {', '.join(left_out)}", err=True)
        return score(pairs, task, edition, resamples=resamples)

    mine = scored(predictions)
    _print(mine, per_video)
    comparison = None
    if against is not None:
        other = scored(against)
        comparison = compare(mine, other, resamples=resamples)
        click.echo(
            f"\nagainst {against} ({other.score:.4f}): {comparison.difference:+.4f} "
            f"[{comparison.low:+.4f}, {comparison.high:+.4f}], p = {comparison.p:.3f} (paired "
            "bootstrap over videos)"
        )
    if json_path is not None:
        write_json(Path(json_path), _as_json(mine, comparison))
    if plot is not None:
        draw(mine, Path(plot), title=predictions)


def _print(evaluation: Evaluation, per_video: bool) -> None:
    from avaffect.cli.report import Reporter, print_table

    reporter = Reporter()

    subjects = evaluation.subjects
    invalid = sum(one.invalid for one in subjects)
    videos = len(evaluation.videos)
    interval = f"95 % interval [{evaluation.low:.4f}, {evaluation.high:.4f}] over {videos} videos"
    click.echo(
        f"{evaluation.task} ({evaluation.edition}): {evaluation.score:.4f}  "
        + (interval if videos > 1 else "one video, so no interval")
    )
    click.echo(f"{evaluation.frames} frames scored, {invalid} annotated as invalid")
    unpredicted = sum(one.unpredicted for one in subjects)
    if unpredicted:
        click.echo(
            f"warning: {unpredicted} valid frames have no prediction and were left out; the "
            "challenge would count them as wrong (predict with --missing linear)",
            err=True,
        )
    longer = [one for one in subjects if one.rows]
    if longer:
        click.echo(f"{len(longer)} subjects have more or fewer rows than annotated", err=True)
    click.echo("")
    print_table(
        reporter,
        ("part", "value"),
        [(name, f"{value:.4f}") for name, value in evaluation.parts.items()],
    )
    if per_video:
        click.echo("")
        print_table(
            reporter,
            ("subject", "frames", "invalid", "unpredicted", "rows +-", "score"),
            [
                (
                    one.subject,
                    str(one.frames),
                    str(one.invalid),
                    str(one.unpredicted),
                    f"{one.rows:+d}",
                    f"{one.score:.4f}",
                )
                for one in subjects
            ],
        )


def _as_json(evaluation: Evaluation, comparison: Comparison | None) -> dict[str, Any]:
    from dataclasses import asdict
    from math import isfinite

    def clean(value: Any) -> Any:
        """JSON has no NaN: a score that does not exist is null."""
        if isinstance(value, dict):
            return {key: clean(one) for key, one in value.items()}
        if isinstance(value, list | tuple):
            return [clean(one) for one in value]
        return None if isinstance(value, float) and not isfinite(value) else value

    whole = asdict(evaluation)
    del whole["tallies"], whole["videos"]
    if evaluation.confusion is not None:
        whole["confusion"] = evaluation.confusion.tolist()
    whole["comparison"] = None if comparison is None else asdict(comparison)
    result: dict[str, Any] = clean(whole)
    return result
