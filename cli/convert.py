"""``avaffect convert``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from avaffect.cli.options import CONVERTED, DECIMALS, NameChoice

if TYPE_CHECKING:
    from avaffect.cli.terminal import Reporter
    from avaffect.files.csv_text import Decimal


@click.command()
@click.argument("predictions", nargs=-1, required=True, type=click.Path(), metavar="OUT...")
@click.option(
    "--format",
    "form",
    type=NameChoice(CONVERTED, "format"),
    required=True,
    help="; ".join(f"{name}: {about}" for name, about in CONVERTED.items()) + ".",
)
@click.option(
    "-o",
    "--out",
    type=click.Path(file_okay=False),
    help="The folder to write to.  [default: converted/FORMAT in each OUT]",
)
@click.option(
    "--rate",
    type=float,
    metavar="HZ",
    help="Samples a second of nova and bids, which have no times of their own: each is the frame "
    "nearest in time.  [default: the frames' mean rate]",
)
@click.option(
    "--decimal",
    type=NameChoice(DECIMALS, "way to write decimals"),
    default=DECIMALS[0],
    show_default=True,
    help="Decimals in csv; with comma, semicolons separate the cells.",
)
@click.option(
    "--transcript",
    type=click.Path(),
    metavar="FILE",
    help="What is said in the video (.srt, .vtt, .TextGrid), as tiers of eaf, textgrid and vtt.",
)
@click.option(
    "--speakers",
    type=click.Path(),
    metavar="FILE.rttm",
    help="Who speaks when, of a diarisation; each voice is given to the person whose lips move.",
)
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
def convert(
    predictions: tuple[str, ...],
    form: str,
    out: str | None,
    rate: float | None,
    decimal: Decimal,
    transcript: str | None,
    speakers: str | None,
    quiet: bool,
) -> None:
    """Write predictions in the form of another program: ELAN, Praat, OpenFace and others.

    OUT is a folder that `avaffect predict` wrote, or one of its tables. Nothing is predicted anew.
    A file that you have changed since, as an .eaf with tiers of your own, is not replaced.

    \b
    Examples:
      avaffect convert out/ --format eaf
      avaffect convert out/ --format openface -o openface_tables/
      avaffect convert out/ --format bids --rate 50
      avaffect convert out/ --format eaf --transcript talk.srt --speakers talk.rttm
    """
    from avaffect.cli.terminal import Reporter

    with Reporter(quiet) as reporter:
        say_converted(
            reporter,
            predictions,
            form,
            out,
            rate=rate,
            decimal=decimal,
            transcript=transcript,
            speakers=speakers,
        )


def say_converted(
    reporter: Reporter,
    predictions: Sequence[Path | str],
    form: str,
    out: str | None = None,
    **choices: Any,
) -> None:
    """Convert, and say what was written; arguments as of `converting.run.convert`."""
    from avaffect.converting.run import convert as write

    done = write(predictions, form, out, **choices, on_event=reporter)
    people = f"{done.people} {'person' if done.people == 1 else 'people'}"
    where = ", ".join(map(str, done.folders))
    files = f"{len(done.files)} file{'' if len(done.files) == 1 else 's'}"
    reporter.say(f"{form}: {people}, {files} in {where}")
    for voice in done.voices:
        reporter.say(f"voice: {voice}")
