"""``avaffect voice``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from avaffect.cli.options import DECIMALS, DEFAULT_OUT, NameChoice

if TYPE_CHECKING:
    from avaffect.cli.terminal import Row
    from avaffect.files.csv_text import Decimal


@click.command()
@click.argument("inputs", nargs=-1, required=True, metavar="VIDEO|SOUND|FOLDER|GLOB ...")
@click.option(
    "-o",
    "--out",
    type=click.Path(file_okay=False),
    default=DEFAULT_OUT,
    show_default=True,
    help="The folder to write to.",
)
@click.option("-r", "--recursive", is_flag=True, help="Look into folders of folders.")
@click.option(
    "--opensmile",
    "smile",
    metavar="SET",
    help="The descriptors of an openSMILE set too: eGeMAPSv02, GeMAPSv01b or ComParE_2016. Needs "
    "the package opensmile, which is for research only.",
)
@click.option(
    "--decimal",
    type=NameChoice(DECIMALS, "way to write decimals"),
    default=DECIMALS[0],
    show_default=True,
    help="Decimals in the CSV; with comma, semicolons separate the cells.",
)
@click.option("--offline", is_flag=True, help="Never fetch weights.")
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
@click.pass_context
def voice(
    ctx: click.Context,
    inputs: tuple[str, ...],
    out: str,
    recursive: bool,
    smile: str | None,
    decimal: Decimal,
    offline: bool,
    quiet: bool,
) -> None:
    """Measure the voice: pitch, loudness, speech and pauses, a row a frame.

    Takes videos, sound files, or folders that `avaffect preprocess` wrote. Writes
    voices/NAME.parquet and .csv, on the frames' clock, and voices/NAME.json, the voice in a few
    numbers. Nothing is predicted.

    \b
    Examples:
      avaffect voice video.mp4 -o out/
      avaffect voice prepared/ -o out/ --opensmile eGeMAPSv02
    """
    from avaffect.cli.terminal import Reporter, Row, run_all
    from avaffect.measuring.run import measure
    from avaffect.predicting.sources import find_sources
    from avaffect.preprocessing.names import names_of

    if offline:
        os.environ["AVAFFECT_OFFLINE"] = "1"
    with Reporter(quiet) as reporter:
        sources = find_sources(inputs, recursive, reporter)
        names = names_of(sources, inputs)

        def work(source: Path) -> Row:
            done = measure(
                source, out, name=names[source], smile=smile, decimal=decimal, on_event=reporter
            )
            said = done.summary
            what = f"{said['speech_s']:.1f} s of speech, {said['pauses']} pauses"
            return Row(source.name, f"ok ({what}; {done.files[0]})", str(done.rows))

        ctx.exit(run_all(sources, work, reporter, names, debug=ctx.obj))
