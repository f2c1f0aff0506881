"""``avaffect plot``."""

from __future__ import annotations

from pathlib import Path

import click

from avaffect.cli.options import drawn_subjects


@click.command()
@click.argument("predictions", type=click.Path())
@click.option(
    "-o",
    "--out",
    type=click.Path(dir_okay=False),
    required=True,
    help="The figure to write: .png, .pdf or .svg.",
)
@drawn_subjects
@click.option(
    "--group",
    is_flag=True,
    help="Draw the mean of all subjects with its 95 % confidence interval, not each one.",
)
@click.option("--overwrite", is_flag=True, help="Replace a figure that `avaffect plot` wrote.")
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
def plot(
    predictions: str,
    out: str,
    subjects: tuple[str, ...],
    group: bool,
    overwrite: bool,
    quiet: bool,
) -> None:
    """Draw PREDICTIONS over time: a folder that `avaffect predict` wrote, or one of its tables.

    Of one subject: valence and arousal with their intervals, expressions, and action units as a
    heat map. Of several: valence and arousal of each. Missing values are gaps.

    \b
    Examples:
      avaffect plot out/ -o figure.pdf
      avaffect plot out/ -o left.png --subject video_left
      avaffect plot out/ -o group.svg --group
    """
    from avaffect.cli.terminal import Reporter
    from avaffect.drawing.plot import plot as draw

    with Reporter(quiet) as reporter:
        done = draw(
            predictions,
            Path(out),
            subjects=subjects or None,
            group=group,
            overwrite=overwrite,
            on_event=reporter,
        )
        count = len(done.subjects)
        reporter.say(f"{count} {'subject' if count == 1 else 'subjects'}: {done.path}")
