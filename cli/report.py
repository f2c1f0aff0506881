"""``avaffect report``."""

from __future__ import annotations

from pathlib import Path

import click

from avaffect.cli.options import scratch_option


@click.command()
@click.argument("predictions", type=click.Path())
@click.option(
    "-o",
    "--out",
    type=click.Path(dir_okay=False),
    help="The page to write, .html.  [default: report.html in PREDICTIONS]",
)
@click.option(
    "--video",
    "videos",
    type=click.Path(),
    multiple=True,
    help="The video that was predicted, or a folder of such; give it again for another.  "
    "[default: a file of its name in PREDICTIONS, beside it, or in this folder]",
)
@click.option(
    "--embed", is_flag=True, help="Put the video into the page, so that the page can be sent."
)
@click.option(
    "--annotations",
    type=click.Path(),
    help="Show these annotations beside the predictions, with CCC and F1.",
)
@click.option(
    "--transcript",
    type=click.Path(),
    metavar="FILE",
    help="Show at the cursor what is said in the video (.srt, .vtt, .TextGrid).",
)
@click.option(
    "--speakers",
    type=click.Path(),
    metavar="FILE.rttm",
    help="Who speaks when, of a diarisation; each voice is given to the person whose lips move.",
)
@click.option("--overwrite", is_flag=True, help="Replace a page that `avaffect report` wrote.")
@scratch_option
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
def report(
    predictions: str,
    out: str | None,
    videos: tuple[str, ...],
    embed: bool,
    annotations: str | None,
    transcript: str | None,
    speakers: str | None,
    overwrite: bool,
    scratch: str | None,
    quiet: bool,
) -> None:
    """Show PREDICTIONS, a folder that `avaffect predict` wrote, as a page for the browser.

    The page is one file: the video beside its curves, a summary, and what to bear in mind. It
    opens from the disk and uses no network. Of several videos there is a page each in reports/,
    and the page that is named lists them.

    PREDICTIONS may be a run too, a folder that `avaffect train` or `avaffect ensemble` wrote: its
    page has the scores with their intervals, the learning curves, a row a video, and the worst
    clips: predictions beside labels, with faces and the video where they are at hand.

    ANNOTATIONS are the challenge's files, or a table a person with columns called as in the
    tables of predictions (valence, arousal, expression, AU1 ...).

    \b
    Examples:
      avaffect report out/
      avaffect report out/ --video video.mp4 --embed -o to_send.html
      avaffect report out/ --annotations annotations/
      avaffect report avaffect_run/
    """
    from avaffect.cli.terminal import Reporter
    from avaffect.errors import UsageError
    from avaffect.files.names import RECORDS, REPORT, REPORTS, TABLES
    from avaffect.remote.stage import Stage
    from avaffect.reporting.report import report as write
    from avaffect.reporting.run_report import report_run
    from avaffect.reporting.trained import is_trained

    target = None if out is None else Path(out)
    if is_trained(Path(predictions)):
        if embed or annotations or transcript or speakers:
            raise UsageError(
                f"'{predictions}' is a run, which has its labels",
                "leave out --embed, --annotations, --transcript and --speakers",
            )
        with Reporter(quiet) as reporter:
            page = report_run(
                predictions, target, videos=videos, overwrite=overwrite, on_event=reporter
            )
            reporter.say(f"{page.clips} validation clips of {page.videos} videos: {page.path}")
        return
    stage = Stage.open(predictions, scratch)
    if stage.target is not None:
        stage.ready()
        stage.bring_results([TABLES, RECORDS])
    with Reporter(quiet) as reporter:
        done = write(
            stage.out,
            target,
            videos=[Path(video) for video in videos],
            embed=embed,
            annotations=annotations,
            transcript=transcript,
            speakers=speakers,
            overwrite=overwrite,
            on_event=reporter,
        )
        count, pages = len(done.subjects), len(done.pages)
        what = f"{count} {'person' if count == 1 else 'people'}"
        if pages > 1:
            what += f" in {pages} videos"
        if stage.target is not None and out is None:
            stage.publish_closing([REPORT, REPORTS])
            stage.close()
        reporter.say(
            f"{what}: {stage.target.child(REPORT) if stage.target and not out else done.path}"
        )
        for voice in done.voices:
            reporter.say(f"voice: {voice}")
