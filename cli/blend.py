"""``avaffect blend``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from avaffect.challenge.editions import DEFAULT_EDITION, EDITIONS
from avaffect.cli.options import DEFAULT_OUT, POLICIES, WRITTEN, NameChoice, format_options
from avaffect.errors import UsageError

if TYPE_CHECKING:
    from avaffect.cli.terminal import Reporter
    from avaffect.predicting.blend_folders import Blended

EXPRESSION_RULES = ("average", "vote")


@click.command()
@click.argument("folders", nargs=-1, required=True, type=click.Path(), metavar="FOLDER ...")
@click.option(
    "-o",
    "--out",
    type=click.Path(file_okay=False),
    default=DEFAULT_OUT,
    show_default=True,
    help="Output folder.",
)
@click.option(
    "-w",
    "--weights",
    metavar="W,W,...",
    help="How much each folder counts in averages, in their order.  [default: all the same]",
)
@click.option(
    "--expression",
    type=NameChoice(EXPRESSION_RULES, "way to blend expressions"),
    default="average",
    show_default=True,
    help="average: of the probabilities; vote: a class in {1,2,3,5} that any model predicts, 2 "
    "before 3, 5 and 1, else the most frequent.",
)
@click.option(
    "--units",
    default="average",
    show_default=True,
    metavar="average|vote:K",
    help="average: of the probabilities; vote:K: present where at least K models predict it.",
)
@click.option(
    "--other-below",
    type=float,
    metavar="P",
    help="Call a frame Other whose likeliest class of the seven has a probability below P.",
)
@click.option(
    "--smooth",
    default="off",
    show_default=True,
    metavar="off|KIND:SECONDS",
    help="Smooth the result, all tasks alike or each by its own: va=box:3.4,au=box:0.2.",
)
@click.option(
    "--missing",
    type=NameChoice(POLICIES, "policy for missing frames"),
    default="linear",
    show_default=True,
    help="What stands in frames of which no model has a value; invalid writes -5 / -1.",
)
@format_options(WRITTEN)
@click.option(
    "--edition",
    type=NameChoice(list(EDITIONS), "edition"),
    default=DEFAULT_EDITION,
    show_default=True,
    help="Edition of the challenge whose headers, classes and folders are read and written.",
)
@click.option("--common", is_flag=True, help="Leave out subjects that only some folders have.")
@click.option("--overwrite", is_flag=True, help="Replace an earlier blend in the output folder.")
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
def blend(
    folders: tuple[str, ...],
    out: str,
    weights: str | None,
    expression: str,
    units: str,
    other_below: float | None,
    smooth: str,
    missing: str,
    form: str,
    csv: bool,
    decimal: str,
    edition: str,
    common: bool,
    overwrite: bool,
    quiet: bool,
) -> None:
    """Blend the predictions of several models in FOLDERs into one.

    FOLDERs are what `avaffect predict` wrote, or training runs, whose validation predictions are
    taken. Folders that hold the challenge's files alone, such as other people's, count with their
    labels. Probabilities are averaged as they are in the tables, so predict with --smooth off
    and smooth here. Frames without a face count for nothing and are filled at the end.
    Where validation predictions of runs are among them, each folder and the blend are scored
    against the labels beside these, with an interval over videos. Weights and smoothing that
    were chosen by these scores make them too good.

    \b
    Examples:
      avaffect blend out_a/ out_b/ --weights 2,1 -o blended/
      avaffect blend run_1/ run_2/ run_3/ --expression vote --units vote:2 -o blended/
      avaffect blend out_a/ out_b/ --smooth va=box:3.4,expr=box:3.4,au=box:0.2 -o blended/
    """
    from avaffect.cli.terminal import Reporter, print_table
    from avaffect.predicting.blend_folders import blend_folders
    from avaffect.predictions.blend import Blending

    how = Blending(_parse_weights(weights), expression, units, other_below)
    with Reporter(quiet) as reporter:
        done = blend_folders(
            folders,
            Path(out),
            how,
            smooth=smooth,
            missing=missing,
            form=form,
            edition=edition,
            csv=csv,
            decimal=decimal,
            common=common,
            overwrite=overwrite,
            on_event=reporter,
        )
        if done.left_out:
            reporter.say(f"left out, not in all folders: {', '.join(done.left_out)}")
        counts = how.weights or (1.0,) * len(folders)
        print_table(
            reporter,
            ("folder", "weight", "models"),
            [
                (folder, f"{weight:g}", ", ".join(done.models[folder]))
                for folder, weight in zip(folders, counts, strict=True)
            ],
        )
        if any(done.scores):
            _print_scores(reporter, folders, done)
        reporter.say(
            f"{len(done.subjects)} subjects, {done.frames} frames, {', '.join(done.tasks)}: {out}"
        )


def _print_scores(reporter: Reporter, folders: tuple[str, ...], done: Blended) -> None:
    from avaffect.cli.terminal import print_table
    from avaffect.tasks.registry import TASKS

    tasks = [task for task in TASKS if any(task in part for part in done.scores)]
    heads = [head for task in tasks for head in (f"{task} {TASKS[task].measure}", "95 % interval")]
    rows = []
    for name, part in zip((*folders, "blend"), done.scores, strict=True):
        found = [part.get(task) for task in tasks]
        cells = [("-", "-") if of is None else (f"{of.score:.4f}", of.interval.short)
                 for of in found]  # fmt: skip
        rows.append((name, *(cell for pair in cells for cell in pair)))
    if not reporter.quiet:
        click.echo("")
    print_table(reporter, ("on validation clips", *heads), rows)
    for task in tasks:
        if (of := done.scores[-1].get(task)) is not None:
            reporter.say(f"blend, {task}: {of.interval}")


def _parse_weights(text: str | None) -> tuple[float, ...]:
    if text is None:
        return ()
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise UsageError(
            f"'{text}' is no list of weights", "write one number a folder, such as 2,1"
        ) from None
