"""``avaffect render``."""

from __future__ import annotations

from pathlib import Path

import click

from avaffect.cli.options import drawn_subjects


@click.command()
@click.argument("video", type=click.Path())
@click.argument("predictions", type=click.Path())
@click.option(
    "-o",
    "--out",
    type=click.Path(dir_okay=False),
    required=True,
    help="The film to write: .mp4, .m4v, .mov or .mkv.",
)
@drawn_subjects
@click.option("--overwrite", is_flag=True, help="Replace a film that `avaffect render` wrote.")
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
def render(
    video: str,
    predictions: str,
    out: str,
    subjects: tuple[str, ...],
    overwrite: bool,
    quiet: bool,
) -> None:
    """Draw PREDICTIONS, a folder that `avaffect predict` wrote, on their VIDEO.

    Each subject has a colour: box, five points, name, the likeliest expression and its
    probability, valence (V) and arousal (A) from -1 to 1, and the active units. Every frame keeps
    its time, and the sound is kept. Frames in which no face is seen stay as they are.

    \b
    Example:
      avaffect predict video.mp4 -o out/ && avaffect render video.mp4 out/ -o drawn.mp4
    """
    from avaffect.cli.terminal import Reporter
    from avaffect.drawing.render import render as draw

    with Reporter(quiet) as reporter:
        done = draw(
            video,
            predictions,
            Path(out),
            subjects=subjects or None,
            overwrite=overwrite,
            on_event=reporter,
        )
        sound = "with sound" if done.has_sound else "without sound"
        reporter.say(f"{done.frames} frames {sound}: {done.path}")
