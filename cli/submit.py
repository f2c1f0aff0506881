"""``avaffect submit``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from avaffect.challenge.editions import DEFAULT_EDITION, EDITIONS
from avaffect.cli.options import NameChoice
from avaffect.cli.words import as_options
from avaffect.errors import UsageError
from avaffect.tasks.registry import TASKS

if TYPE_CHECKING:
    from avaffect.challenge.rows import Fault
    from avaffect.challenge.submit import Report
    from avaffect.cli.terminal import Reporter

SHOWN = 10
SHOWN_OF_A_KIND = 3
HELD = {
    "rows": "all and only those of the template, in its order",
    "tracks": "all tracks of the list (which does not say how many rows each must have)",
    "": "not held against any template",
}
MTL_EDITION = next(name for name in reversed(EDITIONS) if "mtl" in EDITIONS[name].formats)


@click.command()
@click.argument("predictions", type=click.Path())
@click.option(
    "-t",
    "--task",
    type=NameChoice((*TASKS, "mtl"), "task"),
    required=True,
    help="The track of the challenge.",
)
@click.option(
    "--edition",
    type=NameChoice(list(EDITIONS), "edition"),
    help=f"Whose form is wanted.  [default: {DEFAULT_EDITION}, for mtl {MTL_EDITION}]",
)
@click.option(
    "--template",
    type=click.Path(dir_okay=False),
    help="The organisers' sample file or list of names: which rows and tracks there must be.",
)
@click.option("-o", "--out", type=click.Path(), help="The zip to write.")
@click.option("--check", "checking", is_flag=True, help="Only say what is wrong; write nothing.")
@click.option(
    "--number",
    type=click.IntRange(1),
    metavar="N",
    help="Which of the team's five submissions in the track it is; what produced it is kept in "
    "submissions.json beside the zip, and -o may be a folder.",
)
@click.option("--overwrite", is_flag=True, help="Replace another submission of that number.")
@click.option(
    "--allow-missing",
    is_flag=True,
    help="Let rows pass that hold -5 or -1 for a frame without prediction.",
)
def submit(
    predictions: str,
    task: str,
    edition: str | None,
    template: str | None,
    out: str | None,
    checking: bool,
    number: int | None,
    overwrite: bool,
    allow_missing: bool,
) -> None:
    """Make the zip for the organisers from PREDICTIONS, or say what is wrong with it.

    PREDICTIONS are a folder that `avaffect predict` has written, a folder of TRACK.txt, one such
    file, or a list of images (predictions.txt, MTL_predictions.txt); with --check also a zip.

    The rows are brought into the template's order, under the header of the edition; values stay as
    they are written. Nothing is made up: a row that has no prediction is a fault, and with a fault
    no zip is written. Only where the template lists one or two frames more than a track has, the
    last row is repeated.

    Exit code: 0 without faults, 1 with faults, 2 for wrong use.

    \b
    Examples:
      avaffect submit out/ -t va --edition abaw6 --template ABAW_VA_test_set_sample.txt -o va.zip
      avaffect submit out/ -t va --template ABAW_VA_test_set_sample.txt -o mine/ --number 2
      avaffect submit out/ -t expr --edition abaw3 --template EXPR_test_set_release.txt -o expr.zip
      avaffect submit --check va.zip -t va --edition abaw6 --template ABAW_VA_test_set_sample.txt
    """
    from avaffect.challenge.submissions import MOST, Numbered, numbers_of
    from avaffect.challenge.submit import check_submission
    from avaffect.challenge.submit import submit as make
    from avaffect.cli.terminal import Reporter

    edition = edition or (MTL_EDITION if task == "mtl" else DEFAULT_EDITION)
    if checking == (out is not None):
        raise UsageError(
            "a submission is either written or checked", "give -o NAME.zip, or else --check"
        )
    if number is None and overwrite:
        raise UsageError("--overwrite replaces a numbered submission", "give --number N too")
    if checking and number is not None:
        raise UsageError("--number is for a zip that is written", "leave it out, or give -o")
    asked = (task, edition, Path(template) if template else None)
    reporter = Reporter()
    if out is None:
        report = check_submission(
            Path(predictions), *asked, allow_missing=allow_missing, on_event=reporter
        )
    else:
        report = make(
            Path(predictions),
            Path(out),
            *asked,
            allow_missing=allow_missing,
            number=number,
            overwrite=overwrite,
            on_event=reporter,
        )
    if report.counts:
        _print_faults(report, reporter)
        if out is not None:
            reporter.say(f"nothing was written to {out}")
        raise click.exceptions.Exit(1)
    _print_report(report, out and str(report.path))
    if report.path is not None and number is not None:
        made = numbers_of(report.path.parent, Numbered(task, edition, number))
        click.echo(
            f"submission {number} of {MOST} in the track {task} of {edition}; made so far: "
            f"{', '.join(map(str, made))}"
        )


def _print_faults(report: Report, reporter: Reporter) -> None:
    from avaffect.cli.terminal import printable

    if report.raw:
        reporter.say("not in the edition's form yet; this keeps `avaffect submit` from making it:")
    shown = _first(report.faults)
    for number, fault in enumerate(shown, 1):
        line = f", line {fault.line}" if fault.line else ""
        click.echo(printable(f"{number:2}. {fault.file}{line}: {fault.text}"))
        click.echo(f"    {as_options(fault.advice)}")
    more = dict(report.counts)
    for fault in shown:
        more[fault.kind] -= 1
    if any(more.values()):
        kinds = ", ".join(f"{kind}: {count:,}" for kind, count in more.items() if count)
        click.echo(f"and {sum(more.values()):,} more ({kinds})")


def _first(faults: Sequence[Fault]) -> list[Fault]:
    """The first faults, but no kind so often that another one is not seen."""
    turns: Counter[str] = Counter()
    order = []
    for at, fault in enumerate(faults):
        turns[fault.kind] += 1
        order.append((turns[fault.kind] > SHOWN_OF_A_KIND, at))
    return [faults[at] for at in sorted(at for _, at in sorted(order)[:SHOWN])]


def _print_report(report: Report, out: str | None) -> None:
    from avaffect.cli.terminal import printable

    what = f"{report.file} with " if report.file else ""
    like = HELD[report.held]
    tracks = f"{report.tracks:,} track{'s' * (report.tracks != 1)}"
    text = f"{what}{report.rows:,} rows of {tracks}, {like}"
    click.echo(printable(f"no faults: {text}" if out is None else f"wrote {out}: {text}"))
    if report.raw:
        click.echo("not in the edition's form yet: `avaffect submit -o` makes the zip")
    if report.repeated:
        times = [f"{subject} +{count}" for subject, count in report.repeated.items()]
        more = f" and {len(times) - 5:,} more" if len(times) > 5 else ""
        click.echo(printable(f"last row repeated, as the template lists more frames: "
                             f"{', '.join(times[:5])}{more}"))  # fmt: skip
    if report.left_out:
        click.echo(f"left out, as the template does not list them: {report.left_out:,} rows")
    if report.marked:
        click.echo(f"rows that say -5 or -1 (no prediction), as allowed: {report.marked:,}")
